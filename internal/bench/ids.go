package bench

import (
	"bytes"
	"sort"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// chunk is how many ids are kept in one piece: a megabyte.
const chunk = 1 << 16

// ids is a growing list of ids that takes 16 bytes each and never copies what it holds.
type ids struct {
	chunks [][]logentry.ID
	n      int
}

func (l *ids) add(id logentry.ID) {
	if l.n>>16 == len(l.chunks) {
		l.chunks = append(l.chunks, make([]logentry.ID, chunk))
	}
	l.chunks[l.n>>16][l.n&(chunk-1)] = id
	l.n++
}

func (l *ids) at(i int) logentry.ID { return l.chunks[i>>16][i&(chunk-1)] }

func (l *ids) Len() int           { return l.n }
func (l *ids) Less(i, j int) bool { return l.compare(i, &l.chunks[j>>16][j&(chunk-1)]) < 0 }
func (l *ids) Swap(i, j int) {
	a, b := &l.chunks[i>>16][i&(chunk-1)], &l.chunks[j>>16][j&(chunk-1)]
	*a, *b = *b, *a
}

func (l *ids) compare(i int, id *logentry.ID) int {
	return bytes.Compare(l.chunks[i>>16][i&(chunk-1)][:], id[:])
}

// find returns the place of id in a sorted list.
func (l *ids) find(id *logentry.ID) (at int, ok bool) {
	at = sort.Search(l.n, func(i int) bool { return l.compare(i, id) >= 0 })
	return at, at < l.n && l.compare(at, id) == 0
}
