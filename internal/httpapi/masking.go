package httpapi

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maskedBody is an entry of a dry run: what would be kept of it, and which rule acted where.
type maskedBody struct {
	Entry jsontext.Value `json:"entry"`
	Hits  []hitBody      `json:"hits"`
}

// hitBody is a value that a rule acted upon.
type hitBody struct {
	Rule    *int   `json:"rule"` // its number in the list, from 0; null for the names of secrets that hold for everybody
	Name    string `json:"name"`
	Pointer string `json:"pointer"` // into the entry as sent
}

// maxSamples is how many entries a dry run takes.
const maxSamples = 100

// testMasking shows what rules would do to sample entries: those of the body, else the tenant's own. It keeps nothing.
func (s *Server) testMasking(k *call) error {
	var sent struct {
		Rules   *[]mask.Rule   `json:"rules"`
		Entries jsontext.Value `json:"entries"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	if len(sent.Entries) == 0 {
		return atField("/entries", "required", "send sample entries as an array")
	}
	if sent.Entries.Kind() != '[' {
		return atField("/entries", "field_wrong_type", "entries must be an array")
	}
	rules := k.tenant.Settings().Masking
	if sent.Rules != nil {
		rules = *sent.Rules
		if problems := mask.Check(rules); len(problems) > 0 {
			return &fault.Error{Kind: fault.Invalid, Code: "masking_invalid", Detail: "some rules are not valid", Problems: below("/rules", problems)}
		}
	}
	entries, err := logentry.Decode(sent.Entries, logentry.Bulk, logentry.Options{MaxFutureSkew: s.cfg.MaxFutureSkew, Reserved: logentry.OwnService, MaxEntries: maxSamples})
	if err != nil {
		f := fault.Of(decodeFault(err))
		f.Problems = below("/entries", f.Problems)
		return f
	}
	masker, err := s.writing.Masks.Compile(k.tenant.ID(), rules)
	if err != nil {
		return fault.As(fault.Internal, "masking_unreadable", err)
	}
	shown := make([]maskedBody, len(entries))
	for i := range entries {
		m := maskedBody{Hits: []hitBody{}}
		masker.Apply(&entries[i], func(rule int, pointer string) {
			h := hitBody{Name: "secrets", Pointer: pointer}
			if rule != mask.SecretNames {
				h.Rule, h.Name = &rule, rules[rule].Name
			}
			m.Hits = append(m.Hits, h)
		})
		m.Entry = logentry.AppendContent(nil, &entries[i])
		shown[i] = m
	}
	return replyData(k, http.StatusOK, shown)
}

// below puts problems of a part of the body at their place in all of it. What has no pointer is about the part itself.
func below(at string, problems []fault.Problem) []fault.Problem {
	for i := range problems {
		p := &problems[i]
		if p.Pointer == "" || strings.HasPrefix(p.Pointer, "/") {
			p.Pointer = at + p.Pointer
		}
		p.Line, p.Column = 0, 0 // they count from where the part begins
	}
	return problems
}
