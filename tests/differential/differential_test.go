//go:build e2e

package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// seed makes the corpus: a failure is repeated by running the test again. Other ones are for longer searches.
var seed = flag.Uint64("seed", 20260131, "seed of requests and questions")

func TestBothSystemsMeanTheSame(t *testing.T) {
	began, took := time.Now(), ""
	step := func(name string) {
		took += fmt.Sprintf(" %s %.1f s,", name, time.Since(began).Seconds())
		began = time.Now()
	}
	w := startTwins(t)
	step("starts")
	w.describe()
	w.createTenants()
	m := newMaker(*seed)
	posts, bad := m.posts(), m.bad()

	sent := w.write(t.Context(), slices.Concat(posts, bad))
	strangers := w.strangers()
	w.strange(t.Context(), strangers)
	w.credentials()
	w.walk(savedViews())
	w.masking()
	step("requests")
	w.settle()
	step("until all is found")
	w.compareRecords(&sent)
	w.sameUsage()
	step("records")
	exported := w.exports(t.Context())
	step("exports")
	questions := w.questions(m)
	asked := w.search(t.Context(), questions)
	step("questions")
	counted := w.count(t.Context(), w.counts(m, questions))
	step("counts")
	fell := w.withoutIndex(t.Context(), questions)
	step("questions without the index")
	w.manageTenants(t.Context())
	step("tenants")
	w.report.summary()
	t.Logf("took:%s", strings.TrimSuffix(took, ","))

	t.Logf("%d requests with entries: %d accepted, %d refused with %d codes; %d entries acknowledged, %d duplicates collapsed in their batch, %d known again, %d kept, %d of them compared with what was sent",
		len(posts)+len(bad), sent.accepted, sent.refused, len(sent.codes), sent.entries, sent.collapsed, sent.again, len(w.kepts[0]), sent.checked)
	t.Logf("%d other requests; %d questions: %d with hits, %d without, %d refused with %d codes, %d over several pages; %d entries compared in answers",
		len(strangers), asked.all, asked.hits, asked.none, asked.refused, len(asked.codes), asked.paged, asked.entries)
	t.Logf("%d requests for counts: %d answered, %d refused with %d codes", counted.all, counted.counted, counted.refused, len(counted.codes))
	t.Logf("without the index: %d answered from the record with %d entries, %d not answered, %d refused", fell.answered, fell.hits, fell.unavailable, fell.refused)
	for name, n := range map[string][2]int{
		"entries exported": {exported, 40_000}, "requests accepted": {sent.accepted, 700}, "requests refused": {sent.refused, 900}, "codes of refusals": {len(sent.codes), 30}, "entries": {len(w.kepts[0]), 14_000}, "entries compared with what was sent": {sent.checked, 13_500},
		"entries collapsed in a batch": {sent.collapsed, 50}, "entries known again": {sent.again, 200}, "questions": {asked.all, 800}, "questions with hits": {asked.hits, 300}, "questions without hits": {asked.none, 80},
		"questions refused": {asked.refused, 150}, "codes of refused questions": {len(asked.codes), 11}, "questions over pages": {asked.paged, 40}, "questions with more hits than are counted": {asked.uncounted, 10}, "entries in answers": {asked.entries, 50_000},
		"entries with highlights": {int(w.marked.Load()), 200}, "counts": {counted.counted, 500}, "counts refused": {counted.refused, 200}, "codes of refused counts": {len(counted.codes), 15},
		"questions to the record": {fell.answered, 120}, "entries of its answers": {fell.hits, 8_000}, "questions that only the index answers": {fell.unavailable, 100},
	} {
		if n[0] < n[1] {
			t.Errorf("%s: only %d, want at least %d: the corpus is not what it should be", name, n[0], n[1])
		}
	}
	w.checkCoverage()
}

// describe reads the description that both systems answer.
func (w *twins) describe() {
	a, err := w.both(w.t.Context(), get("", "/api/v1/openapi.json"), [2]string{"/api/v1/openapi.json", "/api/v1/openapi.json"})
	if err != nil || a[0].status != http.StatusOK || !bytes.Equal(a[0].body, a[1].body) {
		w.t.Fatalf("the descriptions: %v, %d and %d, equal: %v", err, a[0].status, a[1].status, bytes.Equal(a[0].body, a[1].body))
	}
	w.api = readDescription(w.t, a[0].body)
}

// ofAJob are a job's id and times, and the time of a deletion.
var ofAJob = regexp.MustCompile(`(del|old)-[0-9a-f]{20}|"(start_at|started_at|finished_at|delete_at)":"[^"]*"`)

var createdAt = regexp.MustCompile(`"created_at":"([^"]*)"`)

// createTenants creates them in both systems, and then compares the lists.
func (w *twins) createTenants() {
	created := map[string]bool{}
	for _, slug := range tenants {
		r := post("platform", "/api/v1/tenants", fmt.Sprintf(`{"id":%q,"name":"Tenant %s"}`, slug, slug))
		a := w.exchange(w.t.Context(), r)
		if a[0].status != http.StatusCreated {
			w.t.Fatalf("%s: %d %s", r, a[0].status, a[0].body)
		}
		for side := range a {
			created[sideNames[side]+string(createdAt.Find(a[side].body))] = true
		}
	}
	for _, as := range []string{"platform", "acme", "both", "reader", "nobody"} {
		r := get(as, "/api/v1/tenants")
		a := w.exchange(w.t.Context(), r)
		var list struct {
			Data []struct {
				ID      string `json:"id"`
				Created string `json:"created_at"`
			} `json:"data"`
		}
		for side := range a {
			if err := json.Unmarshal(a[side].body, &list); err != nil {
				w.t.Fatal(err)
			}
			for _, tenant := range list.Data {
				if tenant.ID != "default" && !created[sideNames[side]+`"created_at":"`+tenant.Created+`"`] {
					w.report.differs(r, a, "%s lists %s with another created_at than it answered", sideNames[side], tenant.ID)
				}
			}
		}
	}
}

// exchange sends a request to both systems and compares the answers, but for what is each system's own: ids, whose
// pairs are kept, and the time of creation.
func (w *twins) exchange(ctx context.Context, r request) [2]answer {
	a, err := w.both(ctx, r, w.ids.targets(r.target))
	if err != nil {
		w.t.Errorf("%s: %v", r, err)
		return a
	}
	w.api.check(w.t, r.method, w.api.Route(r.method, r.target), a)
	if words := sameHead(a); words != "" {
		w.report.differs(r, a, "%s", words)
		return a
	}
	var text [2][]byte
	for side := range a {
		text[side] = createdAt.ReplaceAll(a[side].body, []byte(`"created_at":""`))
		text[side] = ofAJob.ReplaceAll(text[side], nil)
		if id := a[side].header.Get("X-Request-Id"); id != "" {
			text[side] = bytes.ReplaceAll(text[side], []byte(id), []byte("ID"))
		}
	}
	if a[0].status == http.StatusAccepted {
		var ids [2][]string
		for side := range a {
			ids[side] = uuids.FindAllString(string(a[side].body), -1)
			text[side] = uuids.ReplaceAll(text[side], nil)
		}
		if len(ids[0]) != len(ids[1]) {
			w.report.differs(r, a, "the numbers of ids differ")
			return a
		}
		for i := range ids[0] {
			if !w.ids.add(ids[0][i], ids[1][i]) {
				w.report.differs(r, a, "the ids at %d are of one entry in one system and of another in the other, or of two kinds: %s and %s", i, ids[0][i], ids[1][i])
			}
		}
	}
	if (strings.HasPrefix(r.target, "/api/v1/logs?") || strings.HasPrefix(r.target, "/api/v1/logs/export")) && a[0].status == http.StatusOK {
		return a // has times and cursors; the questions compare these
	}
	if r.target == usage && a[0].status == http.StatusOK {
		return a // has times; sameUsage compares the rest
	}
	if !bytes.Equal(text[0], text[1]) {
		w.report.differs(r, a, "the bodies differ")
	}
	return a
}

// writing is what came of the requests with entries.
type writing struct {
	accepted, refused, entries, collapsed, again, checked int
	codes                                                 map[string]int
	tenant                                                map[string]string // of each id of the embedded system
}

func codeOf(body []byte) string {
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(body, &p)
	return p.Code
}

// write posts the requests, several at a time.
func (w *twins) write(ctx context.Context, all []request) writing {
	s := writing{codes: map[string]int{}, tenant: map[string]string{}}
	var mu sync.Mutex
	each(len(all), 8, func(i int) {
		a := w.exchange(ctx, all[i])
		mu.Lock()
		defer mu.Unlock()
		if a[0].status != http.StatusAccepted {
			s.refused++
			s.codes[codeOf(a[0].body)]++
			if a[0].status >= 500 || a[0].status == 0 {
				w.t.Errorf("%s: %d %.300s", all[i], a[0].status, a[0].body)
			}
			return
		}
		s.accepted++
		var got struct {
			Data struct{ Duplicates int }
		}
		_ = json.Unmarshal(a[0].body, &got)
		ids, sent := uuids.FindAllString(string(a[0].body), -1), all[i].sent
		s.entries += len(ids)
		s.collapsed += got.Data.Duplicates
		s.again -= got.Data.Duplicates
		tenant := all[i].as
		for _, h := range all[i].header {
			if slug, ok := strings.CutPrefix(h, "X-Tenant-ID: "); ok && slug != "" {
				tenant = slug
			}
		}
		if tenant == "writer" {
			tenant = "acme"
		}
		for i, id := range ids {
			if len(sent) == len(ids) {
				w.sent[id] = sent[i]
			}
			if _, known := s.tenant[id]; known {
				s.again++
			}
			s.tenant[id] = tenant
		}
	})
	return s
}

// strange sends what is not about entries; what of it is accepted all the same is not in what write counts.
func (w *twins) strange(ctx context.Context, all []request) {
	statuses := map[int]int{}
	var mu sync.Mutex
	each(len(all), 8, func(i int) {
		a := w.exchange(ctx, all[i])
		mu.Lock()
		defer mu.Unlock()
		statuses[a[0].status]++
	})
	for _, status := range []int{200, 202, 400, 401, 403, 404, 405, 409, 413, 414, 415, 422} {
		if statuses[status] == 0 {
			w.t.Errorf("no answer has the status %d: %v", status, statuses)
		}
	}
}

// settle waits until both systems find everything.
func (w *twins) settle() {
	w.ids.mu.Lock()
	total := len(w.ids.label)
	w.ids.mu.Unlock()
	for side := range 2 {
		service.Eventually(w.t, 30*time.Second, func() (bool, string) {
			var n int64
			for _, tenant := range tenants {
				c := service.Client{URL: w.sides[side].URL, Token: w.tokens[tenant]}
				found, err := c.Count(w.t.Context(), nil)
				if err != nil {
					return false, err.Error()
				}
				n += found
			}
			return n >= int64(total), fmt.Sprintf("%s finds %d of %d", sideNames[side], n, total)
		})
	}
}

// entryHead is what begins every entry: its id, its tenant and its receipt.
var entryHead = regexp.MustCompile(`^\{"id":"([^"]*)","tenant_id":"([^"]*)","received_at":"([^"]*)"`)

// content is an entry without its id, its receipt, and a timestamp that is its receipt.
func content(raw []byte) (string, error) {
	h := entryHead.FindSubmatch(raw)
	if h == nil {
		return "", fmt.Errorf("an entry begins with %.120s", raw)
	}
	own := `"timestamp":"` + string(h[3]) + `"`
	return string(h[2]) + strings.Replace(string(raw[len(h[0]):]), own, `"timestamp":receipt`, 1), nil
}

// compareRecords walks through everything that each system keeps and compares it entry by entry; some are read by
// their ids too.
func (w *twins) compareRecords(s *writing) {
	for _, tenant := range tenants {
		o := w.ask(w.t.Context(), question{tenant, [][2]string{{"limit", "700"}, {"sort", "timestamp"}}}, 1000, true)
		if o.refused || o.hits == 0 {
			w.t.Fatalf("a walk through %s: %+v", tenant, o)
		}
	}
	read, versions := 0, map[byte]int{}
	var ids []string
	for id := range w.kepts[0] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return w.ids.label[a] - w.ids.label[b] })
	w.byLabel = ids
	if len(ids) != len(w.ids.label) || len(w.kepts[1]) != len(ids) {
		w.t.Errorf("%d entries were acknowledged; embedded keeps %d, deployed %d", len(w.ids.label), len(ids), len(w.kepts[1]))
	}
	for _, id := range ids {
		other := w.ids.to[0][id]
		if w.kepts[1][other] == nil {
			w.t.Errorf("deployed does not find %s", other)
			continue
		}
		raw := [2][]byte{w.kepts[0][id].raw, w.kepts[1][other].raw}
		var text [2]string
		for side := range raw {
			var err error
			if text[side], err = content(raw[side]); err != nil {
				w.t.Errorf("%s %s: %v", sideNames[side], id, err)
			}
		}
		if text[0] != text[1] {
			w.report.differs(get("", id), [2]answer{{body: raw[0]}, {body: raw[1]}}, "an entry is kept differently")
		}
		if body, ok := w.sent[id]; ok {
			s.checked++
			if words := unaltered(body, raw[0]); words != "" {
				w.t.Errorf("an entry is not kept as it was sent: %s\n  sent %.600s\n  kept %.600s", words, body, raw[0])
			}
		}
		if keyed := bytes.Contains(raw[0], []byte(`"event_id":`)); keyed && id[14] != '8' {
			w.t.Errorf("an entry with a key has the id %s, which is not made from it", id)
		}
		versions[id[14]]++
		if tenant, ok := s.tenant[id]; ok && !strings.HasPrefix(text[0], tenant) {
			w.t.Errorf("an entry of %s is kept as one of %.20s", tenant, text[0])
		}
	}
	if versions['7'] < 1000 || versions['8'] < 1000 {
		w.t.Errorf("too few ids of one kind: %v", versions)
	}
	var mu sync.Mutex
	each(len(ids)/10, 8, func(i int) {
		id := ids[i*10]
		r := get(w.tenantOf(id), single+"/"+id)
		targets := w.ids.targets(r.target)
		a, err := w.both(w.t.Context(), r, targets)
		if err != nil {
			w.t.Error(err)
			return
		}
		w.api.check(w.t, "GET", "/api/v1/logs/{id}", a)
		for side := range a {
			if want := `{"data":` + string(w.kepts[side][[2]string{id, w.ids.to[0][id]}[side]].raw) + `,"meta":{}}`; string(a[side].body) != want {
				w.report.differs(r, a, "%s reads another entry by its id than it finds: %.300s", sideNames[side], want)
			}
		}
		other := "acme" // what is another tenant's is not there
		if r.as == other {
			other = "zeta"
		}
		none := get(other, r.target)
		b, err := w.both(w.t.Context(), none, targets)
		if err != nil {
			w.t.Error(err)
			return
		}
		if b[0].status != http.StatusNotFound || sameHead(b) != "" || !sameProblem(b) {
			w.report.differs(none, b, "another tenant's entry")
		}
		mu.Lock()
		read++
		mu.Unlock()
	})
	if read < 300 {
		w.t.Errorf("only %d entries were read by their ids", read)
	}
}

func (w *twins) tenantOf(id string) string {
	return string(entryHead.FindSubmatch(w.kepts[0][id].raw)[2])
}

// asking is what came of the questions.
type asking struct {
	all, hits, none, refused, paged, uncounted, entries int
	codes                                               map[string]int
}

// questions are those that are chosen, those that are made, and some for entries by their ids.
func (w *twins) questions(m *maker) []question {
	all := append(chosen("acme"), crowded()...)
	for _, tenant := range tenants[:3] {
		all = append(all, m.questions(tenant, 190)...)
	}
	for i := range all {
		if i%25 == 0 {
			ids := w.someIDs(all[i].as, i)
			all = append(all, question{all[i].as, [][2]string{{"q", "id:" + ids[0] + " OR id:" + quoted(ids[1])}}}, question{all[i].as, [][2]string{{"id", ids[0]}, {"id", strings.ToUpper(ids[1])}, {"sort", "timestamp"}}})
		}
	}
	return all
}

func (w *twins) search(ctx context.Context, all []question) asking {
	s := asking{codes: map[string]int{}}
	var mu sync.Mutex
	each(len(all), 6, func(i int) {
		o := w.ask(ctx, all[i], 6, false)
		mu.Lock()
		defer mu.Unlock()
		s.all++
		s.entries += o.hits
		switch {
		case o.refused:
			s.refused++
			s.codes[o.code]++
		case o.hits > 0:
			s.hits++
		default:
			s.none++
		}
		if o.pages > 1 {
			s.paged++
		}
		if o.gte {
			s.uncounted++
		}
	})
	s.all += w.cursors(ctx)
	return s
}

// someIDs are two ids of a tenant.
func (w *twins) someIDs(tenant string, n int) (ids []string) {
	for _, id := range w.byLabel {
		if w.tenantOf(id) == tenant {
			if n--; n < 0 {
				ids = append(ids, id)
			}
			if len(ids) == 2 {
				return ids
			}
		}
	}
	return append(ids, "0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69", "0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69")
}

// outOfReach are the answers that cannot be had from a service that is well, has no provider of identities, signs its
// tokens, and is asked from its own machine.
var outOfReach = []string{" 408", " 429", " 503", " 504", " 507", "/api/v1/session/oidc 303", "/api/v1/session/oidc 403", "/callback 303", "/callback 400", "/callback 403", "POST /api/v1/session 403",
	"POST /api/v1/tenants/{id}/keys 409", "POST /api/v1/tokens 409", "DELETE /api/v1/tokens/{jti} 409", "PATCH /api/v1/tenants/{id} 409", "DELETE /api/v1/tenants/{id} 409",
	"POST /api/v1/views 409", "PATCH /api/v1/views/{id} 409", "HEAD /api/v1/docs 200", "HEAD /api/v1/docs 400",
	"/logs/stream 101", "/logs/stream 200"} // which have no end: they are followed in internal/httpapi

// checkCoverage asserts that each answer of the description was seen and was as described.
func (w *twins) checkCoverage() {
	for _, what := range w.api.Unseen() {
		if !slices.ContainsFunc(outOfReach, func(status string) bool { return strings.HasSuffix(what, status) }) {
			w.t.Errorf("no answer was seen of %s", what)
		}
	}
	w.t.Logf("answers checked against the description:\n%s", w.api)
}
