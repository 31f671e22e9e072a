package search

import "github.com/ocelot-log/ocelot/internal/query"

// SetMaxSlots makes buckets small, before anything is added.
func (x *SQLite) SetMaxSlots(n int64) { x.maxSlots = n }

// SetOldAtOnce makes a purge of old entries write a segment anew for few of them at a time.
func (x *SQLite) SetOldAtOnce(n int) { x.atOnce = n }

// SetArrival says how pages by arrival are read: up to how many matches are read all, which share of the time for all
// blocks may take, how long rows that are not wanted are read on, as a multiple of what a new question takes, and whether
// FTS5 is then asked again, or the terms where they can tell.
func (x *SQLite) SetArrival(few int64, share, gap float64, again bool) {
	x.arrival = arrivalWay{few, share, gap, again}
}

// Spill is how many buckets rows have gone behind their own.
func (x *SQLite) Spill() int64 { return x.spill.Load() }

// Segments is how many segments a search looks into, and how many merges are on their way.
func (x *SQLite) Segments() (segments, merges int) { return len(x.structure.segments), len(x.merges) }

// Part is a part of a compiled question, and one of its times of receipt.
type Part struct {
	Match                string
	From, To, Rfrom, Rto int64
}

// Compile compiles for the tenant with number 1.
func Compile(where query.Node) (out []Part, err error) {
	parts, err := compile(where, appendTenant(nil, 1))
	for _, p := range parts {
		for _, r := range p.received {
			out = append(out, Part{p.match, p.at.from, p.at.to, r.from, r.to})
		}
	}
	return out, err
}

// CompareValues is the order of two values that are equally frequent.
func CompareValues(f query.Field, a, b string) int { return compareValues(f, a, b) }

// AllBut takes an expression apart that is all of a tenant's entries but some.
func AllBut(match, all string) (but string, ok bool) { return allBut(match, all) }

// SortCounts is the order of a facet.
func SortCounts(f query.Field, counts []Count, top int) []Count { return sortCounts(f, counts, top) }
