package logentry

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

func TestIDsAscendAlsoWhenTheClockDoesNot(t *testing.T) {
	var ids IDs
	var last ID
	for i := range 20_000 {
		now := testNow
		if i%3 == 0 {
			now = now.Add(-time.Hour)
		}
		id := ids.New(now)
		if bytes.Compare(last[:], id[:]) >= 0 {
			t.Fatalf("%s after %s", id, last)
		}
		if id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%s is not of version 7", id)
		}
		last = id
	}
}

func TestAnIDTellsItsMillisecond(t *testing.T) {
	var ids IDs
	id := ids.New(time.UnixMilli(0x0123456789ab))
	if have := id.String()[:13]; have != "01234567-89ab" {
		t.Errorf("have %s", have)
	}
}

func TestIDsMadeAtOnceDiffer(t *testing.T) {
	var ids IDs
	var wg sync.WaitGroup
	made := make([][]ID, 4)
	for i := range made {
		wg.Go(func() {
			for range 2000 {
				made[i] = append(made[i], ids.New(testNow))
			}
		})
	}
	wg.Wait()
	seen := map[ID]bool{}
	for _, some := range made {
		for _, id := range some {
			if seen[id] {
				t.Fatalf("%s was made twice", id)
			}
			seen[id] = true
		}
	}
}

func TestKeyedIDs(t *testing.T) {
	base := KeyedID("tenant", "key", 0, []byte("content"))
	if base != KeyedID("tenant", "key", 0, []byte("content")) {
		t.Error("the same makes another id")
	}
	if base[6]>>4 != 8 || base[8]>>6 != 2 {
		t.Errorf("%s is not of version 8", base)
	}
	for name, other := range map[string]ID{
		"tenant":   KeyedID("tenant2", "key", 0, []byte("content")),
		"key":      KeyedID("tenant", "key2", 0, []byte("content")),
		"position": KeyedID("tenant", "key", 1, []byte("content")),
		"content":  KeyedID("tenant", "key", 0, []byte("content2")),
		"border":   KeyedID("tenantk", "ey", 0, []byte("content")),
	} {
		if other == base {
			t.Errorf("another %s makes the same id", name)
		}
	}
}

func TestIDsAreReadAndWritten(t *testing.T) {
	const text = "0197c35d-1000-7abc-8def-0000000000ff"
	id, err := ParseID(text)
	if err != nil || id.String() != text || id.IsZero() {
		t.Errorf("have %s, %v", id, err)
	}
	if upper, err := ParseID("0197C35D-1000-7ABC-8DEF-0000000000FF"); err != nil || upper != id {
		t.Errorf("capitals: %s, %v", upper, err)
	}
	for _, bad := range []string{"", text[:35], text + "0", "0197c35d01000-7abc-8def-0000000000ff", "g197c35d-1000-7abc-8def-0000000000ff",
		"{197c35d-1000-7abc-8def-0000000000f}", "0197c35d-1000-7abc-8def-00000000-0ff"} {
		if id, err := ParseID(bad); err == nil || !id.IsZero() {
			t.Errorf("%q was read as %s", bad, id)
		}
	}
}
