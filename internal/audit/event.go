package audit

import (
	"crypto/rand"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The actions.
const (
	Read   = "READ"
	Export = "EXPORT"
	Create = "CREATE"
	Update = "UPDATE"
	Delete = "DELETE"
	Login  = "LOGIN"
	Logout = "LOGOUT"
	Refuse = "REFUSE" // an attempt that was refused
)

// Who is the caller and the request, as far as they are known.
type Who struct {
	Subject    string     // of the credentials
	Credential string     // which credentials: a key's public part or a token's id; never the secret
	Address    netip.Addr // of the client
	UserAgent  string
	RequestID  string
	TraceID    string
	Route      string // method and template
}

// Name is who it was: the subject, or the credential of one without.
func (w Who) Name() string {
	if w.Subject != "" {
		return w.Subject
	}
	return w.Credential
}

// Event is what happened.
type Event struct {
	Who
	Action       string
	Severity     logentry.Severity // Info where none is given
	Message      string            // for people
	ResourceType string            // entries, entry, tenant, key, token, session, view, job …
	ResourceID   string
	Before       any // of a change, as JSON objects; nil: it was not there
	After        any

	// Of a read.
	Params map[string][]string // what was asked, by the names of the URL
	Count  int                 // entries that were given out; -1: not counted yet
	Took   time.Duration
	Source string // index or record

	Code       string // of the refusal
	Suppressed int    // refusals before it that were not noted
}

// The bounds of an entry's fields; see logentry.
const (
	maxField     = 512
	maxLongField = 1024
	maxParam     = 2048
)

// details is the metadata of an audit entry.
type details struct {
	Route      string         `json:"route,omitzero"`
	Credential string         `json:"credential_id,omitzero"`
	Params     jsontext.Value `json:"params,omitzero"`
	Count      *int           `json:"count,omitzero"`
	TookMS     *int64         `json:"took_ms,omitzero"`
	Source     string         `json:"source,omitzero"`
	Code       string         `json:"code,omitzero"`
	Suppressed int            `json:"suppressed,omitzero"`
}

// entry is the event as it is kept.
func (e *Event) entry(now time.Time) logentry.Entry {
	d := details{Route: e.Route, Credential: text(e.Credential, maxField), Source: e.Source, Code: e.Code, Suppressed: e.Suppressed, Params: params(e.Params)}
	if e.Action == Read || e.Action == Export {
		if took := e.Took.Milliseconds(); e.Took > 0 {
			d.TookMS = &took
		}
		if count := e.Count; count >= 0 {
			d.Count = &count
		}
	}
	metadata, _ := json.Marshal(&d) // strings of valid UTF-8 and numbers
	out := logentry.Entry{
		Timestamp: now.UTC(), Severity: e.Severity, Service: logentry.OwnService, Action: e.Action, Message: text(e.Message, maxLongField),
		UserID: text(e.Name(), maxField), ResourceType: e.ResourceType, ResourceID: text(e.ResourceID, maxLongField),
		UserAgent: text(e.UserAgent, maxLongField), RequestID: text(e.RequestID, maxField), TraceID: e.TraceID, EventID: rand.Text(),
		BeforeState: state(e.Before), AfterState: state(e.After), Metadata: metadata,
	}
	if e.Address.IsValid() {
		out.IPAddress = e.Address.Unmap().WithZone("").String()
	}
	if out.Message == "" {
		out.Message = e.sentence()
	}
	return out
}

// sentence says what happened in a few words.
func (e *Event) sentence() string {
	s := strings.ToLower(e.Action)
	switch {
	case (e.Action == Read || e.Action == Export) && e.ResourceID == "" && e.ResourceType == "entries" && e.Count >= 0:
		s += " " + strconv.Itoa(e.Count)
	case e.Action == Refuse:
		s = "refused: " + e.Code
	}
	if e.ResourceType != "" && e.Action != Refuse {
		s += " " + e.ResourceType
	}
	if e.ResourceID != "" {
		s += " " + text(e.ResourceID, maxField)
	}
	return s
}

// params is what was asked as an object: a parameter that stands once as a string, else as a list. A cursor is our
// own and says nothing to people.
func params(asked map[string][]string) jsontext.Value {
	if len(asked) == 0 {
		return nil
	}
	b := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		values := asked[name]
		if name == "cursor" {
			name, values = "page", []string{"a later one"}
		}
		if len(values) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(quoted(b, name, 128), ':')
		if len(values) == 1 {
			b = quoted(b, values[0], maxParam)
			continue
		}
		b = append(b, '[')
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = quoted(b, v, maxParam)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func quoted(b []byte, s string, most int) []byte {
	b, _ = jsontext.AppendQuote(b, text(s, most)) // of valid UTF-8
	return b
}

// state is v as a JSON object without white space; nil where it is none.
func state(v any) jsontext.Value {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil || len(b) == 0 || b[0] != '{' {
		return nil
	}
	return b
}

// text is s as a field may hold it: valid UTF-8 of at most so many bytes.
func text(s string, most int) string {
	if len(s) > most {
		for most > 0 && !utf8.RuneStart(s[most]) {
			most--
		}
		s = s[:most]
	}
	return strings.Clone(strings.ToValidUTF8(s, ""))
}
