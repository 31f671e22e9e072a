package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

const (
	exportChunk = 64 << 10         // of text that is written at once
	exportPause = time.Second      // how long found entries wait for more of them
	exportStall = 30 * time.Second // how long a reader may take nothing
	maxExports  = 16               // at the same time, of all tenants: each holds some megabytes
)

// exporter is what is asked of the record for an export.
type exporter interface {
	Export(ctx context.Context, t auth.Tenant, q query.Query, yield func(logentry.Record) error) error
}

// exportParams are those that an export has besides the filters.
var exportParams = []string{"format", "columns", "raw", "tenant", "marks", "until"}

// exportAsked is what an export's URL asks for.
type exportAsked struct {
	q       query.Query
	options export.Options
	schema  bool  // only the schema file
	marks   bool  // lines that say where to go on
	limit   int64 // 0: all

	recorded *recordedAsked // nil: in the order of q
}

// exportLogs streams what a question finds from the record: whole, or broken off so that nobody can take it for
// whole. It holds a bounded number of entries, and asks for no more than the caller takes.
func (s *Server) exportLogs(k *call) error {
	asked, err := readExport(k)
	if err != nil {
		return err
	}
	binding := query.Binding(k.tenant.ID(), k.principal.Owner(), asked.q)
	if asked.recorded != nil {
		asked.recorded, err = s.readRecorded(k, asked.q)
	} else {
		asked.q.After, err = s.cursorOf(k, binding)
	}
	if err != nil {
		return err
	}
	if asked.schema {
		b, err := export.Schema(asked.options.Columns)
		if err != nil {
			return err
		}
		return reply(k.Context, http.StatusOK, b)
	}
	w, err := export.New(asked.options)
	if err != nil {
		return err
	}
	release, err := s.exports.enter(k.tenant.ID(), s.cfg.TenantExports)
	if err != nil {
		return err
	}
	defer release()
	read := audit.Event{Action: audit.Export, ResourceType: "entries", Params: k.Request.URL.Query(), Count: -1, Source: "record"}
	if err := s.audited(k, read); err != nil {
		return err
	}
	out := newDownload(k, asked.options.Format)
	x := exporting{w: w, out: out, asked: asked, mark: func(at query.Position) string { return s.reading.Cursors.Encode(at, binding) }, place: s.place}
	err = x.run(k.Request.Context(), s.reading.Store, k.tenant)
	read.Count, read.Message = int(w.Count()), "entries given out by an export"
	if err == nil {
		err = s.audited(k, read)
	}
	if err == nil {
		err = out.end(w.Count(), x.next, x.reached)
	}
	switch {
	case err == nil:
		return nil
	case !out.begun:
		return fault.Wrap(err, "export")
	case k.Request.Context().Err() == nil && !errors.Is(err, errGone):
		s.log.Warn("export broken off", zap.String("request_id", requestID(k.Context)), zap.Int64("entries", w.Count()), zap.Error(err), traceOf(k.Context))
	}
	panic(http.ErrAbortHandler) // without its last chunk, so that every client sees that it is not whole
}

// cursorOf is where the cursor of the URL says to go on.
func (s *Server) cursorOf(k *call, binding string) (*query.Position, error) {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	cursor := params["cursor"]
	if len(cursor) == 0 {
		return nil, nil
	}
	at, err := s.reading.Cursors.Decode(cursor[0], binding)
	return &at, err
}

// readExport reads the URL of an export.
func readExport(k *call) (a exportAsked, err error) {
	all, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return a, err
	}
	filters := query.Params{}
	for name, values := range all {
		if name != "limit" { // here it has no bound
			filters[name] = values
		}
	}
	if len(all["sort"]) == 1 && all["sort"][0] == sortRecorded {
		delete(filters, "sort")
		a.recorded = &recordedAsked{}
	}
	for _, name := range []string{"skip", "total"} {
		if _, ok := all[name]; ok {
			return a, parameterFault(name, "unknown_parameter", "an export has no "+name+": it goes over everything; go on with cursor")
		}
	}
	if a.q, err = query.FromParams(filters, time.Now(), exportParams...); err != nil {
		return a, err
	}
	a.q = scoped(k, a.q)
	o := map[string]string{}
	for _, name := range append([]string{"limit"}, exportParams...) {
		switch values := all[name]; len(values) {
		case 0:
		case 1:
			o[name] = values[0]
		default:
			return a, parameterFault(name, "repeated_parameter", "this parameter may be there only once")
		}
	}
	a.options = export.Options{Format: export.NDJSON, Tenant: k.tenant.Slug()}
	if v, ok := o["format"]; ok {
		if a.options.Format, a.schema, err = exportFormat(v); err != nil {
			return a, err
		}
	}
	if v, ok := o["columns"]; ok {
		a.options.Columns = strings.Split(v, ",")
	}
	for name, flag := range map[string]*bool{"raw": &a.options.Raw, "marks": &a.marks} {
		if v, ok := o[name]; ok {
			if *flag = v == "1"; !*flag && v != "0" {
				return a, parameterFault(name, "value_invalid", name+" is 0 or 1")
			}
		}
	}
	switch {
	case a.marks && a.options.Format != export.NDJSON:
		return a, parameterFault("marks", "value_invalid", "only NDJSON has room for marks")
	case a.marks && a.recorded != nil:
		return a, parameterFault("marks", "value_invalid", "sort=recorded has no marks: ask for parts with limit")
	case len(all["until"]) > 0 && a.recorded == nil:
		return a, parameterFault("until", "value_invalid", "only sort=recorded has places to go up to")
	}
	if v, ok := o["limit"]; ok {
		if a.limit, ok = wholeNumber(v); !ok {
			return a, parameterFault("limit", "limit_invalid", "limit is a whole number from 1 on; without it an export has everything")
		}
	}
	return a, nil
}

func exportFormat(v string) (f export.Format, schema bool, err error) {
	if v == "bigquery-schema" {
		return export.BigQuery, true, nil
	}
	for _, f := range export.Formats() {
		if v == string(f) {
			return f, false, nil
		}
	}
	return "", false, parameterFault("format", "format_invalid", "the formats are ndjson, json, csv, bigquery and bigquery-schema")
}

// wholeNumber reads digits from 1 on.
func wholeNumber(s string) (n int64, ok bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, n > 0
}

// parameterFault is one parameter that can't be taken.
func parameterFault(name, code, message string) error {
	return &fault.Error{Kind: fault.Malformed, Code: code, Detail: message, Problems: []fault.Problem{{Pointer: name, Code: code, Message: message}}}
}

// exporting is one export on its way.
type exporting struct {
	w     *export.Writer
	out   *download
	asked exportAsked
	mark  func(query.Position) string
	place func(at store.Position, binding string) string

	buf     []byte
	last    query.Position // of the last entry in buf
	written time.Time
	next    string // where to go on, where there are more than were asked for
	reached string // of recorded: the place behind what was given, whether there is more or not
}

// errEnough ends an export that has as many entries as were asked for.
var errEnough = errors.New("enough")

func (x *exporting) run(ctx context.Context, from records, t auth.Tenant) (err error) {
	x.written = time.Now()
	x.buf = x.w.Begin(x.buf)
	if r := x.asked.recorded; r != nil {
		var at store.Position
		at, err = r.walk(ctx, from, t, x.asked.q.Where, x.take)
		x.reached = x.place(at, r.binding)
	} else {
		err = from.Export(ctx, t, x.asked.q, x.take)
	}
	switch {
	case errors.Is(err, errEnough) && x.reached != "":
		x.next = x.reached
	case errors.Is(err, errEnough):
		x.next = x.mark(x.last)
	case err != nil:
		return err
	}
	x.buf = x.w.End(x.buf, x.next)
	return x.out.write(x.buf)
}

// take takes one entry, and writes where enough has gathered.
func (x *exporting) take(r logentry.Record) (err error) {
	if x.asked.limit > 0 && x.w.Count() == x.asked.limit {
		return errEnough
	}
	if x.buf, err = x.w.Entry(x.buf, &r); err != nil {
		return err
	}
	x.last = query.Position{At: r.Timestamp, ID: r.ID}
	if x.asked.q.Sort == query.ReceivedNewestFirst || x.asked.q.Sort == query.ReceivedOldestFirst {
		x.last.At = r.ReceivedAt
	}
	if len(x.buf) < exportChunk && (x.w.Count()%64 != 0 || time.Since(x.written) < exportPause) {
		return nil
	}
	if x.asked.marks {
		x.buf = x.w.Mark(x.buf, x.mark(x.last))
	}
	err = x.out.write(x.buf)
	if err == nil && x.asked.marks {
		err = x.out.flush()
	}
	x.buf, x.written = x.buf[:0], time.Now()
	return err
}

// exportID names the file of a download: nothing of a question or a tenant is in it.
func exportID() string { return strings.ToLower(rand.Text()[:12]) }
