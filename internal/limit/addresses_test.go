package limit

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// TestAddressesAreLimitedEachForItself is K2 for addresses.
func TestAddressesAreLimitedEachForItself(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		same          bool
	}{
		"two IPv4 addresses":             {"192.0.2.1", "192.0.2.2", false},
		"IPv4 and the same in IPv6":      {"192.0.2.1", "::ffff:192.0.2.1", true},
		"two of one /64":                 {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		"two /64 of one /48":             {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"an address with and without %":  {"fe80::1%eth0", "fe80::1", true},
		"IPv4 and IPv6 of the same bits": {"0.0.0.1", "::1", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAddresses(3, 64)
				for range 3 {
					if _, ok := a.Spend(netip.MustParseAddr(c.first)); !ok {
						t.Fatal("refused too soon")
					}
				}
				wait, over := a.Over(netip.MustParseAddr(c.second))
				if over != c.same || over && wait != 20*time.Second {
					t.Errorf("over: %t for %s", over, wait)
				}
			})
		})
	}
}

func TestAnAddressGetsItsTokensBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, at := NewAddresses(60, 64), netip.MustParseAddr("192.0.2.1")
		spent := func() (n int) {
			for {
				wait, ok := a.Spend(at)
				if !ok {
					if wait <= 0 || wait > time.Second {
						t.Errorf("wait %s", wait)
					}
					return n
				}
				n++
			}
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, 60}, {10 * time.Second, 10}, {900 * time.Millisecond, 0}, {100 * time.Millisecond, 1}, {time.Hour, 60}} {
			time.Sleep(c.after)
			if n := spent(); n != c.want {
				t.Errorf("after %s: %d, want %d", c.after, n, c.want)
			}
		}
		if _, ok := (*Addresses)(nil).Spend(at); !ok || NewAddresses(0, 64) != nil {
			t.Error("0 is to mean no limit")
		}
	})
}

// TestAMillionAddressesLeaveThoseOverTheirLimitKnown sends from a million addresses once each, while a few go on.
func TestAMillionAddressesLeaveThoseOverTheirLimitKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where no token comes back meanwhile
		a := NewAddresses(60, 1<<14)
		size := unsafe.Sizeof(*a) + uintptr(len(a.sets))*unsafe.Sizeof(a.sets[0])
		if size > 1<<20 {
			t.Errorf("the table takes %d bytes", size)
		}
		loud := netip.MustParseAddr("192.0.2.1")
		for range 60 {
			a.Spend(loud)
		}
		var b [16]byte
		for i := range 1_000_000 {
			binary.BigEndian.PutUint64(b[:], 0x20010db8_00000000+uint64(i))
			a.Spend(netip.AddrFrom16(b))
		}
		if _, over := a.Over(loud); !over {
			t.Error("the one over its limit was forgotten")
		}
	})
}

func BenchmarkAddresses(b *testing.B) {
	a, at := NewAddresses(60, 1<<16), netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		a.Spend(at)
	}
}
