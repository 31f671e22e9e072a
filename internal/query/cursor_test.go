package query_test

import (
	"bytes"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var cursors = query.NewCursors(bytes.Repeat([]byte("k"), 32))

func TestCursorsReadWhatTheyWrite(t *testing.T) {
	b := query.Binding("t1", "alice", query.Query{})
	for _, at := range []time.Time{now, now.Add(1), time.Unix(0, 0), time.Unix(-1, 999_999_999), {}, time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)} {
		p := query.Position{At: at.UTC(), ID: logentry.ID{1, 2, 15: 255}}
		s := cursors.Encode(p, b)
		got, err := cursors.Decode(s, b)
		if err != nil || got != p {
			t.Errorf("%v: got %v, %v", p, got, err)
		}
		if strings.ContainsAny(s, "+/=&") {
			t.Errorf("%q needs escaping in a URL", s)
		}
	}
}

func TestCursorsBelongToTheirQuestion(t *testing.T) {
	q := query.Query{Where: query.All{}, Limit: 5}
	other := query.Query{Where: query.Or{}}
	sorted := query.Query{Where: query.All{}, Sort: query.OldestFirst}
	s := cursors.Encode(query.Position{At: now}, query.Binding("t1", "alice", q))
	for name, c := range map[string]struct {
		cursors *query.Cursors
		binding string
		want    string
	}{
		"the same":                        {cursors, query.Binding("t1", "alice", q), ""},
		"another page size":               {cursors, query.Binding("t1", "alice", query.Query{Limit: 7, Total: query.TotalNone}), ""},
		"another query":                   {cursors, query.Binding("t1", "alice", other), "cursor_mismatch"},
		"another order":                   {cursors, query.Binding("t1", "alice", sorted), "cursor_mismatch"},
		"another principal":               {cursors, query.Binding("t1", "bob", q), "cursor_mismatch"},
		"another tenant":                  {cursors, query.Binding("t2", "alice", q), "cursor_invalid"},
		"another tenant and query":        {cursors, query.Binding("t2", "alice", other), "cursor_invalid"},
		"no tenant":                       {cursors, "", "cursor_invalid"},
		"another key":                     {query.NewCursors(bytes.Repeat([]byte("l"), 32)), query.Binding("t1", "alice", q), "cursor_invalid"},
		"the same key, in another server": {query.NewCursors(bytes.Repeat([]byte("k"), 32)), query.Binding("t1", "alice", q), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.cursors.Decode(s, c.binding)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if f := asFault(t, err); f.Code != c.want {
				t.Errorf("got %s, want %s", f.Code, c.want)
			}
		})
	}
}

func TestCursorsRefuseWhatTheyDidNotWrite(t *testing.T) {
	b := query.Binding("t1", "alice", query.Query{})
	good := cursors.Encode(query.Position{At: now}, b)
	bad := []string{"", good[:79], good + "A", " " + good[1:], good[:40] + "\n" + good[41:], good[:40] + "=" + good[41:],
		strings.Repeat("A", 80), strings.Repeat("A", 100<<10), base64.RawURLEncoding.EncodeToString([]byte(`{"at":{"$gt":""}}`))}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[i/8] ^= 1 << (i % 8)
		bad = append(bad, base64.RawURLEncoding.EncodeToString(flipped))
	}
	for _, s := range bad {
		_, err := cursors.Decode(s, b)
		if f := asFault(t, err); f.Code != "cursor_invalid" || f.Problems[0].Pointer != "cursor" {
			t.Errorf("%.90q: got %+v", s, f)
		}
	}
}

// FuzzCursor checks that nothing is read but what was written, and that exactly.
func FuzzCursor(f *testing.F) {
	f.Add("", int64(0), int64(5), "t1\x00alice\x00x")
	f.Add(strings.Repeat("A", 80), int64(math.MaxInt32), int64(999_999_999), "")
	f.Fuzz(func(t *testing.T, s string, sec, ns int64, binding string) {
		if _, err := cursors.Decode(s, binding); err == nil {
			t.Fatalf("%q is taken", s)
		}
		p := query.Position{At: time.Unix(sec, (ns%1e9+1e9)%1e9).UTC(), ID: logentry.ID([]byte(s + strings.Repeat("x", 16))[:16])}
		if got, err := cursors.Decode(cursors.Encode(p, binding), binding); err != nil || !got.At.Equal(p.At) || got.ID != p.ID {
			t.Fatalf("got %v, %v, want %v", got, err, p)
		}
	})
}
