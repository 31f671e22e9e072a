package app

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
)

func TestAFailureIsSaidInOneLineWithItsExitCode(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code int
		says string
	}{
		{"one setting", config.Problems{{Where: "PORT", Message: "is not set"}}, ExitSettings, "api: bad settings: PORT: is not set\n"},
		{"a setting that a backend refuses", fault.Wrap(fault.New(fault.Invalid, "setting_invalid", "PREFIX is too long"), "open the index"), ExitSettings, "api: PREFIX is too long\n"},
		{"a fault with a cause of several lines", &fault.Error{Kind: fault.Unavailable, Code: "down", Detail: "the queue does not answer", Err: errors.New("dial\n\ttcp")}, 1, "api: the queue does not answer: dial tcp\n"},
		{"a fault that says nothing itself", fault.As(fault.Internal, "storage_failed", errors.New("no space")), 1, "api: storage_failed: no space\n"},
		{"any error", errors.New("no command \"x\"\n"), 1, "api: no command \"x\"\n"},
		{"none", nil, 0, ""},
	} {
		var out bytes.Buffer
		if code := ExitCode(&out, "api", c.err); code != c.code || out.String() != c.says {
			t.Errorf("%s: exit code %d, %q", c.name, code, &out)
		}
	}
}

func TestAListenerThatCantBeOpenedNamesItsSetting(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	port := busy.Addr().(*net.TCPAddr).Port
	if _, err := listen("HOST", "127.0.0.1", "PORT", port); err == nil || !strings.HasPrefix(err.Error(), "PORT: another process listens on 127.0.0.1:") {
		t.Errorf("in use: %v", err)
	}
	if _, err := listen("HOST", "192.0.2.1", "PORT", 0); err == nil || !strings.HasPrefix(err.Error(), "HOST: 192.0.2.1 is no address of this machine") {
		t.Errorf("of another machine: %v", err)
	}
}
