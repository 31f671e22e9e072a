package search_test

import (
	"path/filepath"
	"testing"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// setFormat writes another format into the file of an index that is closed.
func setFormat(t *testing.T, path string, format int) {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(c *sqlite.Conn) error {
		_, err := c.Exec("UPDATE facts SET value = ? WHERE name = 'format'", format)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnIndexOfAnOlderFormatIsReplacedByAnEmptyOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	open := func() *search.SQLite {
		x, err := search.NewSQLite(path, search.SQLiteConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	records := newMaker(20).records(50)
	for _, older := range []bool{false, true} {
		x := open()
		mustAdd(t, backend{Index: x}, records)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if older {
			setFormat(t, path, 1)
		}
		x = open()
		if empty, err := x.Empty(t.Context()); err != nil || empty != older {
			t.Errorf("older %v: empty is %v, %v", older, empty, err)
		}
		mustAdd(t, backend{Index: x}, records)
		walk(t, backend{Index: x}, "acme", query.Query{Limit: 30}, expected(records, "acme", nil, query.NewestFirst))
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	setFormat(t, path, 99)
	if _, err := search.NewSQLite(path, search.SQLiteConfig{}); fault.Of(err) == nil || fault.Of(err).Code != "index_format" {
		t.Errorf("an index of a newer format: %v", err)
	}
}
