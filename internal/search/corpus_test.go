package search_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maker makes entries and questions about them; the same ones for the same seed.
type maker struct {
	*rand.Rand
	now time.Time
}

func newMaker(seed uint64) *maker {
	return &maker{rand.New(rand.NewPCG(seed, 7)), time.Date(2026, 11, 3, 12, 0, 0, 123_456_789, time.UTC)}
}

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

var slugs = []string{"acme", "zeta", "umbra"}

var words = []string{"payment", "failed", "İstanbul", "Straße", "ΣΊΣΥΦΟΣ", "東京都", "ｆｕｌｌ", "ＷＩＤＴＨ", "snake_case", "3.5", "a@b.example",
	"https://x.example/p?q=1&r=2", "😀", "caf\u00e9", "cafe\u0301", "timeout", "TimeOut", "user_id=17", "user", "id", "x", "the", "-", "Ⅻ", "ﬁ", "pay", "paying"}

func (m *maker) text(n int) string {
	var out []string
	for range m.IntN(n + 1) {
		out = append(out, pick(m, words...))
	}
	return strings.Join(out, pick(m, " ", ", ", "  ", "/"))
}

var values = []string{"billing", "Billing", "bill", "billing-eu", "billing eu", "", "", "ä", "Ä", "a\"b", "a*", "a b c", "\xf0\x9f\x98\x80x", "0", "00", "ord:2026:7", "%_", "x\x00y"}

var addresses = []string{"", "10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "fd00::1", "FD00:0::1", "fe80::1%eth0"}

func (m *maker) metadata() jsontext.Value {
	switch m.IntN(12) {
	case 0:
		return nil
	case 1:
		return jsontext.Value(`{}`)
	case 2:
		return m.fullMetadata()
	case 3, 4, 5, 6, 7, 8:
		return jsontext.Value(m.object(3))
	}
	b, err := json.Marshal(map[string]any{"a": m.text(4), "n": 17, "list": []any{m.text(2), true, map[string]any{"deep": m.text(2)}}})
	if err != nil {
		panic(err)
	}
	return b
}

// time is often one that another entry has, or one at the border of something.
func (m *maker) time() time.Time {
	switch m.IntN(10) {
	case 0:
		return time.Unix(0, int64(m.IntN(3))).UTC()
	case 1:
		return m.now.Add(24 * time.Hour)
	case 2, 3:
		return m.now
	case 4, 5:
		return m.now.Truncate(time.Second).Add(time.Duration(m.IntN(5)-2) * 10 * time.Millisecond)
	case 6:
		return m.now.Add(time.Duration(m.IntN(5) - 2))
	}
	return m.now.Add(-time.Duration(m.Int64N(int64(40 * 24 * time.Hour))))
}

func (m *maker) id() (id logentry.ID) {
	for i := range id {
		id[i] = byte(m.Uint32())
	}
	id[6] = id[6]&0x0f | 0x80
	return id
}

func (m *maker) entry() logentry.Entry {
	return logentry.Entry{
		ID: m.id(), TenantID: authtest.TenantID(pick(m, slugs...)), ReceivedAt: m.time(), Timestamp: m.time(),
		Severity: logentry.Severity(1 + m.IntN(5)), Service: pick(m, values...), Action: pick(m, values...), Message: m.text(8),
		UserID: pick(m, values...), SessionID: pick(m, values...), ResourceType: pick(m, values...), ResourceID: pick(m, values...),
		UserAgent: pick(m, values...), IPAddress: pick(m, addresses...), RequestID: fmt.Sprintf("req-%d", m.IntN(50)), TraceID: fmt.Sprintf("%032x", m.IntN(50)),
		SpanID: fmt.Sprintf("%016x", m.Uint64()), EventID: pick(m, values...), SchemaVersion: m.IntN(3), Metadata: m.metadata(), Changes: m.changed(),
	}
}

func recordOf(e logentry.Entry) logentry.Record {
	return logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
}

func (m *maker) records(n int) []logentry.Record {
	out := make([]logentry.Record, n)
	for i := range out {
		out[i] = recordOf(m.entry())
	}
	return out
}

var fields = []query.Field{query.Service, query.Action, query.UserID, query.SessionID, query.ResourceType, query.ResourceID, query.UserAgent,
	query.RequestID, query.TraceID, query.SpanID, query.EventID, query.EntryID, query.Severity, query.IPAddress, query.SchemaVersion,
	query.Message, query.Changes, query.Timestamp, query.FieldNone}

// node asks for something that e, one of the corpus, may have.
func (m *maker) node(e *logentry.Entry, depth int) query.Node {
	if depth > 0 && m.IntN(3) > 0 {
		var nodes []query.Node
		for range m.IntN(4) {
			nodes = append(nodes, m.node(e, depth-1))
		}
		switch m.IntN(3) {
		case 0:
			return query.And(nodes)
		case 1:
			return query.Or(nodes)
		}
		return query.Not{Node: m.node(e, depth-1)}
	}
	switch m.IntN(16) {
	case 0:
		return query.All{}
	case 1, 2, 3, 4:
		return m.term(e)
	case 12, 13, 14, 15:
		return m.other(e)
	case 5, 6:
		r := query.Range{Field: pick(m, query.Timestamp, query.Timestamp, query.ReceivedAt)}
		if m.IntN(4) > 0 {
			r.From = pick(m, m.time(), e.Timestamp, time.Time{}.Add(1), m.now.Truncate(24*time.Hour))
		}
		if m.IntN(3) > 0 {
			r.To = pick(m, m.time(), e.Timestamp, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), m.now.Truncate(time.Hour))
		}
		return r
	}
	return m.words(e)
}

func (m *maker) term(e *logentry.Entry) query.Node {
	t := query.Term{Field: pick(m, fields...), Value: pick(m, values...), Prefix: m.IntN(4) == 0}
	switch t.Field {
	case query.EntryID:
		t.Value = e.ID.String()
	case query.Severity:
		t.Value = e.Severity.String()
	case query.IPAddress:
		t.Value = pick(m, append(addresses, "nonsense")...)
	case query.SchemaVersion:
		t.Value = fmt.Sprint(m.IntN(3))
	case query.RequestID:
		t.Value = e.RequestID
	case query.TraceID:
		t.Value = e.TraceID
	case query.SpanID:
		t.Value = e.SpanID
	case query.Changes:
		t.Value = pick(m, append(append(changes, strings.Repeat("p", query.MaxChange+m.IntN(2))), e.Changes...)...)
	}
	if t.Prefix && len(t.Value) > 2 {
		t.Value = t.Value[:2+m.IntN(len(t.Value)-2)]
	}
	return t
}

// words asks for some tokens of a text, mostly ones that follow each other somewhere.
func (m *maker) words(e *logentry.Entry) query.Node {
	t := query.Text{Field: pick(m, query.FieldNone, query.FieldNone, query.Message), Prefix: m.IntN(4) == 0}
	var tokens []string
	query.Texts(e, func(_ query.Field, text string) bool {
		tokens = append(tokens, query.Tokens(text)...)
		return m.IntN(3) > 0
	})
	if len(tokens) == 0 || m.IntN(5) == 0 {
		tokens = query.Tokens(m.text(2))
	}
	if len(tokens) > 0 {
		i := m.IntN(len(tokens))
		t.Tokens = tokens[i:min(len(tokens), i+1+m.IntN(3))]
	}
	if n := len(t.Tokens); t.Prefix && n > 0 {
		last := []rune(t.Tokens[n-1])
		t.Tokens = append(t.Tokens[:n-1:n-1], string(last[:1+m.IntN(len(last))]))
	}
	return t
}
