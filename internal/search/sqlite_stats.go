package search

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Stats finds the rows that match and then goes through the terms of what is counted.
func (x *SQLite) Stats(ctx context.Context, t auth.Tenant, q query.Query, r StatsRequest) (Stats, error) {
	s, err := x.stats(ctx, t, q, r)
	return s, sqlite.Fault(damaged(err), "count")
}

func (x *SQLite) stats(ctx context.Context, t auth.Tenant, q query.Query, r StatsRequest) (s Stats, err error) {
	leave, err := x.enter()
	if err != nil {
		return s, err
	}
	defer leave()
	x.tenantsMu.RLock()
	num, known := x.tenants[t.ID()]
	x.tenantsMu.RUnlock()
	if !known || t.IsZero() {
		return noStats(r), nil
	}
	tenant := appendTenant(nil, num)
	parts, err := compile(q.Where, tenant)
	if err != nil {
		return s, err
	}
	var spill int64
	conn, err := x.db.Reader().Conn(ctx)
	if err != nil {
		return s, err
	}
	defer func() { _ = conn.Close() }()
	// All is read from one state of the file: segments go when they are merged. Neither end of it may be interrupted,
	// the connection would be lent to others in the middle of a transaction.
	whole := context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(whole, "BEGIN"); err != nil {
		return s, err
	}
	defer func() {
		if _, end := conn.ExecContext(whole, "ROLLBACK"); err == nil {
			err = end
		}
	}()
	if err := conn.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = 'spill'").Scan(&spill); err != nil {
		return s, err
	}
	terms, err := newTermReader(ctx, conn)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, terms.close()) }()
	c := counter{finder: finder{ctx: ctx, conn: conn, spill: spill, parts: parts}, terms: terms, tenant: tenant}
	return c.count(r)
}

// counter answers one request.
type counter struct {
	finder
	terms  *termReader
	tenant []byte
	set    rowSet
	total  int64
}

func (c *counter) count(r StatsRequest) (s Stats, err error) {
	for _, p := range c.parts {
		if err := c.collect(p); err != nil {
			return s, err
		}
	}
	c.set.sort()
	first, last := int64(math.MaxInt64), int64(-1) // times
	if err := c.eachTime(func(_ int64, at int64) { c.total++; first, last = min(first, at), max(last, at) }); err != nil {
		return s, err
	}
	if c.total == 0 {
		return noStats(r), nil
	}
	s.Total = c.total
	for _, f := range r.Facets {
		facet, err := c.facet(f, r.Top)
		if err != nil {
			return s, err
		}
		s.Facets = append(s.Facets, facet)
	}
	for _, path := range r.Metrics {
		m, err := c.metric(path, r.GroupBy, r.Top)
		if err != nil {
			return s, err
		}
		s.Metrics = append(s.Metrics, m)
	}
	if r.Interval.wanted() {
		step, err := r.Interval.choose(first, last)
		if err != nil {
			return s, err
		}
		s.Histogram, err = c.histogram(step, first, last)
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

const selectRowsOnly = "SELECT rowid FROM fts WHERE fts MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid"

// collect adds the rows of a part. Where the time of each entry in some buckets fits anyhow, the docs are
// not looked at, and where all of the tenant's entries match, not even the rows.
func (c *counter) collect(p part) error {
	if p.at.from >= p.at.to || p.at.to <= 0 {
		return nil
	}
	if c.spill > 0 {
		return c.rows(p, false, func(row int64, d doc) bool {
			c.set.rows = append(c.set.rows, row)
			c.set.moved = append(c.set.moved, moved{row, d.at})
			return true
		})
	}
	keep := func(row int64, _ doc) bool { c.set.rows = append(c.set.rows, row); return true }
	low, high := c.buckets(p.at)
	inLow, inHigh := c.inside(p.at)
	if !p.whenever() || inLow > inHigh {
		return c.between(p, low, high, false, keep)
	}
	if err := c.between(p, low, inLow-1, false, keep); err != nil {
		return err
	}
	to := &c.set.rows
	match := p.match
	if but, all := allBut(match, (&compiler{tenant: string(c.tenant)}).all()); all {
		c.set.whole = append(c.set.whole, rowRange{bucketStart(inLow), bucketStart(inHigh+1) - 1})
		to, match = &c.set.but, but
	}
	if match != "" {
		if err := c.matching(match, inLow, inHigh, to); err != nil {
			return err
		}
	}
	return c.between(p, inHigh+1, high, false, keep)
}

// allBut says whether an expression is everything that the tenant has, but what another expression finds; that one is
// empty where nothing is left out. Most questions are: by themselves, they leave out the service's own entries.
func allBut(match, all string) (but string, ok bool) {
	if match == all {
		return "", true
	}
	rest, ok := strings.CutPrefix(match, "("+all+" NOT ")
	if !ok {
		return "", false
	}
	depth := 1 // the parenthesis that was cut must be the one that closes last; in quotes there are none
	for i := range len(rest) {
		switch rest[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 && i < len(rest)-1 {
				return "", false
			}
		}
	}
	return strings.TrimSuffix(rest, ")"), depth == 0
}

// matching adds the rows of some buckets that FTS5 finds.
func (c *counter) matching(match string, low, high int64, to *[]int64) (err error) {
	rows, err := c.conn.QueryContext(c.ctx, selectRowsOnly, match, bucketStart(low), bucketStart(high+1)-1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var row int64
	for rows.Next() {
		if err := rows.Scan(&row); err != nil {
			return err
		}
		*to = append(*to, row)
	}
	return rows.Err()
}

// eachTime calls yield for every row of the set with its time, which is that of its bucket: buckets are
// narrower than any interval, and no interval ends inside of one.
func (c *counter) eachTime(yield func(row, at int64)) error {
	for i, row := range c.set.rows {
		if c.set.moved != nil {
			yield(row, c.set.moved[i].at)
		} else {
			yield(row, bucketTime(row))
		}
	}
	has := c.set.finder()
	for _, r := range c.set.whole {
		has.again()
		err := c.terms.each(append(append([]byte{mainIndex}, c.tenant...), markAll), r.from, r.to, func([]byte) {}, func(row int64) {
			if has.row(row) {
				yield(row, bucketTime(row))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bucketTime is the first moment of a row's bucket.
func bucketTime(row int64) int64 { return (row>>slotBits - 1) * bucketWidth }

// facet counts the values of a field.
func (c *counter) facet(f query.Field, top int) (Facet, error) {
	out := Facet{Field: f, Exact: true}
	low, high := c.set.ends()
	var value []byte
	var n int64
	has := c.set.finder()
	end := func() {
		if n == 0 {
			return
		}
		if s, ok := facetValue(f, value); ok {
			out.Values = append(out.Values, Count{s, n})
		}
		if n = 0; len(out.Values) >= 4*top+1000 { // cutting now and then costs less than a heap
			out.Values = sortCounts(f, out.Values, top)
		}
	}
	err := c.terms.each(fieldPrefix(c.tenant, f), low, high, func(rest []byte) {
		if rest = facetTerm(f, rest); !bytes.Equal(value, rest) {
			end()
			value = append(value[:0], rest...)
		}
		has.again()
	}, func(row int64) {
		if has.row(row) {
			n++
		}
	})
	end()
	out.Values = sortCounts(f, out.Values, top)
	return out, err
}

// facetTerm is the piece of a term that makes a value: of an address, all but its zone, as OpenSearch keeps it.
func facetTerm(f query.Field, term []byte) []byte {
	if f == query.IPAddress {
		return term[:min(len(term), addressDigits)]
	}
	return term
}

// facetValue is the value of such a piece.
func facetValue(f query.Field, term []byte) (string, bool) {
	switch f {
	case query.IPAddress:
		return addressValue(term)
	case query.SchemaVersion:
		n, ok := numberOf(term, digitBits)
		return strconv.FormatInt(int64(n), 10), ok
	}
	return termValue(term), true
}

// histogram counts by time and severity.
func (c *counter) histogram(step time.Duration, first, last int64) (*Histogram, error) {
	h := &Histogram{Interval: step}
	origin := first / int64(step)
	buckets := make([]Bucket, last/int64(step)-origin+1)
	err := c.eachTime(func(_, at int64) { buckets[at/int64(step)-origin].Count++ })
	if err != nil {
		return nil, err
	}
	low, high := c.set.ends()
	var by logentry.Severity
	has := c.set.finder()
	err = c.terms.each(fieldPrefix(c.tenant, query.Severity), low, high, func(rest []byte) {
		by, _ = logentry.ParseSeverity(termValue(rest))
		has.again()
	}, func(row int64) {
		if has.row(row) {
			buckets[c.set.timeOf(row)/int64(step)-origin].BySeverity[by]++
		}
	})
	for i, b := range buckets {
		if b.Count > 0 {
			b.Start = time.Unix(0, (origin+int64(i))*int64(step)).UTC()
			h.Buckets = append(h.Buckets, b)
		}
	}
	return h, err
}

// decoded undoes encoded.
var decoded = func() (t [256]byte) {
	for c, to := range encoded {
		t[to] = byte(c)
	}
	return t
}()

// termValue is the value that appendValue encoded.
func termValue(term []byte) string {
	out := make([]byte, 0, len(term))
	for i := 0; i < len(term); i++ {
		if term[i] == escape && i+1 < len(term) {
			i++
			out = append(out, term[i])
			continue
		}
		out = append(out, decoded[term[i]])
	}
	return string(out)
}

const addressDigits = 32

// addressValue is the address that appendAddress encoded, in its one spelling.
func addressValue(term []byte) (string, bool) {
	if len(term) != addressDigits {
		return "", false
	}
	s := make([]byte, 0, addressDigits+7)
	for i := 0; i < addressDigits; i += 4 {
		if i > 0 {
			s = append(s, ':')
		}
		s = append(s, term[i:i+4]...)
	}
	return query.Address(string(s))
}
