package logentry

import "testing"

func TestSeveritiesAndTheirAliases(t *testing.T) {
	for want, names := range map[Severity][]string{
		Debug:    {"DEBUG", "debug", "Trace", "TRACE"},
		Info:     {"INFO", "info", "notice", "NOTICE"},
		Warning:  {"WARNING", "Warn", "warn"},
		Error:    {"ERROR", "err", "eRR"},
		Critical: {"CRITICAL", "crit", "FATAL", "alert", "emerg", "EMERGENCY", "panic"},
	} {
		for _, name := range names {
			if have, ok := ParseSeverity(name); !ok || have != want {
				t.Errorf("%s: %v %t", name, have, ok)
			}
		}
		if back, ok := ParseSeverity(want.String()); !ok || back != want {
			t.Errorf("%v is written as %s", want, want.String())
		}
	}
}

func TestNamesThatAreNoSeverity(t *testing.T) {
	for _, name := range []string{"", " INFO", "INFO ", "informational", "3", "ſ", "CRITſ", "DEBUG\x00", "WARNINGS"} {
		if s, ok := ParseSeverity(name); ok || s != 0 {
			t.Errorf("%q was read as %v", name, s)
		}
	}
	if have := Severity(200).String(); have != "" {
		t.Errorf("a severity that is none is written as %q", have)
	}
}

func TestSeveritiesCompare(t *testing.T) {
	if Debug >= Info || Info >= Warning || Warning >= Error || Error >= Critical {
		t.Error("out of order")
	}
}
