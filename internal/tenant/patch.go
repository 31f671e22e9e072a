package tenant

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Bounds of what a tenant may choose.
const (
	MaxRetentionDays = 36_500
	MaxNameBytes     = 200
	maxEntryAge      = MaxRetentionDays * 24 * time.Hour
	maxLimit         = 1_000_000_000_000_000
	maxProblems      = 100
)

// Patch is a change of a tenant as it was asked for.
type Patch struct {
	Info     Info // the tenant as it is to be
	Changes  bool // it differs from what it was
	Platform bool // it asks for what only a platform admin may do
	Undelete bool // it takes a deletion back
}

// ReadPatch applies a JSON merge patch (RFC 7396) to a tenant: what is absent stays, null is the service's own
// again. The members are name, settings, suspended, and deleted, which may only become false.
//
// All that is wrong is listed. Kind Malformed: there is an unknown member, code unknown_field; kind Invalid: only
// values are wrong. Where there are several codes the code is validation_failed.
func ReadPatch(of Info, members map[string]jsontext.Value) (Patch, error) {
	r := &patchReader{}
	p := Patch{Info: of}
	r.object("", members, map[string]func(at string, v jsontext.Value){
		"name": func(at string, v jsontext.Value) {
			if isNull(v) {
				p.Info.Name = of.Slug
			} else if s, ok := r.text(at, v); ok && !ValidName(s) {
				r.wrong(at, "tenant_name_invalid", NameRule)
			} else if ok {
				p.Info.Name = s
			}
			if p.Info.Name == "" {
				p.Info.Name = of.Slug
			}
		},
		"settings": func(at string, v jsontext.Value) { p.Info.Settings = r.settings(at, v, of.Settings) },
		"suspended": func(at string, v jsontext.Value) {
			p.Platform = true
			if on, ok := r.boolean(at, v); ok {
				p.Info.Suspended = on
			}
		},
		"deleted": func(at string, v jsontext.Value) {
			p.Platform = true
			switch on, ok := r.boolean(at, v); {
			case !ok:
			case on:
				r.wrong(at, "deleted_invalid", "false takes a deletion back; to delete a tenant send DELETE")
			case !of.DeleteAt.IsZero():
				p.Undelete, p.Info.DeleteAt = true, time.Time{}
			}
		},
	})
	p.Changes = p.Undelete || p.Info.Name != of.Name || p.Info.Suspended != of.Suspended ||
		string(p.Info.Settings.AppendJSON(nil)) != string(of.Settings.AppendJSON(nil))
	return p, r.err()
}

// NameRule is what ValidName asks, for people.
const NameRule = "a name has at most 200 bytes, none of them control characters"

// ValidName says whether a tenant may be called so.
func ValidName(name string) bool {
	for _, r := range name {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return false
		}
	}
	return len(name) <= MaxNameBytes
}

// settings applies a patch to settings.
func (r *patchReader) settings(at string, v jsontext.Value, s Settings) Settings {
	if isNull(v) {
		return Settings{}
	}
	r.members(at, v, map[string]func(at string, v jsontext.Value){
		"retention_days": func(at string, v jsontext.Value) {
			s.RetentionDays = int(r.whole(at, v, MaxRetentionDays, "retention_invalid"))
		},
		"min_severity": func(at string, v jsontext.Value) {
			s.MinSeverity = 0
			if isNull(v) {
				return
			}
			if name, ok := r.text(at, v); ok {
				if s.MinSeverity, ok = logentry.ParseSeverity(name); !ok {
					r.wrong(at, "severity_unknown", "a severity is DEBUG, INFO, WARNING, ERROR or CRITICAL, or one of the usual aliases")
				}
			}
		},
		"max_entry_age": func(at string, v jsontext.Value) {
			s.MaxEntryAge = 0
			if isNull(v) {
				return
			}
			if text, ok := r.text(at, v); ok {
				if s.MaxEntryAge, ok = parseAge(text); !ok {
					r.wrong(at, "max_entry_age_invalid", "an age is a whole number and one of s, m, h, d, as in 30d; from 1s to 36500d")
				}
			}
		},
		"masking": func(at string, v jsontext.Value) { s.Masking = r.masking(at, v) },
		"limits": func(at string, v jsontext.Value) {
			if isNull(v) {
				s.Limits = Limits{}
				return
			}
			limit := func(field *int64) func(string, jsontext.Value) {
				return func(at string, v jsontext.Value) { *field = r.whole(at, v, maxLimit, "limit_invalid") }
			}
			r.members(at, v, map[string]func(string, jsontext.Value){
				"entries_per_min": limit(&s.Limits.EntriesPerMin), "bytes_per_min": limit(&s.Limits.BytesPerMin),
				"entries_per_day": limit(&s.Limits.EntriesPerDay), "bytes_per_day": limit(&s.Limits.BytesPerDay),
			})
		},
	})
	return s
}

// masking reads the rules, all of them: a list is replaced as a whole.
func (r *patchReader) masking(at string, v jsontext.Value) []mask.Rule {
	if isNull(v) {
		return nil
	}
	var list []jsontext.Value
	if v.Kind() != '[' || json.Unmarshal(v, &list) != nil {
		r.wrong(at, "field_wrong_type", "masking is a list of rules")
		return nil
	}
	var rules []mask.Rule
	found := r.found
	for i, item := range list {
		var rule mask.Rule
		member := func(field *string) func(string, jsontext.Value) {
			return func(at string, v jsontext.Value) { *field, _ = r.text(at, v) }
		}
		r.members(at+"/"+strconv.Itoa(i), item, map[string]func(string, jsontext.Value){
			"name": member(&rule.Name), "field": member(&rule.Field), "pattern": member(&rule.Pattern),
			"builtin": member(&rule.Builtin), "action": member(&rule.Action),
		})
		rules = append(rules, rule)
	}
	if r.found == found { // of rules that could not be read it would say things that nobody wrote
		for _, p := range mask.Check(rules) {
			r.wrong(at+p.Pointer, p.Code, p.Message)
		}
	}
	return rules
}

// parseAge reads 90s, 15m, 36h, 30d.
func parseAge(text string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}
	if len(text) < 2 || len(text) > 12 || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	unit, known := units[text[len(text)-1]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 64)
	if !known || err != nil || n > int64(maxEntryAge/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// formatAge writes what parseAge reads, in the largest unit that leaves a whole number.
func formatAge(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// patchReader collects what is wrong with a patch.
type patchReader struct {
	list    []fault.Problem
	found   int
	unknown bool
	codes   []string
}

func (r *patchReader) wrong(at, code, message string) {
	r.found++
	if !slices.Contains(r.codes, code) {
		r.codes = append(r.codes, code)
	}
	if len(r.list) < maxProblems {
		r.list = append(r.list, fault.Problem{Pointer: at, Code: code, Message: message})
	}
}

func (r *patchReader) err() error {
	if r.found == 0 {
		return nil
	}
	f := &fault.Error{Kind: fault.Invalid, Code: "validation_failed", Detail: r.list[0].Message, Problems: r.list, Truncated: r.found > len(r.list)}
	if r.unknown {
		f.Kind = fault.Malformed
	}
	if len(r.codes) == 1 {
		f.Code = r.codes[0]
	}
	if r.found > 1 {
		f.Detail = fmt.Sprintf("%d problems were found; nothing was changed", r.found)
	}
	return f
}

// members reads an object, which v must be.
func (r *patchReader) members(at string, v jsontext.Value, known map[string]func(string, jsontext.Value)) {
	var members map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &members) != nil {
		r.wrong(at, "field_wrong_type", "this must be an object")
		return
	}
	r.object(at, members, known)
}

// object hands each member to who knows it, in the order of names. A name that nobody knows is not repeated in
// what people read, but for what it may have meant.
func (r *patchReader) object(at string, members map[string]jsontext.Value, known map[string]func(string, jsontext.Value)) {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		pointer := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		if read, ok := known[name]; ok {
			read(pointer, members[name])
			continue
		}
		r.unknown = true
		message := "there is no such field here"
		if meant := fault.Nearest(name, slices.Sorted(maps.Keys(known))); meant != "" {
			message += fmt.Sprintf("; did you mean %q?", meant)
		}
		r.wrong(pointer, "unknown_field", message)
	}
}

func isNull(v jsontext.Value) bool { return v.Kind() == 'n' }

func (r *patchReader) text(at string, v jsontext.Value) (string, bool) {
	var s string
	if v.Kind() != '"' || json.Unmarshal(v, &s) != nil {
		r.wrong(at, "field_wrong_type", "this must be a string")
		return "", false
	}
	return s, true
}

func (r *patchReader) boolean(at string, v jsontext.Value) (on, ok bool) {
	if kind := v.Kind(); kind != 't' && kind != 'f' {
		r.wrong(at, "field_wrong_type", "this must be true or false")
		return false, false
	}
	return v.Kind() == 't', true
}

// whole reads a whole number from 0 to most, written in digits; null is 0.
func (r *patchReader) whole(at string, v jsontext.Value, most int64, code string) int64 {
	if isNull(v) {
		return 0
	}
	if v.Kind() != '0' {
		r.wrong(at, "field_wrong_type", "this must be a number")
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(v)), 10, 64)
	if err != nil || n < 0 || n > most {
		r.wrong(at, code, fmt.Sprintf("this is a whole number from 0 to %d, written in digits", most))
		return 0
	}
	return n
}
