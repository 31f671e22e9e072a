package store_test

import (
	"slices"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// TestMongoGivesThoseWhoShareABacklogDifferentParts: workers that all read the oldest would send each entry to the
// index as often as there are workers.
func TestMongoGivesThoseWhoShareABacklogDifferentParts(t *testing.T) {
	s, _ := openMongo(t, store.MongoConfig{})
	m := newMaker(31)
	records := m.records(authtest.Tenant(t, "acme").ID(), 12_000)
	for part := range slices.Chunk(slices.Clone(records), 2000) {
		putNew(t, s, part)
	}
	ids := idsOf(records)
	if err := s.AddBacklog(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	starts := map[logentry.ID]int{}
	for range 30 { // the chance that all are the same is one in 2^29
		got, err := s.ReadBacklog(t.Context(), 6_000)
		if err != nil || len(got) == 0 {
			t.Fatalf("%d records, %v", len(got), err)
		}
		at := slices.Index(ids, got[0].ID)
		if at < 0 || !slices.Equal(idsOf(got), ids[at:at+len(got)]) {
			t.Fatalf("what was read is no part of the backlog in its order")
		}
		starts[got[0].ID]++
	}
	if len(starts) != 2 {
		t.Errorf("of 12,000 entries the reads began at %d places; 2 are expected", len(starts))
	}
	seen := map[logentry.ID]int{}
	for {
		got, err := s.ReadBacklog(t.Context(), 20_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		for _, id := range idsOf(got) {
			seen[id]++
		}
		if err := s.DropBacklog(t.Context(), idsOf(got)); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != len(ids) {
		t.Errorf("%d entries were read until the backlog was empty, of %d", len(seen), len(ids))
	}
}
