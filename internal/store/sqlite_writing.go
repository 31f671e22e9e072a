package store

import (
	"database/sql"

	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// writing is one transaction of Puts.
type writing struct {
	s     *SQLite
	c     *sqlite.Conn
	seq   int64            // of the next block
	fresh map[string]int64 // tenants that got their number in this transaction
	args  []any
}

func (w *writing) puts(c *sqlite.Conn, group []*put) error {
	w.c = c
	// AUTOINCREMENT remembers the highest number for good: places never come again, also after deletes.
	if err := w.scan("SELECT coalesce(max(seq),0)+1 FROM sqlite_sequence WHERE name='blocks'", &w.seq); err != nil {
		return err
	}
	for _, p := range group {
		p.held = p.held[:0]
		for i := range p.chunks {
			if err := w.chunk(p, &p.chunks[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunk writes the ids of a chunk as if all were new, which they nearly always are: then the number of
// rows says so. Otherwise it looks which were held and packs the block again without them.
func (w *writing) chunk(p *put, ch *chunk) error {
	num, err := w.owner(ch.tenantID)
	if err != nil {
		return err
	}
	place := w.seq * blockSlots
	w.args = w.args[:0]
	for slot, i := range ch.slots {
		r := &p.records[i]
		w.args = append(w.args, r.ID[:], num, r.Timestamp.UnixNano(), place+int64(slot))
	}
	result, err := w.c.Exec(w.s.texts.insert[len(ch.slots)-1], w.args...)
	if err != nil {
		return err
	}
	stored, err := result.RowsAffected()
	if err != nil {
		return err
	}
	body := ch.body
	if int(stored) == len(ch.slots) {
		for _, i := range ch.slots {
			p.verdicts[i] = Stored
		}
	} else {
		holes, err := w.held(p, ch, num, place)
		if err != nil || stored == 0 {
			return err
		}
		sc := w.s.scratch.Get().(*scratch)
		defer w.s.scratch.Put(sc)
		body = sc.pack(p.records, ch.slots, holes)
	}
	w.seq++
	_, err = w.c.Exec("INSERT INTO blocks VALUES(?,?,?,?,?,?,?,?)", w.seq-1, num, stored,
		ch.ts.min, ch.ts.max, ch.received.min, ch.received.max, body)
	return err
}

// held gives the verdicts of a chunk in which some ids were there before, and returns these as holes.
func (w *writing) held(p *put, ch *chunk, num, place int64) (holes uint64, err error) {
	w.args = w.args[:0]
	for _, i := range ch.slots {
		w.args = append(w.args, p.records[i].ID[:])
	}
	type holder struct{ tenant, place int64 }
	holders := make(map[logentry.ID]holder, len(ch.slots))
	rows, err := w.c.Query(w.s.texts.many, pad(w.args, blockSlots)...)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		var id sql.RawBytes
		var h holder
		if err := rows.Scan(&id, &h.tenant, &h.place); err != nil {
			_ = rows.Close()
			return 0, err
		}
		holders[logentry.ID(id)] = h
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for slot, i := range ch.slots {
		h := holders[p.records[i].ID]
		switch {
		case h.place == place+int64(slot):
			p.verdicts[i] = Stored
			continue
		case h.tenant == num:
			p.verdicts[i] = Duplicate
			p.held = append(p.held, located{h.place, int(i)})
		default: // an id of another tenant: the record as held is not this one's to see
			p.verdicts[i] = Rejected
		}
		holes |= 1 << slot
	}
	return holes, nil
}

// owner returns the tenant's number, making one where there is none.
func (w *writing) owner(tenantID string) (num int64, err error) {
	if n, ok := w.s.owners.Load(tenantID); ok {
		return n.(int64), nil
	}
	if n, ok := w.fresh[tenantID]; ok {
		return n, nil
	}
	if _, err := w.c.Exec("INSERT OR IGNORE INTO owners(id) VALUES(?)", tenantID); err != nil {
		return 0, err
	}
	if err := w.scan("SELECT num FROM owners WHERE id=?", &num, tenantID); err != nil {
		return 0, err
	}
	w.fresh[tenantID] = num
	return num, nil
}

// scan reads the one value that query gives.
func (w *writing) scan(query string, into *int64, args ...any) error {
	stmt, err := w.c.Stmt(query)
	if err != nil {
		return err
	}
	return stmt.QueryRow(args...).Scan(into)
}
