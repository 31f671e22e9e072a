package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const statsLong = `Counts entries: how many there are, the most frequent values of some fields, and a histogram; sums up numbers of their metadata.

The query is that of search. Elsewhere than on a terminal, and with --json, the answer of the service is printed.`

// statsOptions are the flags of stats.
type statsOptions struct {
	searchOptions
	facets   string
	top      int
	interval string
	metrics  string
	groupBy  string
}

func newStatsCmd() *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats [QUERY]",
		Short: "Count entries",
		Long:  statsLong,
		Example: "  ocelot stats --since 1d\n  ocelot stats 'severity:ERROR' --facets service,user_id --top 5\n" +
			"  ocelot stats 'action:LOGIN' --since 7d --interval 1d --facets ''\n" +
			"  ocelot stats --since 1d --metrics metadata.took_ms --group-by service --facets '' --interval off",
		Args: oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.params(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"facets": listed(o.facets), "top": strconv.Itoa(o.top), "interval": o.interval,
				"metrics": listed(o.metrics), "group_by": o.groupBy} {
				if value != "" {
					params.Set(name, value)
				}
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			out, width := statsOut(cmd.OutOrStdout(), isTerminal(cmd.OutOrStdout()), o.json)
			return stats(cmd.Context(), c, params, width, out)
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.facets, "facets", "severity,service,action", "fields whose values are counted, separated by commas; '' for none")
	f.IntVar(&o.top, "top", 10, "how many values of each, and how many groups")
	f.StringVar(&o.interval, "interval", "auto", "width of a bar of the histogram: auto, off, 30s, 5m, 1h, 1d")
	f.StringVar(&o.metrics, "metrics", "", "up to five paths of numbers, such as metadata.took_ms, separated by commas: their count, sum, min, max, avg and percentiles")
	f.StringVar(&o.groupBy, "group-by", "", "with --metrics: those of the most frequent values of this field too")
	f.StringVar(&o.since, "since", "", "not older than this: 15m, 2h, 7d, 1w")
	f.StringVar(&o.start, "start", "", timeUsage("from this time on"))
	f.StringVar(&o.end, "end", "", timeUsage("before this time"))
	f.StringVar(&o.audit, "audit", "", auditUsage)
	f.BoolVar(&o.json, "json", false, "JSON on a terminal too")
	return cmd
}

// statsOut is where stats print, and in how many columns: 0 for the answer as it is, which a terminal gets visible.
func statsOut(out io.Writer, terminal, json bool) (io.Writer, int) {
	switch {
	case !terminal:
		return out, 0
	case json:
		return &visibleWriter{w: out}, 0
	}
	return out, terminalWidth(out)
}

// statsPage is an answer to stats.
type statsPage struct {
	Data struct {
		Total     int64              `json:"total"`
		Facets    map[string][]tally `json:"facets"`
		Histogram *struct {
			Interval string `json:"interval"`
			Buckets  []struct {
				Start time.Time `json:"start"`
				Count int64     `json:"count"`
			} `json:"buckets"`
		} `json:"histogram"`
		Metrics map[string]struct {
			summary
			Groups []struct {
				Value string `json:"value"`
				summary
			} `json:"groups"`
		} `json:"metrics"`
	} `json:"data"`
	Meta struct {
		Approximate []string `json:"approximate"`
	} `json:"meta"`
}

// tally is a value and how many entries have it.
type tally struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// summary is of numbers. What has no value is nil.
type summary struct {
	Count int64    `json:"count"`
	Sum   *float64 `json:"sum"`
	Min   *float64 `json:"min"`
	Max   *float64 `json:"max"`
	Avg   *float64 `json:"avg"`
	P50   *float64 `json:"p50"`
	P95   *float64 `json:"p95"`
	P99   *float64 `json:"p99"`
}

// stats prints counts in so many columns, or as they are answered where width is 0.
func stats(ctx context.Context, c *client, params url.Values, width int, out io.Writer) error {
	answer, err := c.do(ctx, http.MethodGet, "/api/v1/logs/stats?"+params.Encode(), nil, nil)
	if err != nil {
		return queryError(err)
	}
	if width == 0 {
		_, err := fmt.Fprintf(out, "%s\n", answer)
		return err
	}
	var p statsPage
	if err := json.Unmarshal(answer, &p); err != nil {
		return fmt.Errorf("the answer of %s is not counts of entries: is the URL right?", c.URL)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s entries%s\n", grouped(p.Data.Total), colonHint(p.Data.Total, params.Get("q")))
	if p.Data.Total == 0 {
		_, err := io.WriteString(out, b.String())
		return err
	}
	for name := range strings.SplitSeq(params.Get("facets"), ",") {
		if values, ok := p.Data.Facets[name]; ok {
			title := strings.ToUpper(name)
			for _, f := range p.Meta.Approximate {
				if f == name {
					title += " (so many values that some counts may be low)"
				}
			}
			bars(&b, title, values, width)
			delete(p.Data.Facets, name) // named twice, it is printed once
		}
	}
	if h := p.Data.Histogram; h != nil {
		times := make([]tally, len(h.Buckets))
		for i, bucket := range h.Buckets {
			times[i] = tally{bucket.Start.UTC().Format("2006-01-02 15:04:05"), bucket.Count}
		}
		bars(&b, "TIME (UTC), each "+h.Interval+"; those without entries are left out", times, width)
	}
	by := strings.ToUpper(params.Get("group_by"))
	for name := range strings.SplitSeq(params.Get("metrics"), ",") {
		if m, ok := p.Data.Metrics[name]; ok {
			rows := [][]string{m.row("(all)")}
			for _, g := range m.Groups {
				rows = append(rows, g.row(g.Value))
			}
			fmt.Fprintf(&b, "\n%s\n", visible(name))
			numbers(&b, by, rows, width)
			delete(p.Data.Metrics, name)
		}
	}
	_, err = io.WriteString(out, b.String())
	return err
}

// row is a summary as cells behind its label.
func (s summary) row(label string) []string {
	return []string{label, grouped(s.Count), short(s.Sum), short(s.Min), short(s.Max), short(s.Avg), short(s.P50), short(s.P95), short(s.P99)}
}

// short is a number for a person: three places behind the point, or four digits where it is small; - is none.
func short(n *float64) string {
	if n == nil {
		return "-"
	}
	switch size := math.Abs(*n); {
	case size >= 1e15:
		return strconv.FormatFloat(*n, 'g', 6, 64)
	case size < 1 && size != 0:
		return strconv.FormatFloat(*n, 'g', 4, 64)
	}
	whole, places, _ := strings.Cut(strconv.FormatFloat(*n, 'f', 3, 64), ".")
	i, _ := strconv.ParseInt(whole, 10, 64)
	if places = strings.TrimRight(places, "0"); places != "" {
		places = "." + places
	}
	return grouped(i) + places
}

// numbers writes a table: labels on the left, as wide as the numbers leave room for, and numbers on the right.
func numbers(b *strings.Builder, title string, rows [][]string, width int) {
	rows = append([][]string{{title, "COUNT", "SUM", "MIN", "MAX", "AVG", "P50", "P95", "P99"}}, rows...)
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(visible(cell)))
		}
	}
	room := width
	for _, w := range widths[1:] {
		room -= 2 + w
	}
	label := min(widths[0], max(10, room-2))
	for _, cells := range rows {
		b.WriteString("  " + pad(cells[0], label))
		for i, cell := range cells[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
}

// bars writes each count as a line with a bar as long as its share of the largest.
func bars(b *strings.Builder, title string, counts []tally, width int) {
	fmt.Fprintf(b, "\n%s\n", visible(title))
	if len(counts) == 0 {
		b.WriteString("  (none)\n")
	}
	most, label, digits := int64(1), 0, 0
	for _, c := range counts {
		most = max(most, c.Count)
		label = max(label, utf8.RuneCountInString(visible(c.Value)))
		digits = max(digits, len(grouped(c.Count)))
	}
	label = min(label, max(10, width/2))
	room := int64(max(1, width-label-digits-4))
	for _, c := range counts {
		n := grouped(c.Count)
		fmt.Fprintf(b, "  %s %s%s %s\n", pad(c.Value, label), strings.Repeat(" ", digits-len(n)), n, strings.Repeat("█", int(max(1, c.Count*room/most))))
	}
}
