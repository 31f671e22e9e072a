package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// ExitSettings is the exit code for settings that are wrong (EX_CONFIG); other failures exit with 1.
const ExitSettings = 78

// Main turns the world (arguments, environment, signals) into one call of run and returns the exit code.
// Arguments: --config FILE, and the commands health, for probes of containers, and version.
func Main(p config.Process, version string, run func(context.Context, config.Settings, string) error, args []string) int {
	flags := flag.NewFlagSet(string(p), flag.ContinueOnError)
	file := flags.String("config", "", "YAML `FILE` of settings; the environment goes over it")
	flags.Usage = func() {
		_, _ = fmt.Fprintf(flags.Output(), "Usage: %s [--config FILE] [health|version]\nSettings: configs/%s.yaml; each is also an environment variable in capitals.\n", p, p)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.Arg(0) == "version" {
		fmt.Println(version)
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	s, err := config.Load(p, *file, os.Environ())
	if err == nil {
		switch flags.Arg(0) {
		case "":
			err = run(ctx, s, version)
		case "health":
			err = probe(ctx, s)
		default:
			err = fmt.Errorf("no command %q; there are health and version", flags.Arg(0))
		}
	}
	return ExitCode(os.Stderr, string(p), err)
}

// ExitCode says err to a person, in one line where it is one thing, and returns the exit code. It is
// ExitSettings where a setting can't be right, whatever the servers are like.
func ExitCode(w io.Writer, program string, err error) int {
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(w, "%s: %s\n", program, plain(err))
	if _, bad := errors.AsType[config.Problems](err); bad || slices.Contains(settingCodes, fault.Of(err).Code) {
		return ExitSettings
	}
	return 1
}

// settingCodes are of faults that the backends find in the settings themselves.
var settingCodes = []string{"setting_invalid", "sqs_url", "sqs_fifo", "sqs_region", "mongodb_uri_invalid", "opensearch_url_invalid"}

// plain is what a person has to know of err. A fault that says what is wrong and what to do needs neither its
// code nor the steps that led to it.
func plain(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Detail != "" {
		text := f.Detail
		if f.Err != nil {
			text += ": " + f.Err.Error()
		}
		return strings.Join(strings.Fields(text), " ")
	}
	return strings.TrimSpace(err.Error())
}

// probe asks the process of these settings on this machine whether it is ready.
func probe(ctx context.Context, s config.Settings) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	url := "http://" + reachable(addr(net.JoinHostPort(s.MetricsHost, strconv.Itoa(s.MetricsPort)))) + "/health/ready"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("nothing answers at %s", url)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, res.StatusCode)
	}
	return nil
}

// addr is a host and port as a net.Addr.
type addr string

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return string(a) }
