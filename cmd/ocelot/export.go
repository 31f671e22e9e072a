package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
)

const exportLong = `Writes everything that a query finds, from the record and without a cap: as NDJSON, CSV, JSON, Parquet or what BigQuery
loads. The query is that of search; none takes everything.

With --out the entries gather in FILE.part, and FILE is there only when it is whole: what the service says of the number of
entries and their SHA-256 was compared. An export that was interrupted is gone on with by the same command and --resume,
each entry once; with nothing to go on with --resume begins.

NDJSON is entries only: the line with which the service ends it is checked and taken away.

Parquet is written here, of the same entries: times in nanoseconds, states and metadata as JSON. It needs --out, and begins
again where it was interrupted.

The exit code is 0 if the export is whole, otherwise 1.`

// exportFormats are those of the service, and Parquet, which is made of its NDJSON.
var exportFormats = []string{"ndjson", "csv", "json", "parquet", "bigquery", "bigquery-schema"}

// exportPart is how many entries are asked for at once: what an interrupted export loses at most.
const exportPart = 10_000

// exportOptions are the flags of export.
type exportOptions struct {
	searchOptions
	format, columns string
	raw             bool
	out             string
	resume          bool
	part            int64 // entries in a request
}

func newExportCmd() *cobra.Command {
	o := exportOptions{part: exportPart}
	cmd := &cobra.Command{
		Use:   "export [QUERY]",
		Short: "Write everything that a query finds to a file",
		Long:  exportLong,
		Example: "  ocelot export 'service:billing' --since 7d --out billing.ndjson\n" +
			"  ocelot export 'severity:ERROR' --format csv --columns timestamp,user_id,metadata.order.id --out errors.csv\n" +
			"  ocelot export --format parquet --out all.parquet\n" +
			"  ocelot export --format bigquery | gzip >all.ndjson.gz\n  ocelot export --format bigquery-schema --out schema.json",
		Args: oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.asked(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			return export(cmd.Context(), o, c, params, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.AddCommand(newBigQueryCmd())
	o.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "ndjson", strings.Join(exportFormats, ", "))
	f.StringVar(&o.columns, "columns", "", "up to 64 fields, separated by commas, also paths such as metadata.order.id; without it all")
	f.BoolVar(&o.raw, "raw", false, "with csv: cells that a spreadsheet takes for formulas stay as they are, without an apostrophe")
	f.StringVarP(&o.out, "out", "o", "", "file to write; without it standard output")
	f.BoolVar(&o.resume, "resume", false, "with --out: go on with an export that was interrupted")
	f.StringVar(&o.since, "since", "", "not older than this: 15m, 2h, 7d, 1w")
	f.StringVar(&o.start, "start", "", timeUsage("from this time on"))
	f.StringVar(&o.end, "end", "", timeUsage("before this time"))
	f.StringVar(&o.sort, "sort", "", "-timestamp (newest first), timestamp, -received_at, received_at, recorded")
	f.StringVar(&o.audit, "audit", "", auditUsage)
	f.IntVar(&o.limit, "limit", 0, "how many entries at most, the first in the order of --sort; 0 is all")
	return cmd
}

// columnsAsked are the names that --columns gives; none: all.
func columnsAsked(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(listed(list), ",")
}

func (o exportOptions) asked(query string, now time.Time) (url.Values, error) {
	switch {
	case !slices.Contains(exportFormats, o.format):
		return nil, fmt.Errorf("--format %q is none of %s", o.format, strings.Join(exportFormats, ", "))
	case o.raw && o.format != "csv":
		return nil, errors.New("--raw is for --format csv: the other formats change no text")
	case o.format == "parquet" && o.out == "":
		return nil, errors.New("--format parquet needs --out FILE: such a file is read from its end")
	case o.resume && o.format == "parquet":
		return nil, errors.New("a Parquet file can't be gone on with: what says where its rows are is written last; leave --resume out to begin again, " +
			"or export NDJSON, which can be gone on with and made into Parquet by DuckDB")
	case o.format == "bigquery-schema" && (o.limit != 0 || o.audit != ""):
		return nil, errors.New("a schema is of no entries: leave --limit and --audit out")
	case o.resume && o.out == "":
		return nil, errors.New("--resume needs the --out FILE of the export that was interrupted")
	case o.resume && o.format == "bigquery-schema":
		return nil, errors.New("a schema is small: there is nothing to resume")
	}
	params, err := o.params(query, now)
	if err != nil {
		return nil, err
	}
	o.columns = listed(o.columns)
	params.Set("format", o.wire())
	if o.limit > 0 {
		params.Set("limit", strconv.Itoa(o.limit))
	}
	if o.columns != "" {
		params.Set("columns", o.columns)
	}
	if o.raw {
		params.Set("raw", "1")
	}
	return params, nil
}

// wire is the format in which the service sends the entries.
func (o exportOptions) wire() string {
	if o.format == "parquet" {
		return "ndjson"
	}
	return o.format
}

// exporting is one run of the command.
type exporting struct {
	o      exportOptions
	c      *client
	params url.Values
	file   *partFile // nil: standard output
	w      *bufio.Writer
	table  *parquetFile // nil: the entries are written as they come
	cursor string       // where the next request goes on
	place  string       // behind the last part, where the service says it

	mu          sync.Mutex // of what the progress shows
	rows, bytes int64      // rows of parts that were compared, bytes of all
}

func export(ctx context.Context, o exportOptions, c *client, params url.Values, stdout, stderr io.Writer) (err error) {
	x := &exporting{o: o, c: c, params: params}
	out := stdout
	if o.out == "" {
		if isTerminal(stdout) {
			out = &visibleWriter{w: stdout}
		}
	} else {
		if x.file, err = openPart(o.out, o.resume, params, o.since); err != nil {
			return err
		}
		defer x.file.close()
		out = x.file.f
		x.params, x.cursor, x.rows, x.bytes = x.file.asked(), x.file.state.Cursor, x.file.state.Rows, x.file.state.Bytes
		if x.rows > 0 {
			_, _ = fmt.Fprintf(stderr, "ocelot: going on behind the first %s entries\n", grouped(x.rows))
		}
	}
	x.w = bufio.NewWriterSize(out, 256<<10)
	if o.format == "parquet" {
		x.table = newParquetFile(writerFunc(x.put), columnsAsked(o.columns))
	}
	seen := stderr
	if o.out == "" && isTerminal(stdout) {
		seen = io.Discard // a line between the entries would be no help
	}
	stop := newProgress(seen).start(x.line, &x.mu)
	if o.format == "bigquery-schema" {
		err = x.schema(ctx)
	} else {
		err = x.all(ctx)
	}
	stop()
	if err != nil {
		return x.broken(ctx, err)
	}
	if x.file == nil {
		if isTerminal(stderr) && o.format != "bigquery-schema" {
			_, _ = fmt.Fprintf(stderr, "%s entries\n", grouped(x.rows))
		}
		return nil
	}
	if err := x.file.finish(); err != nil {
		return x.broken(ctx, err)
	}
	what := grouped(x.rows) + " entries"
	if o.format == "bigquery-schema" {
		what = "the schema"
	}
	_, err = fmt.Fprintf(stdout, "exported %s to %s (%s bytes)\n", what, visible(o.out), grouped(x.bytes))
	return err
}

// all asks for one part after the other, each of which begins behind the one before.
func (x *exporting) all(ctx context.Context) error {
	if x.o.format == "json" && x.rows == 0 {
		if err := x.write([]byte("[")); err != nil {
			return err
		}
	}
	for more := true; more; more = x.cursor != "" && !x.enough() {
		rows, next, err := x.one(ctx)
		if err != nil {
			return err
		}
		x.mu.Lock()
		x.rows += rows
		x.mu.Unlock()
		x.cursor = next
		if err := x.w.Flush(); err != nil {
			return err
		}
		if x.file != nil && x.table == nil && next != "" && !x.enough() {
			if err := x.file.keep(next, x.rows, x.bytes); err != nil {
				return err
			}
		}
	}
	switch {
	case x.table != nil:
		if err := x.table.end(); err != nil {
			return err
		}
	case x.o.format == "json":
		if err := x.write([]byte(jsonEnd)); err != nil {
			return err
		}
	}
	return x.w.Flush()
}

// enough says that there are as many entries as were asked for.
func (x *exporting) enough() bool { return x.o.limit > 0 && x.rows >= int64(x.o.limit) }

// one takes one part and compares it with what the service says that it sent.
func (x *exporting) one(ctx context.Context) (rows int64, next string, err error) {
	params := maps.Clone(x.params)
	part := x.o.part
	if x.o.limit > 0 {
		part = min(part, int64(x.o.limit)-x.rows)
	}
	params.Set("limit", strconv.FormatInt(part, 10))
	if x.cursor != "" {
		params.Set("cursor", x.cursor)
	}
	resp, err := x.c.stream(ctx, "/api/v1/logs/export?"+params.Encode(), http.Header{"Accept-Encoding": {"zstd, gzip"}})
	if err != nil {
		return 0, "", queryError(err)
	}
	defer resp.Body.Close()
	body, err := unpacked(resp)
	if err != nil {
		return 0, "", err
	}
	defer body.Close()
	sum := sha256.New()
	f := &frame{w: writerFunc(x.write), format: x.o.wire(), first: x.rows == 0}
	if _, err = io.Copy(f, io.TeeReader(body, sum)); err == nil {
		_, err = io.Copy(io.Discard, resp.Body) // to its end, where the trailers are
	}
	if _, ours := errors.AsType[*fs.PathError](err); ours { // the disk is full, for example
		return 0, "", err
	}
	if err != nil {
		return 0, "", fmt.Errorf("the transfer broke off: %w", err)
	}
	said := resp.Trailer.Get("X-Export-Rows")
	rows, err = strconv.ParseInt(said, 10, 64)
	next, x.place = resp.Trailer.Get("X-Export-Next-Cursor"), resp.Trailer.Get("X-Export-Place")
	switch hash := resp.Trailer.Get("X-Export-SHA256"); {
	case said == "" || hash == "":
		return 0, "", fmt.Errorf("the answer of %s ends without saying what it was (trailers X-Export-…): is the URL right, and does a proxy on the way keep trailers?", x.c.URL)
	case err != nil || rows < 0:
		return 0, "", errors.New("X-Export-Rows is not a number of entries")
	case hash != hex.EncodeToString(sum.Sum(nil)):
		return 0, "", errors.New("what arrived is not what was sent: its SHA-256 is another one")
	case next != "" && rows == 0:
		return 0, "", errors.New("the service gave no entry and says that there are more")
	}
	return rows, next, f.end(rows, next)
}

// schema writes the schema file of BigQuery.
func (x *exporting) schema(ctx context.Context) error {
	answer, err := x.c.do(ctx, http.MethodGet, "/api/v1/logs/export?"+x.params.Encode(), nil, nil)
	if err != nil {
		return queryError(err)
	}
	if err := x.write(answer); err != nil {
		return err
	}
	return x.w.Flush()
}

// write takes what the service sent.
func (x *exporting) write(b []byte) error {
	if x.table != nil {
		return x.table.write(b)
	}
	return x.put(b)
}

// put takes what stands in the file.
func (x *exporting) put(b []byte) error {
	x.mu.Lock()
	x.bytes += int64(len(b))
	x.mu.Unlock()
	_, err := x.w.Write(b)
	return err
}

// line is the progress. Its caller holds the lock.
func (x *exporting) line() string {
	return fmt.Sprintf("%s entries  %.1f MB", grouped(x.rows), float64(x.bytes)/1e6)
}

// broken adds to an error what there is so far and how to go on.
func (x *exporting) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	switch {
	case x.file == nil && x.bytes == 0:
		return err
	case x.file == nil:
		_ = x.w.Flush() // the error is told already
		return fmt.Errorf("%w\nincomplete: the first %s entries were compared, what came behind them may be cut; with --out FILE an export can be gone on with", err, grouped(x.rows))
	case x.file.state.Rows == 0:
		if _, refused := errors.AsType[*refusal](err); refused {
			return err // the same command would be refused again
		}
		if x.table != nil && x.rows > 0 {
			return fmt.Errorf("%w\nincomplete: %s entries had come, those behind them are missing; a Parquet file can't be gone on with, so nothing is kept and %s was not touched: "+
				"the same command begins again; --format ndjson can be gone on with", err, grouped(x.rows), visible(x.o.out))
		}
		return fmt.Errorf("%w\nincomplete: nothing is kept, %s was not touched; the same command begins again", err, visible(x.o.out))
	}
	return fmt.Errorf("%w\nincomplete: the first %s entries are in %s, %s was not touched; the same command with --resume goes on behind them",
		err, grouped(x.file.state.Rows), visible(x.file.partPath()), visible(x.o.out))
}

// unpacked is the body of an answer without its compression.
func unpacked(resp *http.Response) (io.ReadCloser, error) {
	switch encoding := resp.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return io.NopCloser(resp.Body), nil
	case "gzip":
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("the transfer broke off: %w", err)
		}
		return z, nil
	case "zstd":
		z, err := zstd.NewReader(resp.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	default:
		return nil, fmt.Errorf("the answer is compressed in a way that was not asked for: %s", visible(encoding))
	}
}

// writerFunc is a function as a writer that takes everything or fails.
type writerFunc func([]byte) error

func (w writerFunc) Write(b []byte) (int, error) {
	if err := w(b); err != nil {
		return 0, err
	}
	return len(b), nil
}
