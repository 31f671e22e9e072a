package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

const statsLong = `Counts entries: how many there are, the most frequent values of some fields, and a histogram.

The query is that of search. Elsewhere than on a terminal, and with --json, the answer of the service is printed.`

// statsOptions are the flags of stats.
type statsOptions struct {
	searchOptions
	facets   string
	top      int
	interval string
}

func newStatsCmd() *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats [QUERY]",
		Short: "Count entries",
		Long:  statsLong,
		Example: "  ocelot stats --since 1d\n  ocelot stats 'severity:ERROR' --facets service,user_id --top 5\n" +
			"  ocelot stats 'action:LOGIN' --since 7d --interval 1d --facets ''",
		Args: oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.params(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"facets": o.facets, "top": strconv.Itoa(o.top), "interval": o.interval} {
				if value != "" {
					params.Set(name, value)
				}
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			width := 0
			if !o.json && isTerminal(out) {
				width = terminalWidth(out)
			}
			return stats(cmd.Context(), c, params, width, out)
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.facets, "facets", "severity,service,action", "fields whose values are counted, separated by commas; '' for none")
	f.IntVar(&o.top, "top", 10, "how many values of each")
	f.StringVar(&o.interval, "interval", "auto", "width of a bar of the histogram: auto, off, 30s, 5m, 1h, 1d")
	f.StringVar(&o.since, "since", "", "not older than this: 15m, 2h, 7d, 1w")
	f.StringVar(&o.start, "start", "", "from this time on, RFC 3339")
	f.StringVar(&o.end, "end", "", "before this time, RFC 3339")
	f.BoolVar(&o.json, "json", false, "JSON on a terminal too")
	return cmd
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
	fmt.Fprintf(&b, "%s entries\n", grouped(p.Data.Total))
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
	_, err = io.WriteString(out, b.String())
	return err
}

// bars writes each count as a line with a bar as long as its share of the largest.
func bars(b *strings.Builder, title string, counts []tally, width int) {
	fmt.Fprintf(b, "\n%s\n", visible(title))
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
