package search

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// removeOutdated removes the file of an index of an older format. What an index holds is in the record, and
// building it again is simpler, and surer, than a conversion that each format would need to each later one.
func removeOutdated(path string) error {
	if info, err := os.Stat(path); path == ":memory:" || err != nil || info.Size() == 0 {
		return nil // what cannot be read is told by who opens it
	}
	format, err := formatOf(path)
	if err != nil || format == 0 || format >= formatVersion {
		return err
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sqlite.Fault(err, "remove the index of an older version")
		}
	}
	return nil
}

// formatOf is the format of an index; 0 where there is none.
func formatOf(path string) (format int, err error) {
	db, err := sqlite.Open(path, sqlite.Options{PageSize: filePageSize})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var tables int
	const known = "SELECT count(*) FROM sqlite_schema WHERE name = 'facts'"
	if err := db.Reader().QueryRowContext(context.Background(), known).Scan(&tables); err != nil || tables == 0 {
		return 0, sqlite.Fault(err, "read the format of the index")
	}
	err = db.Reader().QueryRowContext(context.Background(), "SELECT value FROM facts WHERE name = 'format'").Scan(&format)
	return format, sqlite.Fault(err, "read the format of the index")
}
