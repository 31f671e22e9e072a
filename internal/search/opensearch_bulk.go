package search

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/gzip"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// bulk is the body of one _bulk and what came back. Its memory is used again.
type bulk struct {
	lines     []byte // the creates of all rows
	ends      []int  // where each one's end is
	rows      []int  // whose they are, as numbers of records
	todo      []int  // which of them are to be sent, in order
	documents documents
	part      []byte
	zipped    bytes.Buffer
	zipper    *gzip.Writer
	answer    bytes.Buffer
	items     []bulkItem
}

func (b *bulk) reset() {
	b.lines, b.ends, b.rows, b.todo = b.lines[:0], b.ends[:0], b.rows[:0], b.todo[:0]
}

// full says whether another record may be too much.
func (b *bulk) full(cfg *OpenSearchConfig) bool {
	n := len(b.rows)
	if n == 0 {
		return false
	}
	return n >= cfg.BulkEntries || len(b.lines)+len(b.lines)/n >= cfg.BulkBytes
}

func (b *bulk) add(row int, index []byte, e *logentry.Entry) {
	b.lines = b.documents.append(b.lines, index, e)
	b.ends = append(b.ends, len(b.lines))
	b.rows = append(b.rows, row)
}

// body is what is to be sent.
func (b *bulk) body(zip bool) ([]byte, error) {
	lines := b.lines
	if len(b.todo) < len(b.rows) {
		b.part = b.part[:0]
		for _, i := range b.todo {
			from := 0
			if i > 0 {
				from = b.ends[i-1]
			}
			b.part = append(b.part, b.lines[from:b.ends[i]]...)
		}
		lines = b.part
	}
	if !zip {
		return lines, nil
	}
	b.zipped.Reset()
	if b.zipper == nil {
		w, err := gzip.NewWriterLevel(&b.zipped, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		b.zipper = w
	} else {
		b.zipper.Reset(&b.zipped)
	}
	if _, err := b.zipper.Write(lines); err != nil {
		return nil, err
	}
	if err := b.zipper.Close(); err != nil {
		return nil, err
	}
	return b.zipped.Bytes(), nil
}

// bulkQuery asks for what is needed of each item and no more: 25 bytes of most.
const bulkQuery = "filter_path=error.type,error.root_cause.type,items.*.status,items.*.error.type"

// indexGone is the error of an item whose index was removed.
const indexGone = "index_not_found_exception"

// bulkItem is what became of one create; kind is the name of its error.
type bulkItem struct {
	status int
	kind   string
}

// answer is the item as if it were a request of its own.
func (it bulkItem) answer() answer {
	return answer{max(it.status, http.StatusContinue), fmt.Appendf(nil, `{"error":{"type":%q}}`, it.kind)}
}

// parseItems appends the items of an answer in their order. ok is false for what is no such answer.
// Nearly all items are one of two, which are not parsed but compared.
func parseItems(dst []bulkItem, body []byte) (items []bulkItem, ok bool) {
	const (
		begin   = `{"items":[`
		created = `{"create":{"status":201}}`
		exists  = `{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}}`
	)
	start := len(dst)
	rest, quick := bytes.CutPrefix(body, []byte(begin))
	for quick {
		if after, is := bytes.CutPrefix(rest, []byte(created)); is {
			dst, rest = append(dst, bulkItem{status: http.StatusCreated}), after
		} else if after, is := bytes.CutPrefix(rest, []byte(exists)); is {
			dst, rest = append(dst, bulkItem{http.StatusConflict, "version_conflict_engine_exception"}), after
		} else {
			break
		}
		if string(rest) == "]}" {
			return dst, true
		}
		if rest, quick = bytes.CutPrefix(rest, []byte(",")); !quick {
			break
		}
	}
	dst = dst[:start]
	var all struct {
		Items []map[string]struct {
			Status int `json:"status"`
			Error  struct {
				Type string `json:"type"`
			} `json:"error"`
		} `json:"items"`
	}
	if json.Unmarshal(body, &all) != nil {
		return dst, false
	}
	for _, one := range all.Items {
		it := bulkItem{}
		for _, x := range one {
			it = bulkItem{x.Status, x.Error.Type}
		}
		dst = append(dst, it)
	}
	return dst, true
}
