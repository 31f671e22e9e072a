package tenant

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

func TestSlugs(t *testing.T) {
	for slug, want := range map[string]bool{
		"acme": true, "a-1": true, "000": true, strings.Repeat("a", 40): true,
		"": false, "ab": false, strings.Repeat("a", 41): false, "a/../b": false, "Acme": false, "аcme": false, "*": false,
		"_all": false, ".opensearch": false, "a b": false, "acme\n": false, strings.Repeat("a", 300): false,
	} {
		if ValidSlug(slug) != want {
			t.Errorf("ValidSlug(%q) is %v", slug, !want)
		}
		if err := CheckSlug(slug); (err == nil) != want || err != nil && fault.Of(err).Code != "tenant_slug_invalid" {
			t.Errorf("CheckSlug(%q): %v", slug, err)
		}
	}
}

func TestIDsAreTwelveCharactersAndDiffer(t *testing.T) {
	form, ids := regexp.MustCompile(`^[a-z2-7]{12}$`), map[string]bool{}
	for range 1000 {
		id := NewID()
		if !form.MatchString(id) || ids[id] {
			t.Fatalf("%q", id)
		}
		ids[id] = true
	}
}

// list is a store of tenants that counts how often it is read.
type list struct {
	mu    sync.Mutex
	all   []Info
	err   error
	takes time.Duration
	reads atomic.Int64
}

func (l *list) ListTenants(context.Context) ([]Info, error) {
	l.reads.Add(1)
	l.mu.Lock()
	all, err := l.all, l.err
	l.mu.Unlock()
	time.Sleep(l.takes)
	return all, err
}

func (l *list) set(all []Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = all
}

func TestAHitAllocatesNothing(t *testing.T) {
	c := NewCache(&list{all: []Info{{ID: "a", Slug: "acme"}}})
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := c.BySlug(ctx, "acme"); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestCache(t *testing.T) {
	acme, zeta := Info{ID: "a", Slug: "acme"}, Info{ID: "z", Slug: "zeta"}
	known := func(t *testing.T, c *Cache, slug string) {
		t.Helper()
		info, err := c.BySlug(t.Context(), slug)
		if err != nil || info.Slug != slug {
			t.Fatalf("%s: %v %v", slug, info, err)
		}
		if byID, err := c.ByID(t.Context(), info.ID); err != nil || !reflect.DeepEqual(byID, info) {
			t.Fatalf("%s by its id: %v %v", slug, byID, err)
		}
	}
	fails := func(t *testing.T, c *Cache, slug string, want fault.Kind) {
		t.Helper()
		if info, err := c.BySlug(t.Context(), slug); err == nil || fault.KindOf(err) != want {
			t.Fatalf("%s: %v %v, want %v", slug, info, err, want)
		}
	}
	for name, test := range map[string]func(t *testing.T, l *list, c *Cache){
		"hits within three seconds read the list once": func(t *testing.T, l *list, c *Cache) {
			for range 100 {
				known(t, c, "acme")
			}
			time.Sleep(maxAge - time.Millisecond)
			known(t, c, "acme")
			if n := l.reads.Load(); n != 1 {
				t.Errorf("%d reads", n)
			}
		},
		"a tenant that is gone is gone after three seconds": func(t *testing.T, l *list, c *Cache) {
			known(t, c, "acme")
			l.all = nil
			time.Sleep(maxAge)
			fails(t, c, "acme", fault.NotFound)
		},
		"a change is seen within five seconds, also where a reading takes two": func(t *testing.T, l *list, c *Cache) {
			l.takes = readTimeout
			began := time.Now()
			go func() { _, _ = c.BySlug(t.Context(), "acme") }()
			time.Sleep(time.Millisecond) // the first reading has just begun
			l.set(nil)
			for time.Sleep(readTimeout); time.Since(began) <= 5*time.Second; time.Sleep(10 * time.Millisecond) {
				go func() { _, _ = c.BySlug(t.Context(), "acme") }() // somebody always asks
			}
			fails(t, c, "acme", fault.NotFound)
			time.Sleep(readTimeout) // until nobody reads any more
		},
		"a new tenant is found after a second": func(t *testing.T, l *list, c *Cache) {
			fails(t, c, "zeta", fault.NotFound)
			l.all = append(l.all, zeta)
			fails(t, c, "zeta", fault.NotFound)
			time.Sleep(missPause)
			known(t, c, "zeta")
		},
		"a new tenant is found at once after Forget": func(t *testing.T, l *list, c *Cache) {
			fails(t, c, "zeta", fault.NotFound)
			l.all = append(l.all, zeta)
			c.Forget()
			known(t, c, "zeta")
		},
		"a thousand misses in a second read the list once": func(t *testing.T, l *list, c *Cache) {
			for range 1000 {
				fails(t, c, "nobody", fault.NotFound)
			}
			if n := l.reads.Load(); n != 1 {
				t.Errorf("%d reads", n)
			}
		},
		"what is known stays known while the list can't be read": func(t *testing.T, l *list, c *Cache) {
			known(t, c, "acme")
			l.err = errors.New("down")
			time.Sleep(time.Hour)
			known(t, c, "acme")
			fails(t, c, "nobody", fault.Unavailable)
			if all, err := c.List(t.Context()); len(all) != 1 || err != nil {
				t.Errorf("%v %v", all, err)
			}
			l.err = nil
			time.Sleep(missPause)
			fails(t, c, "nobody", fault.NotFound)
		},
		"without ever having read nothing is known to be absent": func(t *testing.T, l *list, c *Cache) {
			l.err = errors.New("down")
			fails(t, c, "acme", fault.Unavailable)
			if _, err := c.List(t.Context()); fault.KindOf(err) != fault.Unavailable {
				t.Error(err)
			}
		},
		"a list belongs to its caller": func(t *testing.T, l *list, c *Cache) {
			all, err := c.List(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			all[0].Slug = "changed"
			known(t, c, "acme")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &list{all: []Info{acme}}
				test(t, l, NewCache(l))
			})
		})
	}
}
