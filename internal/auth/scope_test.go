package auth

import (
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestScopes(t *testing.T) {
	for name, c := range map[string]struct {
		filters []string
		text    string
		entry   logentry.Entry
		in      bool
	}{
		"none is for everything":           {nil, "", logentry.Entry{Service: "any"}, true},
		"an empty one is none":             {[]string{"", "  "}, "", logentry.Entry{Service: "any"}, true},
		"one that the entry matches":       {[]string{"service:billing"}, "service:billing", logentry.Entry{Service: "billing"}, true},
		"one that it does not":             {[]string{"service:billing"}, "service:billing", logentry.Entry{Service: "shop"}, false},
		"two hold together":                {[]string{"service:billing", "action:PAY"}, "(service:billing) (action:PAY)", logentry.Entry{Service: "billing"}, false},
		"an OR stays within its brackets":  {[]string{"service:billing", "action:PAY OR action:READ"}, "(service:billing) (action:PAY OR action:READ)", logentry.Entry{Service: "shop", Action: "READ"}, false},
		"what both filters match is in it": {[]string{"service:billing", "action:PAY OR action:READ"}, "(service:billing) (action:PAY OR action:READ)", logentry.Entry{Service: "billing", Action: "READ"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newScope(c.filters)
			if err != nil {
				t.Fatal(err)
			}
			if s.String() != c.text || query.Match(s.node, &c.entry) != c.in {
				t.Errorf("%q, in it: %t", s, !c.in)
			}
			again, err := newScope([]string{s.String()})
			if err != nil || query.Match(again.node, &c.entry) != c.in {
				t.Errorf("read again it is another: %v", err)
			}
		})
	}
}

func TestFiltersThatAreNone(t *testing.T) {
	for _, filter := range []string{"service:", "(a", "nosuchfield:x", "timestamp:>now-1h", strings.Repeat("a ", 2000)} {
		_, err := scope{}.narrowed(filter)
		if f := fault.Of(err); err == nil || f.Kind != fault.Invalid || f.Code != "filter_invalid" || strings.Contains(f.Detail, "nosuch") {
			t.Errorf("%.20q: %v", filter, err)
		}
	}
}
