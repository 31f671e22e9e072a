package drain

import (
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// batch is deliveries that are settled together, with their records in one slice.
type batch struct {
	of      []*delivery
	records []logentry.Record
	buf     []logentry.Record // of records, kept for the next batch
}

// fill gathers the records of the deliveries. One delivery alone lends its own.
func (b *batch) fill() {
	if len(b.of) == 1 {
		b.records = b.of[0].records
		return
	}
	b.buf = b.buf[:0]
	for _, d := range b.of {
		b.buf = append(b.buf, d.records...)
	}
	b.records = b.buf
}

// reset makes room for another batch and lets go of this one's memory.
func (b *batch) reset() {
	clear(b.buf)
	clear(b.of)
	b.of, b.records, b.buf = b.of[:0], nil, b.buf[:0]
}

// parts calls fn with each delivery and where its records begin.
func (b *batch) parts(fn func(d *delivery, from int)) {
	from := 0
	for _, d := range b.of {
		n := len(d.records)
		fn(d, from)
		from += n
	}
}

// with are the deliveries that have a record of which is says true.
func (b *batch) with(is func(i int) bool) (ds []*delivery) {
	b.parts(func(d *delivery, from int) {
		for i := range d.records {
			if is(from + i) {
				ds = append(ds, d)
				return
			}
		}
	})
	return ds
}

// recorded is what the store's verdicts make of a batch.
type recorded struct {
	safe, again, partly          []*delivery // go on; must be put again; go on without their rejected records
	quarantined                  []store.Quarantined
	stored, duplicates, rejected int
}

// apply reads the verdicts: duplicates become what the store holds, rejected records leave their
// delivery for quarantine, and a delivery with a record that must be put again waits as a whole.
func (b *batch) apply(verdicts []store.Verdict) (r recorded) {
	b.parts(func(d *delivery, from int) {
		mine := verdicts[from : from+len(d.records)]
		rejected, again := 0, false
		for i, v := range mine {
			switch v {
			case store.Stored:
				r.stored++
			case store.Duplicate:
				r.duplicates++
				d.records[i] = b.records[from+i]
			case store.Rejected:
				rejected++
			default:
				again = true
			}
		}
		if again {
			r.again = append(r.again, d)
			return
		}
		r.safe = append(r.safe, d)
		if rejected == 0 {
			return
		}
		r.rejected += rejected
		r.partly = append(r.partly, d)
		kept := make([]logentry.Record, 0, len(mine)-rejected) // a new one: records may be the same slice
		for i, v := range mine {
			if v == store.Rejected {
				r.quarantined = append(r.quarantined, quarantined(d, reasonRejected, "the record can't be stored", d.records[i].JSON))
			} else {
				kept = append(kept, d.records[i])
			}
		}
		d.records = kept
	})
	return r
}
