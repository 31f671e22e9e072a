package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// errGone means that the caller takes nothing any more.
var errGone = errors.New("the caller has gone")

// Trailers of a download. The hash is over its bytes before compression.
const (
	rowsTrailer  = "X-Export-Rows"
	hashTrailer  = "X-Export-Sha256"
	nextTrailer  = "X-Export-Next-Cursor"
	placeTrailer = "X-Export-Place"
)

// download is an answer of any length. Its head is written with its first bytes, so that what fails before is an
// answer of its own.
type download struct {
	k      *call
	format export.Format
	life   *http.ResponseController
	sum    hash.Hash
	packer packer // nil: none
	begun  bool
}

// packer is a compressor.
type packer interface {
	io.WriteCloser
	Flush() error
}

func newDownload(k *call, f export.Format) *download {
	d := &download{k: k, format: f, life: http.NewResponseController(k.Writer), sum: sha256.New()}
	// The server's own deadlines are for small requests. A writer that can't set them is a test's, without deadlines.
	_ = d.life.SetReadDeadline(time.Time{})
	_ = d.life.SetWriteDeadline(time.Time{})
	return d
}

// begin writes the head.
func (d *download) begin() {
	d.begun = true
	h := d.k.Writer.Header()
	h["Content-Type"] = []string{d.format.ContentType()}
	h["Content-Disposition"] = []string{`attachment; filename="export-` + exportID() + "." + d.format.Extension() + `"`}
	h["Trailer"] = []string{rowsTrailer, hashTrailer, nextTrailer, placeTrailer}
	h["Vary"] = append(h["Vary"], "Accept-Encoding")
	h["Accept-Ranges"] = []string{"none"}
	if d.format == export.CSV {
		h["X-Csv-Escaping"] = []string{csvEscaping(d.k.Request.URL.RawQuery)}
	}
	var to io.Writer = netWriter{d}
	switch encoding := accepted(d.k.Request.Header["Accept-Encoding"]); encoding {
	case "zstd":
		h["Content-Encoding"] = []string{encoding}
		d.packer, _ = zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(512<<10)) // fails for options that there are not
	case "gzip":
		h["Content-Encoding"] = []string{encoding}
		d.packer, _ = gzip.NewWriterLevel(to, gzip.BestSpeed)
	}
	d.k.Writer.WriteHeader(http.StatusOK)
}

// csvEscaping says what was done to cells that look like formulas.
func csvEscaping(rawQuery string) string {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "raw=1" {
			return "none"
		}
	}
	return "apostrophe"
}

// write sends bytes, the caller having time to take them.
func (d *download) write(b []byte) error {
	if !d.begun {
		d.begin()
	}
	d.sum.Write(b) // never fails
	var err error
	if d.packer != nil {
		_, err = d.packer.Write(b)
	} else {
		_, err = netWriter{d}.Write(b)
	}
	return err
}

// flush makes everything so far visible to the caller.
func (d *download) flush() error {
	if d.packer != nil {
		if err := d.packer.Flush(); err != nil {
			return err
		}
	}
	d.k.Writer.Flush()
	return nil
}

// end completes the body and says what it was.
func (d *download) end(rows int64, next, place string) error {
	if d.packer != nil {
		if err := d.packer.Close(); err != nil {
			return err
		}
	}
	h := d.k.Writer.Header()
	h[rowsTrailer] = []string{strconv.FormatInt(rows, 10)}
	h[hashTrailer] = []string{hex.EncodeToString(d.sum.Sum(nil))}
	if next != "" {
		h[nextTrailer] = []string{next}
	}
	if place != "" {
		h[placeTrailer] = []string{place}
	}
	_ = d.life.SetWriteDeadline(time.Now().Add(exportStall))
	return nil
}

// netWriter writes to the caller, who may stall for a while only.
type netWriter struct{ d *download }

func (w netWriter) Write(b []byte) (int, error) {
	_ = w.d.life.SetWriteDeadline(time.Now().Add(exportStall))
	n, err := w.d.k.Writer.Write(b)
	if err != nil {
		err = errGone
	}
	return n, err
}

// accepted is the compression that a caller asks for; empty for none.
func accepted(header []string) string {
	best := ""
	for _, line := range header {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
			weight = strings.ReplaceAll(weight, " ", "")
			if weight == "q=0" || strings.Trim(strings.TrimPrefix(weight, "q="), "0.") == "" && strings.HasPrefix(weight, "q=0") {
				continue
			}
			switch name = strings.ToLower(strings.TrimSpace(name)); {
			case name == "zstd", name == "gzip" && best == "":
				best = name
			}
		}
	}
	return best
}

// quota counts what runs for each tenant.
type quota struct {
	mu      sync.Mutex
	running map[string]int
	all     int
}

// enter takes a place; without an error, release gives it back.
func (q *quota) enter(tenantID string, most int) (release func(), err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.running[tenantID] >= most:
		return nil, &fault.Error{Kind: fault.Limited, Code: "export_quota", RetryAfter: 10 * time.Second,
			Detail: "as many exports of this tenant are running as may be at the same time: wait for one to end"}
	case q.all >= maxExports:
		return nil, &fault.Error{Kind: fault.Unavailable, Code: "overloaded", Detail: "too many exports are running; try again", RetryAfter: 10 * time.Second}
	}
	if q.running == nil {
		q.running = map[string]int{}
	}
	q.running[tenantID]++
	q.all++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.all--
		if q.running[tenantID]--; q.running[tenantID] == 0 {
			delete(q.running, tenantID)
		}
	}, nil
}
