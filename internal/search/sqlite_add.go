package search

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Add indexes records in one transaction, together with what others add at the same time. A record whose
// id is there already is Indexed without being written again; ids are looked for where their timestamp is,
// since an id always comes with the same one. Refused are records without a tenant, and times before 1970
// or after 2261.
func (x *SQLite) Add(ctx context.Context, records []logentry.Record) ([]Verdict, error) {
	leave, err := x.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if len(records) == 0 {
		return nil, nil
	}
	a := &addition{records: records, verdicts: make([]Verdict, len(records)), done: make(chan struct{})}
	x.makeAhead(a)
	x.line.run(ctx, a, x.addGroup)
	if a.ahead != nil {
		x.builders.Put(a.ahead)
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.verdicts, nil
}

// addGroup settles the Adds that came together.
func (x *SQLite) addGroup(group []*addition) {
	settle := func(err error) {
		for _, a := range group {
			a.err = err
		}
	}
	settle(errUnfinished)                          // stays only after a panic
	ahead, items := group[0].ahead, group[0].items // an Add with them is a group of its own
	if ahead == nil {
		items = newcomers(group)
	}
	if len(items) == 0 {
		settle(nil)
		return
	}
	var spill int64
	var tenants map[string]int64
	err := x.db.Write(context.Background(), func(c *sqlite.Conn) (err error) {
		if !x.loaded {
			if err := x.load(c); err != nil {
				return err
			}
		}
		x.loaded = false // until all of it is durable, memory is ahead of the file
		if tenants, err = x.numberTenants(c, items); err != nil {
			return err
		}
		if items, spill, err = x.place(c, items); err != nil || len(items) == 0 {
			return err
		}
		if err := writeDocs(c, items); err != nil {
			return err
		}
		if ahead != nil && !ahead.rowsOf(items) {
			ahead = nil
		}
		if err := x.writeTerms(c, items, ahead); err != nil || !x.memory {
			return err
		}
		// FTS5 keeps the structure in memory until another connection writes. Here there is no other one.
		_, err = c.Exec("PRAGMA writable_schema = RESET")
		return err
	})
	if err != nil {
		settle(damaged(err))
		return
	}
	x.spill.Store(spill)
	x.tenantsMu.Lock()
	x.tenants = tenants
	x.tenantsMu.Unlock()
	x.loaded = true
	settle(nil)
}

var errUnfinished = fault.New(fault.Internal, "index_failed", "the index stopped in the middle of a batch")

// item is a record on its way into the index.
type item struct {
	doc
	row    int64
	tenant int64
	entry  *logentry.Entry
}

// newcomers gives every record its verdict and returns those that can be indexed, in the order of time,
// each id once. The verdicts count only if the transaction succeeds.
func newcomers(group []*addition) (items []item) {
	n := 0
	for _, a := range group {
		n += len(a.records)
	}
	items = make([]item, 0, n)
	for _, a := range group {
		for i := range a.records {
			e := &a.records[i].Entry
			at := nanoseconds(e.Timestamp)
			if e.TenantID == "" || at < 0 || at == maxTime {
				a.verdicts[i] = Refused
				continue
			}
			a.verdicts[i] = Indexed
			items = append(items, item{doc: doc{at: at, received: nanoseconds(e.ReceivedAt), id: e.ID}, entry: e})
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.at != b.at {
			return cmp.Compare(a.at, b.at)
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	return slices.CompactFunc(items, func(a, b item) bool { return a.id == b.id })
}

// numberTenants gives each item the number of its tenant and returns all numbers; new tenants get one.
func (x *SQLite) numberTenants(c *sqlite.Conn, items []item) (map[string]int64, error) {
	known := x.tenants // only the leader changes it
	last, num := "", int64(0)
	for i := range items {
		id := items[i].entry.TenantID
		if id != last {
			n, ok := known[id]
			if !ok {
				r, err := c.Exec("INSERT INTO tenants(id) VALUES(?)", id)
				if err != nil {
					return nil, err
				}
				if n, err = r.LastInsertId(); err != nil {
					return nil, err
				}
				next := make(map[string]int64, len(known)+1)
				for id, n := range known {
					next[id] = n
				}
				next[id] = n
				known = next
			}
			last, num = id, n
		}
		items[i].tenant = num
	}
	return known, nil
}

// place gives each item its row and leaves out those that are there already.
func (x *SQLite) place(c *sqlite.Conn, items []item) (kept []item, spill int64, err error) {
	spill = x.spill.Load()
	p := placer{c: c, lastRow: x.lastRow, spill: spill, maxSlots: x.maxSlots}
	kept = items[:0]
	for len(items) > 0 {
		bucket := bucketOf(items[0].at)
		n := 1
		for n < len(items) && bucketOf(items[n].at) == bucket {
			n++
		}
		there, err := p.there(bucket, items[:n])
		if err != nil {
			return nil, 0, err
		}
		for _, it := range items[:n] {
			if there[it.id] {
				continue
			}
			if it.row, err = p.next(bucket); err != nil {
				return nil, 0, err
			}
			kept = append(kept, it)
		}
		items = items[n:]
	}
	if p.spill > spill {
		spill = p.spill
		if _, err := c.Exec("UPDATE facts SET value = ? WHERE name = 'spill'", spill); err != nil {
			return nil, 0, err
		}
	}
	x.lastRow = max(x.lastRow, p.row)
	return kept, spill, nil
}

// placer gives rows out in ascending order.
type placer struct {
	c        *sqlite.Conn
	lastRow  int64 // the highest that is in the file
	row      int64 // the last that was given out
	bucket   int64 // the one that free is about
	free     int64 // the first row behind all of the bucket's that are in the file
	spill    int64
	maxSlots int64
}

// there returns the ids among the items of one bucket that are in the file.
func (p *placer) there(bucket int64, items []item) (map[logentry.ID]bool, error) {
	if bucketStart(bucket) > p.lastRow {
		return nil, nil
	}
	rows, err := p.c.Query("SELECT entries FROM docs WHERE first >= ? AND first < ?", bucketStart(bucket), bucketStart(bucket+p.spill+1))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var wanted map[logentry.ID]bool
	for rows.Next() {
		var block []byte
		if err := rows.Scan(&block); err != nil {
			return nil, err
		}
		if wanted == nil {
			wanted = make(map[logentry.ID]bool, len(items))
			for _, it := range items {
				wanted[it.id] = false
			}
		}
		for ; len(block) >= docSize; block = block[docSize:] {
			d, _ := readDoc(block)
			if _, ok := wanted[d.id]; ok {
				wanted[d.id] = true
			}
		}
	}
	return wanted, rows.Err()
}

// next is a free row in the bucket, or in the first one behind it that has one.
func (p *placer) next(bucket int64) (int64, error) {
	for b := max(bucket, p.row>>slotBits); ; b++ {
		if p.bucket != b {
			if err := p.look(b); err != nil {
				return 0, err
			}
		}
		row := max(p.free, p.row+1)
		if row < bucketStart(b)+p.maxSlots {
			p.row = row
			p.spill = max(p.spill, b-bucket)
			return row, nil
		}
	}
}

// look finds the first row behind all of a bucket's.
func (p *placer) look(bucket int64) error {
	p.bucket, p.free = bucket, bucketStart(bucket)
	if p.free > p.lastRow {
		return nil
	}
	return one(p.c, "SELECT coalesce(max(first + length(entries)/32), ?1) FROM (SELECT first, entries FROM docs WHERE first >= ?1 AND first < ?2 ORDER BY first DESC LIMIT 1)",
		[]any{bucketStart(bucket), bucketStart(bucket + 1)}, &p.free)
}

const docRowsAtOnce = 16

const insertDoc = "INSERT INTO docs(first, received, spread, entries) VALUES "

var insertDocs = insertDoc + sqlite.Placeholders(docRowsAtOnce, 4)

// writeDocs writes what the index keeps beside the terms, consecutive rows together.
func writeDocs(c *sqlite.Conn, items []item) error {
	var args []any
	for len(items) > 0 {
		n, received, spread := docsTogether(items)
		block := make([]byte, 0, n*docSize)
		for _, it := range items[:n] {
			block = appendDoc(block, it.doc)
		}
		args = append(args, items[0].row, received, spread, block)
		items = items[n:]
		if len(args) == 4*docRowsAtOnce {
			if _, err := c.Exec(insertDocs, args...); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	for ; len(args) > 0; args = args[4:] {
		if _, err := c.Exec(insertDoc+"(?,?,?,?)", args[:4]...); err != nil {
			return err
		}
	}
	return nil
}

// docsTogether is how many of the items, from the first on, make a row of docs, and when they were received: the first
// time, and by how much the last is behind it.
func docsTogether(items []item) (n int, received, spread int64) {
	low, high := items[0].received, items[0].received
	for n = 1; n < len(items) && n < docsInRow && items[n].row == items[0].row+int64(n); n++ {
		l, h := min(low, items[n].received), max(high, items[n].received)
		if uint64(h)-uint64(l) > uint64(maxSpread) { // the difference of any two times fits
			break
		}
		low, high = l, h
	}
	return n, low, high - low
}

// writeTerms writes the items' terms as new segments and does its share of merging. ahead is their terms
// where they were made already, otherwise nil.
func (x *SQLite) writeTerms(c *sqlite.Conn, items []item, ahead *builder) error {
	out := &pageWriter{c: c}
	var tenant []byte
	last := int64(-1)
	write := func(b *builder) error {
		id := x.newSegmentID()
		pages, err := b.write(newSegmentWriter(out, id))
		if err != nil {
			return err
		}
		x.addSegment(segment{id: id, pages: pages})
		return nil
	}
	if ahead != nil {
		items = nil
		if err := write(ahead); err != nil {
			return err
		}
	}
	x.builder.reset()
	for _, it := range items {
		if it.tenant != last {
			tenant, last = appendTenant(tenant[:0], it.tenant), it.tenant
		}
		x.builder.add(it.row, tenant, it.entry)
		if x.builder.full() {
			if err := write(x.builder); err != nil {
				return err
			}
		}
	}
	if !x.builder.empty() {
		if err := write(x.builder); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	x.structure.written += uint64(out.written)
	if err := x.workMerges(c, out.written); err != nil {
		return err
	}
	_, err := c.Exec("UPDATE fts_data SET block = ? WHERE id = 10", x.structure.append(nil))
	return err
}
