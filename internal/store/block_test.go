package store

import (
	"bytes"
	"testing"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func blockOf(jsons ...string) ([]logentry.Record, []int32) {
	records := make([]logentry.Record, len(jsons))
	slots := make([]int32, len(jsons))
	for i, j := range jsons {
		records[i].JSON = []byte(j)
		slots[i] = int32(i)
	}
	return records, slots
}

func TestBlockGivesBackWhatWasPackedWithoutItsHoles(t *testing.T) {
	records, slots := blockOf(`{"a":1}`, `{"b":2}`, `{"c":3}`)
	var p packer
	body := p.pack(records, slots, 1<<1)
	if bytes.Contains(body, []byte(`"b"`)) {
		t.Fatal("the hole's bytes are in the block")
	}
	var b block
	if err := b.open(body); err != nil {
		t.Fatal(err)
	}
	if b.n != 3 || string(b.jsons[0]) != `{"a":1}` || b.jsons[1] != nil || string(b.jsons[2]) != `{"c":3}` || string(b.all()) != `{"a":1}{"c":3}` {
		t.Fatalf("the block holds %q", b.jsons[:b.n])
	}
	if !b.intact(0) || !b.intact(2) {
		t.Fatal("an intact record is reported as damaged")
	}
	b.jsons[2][2] ^= 1
	if b.intact(2) {
		t.Fatal("a damaged record is reported as intact")
	}
}

func FuzzBlockOpen(f *testing.F) {
	records, slots := blockOf(`{"a":1}`, `{"b":2}`)
	var p packer
	f.Add(bytes.Clone(p.pack(records, slots, 0)))
	f.Add(bytes.Clone(p.pack(records, slots, 3)))
	f.Add([]byte{})
	f.Add([]byte{blockFormat, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, body []byte) {
		var b block
		if b.open(body) != nil {
			return
		}
		n := 0
		for i := range b.n {
			n += len(b.jsons[i])
			if b.jsons[i] != nil && len(b.sums[i]) != 32 {
				t.Fatalf("slot %d has a hash of %d bytes", i, len(b.sums[i]))
			}
			if b.jsons[i] != nil {
				b.intact(i)
			}
		}
		if n != len(b.all()) {
			t.Fatalf("%d bytes in the slots, %d in all", n, len(b.all()))
		}
	})
}
