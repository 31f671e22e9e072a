package logentry

import (
	"errors"
	"testing"
	"time"
)

func TestWhatATenantAndTheServiceDoNotTake(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	o := Options{Now: now, MaxAge: 30 * 24 * time.Hour, Reserved: OwnService}
	for name, c := range map[string]struct{ body, pointer, code string }{
		"30 days old to the second":      {`{"message":"m","timestamp":"2026-10-29T12:00:00Z"}`, "", ""},
		"a second older":                 {`{"message":"m","timestamp":"2026-10-29T11:59:59Z"}`, "/timestamp", "timestamp_out_of_range"},
		"the service's own name":         {`{"message":"m","service":"ocelot"}`, "/service", "service_reserved"},
		"the service's own name, hidden": {`{"message":"m","service":"\u006fcelot"}`, "/service", "service_reserved"},
		"a name that begins with it":     {`{"message":"m","service":"ocelot-2"}`, "", ""},
		"a name in capitals":             {`{"message":"m","service":"Ocelot"}`, "", ""},
	} {
		_, err := Decode([]byte(c.body), Single, o)
		d, refused := errors.AsType[*DecodeError](err)
		if refused != (c.code != "") || refused && (len(d.Problems) != 1 || d.Problems[0].Pointer != c.pointer || d.Problems[0].Code != c.code || d.Class != Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Decode([]byte(`{"message":"m","timestamp":"1998-01-01T00:00:00Z","service":"ocelot"}`), Single, Options{Now: now}); err != nil {
		t.Errorf("without the two options: %v", err)
	}
}
