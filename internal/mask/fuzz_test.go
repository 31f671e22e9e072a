package mask

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// FuzzApply holds what the package promises: what comes out is JSON, no secret is in it, and masking it again changes
// nothing.
func FuzzApply(f *testing.F) {
	for _, s := range []string{
		`{"metadata":{"password":"x","a":[{"card":"4111 1111 1111 1111"},1.50,null],"drop":{"a":1},"hash":"me@x.org"},"message":"Bearer abcdefghijkl from 10.0.0.1"}`,
		`{"metadata":{"drop":1},"message":"a@b.co"}`, `{"metadata":{"a":{"drop":1,"b":2},"drop":"\u0041"},"message":"m"}`,
		`{"action":"A","before_state":{"a.drop":[],"x":"AKIAIOSFODNN7EXAMPLE"},"after_state":{"\u0064rop":"::1"}}`,
	} {
		f.Add([]byte(s))
	}
	rules := []Rule{field("metadata.**.drop", Drop), field("before_state.*.drop", Drop), field("after_state.drop", Mask), field("metadata.hash", Hash),
		field("user_id", Hash), builtin("email", Mask), builtin("card", Hash), builtin("bearer", Mask), builtin("aws_key", Mask), builtin("ip", Hash)}
	masker, plain := compile(f, rules...), compile(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		entries, err := logentry.Decode(append([]byte(nil), body...), logentry.Single, logentry.Options{})
		if err != nil {
			return
		}
		for name, m := range map[string]*Masker{"rules": masker, "none": plain} {
			e := entries[0]
			m.Apply(&e, nil)
			for _, v := range []jsontext.Value{e.Metadata, e.BeforeState, e.AfterState} {
				if len(v) > 0 && !v.IsValid() {
					t.Fatalf("%s: not JSON: %s of %s", name, v, body)
				}
			}
			line := logentry.AppendJSON(nil, &e)
			again, err := logentry.Decode(line, logentry.Single, logentry.Options{})
			if err == nil {
				m.Apply(&again[0], nil)
				if twice := logentry.AppendJSON(nil, &again[0]); string(twice) != string(line) && name == "none" {
					t.Fatalf("%s: masked again:\n%s\n%s", name, line, twice)
				}
			}
			if e.Message == "" && e.Action == "" {
				t.Fatalf("%s: nothing is left of %s", name, body)
			}
		}
	})
}

// FuzzASecretIsGone puts a secret where rules speak for it, between what the fuzzer likes.
func FuzzASecretIsGone(f *testing.F) {
	f.Add("a", "b")
	f.Add(`"`, `\`)
	f.Add("é", "\x00")
	m := compile(f, builtin("email", Hash), pattern("s3cret-[0-9]{4}", Mask), field("user_id", Mask))
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "s3cret-1234"
		q := func(s string) string {
			b, _ := jsontext.AppendQuote(nil, s)
			return string(b)
		}
		e := logentry.Entry{Message: strings.ToValidUTF8(before, "") + secret + strings.ToValidUTF8(after, ""), UserID: secret,
			Metadata: jsontext.Value(`{"a":[` + q(before+secret+after) + `,{"k":` + q(after) + `,"password":` + q(secret) + `}]}`)}
		m.Apply(&e, nil)
		if line := string(logentry.AppendJSON(nil, &e)); strings.Contains(line, secret) || !e.Metadata.IsValid() {
			t.Fatalf("%q", line)
		}
	})
}
