//go:build e2e

package chaos

import (
	"path/filepath"
	"testing"

	"github.com/ocelot-log/ocelot/internal/search"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// checkFiles opens the files of a stopped service and counts in them, not through the API: every
// acknowledged entry (key → id) is in the record, and the record holds as many entries as the index found.
func checkFiles(t *testing.T, dir string, acknowledged map[string]string, want int) {
	t.Helper()
	st, err := store.NewSQLite(filepath.Join(dir, "store.db"), store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	seen := map[string]int{}
	for at := store.Position(""); ; {
		records, next, err := st.Scan(t.Context(), at, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if r.Service != logentry.OwnService { // the service makes entries of reads too
				seen[r.ID.String()]++
			}
		}
		at = next
		if len(records) < 1000 {
			break
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("id %s is in the record %d times", id, n)
		}
	}
	lost := 0
	for _, id := range acknowledged {
		if seen[id] == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged entries are not in the record", lost, len(acknowledged))
	}
	if len(seen) != want {
		t.Errorf("the record holds %d entries, the index found %d", len(seen), want)
	}
	backlog, err := st.BacklogStats(t.Context())
	if err != nil || backlog.Entries != 0 {
		t.Errorf("backlog %d, %v", backlog.Entries, err)
	}
	if n, err := st.CountQuarantine(t.Context()); err != nil || n != 0 {
		t.Errorf("quarantine %d, %v", n, err)
	}
	ix, err := search.NewSQLite(filepath.Join(dir, "search.db"), search.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := ix.Close(); err != nil {
		t.Error(err)
	}
}
