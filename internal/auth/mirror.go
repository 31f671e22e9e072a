package auth

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	pollEvery   = 2 * time.Second  // how long a change elsewhere may be unknown here
	pollTimeout = 2 * time.Second  // of one reading; with pollEvery well below the 5 s that are promised
	overlap     = 10 * time.Second // how much earlier than a change that was seen another one may still turn up
	pageSize    = 1_000
	missLife    = 5 * time.Second // how long an id that the store does not have is not asked for again
	maxMisses   = 1_024           // ids that are remembered as missing
)

// documents is where credentials are kept.
type documents interface {
	CreateDocument(ctx context.Context, d document.Document) (document.Document, error)
	ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error)
	DeleteDocument(ctx context.Context, kind document.Kind, id string) error
	Document(ctx context.Context, kind document.Kind, id string) (document.Document, error)
	Documents(ctx context.Context, kind document.Kind, tenantID, after string, most int) ([]document.Document, error)
	DocumentChanges(ctx context.Context, kind document.Kind, since time.Time, most int) ([]document.Document, error)
}

// mirror holds all documents of a kind in memory, read. Changes made by this process are put in at once, those of
// others within a poll. While the store can't be read, what was known stays known.
type mirror[V any] struct {
	kind document.Kind
	from documents
	read func(d document.Document, old *V) (*V, error) // old is what was there before, nil: nothing
	log  *zap.Logger

	mu    sync.RWMutex
	items map[string]item[V]
	gone  map[string]time.Time // removed here lately: a reading that began before must not bring them back

	// Of the poll, which is one.
	mark  time.Time // the latest change that was seen, by the store's clock
	moved time.Time // when the mark last moved, by ours

	// Readings of single documents that are not here: perSecond at the most.
	perSecond int
	missMu    sync.Mutex
	missed    map[string]time.Time
	window    time.Time
	asked     int
}

type item[V any] struct {
	value   *V
	version int64
	until   time.Time // zero: for ever
}

func newMirror[V any](kind document.Kind, from documents, perSecond int, log *zap.Logger, read func(document.Document, *V) (*V, error)) *mirror[V] {
	return &mirror[V]{kind: kind, from: from, read: read, log: log, perSecond: perSecond,
		items: map[string]item[V]{}, gone: map[string]time.Time{}, missed: map[string]time.Time{}}
}

// get finds what is known; nil: nothing, or not any more.
func (m *mirror[V]) get(id string) *V {
	m.mu.RLock()
	it, ok := m.items[id]
	m.mu.RUnlock()
	if !ok || !it.until.IsZero() && !time.Now().Before(it.until) {
		return nil
	}
	return it.value
}

// each calls f with everything that is known, until f returns false. f may not call m.
func (m *mirror[V]) each(f func(id string, v *V) bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for id, it := range m.items {
		if !f(id, it.value) {
			return
		}
	}
}

// count is how many of what is known is such, most at the most.
func (m *mirror[V]) count(such func(v *V) bool, most int) (n int) {
	m.each(func(_ string, v *V) bool {
		if such(v) {
			n++
		}
		return n < most
	})
	return n
}

// load reads all documents.
func (m *mirror[V]) load(ctx context.Context) error {
	for after := ""; ; {
		page, err := m.from.Documents(ctx, m.kind, "", after, pageSize)
		if err != nil {
			return fault.Wrap(err, "read the "+string(m.kind))
		}
		for _, d := range page {
			m.put(d)
			after = d.ID
			m.see(d.ChangedAt)
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// poll reads what has changed.
func (m *mirror[V]) poll(ctx context.Context) error {
	since, most := m.mark, pageSize
	if !since.IsZero() {
		since = since.Add(min(0, time.Since(m.moved)-overlap))
	}
	for {
		page, err := m.from.DocumentChanges(ctx, m.kind, since, most)
		if err != nil {
			return fault.Wrap(err, "read changes of the "+string(m.kind))
		}
		for _, d := range page {
			if d.Deleted {
				m.remove(d.ID)
			} else {
				m.put(d)
			}
			m.see(d.ChangedAt)
		}
		if len(page) < most {
			break
		}
		last := page[len(page)-1].ChangedAt
		if !last.After(since) { // more changes of one moment than a page holds
			most *= 2
		}
		since = last
	}
	m.prune()
	return nil
}

func (m *mirror[V]) see(changed time.Time) {
	if changed.After(m.mark) {
		m.mark, m.moved = changed, time.Now()
	}
}

// put takes in a document, unless a later version of it is known.
func (m *mirror[V]) put(d document.Document) *V {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.items[d.ID]
	if _, gone := m.gone[d.ID]; gone || old.value != nil && old.version >= d.Version {
		return old.value
	}
	v, err := m.read(d, old.value)
	if err != nil { // of a newer version of the service, or damaged: it grants nothing
		m.log.Error("a document can't be read; what it grants is refused", zap.String("kind", string(m.kind)), zap.String("id", d.ID), zap.Error(err))
		delete(m.items, d.ID)
		return nil
	}
	m.items[d.ID] = item[V]{v, d.Version, d.ExpiresAt}
	return v
}

// remove forgets a document for good: no id is used twice.
func (m *mirror[V]) remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, id)
	m.gone[id] = time.Now()
}

// prune drops what has expired, and the memory of what was removed long ago.
func (m *mirror[V]) prune() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(m.items, func(_ string, it item[V]) bool { return !it.until.IsZero() && now.After(it.until) })
	maps.DeleteFunc(m.gone, func(_ string, at time.Time) bool { return now.Sub(at) > 2*time.Hour })
}

// look asks the store for one document that may be newer than the last poll. It asks only so often: beyond that,
// and for a while after the store did not have it, the answer is what is known.
func (m *mirror[V]) look(ctx context.Context, id string) (*V, error) {
	if m.from == nil || !m.mayLook(id) {
		return m.get(id), nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	d, err := m.from.Document(ctx, m.kind, id)
	switch {
	case err == nil:
		return m.put(d), nil
	case fault.KindOf(err) == fault.NotFound:
		return m.get(id), nil
	}
	m.missMu.Lock()
	delete(m.missed, id) // nobody knows
	m.missMu.Unlock()
	return nil, &fault.Error{Kind: fault.Unavailable, Code: "credentials_unavailable", RetryAfter: time.Second, Err: err,
		Detail: "these credentials can't be checked at the moment; try again"}
}

func (m *mirror[V]) mayLook(id string) bool {
	now := time.Now()
	m.missMu.Lock()
	defer m.missMu.Unlock()
	if at, ok := m.missed[id]; ok && now.Sub(at) < missLife {
		return false
	}
	if now.Sub(m.window) >= time.Second {
		m.window, m.asked = now, 0
	}
	if m.asked >= m.perSecond {
		return false
	}
	m.asked++
	if len(m.missed) >= maxMisses {
		maps.DeleteFunc(m.missed, func(_ string, at time.Time) bool { return now.Sub(at) >= missLife })
		if len(m.missed) >= maxMisses {
			clear(m.missed) // forgetting costs a reading, which is bounded
		}
	}
	m.missed[id] = now
	return true
}

// list reads the documents of a tenant from the store, "" for all, by id.
func (m *mirror[V]) list(ctx context.Context, tenantID string, yield func(document.Document) error) error {
	for after := ""; ; {
		page, err := m.from.Documents(ctx, m.kind, tenantID, after, pageSize)
		if err != nil {
			return fault.Wrap(err, "list the "+string(m.kind))
		}
		for _, d := range page {
			if err := yield(d); err != nil {
				return err
			}
			after = d.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// change replaces a document by what edit makes of its body, again when somebody else was faster. edit returns
// nil when there is nothing to do.
func (m *mirror[V]) change(ctx context.Context, id string, edit func(d *document.Document) error) (document.Document, error) {
	for try := 0; ; try++ {
		d, err := m.from.Document(ctx, m.kind, id)
		if err != nil {
			return document.Document{}, err
		}
		if err := edit(&d); err != nil {
			return document.Document{}, err
		}
		changed, err := m.from.ReplaceDocument(ctx, d)
		if err == nil {
			m.put(changed)
			return changed, nil
		}
		if fault.KindOf(err) != fault.Conflict || try == 4 {
			return document.Document{}, err
		}
	}
}
