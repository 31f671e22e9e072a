package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Result codes of SQLite (sqlite.org/rescode.html). They are written here, not taken from the driver, so that who
// opens no file needs no driver.
const (
	codeBusy      = 5
	codeLocked    = 6
	codeReadOnly  = 8
	codeInterrupt = 9
	codeIO        = 10
	codeCorrupt   = 11
	codeFull      = 13
	codeCantOpen  = 14
	codeNotADB    = 26

	codeIOWrite   = 778
	codeIOSync    = 1034
	codeIODirSync = 1290
	codeIOShmSize = 4874
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
	case code&0xff == codeFull || code == codeIOWrite || code == codeIOShmSize:
		e.Kind, e.Code, e.Detail = fault.Full, "storage_full", "the data directory has no space left; nothing was stored. Free some space and send again."
	case code&0xff == codeBusy || code&0xff == codeLocked:
		e.Kind, e.Code = fault.Unavailable, "storage_busy"
	case code&0xff == codeInterrupt:
		e.Kind, e.Code = fault.Timeout, "search_timeout"
	case code&0xff == codeIO || code&0xff == codeCantOpen || code&0xff == codeReadOnly:
		e.Kind, e.Code = fault.Unavailable, "storage_failed"
	case code&0xff == codeCorrupt || code&0xff == codeNotADB:
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
	if s, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return s.Code()
	}
	return 0
}

func failedSync(err error) bool {
	c := code(err)
	return c == codeIOSync || c == codeIODirSync
}
