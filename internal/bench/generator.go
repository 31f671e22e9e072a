// Package bench loads a running service and measures it end to end: how many entries a second it accepts
// and makes searchable, how long both take, and whether every entry that it acknowledged is found exactly once.
//
// The load is an open loop where a rate is given: requests have times at which they are due, independent of
// the answers, and latency counts from those times, so that a service that stalls cannot hide it
// by slowing the load down. The entries come from a seed, are made by patching templates and cost well under a
// microsecond each, because the meter usually runs on the machine that it measures.
package bench

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// templates is how many different entries there are before ids, times and numbers are patched in. They take
// some 2 MB: enough variety for an index, and still within a processor's cache.
const templates = 4096

// stampWidth is the length of a timestamp with microseconds.
const stampWidth = len("2006-01-02T15:04:05.000000Z")

// Generator makes entries in JSON: the same seed, run and numbers give the same entries, but for their
// times. It is read-only after New: any number of goroutines may use it.
type Generator struct {
	seed  uint64
	tag   uint64 // of the run, above the numbers of its entries
	items []template
}

// template is an entry with places to be patched; each offset points behind the opening quote.
type template struct {
	text                      []byte
	stamp, request, trace, at int // at: the number within the message; 0 where there is none
}

// NewGenerator prepares the entries of a run; every one of them has session_id run.
func NewGenerator(seed uint64, run string) *Generator {
	tag := fnv.New64a()
	_, _ = tag.Write([]byte(run)) // never fails
	g := &Generator{seed: seed, tag: tag.Sum64() << numberBits, items: make([]template, templates)}
	rng := rand.New(rand.NewPCG(seed, 0x6f63656c6f74))
	words := vocabulary(rng)
	for i := range g.items {
		g.items[i] = makeTemplate(rng, run, words)
	}
	return g
}

// Batch is a number of entries that are about to be made.
type Batch struct {
	first uint64
	stamp [stampWidth]byte
	micro int
}

// Batch prepares entries number first and following, whose times lie in the microseconds behind now.
func (g *Generator) Batch(first uint64, now time.Time) Batch {
	b := Batch{first: first, micro: now.Nanosecond() / 1000}
	copy(b.stamp[:], now.UTC().Format("2006-01-02T15:04:05.000000Z"))
	return b
}

// Append appends entry number first+i of the batch to dst, without line ending.
func (g *Generator) Append(dst []byte, b *Batch, i int) []byte {
	n := b.first + uint64(i)
	mixed := mix(g.seed ^ n)
	t := &g.items[mixed%templates]
	from := len(dst)
	dst = append(dst, t.text...)
	entry := dst[from:]
	copy(entry[t.stamp:], b.stamp[:])
	micro := min(b.micro+i, 999_999) // at the second's end some share their time
	putDecimal(entry[t.stamp+20:t.stamp+26], uint64(micro))
	putHex(entry[t.request+requestPrefix:], g.tag|n)
	putHex(entry[t.trace:], mixed)
	putHex(entry[t.trace+16:], mix(mixed)|1) // never all zero
	if t.at > 0 {
		putDecimal(entry[t.at:t.at+6], mixed>>40%1_000_000)
	}
	return dst
}

// requestPrefix is the length of what stands before the number in a request id; numberBits is how many of its
// bits are the entry's number, 10¹² of them.
const (
	requestPrefix = len("req-")
	numberBits    = 40
)

// RequestID is the request_id of entry number n; no other entry has it, not even one of another run.
func (g *Generator) RequestID(n uint64) string { return fmt.Sprintf("req-%016x", g.tag|n) }

// number reads the entry's number back from its request_id; ok is false for one of another run.
func (g *Generator) number(requestID []byte) (n uint64, ok bool) {
	if len(requestID) != requestPrefix+16 || string(requestID[:requestPrefix]) != "req-" {
		return 0, false
	}
	var raw [8]byte
	if !unhex(raw[:], requestID[requestPrefix:]) {
		return 0, false
	}
	n = binary.BigEndian.Uint64(raw[:])
	return n & (1<<numberBits - 1), n>>numberBits == g.tag>>numberBits
}

// weighted is a value and how often it occurs, per thousand.
type weighted struct {
	value string
	share int
}

var (
	severities = []weighted{{"DEBUG", 120}, {"INFO", 720}, {"WARNING", 100}, {"ERROR", 55}, {"CRITICAL", 5}}
	services   = []weighted{{"checkout", 180}, {"payments", 150}, {"catalog", 150}, {"gateway", 140}, {"accounts", 110},
		{"search", 80}, {"inventory", 60}, {"shipping", 50}, {"mailer", 40}, {"billing", 25}, {"reports", 10}, {"admin-console", 5}}
	actions = []weighted{{"READ", 380}, {"UPDATE", 200}, {"CREATE", 160}, {"VIEW", 110}, {"LOGIN", 60}, {"LOGOUT", 40},
		{"DELETE", 30}, {"EXPORT", 15}, {"IMPORT", 5}}
	kinds   = []string{"order", "invoice", "customer", "cart", "shipment", "product", "session", "report"}
	regions = []string{"eu-west-1", "eu-north-1", "us-east-1", "ap-south-1"}
	verbs   = []string{"completed", "rejected", "queued", "retried", "loaded", "stored", "expired", "matched", "skipped", "validated"}
)

func pick(rng *rand.Rand, from []weighted) string {
	at := rng.IntN(1000)
	for _, w := range from {
		if at -= w.share; at < 0 {
			return w.value
		}
	}
	return from[0].value
}

// vocabulary is two thousand pronounceable words.
func vocabulary(rng *rand.Rand) []string {
	const consonants, vowels = "bcdfghklmnprstvz", "aeiou"
	words := make([]string, 2000)
	for i := range words {
		var b strings.Builder
		for range 2 + rng.IntN(2) {
			b.WriteByte(consonants[rng.IntN(len(consonants))])
			b.WriteByte(vowels[rng.IntN(len(vowels))])
		}
		words[i] = b.String()
	}
	return words
}

func makeTemplate(rng *rand.Rand, run string, words []string) template {
	var t template
	kind := kinds[rng.IntN(len(kinds))]
	var b []byte
	b = append(b, `{"timestamp":"`...)
	t.stamp = len(b)
	b = append(b, strings.Repeat("0", stampWidth)...)
	b = fmt.Appendf(b, `","severity":"%s","service":"%s","action":"%s","message":"%s %s`, pick(rng, severities), pick(rng, services), pick(rng, actions), kind, verbs[rng.IntN(len(verbs))])
	for range 6 + rng.IntN(4) {
		// A few words are much more frequent than the rest, as in any text.
		b = append(append(b, ' '), words[int(float64(len(words))*rng.Float64()*rng.Float64())]...)
	}
	if rng.IntN(10) < 4 {
		b = append(b, " no "...)
		t.at = len(b)
		b = append(b, "000000"...)
	}
	b = fmt.Appendf(b, `","user_id":"u%05d","session_id":"%s","resource_id":"%s-%06d","ip_address":"10.%d.%d.%d","request_id":"`,
		rng.IntN(50_000), run, kind, rng.IntN(1_000_000), rng.IntN(256), rng.IntN(256), 1+rng.IntN(254))
	t.request = len(b)
	b = append(b, `req-0000000000000000","trace_id":"`...)
	t.trace = len(b)
	b = append(b, strings.Repeat("0", 32)...)
	b = fmt.Appendf(b, `","metadata":{"region":"%s","pod":"pod%02d","took_ms":%d,"cached":%t}}`, regions[rng.IntN(len(regions))], rng.IntN(40), rng.IntN(2000), rng.IntN(3) == 0)
	t.text = b
	return t
}

// mix spreads n over 64 bits (the finaliser of splitmix64).
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

const hexDigits = "0123456789abcdef"

// putHex writes the 16 hex digits of n.
func putHex(dst []byte, n uint64) {
	_ = dst[15]
	for i := 15; i >= 0; i-- {
		dst[i] = hexDigits[n&15]
		n >>= 4
	}
}

// putDecimal fills dst with the last digits of n.
func putDecimal(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
}

// unhex decodes lower-case or upper-case hex; src must be twice as long as dst.
func unhex(dst, src []byte) bool {
	for i := range dst {
		high, low := nibble(src[2*i]), nibble(src[2*i+1])
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func nibble(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= b|0x20 && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	}
	return 0xff
}
