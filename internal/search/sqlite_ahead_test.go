package search_test

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
)

// TestTermsMadeAheadAreThoseMadeInTurn adds large batches side by side: of a tenant that is new, of ones that are
// known, and with entries among them that are there already. Each is found once, and FTS5 finds nothing wrong.
func TestTermsMadeAheadAreThoseMadeInTurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	x, err := search.NewSQLite(path, search.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	all := newTypical().batch(12_500)
	mustAdd(t, backend{Index: x}, all[:2_500]) // new tenants: nothing can be made ahead
	batches := [][2]int{{2_500, 5_000}, {5_000, 7_500}, {7_000, 9_500}, {0, 2_500}, {2_000, 12_500}}
	var wg sync.WaitGroup
	for _, b := range batches {
		wg.Go(func() {
			verdicts, err := x.Add(t.Context(), slices.Clone(all[b[0]:b[1]]))
			if err != nil || slices.ContainsFunc(verdicts, func(v search.Verdict) bool { return v != search.Indexed }) {
				t.Errorf("%v: %v", b, err)
			}
		})
	}
	wg.Wait()
	found := int64(0)
	for _, slug := range slugs {
		for name, where := range map[string]query.Node{"everything": nil, "a field": query.Term{Field: query.Severity, Value: "INFO"}} {
			want := int64(0)
			for i := range all {
				if all[i].TenantID == authtest.TenantID(slug) && (where == nil || query.Match(where, &all[i].Entry)) {
					want++
				}
			}
			page, err := x.Search(t.Context(), authtest.Tenant(t, slug), query.Query{Where: where, Limit: 1, Total: query.TotalExact})
			if err != nil || page.Total != want {
				t.Errorf("%s of %s: %d found, %d added, %v", name, slug, page.Total, want, err)
			}
			if where == nil {
				found += page.Total
			}
		}
	}
	if found != int64(len(all)) {
		t.Errorf("%d found of %d", found, len(all))
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
}
