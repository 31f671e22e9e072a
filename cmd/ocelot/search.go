package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const searchLong = `Searches and prints the newest entries: as a table on a terminal, as NDJSON elsewhere.

The query is words, "phrases", prefi*, field:value, AND, OR, NOT and parentheses; none matches everything.`

// searchOptions are the flags of search.
type searchOptions struct {
	target     target
	limit      int
	since      string
	start, end string
	sort       string
	audit      string
	json       bool
}

// auditUsage is what --audit means wherever there is one.
const auditUsage = "entries that the service made of reads and changes: include, or only them; without it they are left out"

// timeUsage is what --start and --end take.
func timeUsage(which string) string {
	return which + ": RFC 3339, a date such as 2026-11-01 (UTC), now-15m"
}

func newSearchCmd() *cobra.Command {
	var o searchOptions
	cmd := &cobra.Command{
		Use:   "search [QUERY]",
		Short: "Find entries",
		Long:  searchLong,
		Example: "  ocelot search 'service:billing severity:ERROR'\n  ocelot search '\"card declined\"' --since 2h\n" +
			"  ocelot search --limit 0 'action:DELETE' | jq .user_id",
		Args: oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.params(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			return search(cmd.Context(), c, params, o.limit, newPrinter(cmd.OutOrStdout(), o.json), cmd.ErrOrStderr())
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.limit, "limit", 50, "how many entries at most; 0 is all")
	f.StringVar(&o.since, "since", "", "not older than this: 15m, 2h, 7d, 1w")
	f.StringVar(&o.start, "start", "", timeUsage("from this time on"))
	f.StringVar(&o.end, "end", "", timeUsage("before this time"))
	f.StringVar(&o.sort, "sort", "", "-timestamp (newest first), timestamp, -received_at, received_at")
	f.StringVar(&o.audit, "audit", "", auditUsage)
	f.BoolVar(&o.json, "json", false, "NDJSON on a terminal too")
	return cmd
}

func (o searchOptions) params(query string, now time.Time) (url.Values, error) {
	params := url.Values{}
	start := o.start
	if o.limit < 0 {
		return nil, errors.New("--limit is a number of entries, 0 for all")
	}
	if o.audit != "" && o.audit != "include" && o.audit != "only" {
		return nil, fmt.Errorf("--audit %q is neither include nor only", o.audit)
	}
	if o.since != "" {
		if o.start != "" {
			return nil, errors.New("--since and --start say the same thing: choose one")
		}
		ago, err := parseAgo(o.since)
		if err != nil {
			return nil, err
		}
		start = now.Add(-ago).UTC().Format(time.RFC3339Nano)
	}
	for name, value := range map[string]string{"q": query, "start_time": start, "end_time": o.end, "sort": o.sort, "audit": o.audit} {
		if value != "" {
			params.Set(name, value)
		}
	}
	return params, nil
}

// listed is a list of names with nothing but commas between them.
func listed(names string) string {
	parts := strings.Split(names, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.Join(parts, ",")
}

// parseAgo reads a duration that may have days and weeks.
func parseAgo(s string) (time.Duration, error) {
	unit := time.Duration(0)
	switch {
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	case strings.HasSuffix(s, "w"):
		unit = 7 * 24 * time.Hour
	}
	if unit > 0 {
		n, err := strconv.Atoi(s[:len(s)-1])
		if err == nil && n >= 0 && n < 100_000 {
			return time.Duration(n) * unit, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("--since %q is no duration such as 15m, 2h, 7d or 1w; --start takes a time or a date", s)
}

// page is an answer to a search.
type page struct {
	Data []json.RawMessage `json:"data"`
	Meta struct {
		Pagination struct {
			Total      *int64  `json:"total"`
			Relation   string  `json:"relation"`
			NextCursor *string `json:"next_cursor"`
		} `json:"pagination"`
		TookMS json.Number `json:"took_ms"`
	} `json:"meta"`
}

// printer writes the entries of a result.
type printer interface {
	entry(raw json.RawMessage) error
	// end is called after the last entry, and wherever a reader should see all that there is so far.
	end() error
}

// newPrinter prints a table on a terminal, and NDJSON elsewhere or where it is wanted.
func newPrinter(out io.Writer, json bool) printer {
	switch {
	case !isTerminal(out):
		return &ndjson{bufio.NewWriter(out)}
	case json:
		return &ndjson{bufio.NewWriter(&visibleWriter{w: out})}
	}
	return newTable(out, terminalWidth(out), os.Getenv("NO_COLOR") == "")
}

// maxPage is how many entries the service gives at once.
const maxPage = 1000

// search prints up to limit entries, all where that is 0, and tells on stderr of how many they are.
func search(ctx context.Context, c *client, params url.Values, limit int, out printer, stderr io.Writer) error {
	printed := 0
	var total string
	for {
		size := maxPage
		if limit > 0 {
			size = min(size, limit-printed)
		}
		params.Set("limit", strconv.Itoa(size))
		answer, err := c.do(ctx, http.MethodGet, "/api/v1/logs?"+params.Encode(), nil, nil)
		if err != nil {
			return errors.Join(out.end(), queryError(err))
		}
		var p page
		if err := json.Unmarshal(answer, &p); err != nil {
			return errors.Join(out.end(), fmt.Errorf("the answer of %s is not a page of entries: is the URL right?", c.URL))
		}
		if printed == 0 && p.Meta.Pagination.Total != nil {
			total = " of " + grouped(*p.Meta.Pagination.Total)
			if p.Meta.Pagination.Relation == "gte" {
				total = " of more than " + grouped(*p.Meta.Pagination.Total)
			}
		}
		if t, ok := out.(*table); ok {
			t.page(p.Data)
		}
		for _, raw := range p.Data {
			if err := out.entry(raw); err != nil {
				return err
			}
		}
		printed += len(p.Data)
		next := p.Meta.Pagination.NextCursor
		if next == nil || *next == "" || len(p.Data) == 0 || limit > 0 && printed >= limit {
			break
		}
		params.Set("cursor", *next)
		params.Set("total", "none")
	}
	if err := out.end(); err != nil {
		return err
	}
	if isTerminal(stderr) {
		_, _ = fmt.Fprintf(stderr, "%s%s entries%s\n", grouped(int64(printed)), total, colonHint(int64(printed), params.Get("q")))
	}
	return nil
}

var nameAndEquals = regexp.MustCompile(`(?:^|[\s(-])[a-z_]+(?:\.\w+)*=`)

// colonHint follows the number of entries found where there are none and = may be why: it is taken for text.
func colonHint(found int64, query string) string {
	if found > 0 || !nameAndEquals.MatchString(query) {
		return ""
	}
	return "; a field and its value are joined by a colon, as in service:billing"
}

// queryError adds what is wrong with the query to a refusal.
func queryError(err error) error {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	var b strings.Builder
	for i, p := range r.Errors {
		if i == 0 && strings.HasPrefix(strings.TrimPrefix(r.Detail, p.Pointer+": "), p.Message) {
			continue // it is the detail
		}
		fmt.Fprintf(&b, "\n  %s", visible(p.Pointer+" "+p.Code+": "+p.Message))
		if p.Column > 0 {
			fmt.Fprintf(&b, " (column %d)", p.Column)
		}
	}
	return fmt.Errorf("%w%s", err, b.String())
}

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 120
}
