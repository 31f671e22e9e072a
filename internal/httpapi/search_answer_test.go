package httpapi

import (
	"context"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestAnEntryWithTooMuchMetadataSaysSo(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "small", Metadata: jsontext.Value(`{"a":1}`)},
		logentry.Entry{Message: "large", Metadata: jsontext.Value(`{"a":"` + strings.Repeat("x", 257) + `"}`)}, logentry.Entry{Message: "none"})
	reader := authHeader(t, "acme", "reader")
	for _, e := range w.search(t, reader, "").Data {
		if got, want := e["index_truncated"], e["message"] == "large"; (got == true) != want || !want && got != nil {
			t.Errorf("%v: index_truncated is %v", e["message"], got)
		}
	}
	a := w.do(t, reader, "GET", "/api/v1/logs/"+ids[1].String(), "")
	if !strings.Contains(string(a.body), `,"index_truncated":true},"meta"`) {
		t.Errorf("%s", a.body)
	}
}

// forgetful is a record that has lost an entry which the index still finds.
type forgetful struct {
	records
	lost logentry.ID
}

func (f forgetful) GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error) {
	var left []logentry.ID
	for _, id := range ids {
		if id != f.lost {
			left = append(left, id)
		}
	}
	return f.records.GetMany(ctx, t, left)
}

func TestAnEntryThatExpiresDuringPagingIsCounted(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "one"}, logentry.Entry{Message: "two"}, logentry.Entry{Message: "three"})
	reader := authHeader(t, "acme", "reader")
	first := w.search(t, reader, "limit=1")
	w.reading.Store = forgetful{w.reading.Store, ids[1]}
	rest := w.search(t, reader, "limit=2&cursor="+*first.Meta.Pagination.Next)
	if len(rest.Data) != 1 || rest.Meta.Expired != 1 || rest.Meta.Pagination.Next != nil || first.Meta.Expired != 0 {
		t.Errorf("%+v", rest)
	}
}
