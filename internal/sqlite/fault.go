package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Fault says what an error of SQLite means to whoever must act. nil stays nil, a fault stays what it is.
func Fault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(f, doing)
	}
	e := &fault.Error{Kind: fault.Internal, Code: "storage_failed", Err: fmt.Errorf("%s: %w", doing, err)}
	switch code := code(err); {
	case code&0xff == lib.SQLITE_FULL || code == lib.SQLITE_IOERR_WRITE || code == lib.SQLITE_IOERR_SHMSIZE:
		e.Kind, e.Code, e.Detail = fault.Full, "storage_full", "the data directory has no space left; nothing was stored. Free some space and send again."
	case code&0xff == lib.SQLITE_BUSY || code&0xff == lib.SQLITE_LOCKED:
		e.Kind, e.Code = fault.Unavailable, "storage_busy"
	case code&0xff == lib.SQLITE_INTERRUPT:
		e.Kind, e.Code = fault.Timeout, "search_timeout"
	case code&0xff == lib.SQLITE_IOERR || code&0xff == lib.SQLITE_CANTOPEN || code&0xff == lib.SQLITE_READONLY:
		e.Kind, e.Code = fault.Unavailable, "storage_failed"
	case code&0xff == lib.SQLITE_CORRUPT || code&0xff == lib.SQLITE_NOTADB:
		// Internal: Corrupt would say that the caller's bytes are bad.
		e.Code, e.Detail = "storage_corrupt", "a file of the data directory is damaged"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Kind, e.Code = fault.Timeout, "search_timeout"
	} else if errors.Is(err, context.Canceled) {
		e.Kind, e.Code = fault.Unavailable, "canceled"
	}
	return e
}

// code is SQLite's extended result code, 0 where err is not SQLite's.
func code(err error) int {
	if s, ok := errors.AsType[*driver.Error](err); ok {
		return s.Code()
	}
	return 0
}

func failedSync(err error) bool {
	c := code(err)
	return c == lib.SQLITE_IOERR_FSYNC || c == lib.SQLITE_IOERR_DIR_FSYNC
}
