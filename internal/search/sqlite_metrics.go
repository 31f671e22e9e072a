package search

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/ocelot-log/ocelot/internal/query"
)

// numberRow is a row that has a number: the one at a place in a list.
type numberRow struct {
	row    int64
	number int32
}

// metric counts the numbers at a path. Their terms come in the order of the numbers.
func (c *counter) metric(path string, group query.Field, top int) (Metric, error) {
	m := Metric{Path: path}
	prefix := appendValue(append(append([]byte{mainIndex}, c.tenant...), markMeta), path)
	low, high := c.set.ends()
	var numbers []numberCount
	var rows []numberRow
	var present float64
	known := false // present is among numbers
	has := c.set.finder()
	var bad error
	err := c.terms.each(append(prefix, metaNumber), low, high, func(rest []byte) {
		var ok bool
		if present, ok = numberOf(rest, digitBits); !ok {
			bad = errDamaged
		}
		known = false
		has.again()
	}, func(row int64) {
		if !has.row(row) || bad != nil {
			return
		}
		if !known {
			known = true
			numbers = append(numbers, numberCount{number: present})
		}
		if len(numbers) > MaxNumbers {
			bad = errNumbers(path)
			return
		}
		numbers[len(numbers)-1].count++
		if group != query.FieldNone {
			rows = append(rows, numberRow{row, int32(len(numbers) - 1)})
		}
	})
	if err = cmp.Or(err, bad); err != nil {
		return m, err
	}
	m.Summary = summarize(numbers)
	if group != query.FieldNone {
		m.Groups, err = c.groups(path, group, top, numbers, rows)
	}
	return m, err
}

// groups are the rows with numbers by the values of a field.
func (c *counter) groups(path string, group query.Field, top int, numbers []numberCount, of []numberRow) ([]Group, error) {
	slices.SortFunc(of, func(a, b numberRow) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.number, b.number)) })
	rows := make([]int64, len(of))
	for i := range of {
		rows[i] = of[i].row
	}
	rows = slices.Compact(rows)
	if len(rows) == 0 {
		return nil, nil
	}
	valueOf := make([]int32, len(rows)) // of each row: the number of its value, from 1
	var values []Count
	var value []byte
	var p place
	var n int64
	end := func() {
		if n == 0 {
			return
		}
		s, ok := facetValue(group, value)
		if !ok {
			n = 0 // not counted, as in facets
		}
		values = append(values, Count{s, n})
		n = 0
	}
	err := c.terms.each(fieldPrefix(c.tenant, group), rows[0], rows[len(rows)-1], func(rest []byte) {
		if rest = facetTerm(group, rest); !bytes.Equal(value, rest) {
			end()
			value = append(value[:0], rest...)
		}
		p = 0
	}, func(row int64) {
		if at, is := p.find(rows, row); is {
			valueOf[at] = int32(len(values) + 1)
			n++
		}
	})
	if err != nil {
		return nil, err
	}
	end()
	best := sortCounts(group, slices.DeleteFunc(slices.Clone(values), func(v Count) bool { return v.Count == 0 }), top)
	place := make([]int32, len(values)+1) // of a value among the best, from 1
	for i, b := range best {
		place[1+slices.IndexFunc(values, func(v Count) bool { return v.Value == b.Value && v.Count > 0 })] = int32(i + 1)
	}
	counts := make([][]numberCount, len(best))
	slices.SortFunc(of, func(a, b numberRow) int { return cmp.Compare(a.number, b.number) })
	different := 0
	for _, r := range of {
		at, _ := slices.BinarySearch(rows, r.row)
		g := place[valueOf[at]]
		if g == 0 {
			continue
		}
		list := &counts[g-1]
		if last := len(*list) - 1; last >= 0 && (*list)[last].number == numbers[r.number].number {
			(*list)[last].count++
			continue
		}
		if different++; different > MaxNumbers {
			return nil, errNumbers(path)
		}
		*list = append(*list, numberCount{numbers[r.number].number, 1})
	}
	out := make([]Group, len(best))
	for i, b := range best {
		out[i] = Group{b.Value, summarize(counts[i])}
	}
	return out, nil
}
