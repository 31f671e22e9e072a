package tenant

import (
	"reflect"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestSettingsAreReadBackAsTheyWereKept(t *testing.T) {
	for kept, s := range map[string]Settings{
		`{}`: {},
		`{"retention_days":30,"min_severity":"WARNING","max_entry_age":"36h","masking":[{"name":"cards","builtin":"card","action":"mask"}],"limits":{"entries_per_min":1,"bytes_per_day":1099511627776}}`: {
			RetentionDays: 30, MinSeverity: logentry.Warning, MaxEntryAge: 36 * time.Hour,
			Masking: []mask.Rule{{Name: "cards", Builtin: "card", Action: "mask"}}, Limits: Limits{EntriesPerMin: 1, BytesPerDay: 1 << 40}},
	} {
		body := s.AppendJSON(nil)
		if string(body) != kept {
			t.Errorf("kept as %s, want %s", body, kept)
		}
		if back, err := StoredSettings(body); err != nil || !reflect.DeepEqual(back, s) {
			t.Errorf("%s is read back as %+v, %v", body, back, err)
		}
	}
	if s, err := StoredSettings(nil); err != nil || !reflect.DeepEqual(s, Settings{}) {
		t.Errorf("nothing is read as %+v, %v", s, err)
	}
	if s, err := StoredSettings([]byte(`{"retention_days":1,"later_version":{"a":1}}`)); err != nil || s.RetentionDays != 1 {
		t.Errorf("what a later version kept is read as %+v, %v", s, err)
	}
	if _, err := StoredSettings([]byte(`{"retention_days":"1"}`)); err == nil {
		t.Error("what nobody kept is read")
	}
}
