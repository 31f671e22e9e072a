package export

import (
	"bytes"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// row appends the cells of one entry; what it does not have is an empty cell.
func (w *Writer) row(dst []byte, r *logentry.Record) []byte {
	for i := range w.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		if v, ok := w.columns[i].value(r, w.o.Tenant); ok {
			w.cell = v.appendText(w.cell[:0])
			dst = appendCell(dst, w.cell, w.o.Raw)
		}
	}
	return append(dst, '\r', '\n')
}

// appendCell appends a cell of RFC 4180. One that begins like a formula gets an apostrophe, unless it is to be
// raw. Quotes stand also around what a spreadsheet of another locale would cut: then a formula could begin
// inside of a cell.
func appendCell(dst, cell []byte, raw bool) []byte {
	dangerous := !raw && formula(cell)
	if !dangerous && !bytes.ContainsAny(cell, ",;|\t\"\r\n") {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	if dangerous {
		dst = append(dst, '\'')
	}
	for {
		i := bytes.IndexByte(cell, '"')
		if i < 0 {
			break
		}
		dst = append(dst, cell[:i+1]...)
		dst = append(dst, '"')
		cell = cell[i+1:]
	}
	return append(append(dst, cell...), '"')
}

// formula says whether a spreadsheet may take a cell for one: by its first character, in either width, and
// behind a byte order mark.
func formula(cell []byte) bool {
	for {
		c, size := utf8.DecodeRune(cell)
		switch c {
		case '\ufeff':
			cell = cell[size:]
			continue
		case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
			return true
		}
		return false
	}
}
