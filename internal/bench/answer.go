package bench

import (
	"bytes"
	"strconv"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The answers are scanned, not decoded: what is looked for stands at the beginning of an answer, or is a
// member whose name occurs nowhere else in the entries that the generator makes.

var (
	idsMark       = []byte(`"ids":[`)
	idMark        = []byte(`"id":"`)
	requestIDMark = []byte(`"request_id":"`)
	totalMark     = []byte(`"total":`)
	cursorMark    = []byte(`"next_cursor":"`)
	metaMark      = []byte(`"meta":{`)
	recordMark    = []byte(`"source":"record"`)
	codeMark      = []byte(`"code":"`)
)

// eachID calls take with every id of an answer to a POST: the list of a bulk, or the one of a single entry.
// It returns how many there were.
func eachID(body []byte, take func(logentry.ID)) int {
	n := 0
	if at := bytes.Index(body, idsMark); at >= 0 {
		rest := body[at+len(idsMark):]
		for {
			rest = bytes.TrimLeft(rest, ", \n\t\r")
			if len(rest) < 38 || rest[0] != '"' {
				return n
			}
			if id, ok := parseID(rest[1:37]); ok {
				take(id)
				n++
			}
			rest = rest[38:]
		}
	}
	if at := bytes.Index(body, idMark); at >= 0 && len(body) >= at+len(idMark)+36 {
		if id, ok := parseID(body[at+len(idMark) : at+len(idMark)+36]); ok {
			take(id)
			n++
		}
	}
	return n
}

// eachFound calls take with the id and the request_id of every entry on a page; the request_id belongs to
// the entry in which it stands, in whatever order the members come.
func eachFound(body []byte, take func(id logentry.ID, requestID []byte)) int {
	n := 0
	var id logentry.ID
	var requestID []byte
	haveID := false
	flush := func() {
		if haveID {
			take(id, requestID)
			n++
		}
		haveID, requestID = false, nil
	}
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch b := body[i]; {
		case inString:
			switch b {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case b == '"':
			// An entry is at depth 2: {"data":[{…}]}, where lists do not count.
			if depth == 2 && bytes.HasPrefix(body[i:], idMark) && len(body) >= i+len(idMark)+36 {
				id, haveID = parseID(body[i+len(idMark) : i+len(idMark)+36])
				i += len(idMark) + 36 // on the closing quote
				continue
			}
			if depth == 2 && bytes.HasPrefix(body[i:], requestIDMark) {
				requestID = value(body[i+len(requestIDMark):])
				i += len(requestIDMark) + len(requestID)
				continue
			}
			if end := bytes.IndexByte(body[i+1:], '"'); end >= 0 && (end == 0 || bytes.IndexByte(body[i+1:i+1+end], '\\') < 0) {
				i += 1 + end
				continue
			}
			inString = true
		case b == '{':
			depth++
		case b == '}':
			depth--
			if depth == 1 {
				flush()
			}
		}
	}
	return n
}

// value is the string up to the next quote.
func value(rest []byte) []byte {
	if end := bytes.IndexByte(rest, '"'); end >= 0 {
		return rest[:end]
	}
	return nil
}

// total reads meta.pagination.total, -1 where there is none.
func total(body []byte) int64 {
	at := bytes.LastIndex(body, totalMark)
	if at < 0 {
		return -1
	}
	rest := bytes.TrimLeft(body[at+len(totalMark):], " ")
	end := 0
	for end < len(rest) && '0' <= rest[end] && rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// cursor reads meta.pagination.next_cursor, "" at the end.
func cursor(body []byte) string {
	at := bytes.LastIndex(body, cursorMark)
	if at < 0 {
		return ""
	}
	return string(value(body[at+len(cursorMark):]))
}

// fromRecord says that a search was answered from the record, because the index did not answer. It looks at
// meta, which stands last.
func fromRecord(body []byte) bool {
	at := bytes.LastIndex(body, metaMark)
	return at >= 0 && bytes.Contains(body[at:], recordMark)
}

// code reads the code of a problem document: the first member of that name outside of errors, which the
// service writes last; "" where there is none.
func code(body []byte) string {
	at := bytes.Index(body, codeMark)
	if at < 0 {
		return ""
	}
	return string(value(body[at+len(codeMark):]))
}

func parseID(b []byte) (id logentry.ID, ok bool) {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return id, false
	}
	ok = unhex(id[0:4], b[0:8]) && unhex(id[4:6], b[9:13]) && unhex(id[6:8], b[14:18]) &&
		unhex(id[8:10], b[19:23]) && unhex(id[10:16], b[24:36])
	return id, ok
}
