package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"strconv"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// blocksAtOnce is how many blocks one statement fetches: about 200 KiB.
const blocksAtOnce = 16

// located says where a record lies, and which of those asked for it is.
type located struct {
	place int64
	index int
}

// Get returns one record.
func (s *SQLite) Get(ctx context.Context, t auth.Tenant, id logentry.ID) (logentry.Record, error) {
	found, err := s.GetMany(ctx, t, []logentry.ID{id})
	if err != nil {
		return logentry.Record{}, err
	}
	if len(found) == 0 {
		return logentry.Record{}, fault.New(fault.NotFound, "entry_not_found", "no entry has this id")
	}
	return found[0], nil
}

// GetMany returns the records of ids in their order, unpacking each block that they lie in once.
func (s *SQLite) GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	num, ok, err := s.owner(ctx, t.ID())
	if err != nil || !ok {
		return nil, failed(err, "get records")
	}
	records, err := s.getMany(ctx, num, ids)
	return records, failed(err, "get records")
}

// getMany is GetMany for a tenant's number; 0 stands for every tenant.
func (s *SQLite) getMany(ctx context.Context, num int64, ids []logentry.ID) ([]logentry.Record, error) {
	places := make(map[logentry.ID]int64, len(ids))
	for part := range slices.Chunk(ids, blockSlots) {
		text, width := s.texts.many, blockSlots
		if len(part) == 1 {
			text, width = s.texts.one, 1
		}
		args := make([]any, 0, width)
		for i := range part {
			args = append(args, part[i][:])
		}
		err := s.each(ctx, text, pad(args, width), func(rows *sql.Rows) error {
			var id sql.RawBytes
			var tenant, place int64
			if err := rows.Scan(&id, &tenant, &place); err != nil {
				return err
			}
			if num == 0 || num == tenant {
				places[logentry.ID(id)] = place
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	want := make([]located, 0, len(ids))
	for i, id := range ids {
		if place, ok := places[id]; ok {
			want = append(want, located{place, i})
		}
	}
	records := make([]logentry.Record, len(ids))
	if err := s.load(ctx, want, func(i int, r logentry.Record) { records[i] = r }); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(records, func(r logentry.Record) bool { return r.JSON == nil }), nil
}

// load reads the records at want, which it sorts, and hands each to got with its index. Places that are
// gone are left out.
func (s *SQLite) load(ctx context.Context, want []located, got func(int, logentry.Record)) error {
	slices.SortFunc(want, func(a, b located) int { return cmp.Compare(a.place, b.place) })
	return s.visit(ctx, want, func(b *block, tenantID string, here []located) error {
		for _, l := range here {
			r, ok, err := b.record(int(l.place%blockSlots), tenantID)
			if err != nil {
				return err
			}
			if ok {
				got(l.index, r)
			}
		}
		return nil
	})
}

// visit opens each block that want (sorted by place) points into once, and calls fn with what of want
// lies in it. fn must not keep the block, nor use the store.
func (s *SQLite) visit(ctx context.Context, want []located, fn func(b *block, tenantID string, here []located) error) error {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	for len(want) > 0 {
		args := make([]any, 0, blocksAtOnce)
		end, last := 0, int64(-1)
		for ; end < len(want); end++ {
			if seq := want[end].place / blockSlots; seq != last {
				if len(args) == blocksAtOnce {
					break
				}
				args, last = append(args, seq), seq
			}
		}
		part := want[:end]
		want = want[end:]
		err := s.each(ctx, s.texts.blocks, pad(args, blocksAtOnce), func(rows *sql.Rows) error {
			var seq int64
			var tenantID string
			var body sql.RawBytes
			if err := rows.Scan(&seq, &tenantID, &body); err != nil {
				return err
			}
			from, _ := slices.BinarySearchFunc(part, seq, func(l located, seq int64) int { return cmp.Compare(l.place/blockSlots, seq) })
			to := from
			for to < len(part) && part[to].place/blockSlots == seq {
				to++
			}
			if err := sc.open(body); err != nil {
				return err
			}
			return fn(&sc.block, tenantID, part[from:to])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Scan returns records in commit order. A Position is the place of the last record returned, in decimal.
func (s *SQLite) Scan(ctx context.Context, after Position, max int) ([]logentry.Record, Position, error) {
	return s.ScanTo(ctx, after, "", max)
}

// ScanTo is Scan up to a place; an empty one bounds nothing.
func (s *SQLite) ScanTo(ctx context.Context, after, to Position, max int) ([]logentry.Record, Position, error) {
	if err := s.enter(); err != nil {
		return nil, after, err
	}
	defer s.leave()
	last, most := int64(-1), int64(math.MaxInt64)
	for p, place := range map[Position]*int64{after: &last, to: &most} {
		if p == "" {
			continue
		}
		var err error
		if *place, err = strconv.ParseInt(string(p), 10, 64); err != nil || *place < 0 {
			return nil, after, fault.New(fault.Invalid, "position_invalid", "not a position of this store")
		}
	}
	if after == to && after != "" || max < 1 {
		return nil, after, nil
	}
	records := make([]logentry.Record, 0, min(max, 4096))
	err := s.walk(ctx, last+1, func(b *block, tenantID string, seq int64) (bool, error) {
		for slot := range b.n {
			place := seq*blockSlots + int64(slot)
			if place <= last {
				continue
			}
			if len(records) >= max || place > most {
				return false, nil
			}
			r, ok, err := b.record(slot, tenantID)
			if err != nil {
				return false, err
			}
			if ok {
				records = append(records, r)
				last = place
			}
		}
		return len(records) < max, nil
	})
	if err != nil {
		return nil, after, failed(err, "scan records")
	}
	if to != "" && len(records) < max && last < most {
		last = most // what lies between has been removed, or never was
	}
	if last < 0 || len(records) == 0 && to == "" {
		return nil, after, nil
	}
	return records, Position(strconv.FormatInt(last, 10)), nil
}

// Verify reads every record and compares it with the hash that was made when it was put. damaged counts
// the records that differ, and those of blocks that can't be read at all.
func (s *SQLite) Verify(ctx context.Context) (checked, damaged int, err error) {
	if err := s.enter(); err != nil {
		return 0, 0, err
	}
	defer s.leave()
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	next, more := int64(0), true
	for more && err == nil {
		more = false
		err = s.each(ctx, "SELECT seq, count, body FROM blocks WHERE seq>=? ORDER BY seq LIMIT 16", []any{next}, func(rows *sql.Rows) error {
			var seq int64
			var count int
			var body sql.RawBytes
			if err := rows.Scan(&seq, &count, &body); err != nil {
				return err
			}
			next, more = seq+1, true
			checked += count
			if sc.open(body) != nil {
				damaged += count
				return nil
			}
			here := 0
			for slot := range sc.n {
				if sc.jsons[slot] != nil {
					here++
					if !sc.intact(slot) {
						damaged++
					}
				}
			}
			if here != count {
				damaged += max(count-here, here-count)
			}
			return nil
		})
	}
	return checked, damaged, failed(err, "verify records")
}

// walk opens the blocks of all tenants in commit order, from the one that holds place on, until fn
// returns false.
func (s *SQLite) walk(ctx context.Context, place int64, fn func(b *block, tenantID string, seq int64) (bool, error)) error {
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	next, more := place/blockSlots, true
	for more {
		more = false
		err := s.each(ctx, "SELECT b.seq, o.id, b.body FROM blocks b JOIN owners o ON o.num=b.tenant WHERE b.seq>=? ORDER BY b.seq LIMIT 16",
			[]any{next}, func(rows *sql.Rows) error {
				var seq int64
				var tenantID string
				var body sql.RawBytes
				if err := rows.Scan(&seq, &tenantID, &body); err != nil {
					return err
				}
				if next > seq { // fn has had enough
					return nil
				}
				next = seq + 1
				if err := sc.open(body); err != nil {
					return err
				}
				var err error
				if more, err = fn(&sc.block, tenantID, seq); !more {
					next = 1<<63 - 1
				}
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// pad repeats the last argument until there are n, for a statement of n marks.
func pad(args []any, n int) []any {
	for len(args) < n {
		args = append(args, args[len(args)-1])
	}
	return args
}
