package tenant

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func patch(t *testing.T, of Info, body string) (Patch, error) {
	t.Helper()
	var members map[string]jsontext.Value
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return ReadPatch(of, members)
}

// chosen is a tenant with everything chosen.
func chosen() Info {
	return Info{Slug: "acme", Name: "Acme", DeleteAt: time.Unix(9, 0), Settings: Settings{RetentionDays: 7, MinSeverity: logentry.Error, MaxEntryAge: time.Hour,
		Masking: []mask.Rule{{Name: "cards", Builtin: "card", Action: "mask"}}, Limits: Limits{1, 2, 3, 4}}}
}

func TestPatchesOfATenant(t *testing.T) {
	const all = `{"retention_days":7,"min_severity":"ERROR","max_entry_age":"1h","masking":[{"name":"cards","builtin":"card","action":"mask"}],"limits":{"entries_per_min":1,"bytes_per_min":2,"entries_per_day":3,"bytes_per_day":4}}`
	for body, want := range map[string]string{
		`{}`:                         "same Acme " + all,
		`{"settings":{}}`:            "same Acme " + all,
		`{"name":"Acme"}`:            "same Acme " + all,
		`{"name":"Acme & Sons"}`:     "Acme & Sons " + all,
		`{"name":null}`:              "acme " + all,
		`{"settings":null}`:          "Acme {}",
		`{"suspended":true}`:         "platform suspended Acme " + all,
		`{"suspended":false}`:        "same platform Acme " + all,
		`{"deleted":false}`:          "platform undelete Acme " + all,
		`{"settings":{"limits":{}}}`: "same Acme " + all,
		`{"settings":{"retention_days":0,"min_severity":null,"max_entry_age":null,"masking":null,"limits":null}}`:                         "Acme {}",
		`{"settings":{"retention_days":36500,"min_severity":"fatal","max_entry_age":"48h","masking":[],"limits":{"bytes_per_min":null}}}`: `Acme {"retention_days":36500,"min_severity":"CRITICAL","max_entry_age":"2d","limits":{"entries_per_min":1,"entries_per_day":3,"bytes_per_day":4}}`,
		`{"settings":{"limits":{"entries_per_day":1000000000000000}}}`:                                                                    "Acme " + strings.Replace(all, `"entries_per_day":3`, `"entries_per_day":1000000000000000`, 1),
		`{"settings":{"masking":[{"name":"a","pattern":"b+","action":"hash"}]}}`:                                                          "Acme " + strings.Replace(all, `{"name":"cards","builtin":"card","action":"mask"}`, `{"name":"a","pattern":"b+","action":"hash"}`, 1),
		`{"settings":{"retention_days":1.5}}`:                                                                                             "422 retention_invalid /settings/retention_days:retention_invalid",
		`{"settings":{"retention_days":-1}}`:                                                                                              "422 retention_invalid /settings/retention_days:retention_invalid",
		`{"settings":{"retention_days":1e9}}`:                                                                                             "422 retention_invalid /settings/retention_days:retention_invalid",
		`{"settings":{"retention_days":36501}}`:                                                                                           "422 retention_invalid /settings/retention_days:retention_invalid",
		`{"settings":{"retention_days":"30"}}`:                                                                                            "422 field_wrong_type /settings/retention_days:field_wrong_type",
		`{"settings":{"min_severity":4}}`:                                                                                                 "422 field_wrong_type /settings/min_severity:field_wrong_type",
		`{"settings":{"min_severity":""}}`:                                                                                                "422 severity_unknown /settings/min_severity:severity_unknown",
		`{"settings":{"max_entry_age":"0d"}}`:                                                                                             "422 max_entry_age_invalid /settings/max_entry_age:max_entry_age_invalid",
		`{"settings":{"max_entry_age":"1.5h"}}`:                                                                                           "422 max_entry_age_invalid /settings/max_entry_age:max_entry_age_invalid",
		`{"settings":{"max_entry_age":"99999999999d"}}`:                                                                                   "422 max_entry_age_invalid /settings/max_entry_age:max_entry_age_invalid",
		`{"settings":{"masking":{}}}`:                                                                                                     "422 field_wrong_type /settings/masking:field_wrong_type",
		`{"settings":{"masking":[{"name":"a","builtin":"nothing","action":"mask"}]}}`:                                                     "422 builtin_unknown /settings/masking/0/builtin:builtin_unknown",
		`{"settings":[]}`:       "422 field_wrong_type /settings:field_wrong_type",
		`{"name":"a\u0000"}`:    "422 tenant_name_invalid /name:tenant_name_invalid",
		`{"deleted":true}`:      "422 deleted_invalid /deleted:deleted_invalid",
		`{"suspended":"true"}`:  "422 field_wrong_type /suspended:field_wrong_type",
		`{"role":"admin"}`:      "400 unknown_field /role:unknown_field",
		`{"tenant_id":"zeta"}`:  "400 unknown_field /tenant_id:unknown_field",
		`{"id":"zeta"}`:         "400 unknown_field /id:unknown_field",
		`{"is_superuser":true}`: "400 unknown_field /is_superuser:unknown_field",
		`{"setings":{}}`:        `400 unknown_field /setings:unknown_field`,
		`{"settings":{"retention_days":-1,"min_severity":"x","masking":[{"nam":"a"}],"limits":{"entries_per_min":-1,"a/b":1}},"role":1}`: "400 validation_failed /role:unknown_field /settings/limits/a~1b:unknown_field /settings/limits/entries_per_min:limit_invalid " +
			"/settings/masking/0/nam:unknown_field /settings/min_severity:severity_unknown /settings/retention_days:retention_invalid",
	} {
		p, err := patch(t, chosen(), body)
		var got strings.Builder
		if f := fault.Of(err); f != nil {
			fmt.Fprintf(&got, "%d %s", map[fault.Kind]int{fault.Malformed: 400, fault.Invalid: 422}[f.Kind], f.Code)
			for _, problem := range f.Problems {
				got.WriteString(" " + problem.Pointer + ":" + problem.Code)
			}
		} else {
			if !p.Changes {
				got.WriteString("same ")
			}
			if p.Platform {
				got.WriteString("platform ")
			}
			if p.Undelete != p.Info.DeleteAt.IsZero() {
				t.Errorf("%s: undelete is %v, to be deleted at %v", body, p.Undelete, p.Info.DeleteAt)
			}
			if p.Undelete {
				got.WriteString("undelete ")
			}
			if p.Info.Suspended {
				got.WriteString("suspended ")
			}
			got.WriteString(p.Info.Name + " " + string(p.Info.Settings.AppendJSON(nil)))
		}
		if got.String() != want {
			t.Errorf("%s\n gives %s\n  want %s", body, got.String(), want)
		}
	}
}

func TestAPatchNamesAHundredProblemsAtTheMost(t *testing.T) {
	var b strings.Builder
	for i := range 150 {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	_, err := patch(t, chosen(), "{"+b.String()[1:]+"}")
	if f := fault.Of(err); f == nil || len(f.Problems) != 100 || !f.Truncated {
		t.Fatalf("%v", err)
	}
}
