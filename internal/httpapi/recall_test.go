package httpapi

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// watched is a record that notes what is looked up.
type watched struct {
	records
	asked *[]logentry.ID
}

func (r watched) GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error) {
	*r.asked = append(*r.asked, ids...)
	return r.records.GetMany(ctx, t, ids)
}

func TestWhatAPageShowedIsNotLookedUpAgain(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "one", Service: "shop"}, logentry.Entry{Message: "two"}, logentry.Entry{Message: "three", Service: "shop"})
	reader := authHeader(t, "acme", "reader")
	var asked []logentry.ID
	w.reading.Store = watched{w.reading.Store, &asked}
	first := w.search(t, reader, "service=shop")
	if len(first.Data) != 2 || !slices.Equal(asked, []logentry.ID{ids[2], ids[0]}) {
		t.Fatalf("%v, looked up %v of %v", first.Data, asked, ids)
	}
	if again := w.search(t, reader, "service=shop"); !reflect.DeepEqual(again.Data, first.Data) || len(asked) != 2 {
		t.Errorf("the second answer differs: %v, looked up %v", again.Data, asked)
	}
	var messages []any
	for _, e := range w.search(t, reader, "").Data {
		messages = append(messages, e["message"])
	}
	if !slices.Equal(messages, []any{"three", "two", "one"}) || !slices.Equal(asked[2:], ids[1:2]) {
		t.Errorf("in the order of the page: %v, looked up %v of %v", messages, asked, ids)
	}
	if other := w.search(t, authHeader(t, "zeta", "reader"), ""); len(other.Data) != 0 {
		t.Errorf("another tenant sees %v", other.Data)
	}
	if _, others := w.recall.find(authtest.TenantID("zeta"), ids, time.Now()); !slices.Equal(others, ids) {
		t.Errorf("another tenant is told of %v", ids)
	}
}

func TestWhatIsNotKeptForTheNextPage(t *testing.T) {
	var r recall
	var ids logentry.IDs
	at := time.Now()
	record := func(id logentry.ID, size int) logentry.Record {
		return logentry.Record{Entry: logentry.Entry{ID: id, TenantID: "t"}, JSON: bytes.Repeat([]byte{'x'}, size)}
	}
	short, long, keyed := record(ids.New(at), 10), record(ids.New(at), recallEntry+1), record(logentry.KeyedID("t", "key", 0, nil), 10)
	r.keep([]logentry.Record{short, long, keyed}, at)
	all := []logentry.ID{short.ID, long.ID, keyed.ID}
	kept, others := r.find("t", all, at)
	if len(kept) != 1 || !slices.Equal(others, all[1:]) {
		t.Errorf("kept %v, not %v", kept, others)
	}
	short.JSON[0] = 'y'
	if got := string(kept[short.ID]); got != strings.Repeat("x", 10) {
		t.Errorf("what is kept changes with what was read: %s", got)
	}
	for after, want := range map[time.Duration]int{recallAge - 1: 1, recallAge: 0} {
		if kept, _ := r.find("t", all[:1], at.Add(after)); len(kept) != want {
			t.Errorf("after %v %d are kept, want %d", after, len(kept), want)
		}
	}
}

// TestMemoryOfPagesIsBounded shows four times as much as is kept.
func TestMemoryOfPagesIsBounded(t *testing.T) {
	var r recall
	var ids logentry.IDs
	at := time.Now()
	var shown []logentry.ID
	for range 4 * recallBytes / recallEntry {
		e := logentry.Record{Entry: logentry.Entry{ID: ids.New(at), TenantID: "t"}, JSON: make([]byte, recallEntry)}
		shown = append(shown, e.ID)
		r.keep([]logentry.Record{e}, at)
	}
	kept, _ := r.find("t", shown, at)
	if n := len(kept) * recallEntry; n > recallBytes || n < recallBytes/3 {
		t.Errorf("%d bytes are kept of %d that were shown, the bound is %d", n, len(shown)*recallEntry, recallBytes)
	}
	if _, there := kept[shown[len(shown)-1]]; !there {
		t.Error("the last one is not kept")
	}
}
