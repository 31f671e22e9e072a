package bench

import (
	"context"
	"fmt"
	"sort"

	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// examples is how many entries of each kind of problem are named.
const examples = 5

// ledger compares what was acknowledged with what is found. It keeps 16 bytes for each acknowledged entry.
type ledger struct {
	acked   *ids
	unknown []span // sorted
	gen     *Generator

	seen  []uint64       // one bit for each acknowledged id
	maybe map[uint64]int // entries of unknown outcome that were found: number → times
	state Entries        // Found, Missing, Doubled and Unexpected
	named map[string]int // examples by kind
	told  []string       // them
	stray map[logentry.ID]bool
	aside bool // the record answered, not the index
}

func newLedger(acked *ids, unknown []span, gen *Generator) *ledger {
	sort.Sort(acked)
	sort.Slice(unknown, func(i, j int) bool { return unknown[i].first < unknown[j].first })
	return &ledger{acked: acked, unknown: unknown, gen: gen}
}

// begin forgets what an earlier walk saw.
func (l *ledger) begin() {
	l.seen = make([]uint64, l.acked.Len()/64+1)
	l.maybe, l.named, l.stray = map[uint64]int{}, map[string]int{}, map[logentry.ID]bool{}
	l.state, l.told = Entries{}, nil
}

// visit enters an entry that was found.
func (l *ledger) visit(id logentry.ID, requestID []byte) {
	if at, ok := l.acked.find(&id); ok {
		if l.seen[at>>6]&(1<<(at&63)) != 0 {
			l.state.Doubled++
			l.example("doubled", "%s (%s) was found more than once", id, requestID)
			return
		}
		l.seen[at>>6] |= 1 << (at & 63)
		l.state.Found++
		return
	}
	n, ours := l.gen.number(requestID)
	if ours && l.possible(n) {
		l.maybe[n]++
		if l.maybe[n] > 1 {
			l.state.Doubled++
			l.example("doubled", "%s (%s), of a request without an answer, was found more than once", id, requestID)
			return
		}
		l.state.Found++
		return
	}
	if l.stray[id] {
		l.state.Doubled++
		return
	}
	if len(l.stray) < 1<<20 {
		l.stray[id] = true
	}
	l.state.Unexpected++
	l.example("unexpected", "%s (%s) was found, but no request that was acknowledged or left open has it", id, requestID)
}

// possible says whether entry n was in a request whose outcome is unknown.
func (l *ledger) possible(n uint64) bool {
	at := sort.Search(len(l.unknown), func(i int) bool { return l.unknown[i].first > n })
	return at > 0 && n < l.unknown[at-1].first+uint64(l.unknown[at-1].n)
}

// end counts what was not seen.
func (l *ledger) end() {
	for i := range l.acked.Len() {
		if l.seen[i>>6]&(1<<(i&63)) != 0 {
			continue
		}
		id := l.acked.at(i)
		l.state.Missing++
		if i > 0 && l.acked.at(i-1) == id {
			l.example("repeated", "%s was acknowledged for more than one entry", id)
		} else {
			l.example("missing", "%s was acknowledged and is not found", id)
		}
	}
}

func (l *ledger) example(kind, format string, args ...any) {
	if l.named[kind] < examples {
		l.named[kind]++
		l.told = append(l.told, kind+": "+fmt.Sprintf(format, args...))
	}
}

// check walks over everything that is found until all that was acknowledged is among it or time is up: an
// entry of a request of unknown outcome may have made the count complete before the last one was there. A walk
// that breaks off, or that the record had to answer, is made again.
func (r *runner) check(ctx context.Context, l *ledger) error {
	pause := checkAgain
	for {
		l.begin()
		aside := r.reader.fromRecord
		err := r.reader.walk(ctx, l.visit)
		if err == nil {
			l.end()
		}
		l.aside = r.reader.fromRecord != aside
		switch {
		case err != nil:
			r.cfg.Note("the comparison begins again: " + err.Error())
		case l.aside:
			r.cfg.Note("the comparison begins again: the index was down, the record answered")
		case l.state.Missing == 0:
			return nil
		default:
			r.cfg.Note(fmt.Sprintf("%d acknowledged entries are not found yet", l.state.Missing))
		}
		if wait.For(r.settling, pause) != nil {
			return err
		}
		pause *= 2
	}
}
