package tenant

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	maxAge      = 2900 * time.Millisecond // of the list; with the time of one reading a tenant that changed elsewhere looks as it was for less than 5 s
	missPause   = time.Second             // between two readings because of slugs that are not there
	readTimeout = 2 * time.Second
)

// lister is where tenants are kept.
type lister interface {
	ListTenants(ctx context.Context) ([]Info, error)
}

// Cache answers from memory which tenants there are.
//
//   - A tenant that is known is found without waiting, except by the one caller in three seconds that reads
//     the list again.
//   - One that is not known makes the list be read again, at most once a second; in between it is absent.
//   - While the list can't be read, what was known stays known, and what was not known is an error of kind
//     Unavailable: nobody is told that a tenant does not exist because a store is down.
//
// What it returns is shared and must not be changed: a later reading makes new ones. It may be used concurrently.
type Cache struct {
	from lister
	seen atomic.Pointer[seen]
	mu   sync.Mutex // held while reading the list
}

// seen is the list as it was read.
type seen struct {
	all    []Info
	bySlug map[string]*Info
	byID   map[string]*Info
	began  time.Time // when reading it, or trying to, began: later changes may not be in it
	read   time.Time // when that ended
	fresh  bool      // reading succeeded; otherwise the content is older, or nothing
}

func (s *seen) old() bool     { return time.Since(s.began) >= maxAge }
func (s *seen) mayMiss() bool { return time.Since(s.read) >= missPause }

// NewCache reads nothing yet.
func NewCache(from lister) *Cache {
	c := &Cache{from: from}
	c.seen.Store(&seen{})
	return c
}

// BySlug finds a tenant by its public name. Kind NotFound, code tenant_not_found: there is none.
func (c *Cache) BySlug(ctx context.Context, slug string) (*Info, error) {
	return c.find(ctx, func(s *seen) *Info { return s.bySlug[slug] })
}

// ByID finds a tenant by its internal id. Kind NotFound, code tenant_not_found: there is none.
func (c *Cache) ByID(ctx context.Context, id string) (*Info, error) {
	return c.find(ctx, func(s *seen) *Info { return s.byID[id] })
}

// List returns all tenants by slug, as old as BySlug takes them.
func (c *Cache) List(ctx context.Context) ([]Info, error) {
	s := c.seen.Load()
	if s.old() {
		s = c.readAgain(ctx, (*seen).old, true)
	}
	if !s.fresh && s.all == nil {
		return nil, unavailable()
	}
	return slices.Clone(s.all), nil
}

// Forget makes the next caller read the list again, because it was changed here.
func (c *Cache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := *c.seen.Load()
	old.began, old.read = time.Time{}, time.Time{}
	c.seen.Store(&old)
}

func (c *Cache) find(ctx context.Context, at func(*seen) *Info) (*Info, error) {
	s := c.seen.Load()
	info := at(s)
	switch {
	case info != nil && !s.old():
		return info, nil
	case info != nil: // whoever comes first reads it again, the others go on with what there is
		s = c.readAgain(ctx, (*seen).old, false)
	case s.mayMiss():
		s = c.readAgain(ctx, (*seen).mayMiss, true)
	}
	if info = at(s); info != nil {
		return info, nil
	}
	if !s.fresh {
		return nil, unavailable()
	}
	return nil, fault.New(fault.NotFound, "tenant_not_found", "there is no such tenant")
}

// readAgain reads the list if that is still due by then. Where somebody else is reading it, it
// waits for that or returns what there is.
func (c *Cache) readAgain(ctx context.Context, due func(*seen) bool, wait bool) *seen {
	if !c.mu.TryLock() {
		if !wait {
			return c.seen.Load()
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	old := c.seen.Load()
	if !due(old) {
		return old
	}
	// The reading is for everybody: the caller who happens to do it can't cancel it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	began := time.Now()
	all, err := c.from.ListTenants(ctx)
	s := &seen{began: began, read: time.Now(), fresh: err == nil}
	if err != nil {
		s.all, s.bySlug, s.byID = old.all, old.bySlug, old.byID
	} else {
		s.all, s.bySlug, s.byID = all, make(map[string]*Info, len(all)), make(map[string]*Info, len(all))
		for i := range all {
			t := &all[i]
			s.bySlug[t.Slug], s.byID[t.ID] = t, t
		}
	}
	c.seen.Store(s)
	return s
}

func unavailable() error {
	return &fault.Error{Kind: fault.Unavailable, Code: "tenants_unavailable", Detail: "the tenants can't be read at the moment; try again",
		RetryAfter: missPause}
}
