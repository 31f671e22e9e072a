package search_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// oneDay are records that go to the same index.
func oneDay(n int) []logentry.Record {
	m := newMaker(30)
	records := m.records(n)
	for i := range records {
		records[i].ReceivedAt = m.now
	}
	return records
}

func TestEachItemOfABulkIsJudgedByItself(t *testing.T) {
	const conflict, rejected, flood = "version_conflict_engine_exception", "rejected_execution_exception", "cluster_block_exception"
	for _, c := range []struct {
		name string
		item string
		want search.Verdict
	}{
		{"created", `{"create":{"status":201}}`, search.Indexed},
		{"created, said with more words", `{"create":{"_index":"x","_id":"y","result":"created","status":201}}`, search.Indexed},
		{"there already", failed(409, conflict), search.Indexed},
		{"too busy", failed(429, rejected), search.Retry},
		{"no space left", failed(429, flood), search.Retry},
		{"blocked by somebody", failed(403, flood), search.Retry},
		{"not allowed", failed(403, "security_exception"), search.Retry},
		{"no shard", failed(503, "unavailable_shards_exception"), search.Retry},
		{"broken", failed(500, "whatever"), search.Retry},
		{"without a status", `{"create":{}}`, search.Retry},
		{"with status 0", failed(0, "whatever"), search.Retry},
		{"without anything", `{}`, search.Retry},
		{"no such index", failed(404, "index_not_found_exception"), search.Retry},
		{"a closed index", failed(400, "index_closed_exception"), search.Retry},
		{"too many shards in the cluster", failed(400, "validation_exception"), search.Retry},
		{"does not fit the mapping", failed(400, "mapper_parsing_exception"), search.Refused},
		{"an immense term", failed(400, "illegal_argument_exception"), search.Refused},
		{"not found", failed(404, "document_missing_exception"), search.Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			tries := 0
			f.bulk = func(ids []string, _ string) (int, string) {
				tries++
				if len(ids) == 1 { // what was to be sent again
					return http.StatusOK, items(c.item)
				}
				return http.StatusOK, items(append(created(1), c.item, failed(409, conflict))...)
			}
			x := f.open(t, search.OpenSearchConfig{BulkAttempts: 2})
			verdicts, err := x.Add(t.Context(), oneDay(3))
			if want := []search.Verdict{search.Indexed, c.want, search.Indexed}; err != nil || !slices.Equal(verdicts, want) {
				t.Errorf("got %v, %v", verdicts, err)
			}
			if want := map[bool]int{true: 2, false: 1}[c.want == search.Retry]; tries != want {
				t.Errorf("%d bulks were sent, want %d", tries, want)
			}
		})
	}
}

func TestABulkThatFailsAsAWhole(t *testing.T) {
	busy := `{"error":{"type":"rejected_execution_exception","reason":"secret words"}}`
	for _, c := range []struct {
		name   string
		status int
		answer string
		kind   fault.Kind
		code   string
	}{
		{"too busy", 429, busy, fault.Unavailable, "opensearch_busy"},
		{"a circuit breaker", 429, `{"error":{"type":"circuit_breaking_exception"}}`, fault.Unavailable, "opensearch_busy"},
		{"not ready", 503, `{"error":{"type":"cluster_block_exception"}}`, fault.Unavailable, "opensearch_failed"},
		{"a proxy's page", 502, `<html>bad gateway</html>`, fault.Unavailable, "opensearch_failed"},
		{"unknown user", 401, `Unauthorized`, fault.Unavailable, "opensearch_denied"},
		{"not allowed", 403, `{"error":{"type":"security_exception"}}`, fault.Unavailable, "opensearch_denied"},
		{"no space", 429, `{"error":{"type":"cluster_block_exception"}}`, fault.Full, "opensearch_full"},
		{"refused", 400, `{"error":{"type":"illegal_argument_exception","reason":"secret words"}}`, fault.Internal, "opensearch_refused"},
		{"fewer items than sent", 200, items(created(2)...), fault.Unavailable, "opensearch_answer"},
		{"more items than sent", 200, items(created(4)...), fault.Unavailable, "opensearch_answer"},
		{"no items", 200, `{}`, fault.Unavailable, "opensearch_answer"},
		{"no JSON", 200, `ok`, fault.Unavailable, "opensearch_answer"},
		{"an answer that ends in the middle", 200, items(created(3)...)[:60], fault.Unavailable, "opensearch_answer"},
		{"every item too busy", 200, items(failed(429, "x"), failed(429, "x"), failed(429, "x")), fault.Unavailable, "opensearch_busy"},
		{"every item without space", 200, items(failed(429, "cluster_block_exception"), failed(429, "cluster_block_exception"), failed(429, "cluster_block_exception")), fault.Full, "opensearch_full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.bulk = func([]string, string) (int, string) { return c.status, c.answer }
			x := f.open(t, search.OpenSearchConfig{BulkAttempts: 1})
			verdicts, err := x.Add(t.Context(), oneDay(3))
			if got := fault.Of(err); got == nil || got.Kind != c.kind || got.Code != c.code || verdicts != nil {
				t.Fatalf("got %v, %v", verdicts, err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v quotes what was sent", err)
			}
		})
	}
}

func TestOnlyWhatWasTooMuchIsSentAgain(t *testing.T) {
	f := newFake(t)
	var sent [][]string
	f.bulk = func(ids []string, _ string) (int, string) {
		sent = append(sent, ids)
		all := created(len(ids))
		if len(sent) < 3 {
			all[0], all[len(all)-1] = failed(429, "rejected_execution_exception"), failed(503, "unavailable_shards_exception")
		}
		return http.StatusOK, items(all...)
	}
	x := f.open(t, search.OpenSearchConfig{})
	verdicts, err := x.Add(t.Context(), oneDay(5))
	if err != nil || slices.ContainsFunc(verdicts, func(v search.Verdict) bool { return v != search.Indexed }) {
		t.Errorf("got %v, %v", verdicts, err)
	}
	if len(sent) != 3 || !slices.Equal(sent[1], []string{sent[0][0], sent[0][4]}) || !slices.Equal(sent[2], sent[1]) {
		t.Errorf("sent were %v", sent)
	}
	if n := x.Bulks(); n != 1 {
		t.Errorf("%d bulks at the same time are allowed after 429", n)
	}
}

func TestABulkThatIsTooLargeIsHalved(t *testing.T) {
	f := newFake(t)
	records := oneDay(7)
	records[4].Message = strings.Repeat("long ", 10_000)
	var whole []string
	f.bulk = func(ids []string, body string) (int, string) {
		if len(body) > 3000 {
			return http.StatusRequestEntityTooLarge, "<html>"
		}
		whole = append(whole, ids...)
		return http.StatusOK, items(created(len(ids))...)
	}
	x := f.open(t, search.OpenSearchConfig{Concurrency: 1})
	verdicts, err := x.Add(t.Context(), records)
	want := []search.Verdict{search.Indexed, search.Indexed, search.Indexed, search.Indexed, search.Refused, search.Indexed, search.Indexed}
	if err != nil || !slices.Equal(verdicts, want) || len(whole) != 6 {
		t.Errorf("got %v, %v; %d arrived", verdicts, err, len(whole))
	}
}

func TestABulkThatFailsKeepsTheOthers(t *testing.T) {
	f := newFake(t)
	records := oneDay(25)
	var mu sync.Mutex
	sizes := 0
	bad := search.DocumentID(records[12].ID)
	f.bulk = func(ids []string, _ string) (int, string) {
		mu.Lock()
		sizes += len(ids)
		mu.Unlock()
		if slices.Contains(ids, bad) {
			return http.StatusServiceUnavailable, ""
		}
		return http.StatusOK, items(created(len(ids))...)
	}
	x := f.open(t, search.OpenSearchConfig{BulkEntries: 10, BulkAttempts: 1})
	verdicts, err := x.Add(t.Context(), records)
	if err != nil || sizes != 25 {
		t.Fatalf("%v, %d sent", err, sizes)
	}
	for i, v := range verdicts {
		if want := map[bool]search.Verdict{true: search.Retry, false: search.Indexed}[i >= 10 && i < 20]; v != want {
			t.Errorf("record %d: %d, want %d", i, v, want)
		}
	}
}

func TestAnIndexThatIsGoneIsLookedAtAgain(t *testing.T) {
	f := newFake(t)
	first := true
	f.bulk = func(ids []string, _ string) (int, string) {
		if first {
			first = false
			return http.StatusOK, items(slices.Repeat([]string{failed(404, "index_not_found_exception")}, len(ids))...)
		}
		return http.StatusOK, items(created(len(ids))...)
	}
	x := f.open(t, search.OpenSearchConfig{BulkAttempts: 1})
	if _, err := x.Add(t.Context(), oneDay(2)); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	if _, err := x.Add(t.Context(), oneDay(2)); err != nil {
		t.Error(err)
	}
	if looked := f.requests("GET /ocelot-2026.11.03"); len(looked) != 2 {
		t.Errorf("looked %d times", len(looked))
	}
}

// TestADayThatCannotBeWrittenDelaysNoOther: the index of one day is not ours.
func TestADayThatCannotBeWrittenDelaysNoOther(t *testing.T) {
	f := newFake(t)
	f.on = func(r *http.Request, _ string) (int, string) {
		if r.URL.Path == "/ocelot-2026.11.04" {
			return http.StatusOK, `{"ocelot-2026.11.04":{"aliases":{},"mappings":{}}}`
		}
		return 0, ""
	}
	f.bulk = func(ids []string, _ string) (int, string) { return http.StatusOK, items(created(len(ids))...) }
	x := f.open(t, search.OpenSearchConfig{})
	records := oneDay(3)
	records[1].ReceivedAt = records[1].ReceivedAt.Add(24 * time.Hour)
	verdicts, err := x.Add(t.Context(), records)
	if want := []search.Verdict{search.Indexed, search.Retry, search.Indexed}; err != nil || !slices.Equal(verdicts, want) {
		t.Errorf("got %v, %v", verdicts, err)
	}
	_, err = x.Add(t.Context(), records[1:2])
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "opensearch_foreign_index" {
		t.Errorf("got %v", err)
	}
}

func TestTheNextDaysIndexIsMadeBeforeMidnight(t *testing.T) {
	f := newFake(t)
	x := f.open(t, search.OpenSearchConfig{})
	x.PrepareTomorrow(t.Context(), time.Date(2026, 11, 3, 21, 0, 0, 0, time.UTC))
	if got := f.requests("GET /ocelot-"); len(got) != 0 {
		t.Errorf("too early: %v", got)
	}
	for range 2 {
		x.PrepareTomorrow(t.Context(), time.Date(2026, 11, 3, 23, 55, 0, 0, time.UTC))
	}
	if got := f.requests("GET /ocelot-2026.11.04"); len(got) != 1 {
		t.Errorf("asked %v", got)
	}
}

func TestWhatTheIndexCannotHoldIsRefused(t *testing.T) {
	f := newFake(t)
	f.bulk = func(ids []string, _ string) (int, string) { return http.StatusOK, items(created(len(ids))...) }
	x := f.open(t, search.OpenSearchConfig{})
	records := oneDay(5)
	records[0].TenantID = ""
	records[1].Timestamp = time.Unix(-1, 0)
	records[2].Timestamp = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
	records[3].ReceivedAt = time.Time{}
	verdicts, err := x.Add(t.Context(), records)
	if want := []search.Verdict{search.Refused, search.Refused, search.Refused, search.Refused, search.Indexed}; err != nil || !slices.Equal(verdicts, want) {
		t.Errorf("got %v, %v", verdicts, err)
	}
	if verdicts, err := x.Add(t.Context(), records[:1]); err != nil || !slices.Equal(verdicts, []search.Verdict{search.Refused}) {
		t.Errorf("alone: %v, %v", verdicts, err)
	}
}

func TestAServerThatStopsAnswering(t *testing.T) {
	f := newFake(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	f.bulk = func([]string, string) (int, string) {
		arrived <- struct{}{}
		<-release
		return http.StatusOK, "{}"
	}
	x := f.open(t, search.OpenSearchConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := x.Add(ctx, oneDay(1))
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "canceled" {
		t.Errorf("canceled: got %v", err)
	}
	quick := f.open(t, search.OpenSearchConfig{CallTimeout: 50 * time.Millisecond})
	_, err = quick.Add(t.Context(), oneDay(1))
	if f := fault.Of(err); f == nil || f.Kind != fault.Timeout {
		t.Errorf("too slow: got %v", err)
	}
	close(release)
	f.Close()
	_, err = x.Add(t.Context(), oneDay(1))
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "opensearch_unreachable" {
		t.Errorf("gone: got %v", err)
	}
}

func TestGoldenBulk(t *testing.T) {
	m := newMaker(31)
	at := time.Date(2026, 11, 3, 23, 59, 59, 999_999_999, time.UTC)
	records := []logentry.Record{
		{Entry: logentry.Entry{ID: m.id(), TenantID: "qivthlmhyfek", ReceivedAt: at, Timestamp: at.Add(-time.Hour), Severity: logentry.Error,
			Service: "billing", Action: "payment.failed", Message: "Payment FAILED for user_id=17: 3.5 € — Straße, 東京都", UserID: "u-1", SessionID: "s", ResourceType: "order",
			ResourceID: "ord:2026:7", IPAddress: "::ffff:10.0.0.1", UserAgent: "curl/8 \"x\"\x00\n", RequestID: "r", TraceID: strings.Repeat("ab", 16), SpanID: strings.Repeat("cd", 8),
			EventID: "e\u2028ä", SchemaVersion: 1, Metadata: jsontext.Value(`{"a":"eu-west-1","n":17,"list":["", "two words",{"deep":"\u00c4 x"}]}`)}},
		{Entry: logentry.Entry{ID: m.id(), TenantID: "qivthlmhyfek", ReceivedAt: at.Add(1), Timestamp: time.Unix(0, 7).UTC(), Severity: logentry.Debug, Message: "—", Metadata: jsontext.Value(`{"n":1}`), IPAddress: "FE80::1%eth0"}},
		{Entry: logentry.Entry{ID: logentry.ID{15: 1}, TenantID: "t", ReceivedAt: time.Unix(0, 0), Timestamp: at, IPAddress: "nonsense"}},
	}
	f := newFake(t)
	f.bulk = func(ids []string, _ string) (int, string) { return http.StatusOK, items(created(len(ids))...) }
	for _, zip := range []bool{false, true} {
		x := f.open(t, search.OpenSearchConfig{Gzip: zip})
		if _, err := x.Add(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	sent := f.requests("POST /_bulk")
	if len(sent) != 2 || sent[0] != sent[1] {
		t.Fatalf("compressed and not, the bulks differ: %v", sent)
	}
	golden(t, "opensearch_bulk.golden", strings.TrimPrefix(sent[0], "POST /_bulk "))
}

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
