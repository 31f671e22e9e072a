package search_test

import (
	"path/filepath"
	"testing"

	"github.com/ocelot-log/ocelot/internal/search"
)

func TestSQLiteInMemory(t *testing.T) {
	testIndex(t, func(t *testing.T) backend { return openSQLite(t, ":memory:", search.SQLiteConfig{}) })
}

func TestSQLiteFile(t *testing.T) {
	testIndex(t, func(t *testing.T) backend {
		return openSQLite(t, filepath.Join(t.TempDir(), "search.db"), search.SQLiteConfig{})
	})
}

func openSQLite(t testing.TB, path string, cfg search.SQLiteConfig) backend {
	t.Helper()
	x, err := search.NewSQLite(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return backend{x, func(*testing.T) {}}
}
