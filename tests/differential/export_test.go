//go:build e2e

package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// exports downloads what questions find from both systems and compares it with what they keep, line by line, with what
// a search counts, and with each other. It returns how many entries there were.
func (w *twins) exports(ctx context.Context) (entries int) {
	for _, tenant := range tenants {
		for _, filter := range []string{"", "service=s1", "q=payment", "min_severity=WARNING&sort=received_at", "service=!s1&sort=timestamp", "search=nothinglikethis", "sort=recorded", "q=payment&sort=recorded"} {
			r := get(tenant, "/api/v1/logs/export?"+filter)
			a := w.exported(ctx, r)
			total := w.exactly(ctx, tenant, strings.TrimSuffix(strings.TrimSuffix(filter, "sort=recorded"), "&"))
			var content [2][]string
			for side := range a {
				lines := strings.Split(strings.TrimSuffix(string(a[side].body), "\n"), "\n")
				last := lines[len(lines)-1]
				lines = lines[:len(lines)-1]
				if want := fmt.Sprintf(`{"complete":true,"count":%d}`, total[side]); last != want || len(lines) != total[side] {
					w.report.differs(r, a, "%s exports %d entries and ends with %s, the search counts %d", sideNames[side], len(lines), last, total[side])
					return entries
				}
				for _, line := range lines {
					if kept := w.kepts[side][idOf([]byte(line))]; kept == nil || !bytes.Equal(kept.raw, []byte(line)) {
						w.report.differs(r, a, "%s exports another entry than it keeps: %.300s", sideNames[side], line)
						return entries
					}
					id := idOf([]byte(line))
					if side == 1 {
						id = w.ids.to[1][id]
					}
					content[side] = append(content[side], id)
				}
				entries += len(lines)
			}
			if !strings.Contains(filter, "rec") && tenant == "many" { // whose times are what was sent, each another
				if !slices.Equal(content[0], content[1]) {
					w.report.differs(r, a, "the orders differ")
				}
			}
			slices.Sort(content[0])
			slices.Sort(content[1])
			if !slices.Equal(content[0], content[1]) {
				w.report.differs(r, a, "the entries differ")
			}
		}
		w.parts(ctx, tenant)
		for _, format := range []string{"csv", "csv&raw=1", "json", "bigquery", "ndjson&limit=7"} {
			r := get(tenant, "/api/v1/logs/export?sort=timestamp&end_time=2025-12-31&columns=service,message,user_id,metadata,metadata.order.id,changes,severity&format="+format)
			a := w.exported(ctx, r)
			var text [2]string
			for side := range a { // entries of the same time are in the order of their ids, which are each system's own
				lines := strings.SplitAfter(string(a[side].body), "\n")
				if i := strings.Index(lines[max(0, len(lines)-2)], `,"next_cursor":`); i >= 0 {
					lines[len(lines)-2] = lines[len(lines)-2][:i]
				}
				if tenant != "many" {
					for i := range lines {
						lines[i] = strings.TrimSuffix(strings.TrimSuffix(lines[i], "\n"), ",")
					}
					if strings.Contains(format, "limit") {
						lines = nil
					}
					slices.Sort(lines)
				}
				text[side] = strings.Join(lines, "")
			}
			if text[0] != text[1] {
				w.report.differs(r, a, "the texts differ")
			}
		}
	}
	return entries
}

// parts downloads everything of a tenant in three parts as it was recorded, and compares them with the whole.
func (w *twins) parts(ctx context.Context, tenant string) {
	const target = "/api/v1/logs/export?sort=recorded&columns=id"
	whole := w.exported(ctx, get(tenant, target))
	for side := range whole {
		lines := strings.SplitAfter(string(whole[side].body), "\n")
		limit := max(1, len(lines)/3)
		var got []string
		cursor := ""
		for range 5 {
			r := get(tenant, fmt.Sprintf("%s&limit=%d%s", target, limit, cursor))
			targets := [2]string{target + "&limit=1", target + "&limit=1"} // the other side has places of its own
			targets[side] = r.target
			a, err := w.both(ctx, r, targets)
			if err != nil || a[side].status != http.StatusOK {
				w.t.Errorf("%s: %d %v", r, a[side].status, err)
				return
			}
			part := strings.SplitAfter(strings.TrimSuffix(string(a[side].body), "\n"), "\n")
			got = append(got, part[:len(part)-1]...)
			var last struct {
				Next string `json:"next_cursor"`
			}
			if err := json.Unmarshal([]byte(part[len(part)-1]), &last); err != nil {
				w.t.Error(err)
			}
			if last.Next == "" {
				break
			}
			cursor = "&cursor=" + last.Next
		}
		if n := len(lines) - 2; len(got) != n || strings.Join(got, "") != strings.Join(lines[:n], "") { // without the last line, and nothing behind it
			w.report.differs(get(tenant, target), whole, "%s has %d entries in parts, %d in one", sideNames[side], len(got), n)
		}
	}
}

// exported is an export of both systems.
func (w *twins) exported(ctx context.Context, r request) [2]answer {
	a, err := w.both(ctx, r, [2]string{r.target, r.target})
	if err != nil {
		w.t.Errorf("%s: %v", r, err)
		return a
	}
	w.api.check(w.t, "GET", "/api/v1/logs/export", a)
	if words := sameHead(a); words != "" || a[0].status != http.StatusOK {
		w.report.differs(r, a, "%d, %s", a[0].status, words)
	}
	return a
}

// exactly is how many entries a search finds on each side.
func (w *twins) exactly(ctx context.Context, tenant, filter string) (total [2]int) {
	target := "/api/v1/logs?limit=1&total=exact&" + filter
	a, err := w.both(ctx, get(tenant, target), [2]string{target, target})
	if err != nil {
		w.t.Error(err)
		return total
	}
	for side := range a {
		var p struct {
			Meta struct {
				Pagination struct{ Total int }
			}
		}
		if err := json.Unmarshal(a[side].body, &p); err != nil {
			w.t.Error(err)
		}
		total[side] = p.Meta.Pagination.Total
	}
	return total
}
