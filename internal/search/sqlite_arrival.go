package search

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"time"
)

// Pages by arrival are read from blocks, the rows of docs, in the order in which they were received: what FTS5 finds of
// their entries is the page. How long that takes depends on how many of all entries match, and on how far apart those
// lie by timestamp that came together; reading all that matches takes the same for each match. Which is shorter shows
// on the way: few matches are read all, and blocks are left when they would take longer than all does.
// Times are measured, not counted, since a question for a prefix costs FTS5 a thousand times one for a word.

// arrivalWay is how a page by arrival is read. Only tests change it.
type arrivalWay struct {
	few   int64   // matches up to which all are read
	share float64 // of the time that all would take, what blocks may take
	gap   float64 // what rows between wanted ones may take of the time that a new question takes; below 0: terms tell all that they can
	again bool    // ask FTS5 again also where the terms could tell
}

var usualArrival = arrivalWay{few: 1000, share: 1, gap: 1}

// errMany says that there are more matches than were to be read.
var errMany = errors.New("more matches than are read all")

func (f *finder) byArrival() error {
	began := time.Now()
	if f.most = f.arrival.few; f.most > 0 {
		if err := f.byReading(); !errors.Is(err, errMany) {
			return err
		}
	}
	b := blocks{finder: f, began: time.Now(), known: max(f.most, 1)}
	b.each = max((b.began.Sub(began)-f.setup)/time.Duration(b.known), 1)
	f.most, f.matched, f.hits = 0, 0, f.hits[:0]
	done, err := b.find()
	if done || err != nil {
		return err
	}
	f.hits = f.hits[:0]
	return f.byReading()
}

// byReading reads everything and keeps the best.
func (f *finder) byReading() error {
	last, from := f.after()
	f.whole = true
	for _, p := range f.parts {
		err := f.rows(p, true, func(_ int64, d doc) bool {
			f.matched++
			if !from || f.compare(d, last) > 0 {
				f.hits = append(f.hits, d)
			}
			if len(f.hits) >= 4*f.want+1000 { // cutting now and then costs less than a heap
				f.cut()
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	f.cut()
	return nil
}

func (f *finder) cut() {
	slices.SortFunc(f.hits, f.compare)
	f.hits = f.hits[:min(len(f.hits), f.want)]
}

// blocks reads a page from blocks.
type blocks struct {
	*finder
	seen  int // entries
	edge  edge
	found []candidate
	terms *termReader // nil until it is needed

	began time.Time
	each  time.Duration // that one of all matches would take
	known int64         // there are as many matches, or more
	all   bool          // there are no more
}

// edge is the place of a block in the order of arrival.
type edge struct{ received, spread, first int64 }

// candidate is an entry of a block whose times fit.
type candidate struct {
	part int
	row  int64
	doc
}

// find says whether it was worth while; otherwise nothing is known.
func (b *blocks) find() (done bool, err error) {
	// As in stats: one state of the file, and no interruption at either end of it.
	whole := context.WithoutCancel(b.ctx)
	if _, err := b.conn.ExecContext(whole, "BEGIN"); err != nil {
		return false, err
	}
	defer func() {
		if b.terms != nil {
			err = errors.Join(err, b.terms.close())
		}
		if _, end := b.conn.ExecContext(whole, "ROLLBACK"); err == nil {
			err = end
		}
	}()
	last, from := b.after()
	spans := receivedIn(b.parts)
	if b.newest {
		slices.Reverse(spans)
	}
	for _, s := range spans {
		low, high := s.from, s.to
		if high != maxTime {
			high--
		}
		switch {
		case !from:
		case b.newest:
			high = min(high, last.received)
		default:
			low = max(low, last.received)
		}
		if done, err := b.within(low, high); !done || err != nil {
			return false, err
		}
		if len(b.hits) >= b.want {
			break
		}
	}
	// Nothing was left out unless there is a hit for each place.
	b.matched, b.whole = int64(len(b.hits)), !from && len(b.hits) < b.want
	return true, nil
}

// receivedIn are the times in which what is asked for was received, in order and apart.
func receivedIn(parts []part) (all []span) {
	var each []span
	for i := range parts {
		each = append(each, parts[i].received...)
	}
	slices.SortFunc(each, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for _, s := range each {
		if n := len(all); n > 0 && all[n-1].to >= s.from {
			all[n-1].to = max(all[n-1].to, s.to)
			continue
		}
		all = append(all, s)
	}
	return all
}

// within finds what was received from low to high, both included.
func (b *blocks) within(low, high int64) (done bool, err error) {
	b.edge = edge{high, math.MaxInt64, math.MaxInt64}
	if !b.newest {
		b.edge = edge{before(low), -1, -1}
	}
	for {
		if len(b.hits) >= b.want {
			if worst := b.hits[b.want-1].received; b.newest {
				low = max(low, worst)
			} else {
				high = min(high, worst)
			}
		}
		if low > high {
			return true, nil
		}
		end, err := b.read(low, high)
		if err == nil {
			err = b.match()
		}
		if err != nil || end {
			return true, err
		}
		if long, err := b.tooLong(); long || err != nil {
			return false, err
		}
	}
}

// before is from when on a block can have entries of a time.
func before(ns int64) int64 {
	if ns < minTime+maxSpread {
		return minTime
	}
	return ns - maxSpread
}

const (
	selectBlocks = "SELECT received, spread, first, entries FROM docs INDEXED BY docs_arrival WHERE "
	newestBlocks = selectBlocks + "(received, spread, first) < (?, ?, ?) AND received >= ? AND received + spread >= ? ORDER BY received DESC, spread DESC, first DESC"
	oldestBlocks = selectBlocks + "(received, spread, first) > (?, ?, ?) AND received <= ? AND received + spread >= ? ORDER BY received, spread, first"
)

// read takes candidates from the next blocks; end says that those were the last.
func (b *blocks) read(low, high int64) (end bool, err error) {
	text, bound := oldestBlocks, high
	if b.newest {
		text, bound = newestBlocks, before(low)
	}
	rows, err := b.conn.QueryContext(b.ctx, text, b.edge.received, b.edge.spread, b.edge.first, bound, low)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	last, from := b.after()
	b.found = b.found[:0]
	upTo := b.seen + b.more()
	var entries sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&b.edge.received, &b.edge.spread, &b.edge.first, &entries); err != nil {
			return false, err
		}
		for row := b.edge.first; len(entries) >= docSize; row++ {
			d, _ := readDoc(entries)
			entries = entries[docSize:]
			b.seen++
			if d.received < low || d.received > high || from && b.compare(d, last) <= 0 ||
				len(b.hits) >= b.want && b.compare(d, b.hits[b.want-1]) >= 0 {
				continue
			}
			if p := b.partOf(d); p >= 0 {
				b.found = append(b.found, candidate{p, row, d})
			}
		}
		if b.seen >= upTo {
			return false, nil
		}
	}
	return true, rows.Err()
}

// more is how many entries to read next: about twice as many as should be enough, since asking FTS5 again for few costs
// more than asking once for many, if they lie apart.
func (b *blocks) more() int {
	n := b.want - len(b.hits)
	switch {
	case n <= 0: // entries that were received about when the last hit was
		n = maxAtOnce
	case b.seen > 0:
		n = min(n*b.seen/max(len(b.hits), 1), 4*b.seen)
	}
	return min(2*n+100, maxAtOnce)
}

// maxAtOnce is how many entries are kept until FTS5 is asked, 2 MB.
const maxAtOnce = 1 << 15

// partOf is where the part stands that may ask for an entry of such times; -1 for none.
func (f *finder) partOf(d doc) int {
	i, _ := slices.BinarySearchFunc(f.parts, d.at, func(p part, at int64) int {
		if p.at.to <= at && p.at.to != maxTime {
			return -1
		}
		return 1
	})
	for ; i < len(f.parts) && f.parts[i].at.from <= d.at; i++ {
		if f.parts[i].has(d) {
			return i
		}
	}
	return -1
}

// match makes hits of the candidates that FTS5 finds, and keeps the best.
func (b *blocks) match() error {
	if len(b.found) == 0 {
		return nil
	}
	slices.SortFunc(b.found, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(x.part, y.part), cmp.Compare(x.row, y.row))
	})
	ask, err := b.conn.PrepareContext(b.ctx, selectRowsOnly)
	if err != nil {
		return err
	}
	defer func() { _ = ask.Close() }()
	for left := b.found; len(left) > 0; {
		n := 1
		for n < len(left) && left[n].part == left[0].part {
			n++
		}
		tree, simple := parseMatch(b.parts[left[0].part].match)
		simple = simple && !b.arrival.again
		known, err := 0, error(nil)
		if !simple || b.arrival.gap >= 0 {
			known, err = b.some(ask, left[:n], simple)
		}
		if err == nil && known < n && simple {
			err = b.byTerms(tree, left[known:n])
			known = n
		}
		if err != nil {
			return err
		}
		left = left[known:]
	}
	b.cut()
	return nil
}

// byTerms makes hits of those of a part's candidates that terms tell.
func (b *blocks) byTerms(tree termNode, left []candidate) (err error) {
	if b.terms == nil {
		if b.terms, err = newTermReader(b.ctx, b.conn); err != nil {
			return err
		}
	}
	rows := make([]int64, len(left))
	for i := range left {
		rows[i] = left[i].row
	}
	is, err := b.terms.which(tree, rows)
	for i := range is {
		if is[i] {
			b.hits = append(b.hits, left[i].doc)
		}
	}
	return err
}

// some asks FTS5 for the first of a part's candidates, and returns of how many it knows: all, unless it takes long to
// pass over the rows between them. Where the terms can tell the rest, it counts how long that took since the first.
func (b *blocks) some(ask *sql.Stmt, left []candidate, simple bool) (n int, err error) {
	asked := time.Now()
	rows, err := ask.QueryContext(b.ctx, b.parts[left[0].part].match, left[0].row, left[len(left)-1].row)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var patience, passed time.Duration
	var since time.Time // no row was wanted
	for first := true; rows.Next(); first = false {
		if first {
			patience = time.Duration(b.arrival.gap * float64(time.Since(asked)))
		}
		var row int64
		if err := rows.Scan(&row); err != nil {
			return 0, err
		}
		for left[n].row < row {
			n++
		}
		switch {
		case left[n].row == row:
			b.hits = append(b.hits, left[n].doc)
			if n++; n == len(left) {
				return n, nil
			}
			if simple && !since.IsZero() {
				passed += time.Since(since)
			}
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case passed+time.Since(since) > patience:
			return n, nil
		}
	}
	return len(left), rows.Err()
}

// tooLong says that what was read and what is to be read next take longer than all that matches.
func (b *blocks) tooLong() (bool, error) {
	next := 1.0
	if len(b.hits) < b.want {
		next += float64(b.more()) / float64(max(b.seen, 1))
	}
	for next*float64(time.Since(b.began)) > b.arrival.share*float64(b.setup+b.each*time.Duration(b.known)) {
		if b.all {
			return true, nil
		}
		began, limit, n := time.Now(), 4*b.known, int64(0)
		for _, p := range b.parts {
			low, high := b.buckets(p.at)
			var some int64
			if err := b.conn.QueryRowContext(b.ctx, selectCount, p.match, bucketStart(low), bucketStart(high+1)-1, limit-n).Scan(&some); err != nil {
				return false, err
			}
			if n += some; n == limit {
				break
			}
		}
		b.known, b.all = n, n < limit
		b.began = b.began.Add(time.Since(began))
	}
	return false, nil
}
