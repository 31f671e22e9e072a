package auth

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// shelf keeps documents in memory and counts how often it is asked.
type shelf struct {
	mu    sync.Mutex
	docs  map[document.Kind]map[string]document.Document
	asked int
	down  bool
}

func newShelf() *shelf { return &shelf{docs: map[document.Kind]map[string]document.Document{}} }

// kept is what is there of a kind, by id.
func (s *shelf) kept(kind document.Kind) map[string]document.Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.docs[kind])
}

func (s *shelf) goDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// asks is how often it was asked.
func (s *shelf) asks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *shelf) enter() error {
	s.asked++
	if s.down {
		return fault.Wrap(errors.New("down"), "shelf")
	}
	return nil
}

func (s *shelf) at(kind document.Kind, id string) (document.Document, bool) {
	d, ok := s.docs[kind][id]
	return d, ok && !d.Deleted && (d.ExpiresAt.IsZero() || time.Now().Before(d.ExpiresAt))
}

func (s *shelf) keep(d document.Document) document.Document {
	if s.docs[d.Kind] == nil {
		s.docs[d.Kind] = map[string]document.Document{}
	}
	d.Version, d.ChangedAt = s.docs[d.Kind][d.ID].Version+1, time.Now()
	s.docs[d.Kind][d.ID] = d
	return d
}

func (s *shelf) CreateDocument(_ context.Context, d document.Document) (document.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return d, err
	}
	if _, ok := s.at(d.Kind, d.ID); ok {
		return d, fault.New(fault.Conflict, "document_exists", "")
	}
	return s.keep(d), nil
}

func (s *shelf) ReplaceDocument(_ context.Context, d document.Document) (document.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return d, err
	}
	old, ok := s.at(d.Kind, d.ID)
	switch {
	case !ok:
		return d, fault.New(fault.NotFound, "document_not_found", "")
	case old.Version != d.Version:
		return d, fault.New(fault.Conflict, "document_changed", "")
	}
	return s.keep(d), nil
}

func (s *shelf) DeleteDocument(_ context.Context, kind document.Kind, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return err
	}
	d, ok := s.at(kind, id)
	if !ok {
		return fault.New(fault.NotFound, "document_not_found", "")
	}
	d.Deleted, d.Body = true, nil
	s.keep(d)
	return nil
}

func (s *shelf) Document(_ context.Context, kind document.Kind, id string) (document.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return document.Document{}, err
	}
	d, ok := s.at(kind, id)
	if !ok {
		return document.Document{}, fault.New(fault.NotFound, "document_not_found", "")
	}
	return d, nil
}

func (s *shelf) Documents(_ context.Context, kind document.Kind, tenantID, after string, most int) ([]document.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return nil, err
	}
	var found []document.Document
	for id := range s.docs[kind] {
		if d, ok := s.at(kind, id); ok && id > after && (tenantID == "" || d.TenantID == tenantID) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b document.Document) int { return cmp.Compare(a.ID, b.ID) })
	return found[:min(most, len(found))], nil
}

func (s *shelf) DocumentChanges(_ context.Context, kind document.Kind, since time.Time, most int) ([]document.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return nil, err
	}
	var found []document.Document
	for _, d := range s.docs[kind] {
		if !d.ChangedAt.Before(since) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b document.Document) int { return a.ChangedAt.Compare(b.ChangedAt) })
	return found[:min(most, len(found))], nil
}

// still is an Authenticator on the shelf, as one of several processes has it, loaded.
func (s *shelf) still(t *testing.T, change ...func(*Config)) *Authenticator {
	t.Helper()
	cfg := Config{Secret: NewSecret(testSecret)}
	for _, f := range change {
		f(&cfg)
	}
	a, err := New(cfg, tenants{"acme": "aaaaaaaaaaaa", "zeta": "zzzzzzzzzzzz", "default": "dddddddddddd"}, s, telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// process is a still one that also polls and writes.
func (s *shelf) process(t *testing.T, change ...func(*Config)) *Authenticator {
	t.Helper()
	a := s.still(t, change...)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

var (
	acme = Tenant{id: "aaaaaaaaaaaa", slug: "acme"}
	zeta = Tenant{id: "zzzzzzzzzzzz", slug: "zeta"}
)

// adminOf is an admin of tenants, by slug.
func adminOf(slugs ...string) Principal {
	return Principal{Subject: "ada", tenants: slugs, roles: Admin, lookup: tenants{"acme": "aaaaaaaaaaaa", "zeta": "zzzzzzzzzzzz"}}
}

var discard = telemetry.Discard()

// heap is how many bytes live.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// cpuTime is what this process has used, in nanoseconds.
func cpuTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
