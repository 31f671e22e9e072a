package search

// aheadFrom is from how many records on an Add makes its terms before its turn: while one Add writes, which
// only one can, another one's terms are cut and sorted on another processor.
const aheadFrom = 2_000

// makeAhead makes what does not depend on the file: the items in their order, and their terms. It leaves a as
// it is where that can't be known yet (a tenant without a number) or is too much for one segment.
func (x *SQLite) makeAhead(a *addition) {
	if len(a.records) < aheadFrom {
		return
	}
	items := newcomers([]*addition{a})
	x.tenantsMu.RLock()
	known := x.tenants
	x.tenantsMu.RUnlock()
	b := x.builders.Get().(*builder)
	b.reset()
	var tenant []byte
	last := ""
	for _, it := range items {
		if id := it.entry.TenantID; id != last {
			n, ok := known[id]
			if !ok {
				x.builders.Put(b)
				return
			}
			last, tenant = id, appendTenant(tenant[:0], n)
		}
		if b.full() {
			x.builders.Put(b)
			return
		}
		b.add(0, tenant, it.entry) // the row is given when its turn has come
	}
	b.sort()
	a.items, a.ahead = items, b
}

// rowsOf gives the terms that were made ahead their rows; false where an item was there already, so
// that the terms are not those of the items that are left.
func (b *builder) rowsOf(items []item) bool {
	if len(b.rows) != len(items) {
		return false
	}
	for i := range items {
		b.rows[i] = items[i].row
	}
	return true
}
