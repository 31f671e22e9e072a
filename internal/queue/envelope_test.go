package queue

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	created = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	wires   = map[string]Wire{"text": Text, "binary": Binary}
)

// sample is an entry that looks like those of real services; n makes it differ from others.
func sample(n int) logentry.Entry {
	at := created.Add(time.Duration(n) * 137 * time.Microsecond)
	id := logentry.KeyedID("tenant", fmt.Sprint(n), 0, nil)
	copy(id[:], "\x01\x9b\x7c\xa9\x8f\x2e") // one millisecond, as the ids of one request have
	return logentry.Entry{
		ID: id, ReceivedAt: at, Timestamp: at.Add(-time.Duration(n*7919%5000) * time.Microsecond),
		Severity: logentry.Severity(1 + n%5), Service: "checkout", Action: "UPDATE",
		Message:   fmt.Sprintf("order %d of customer %d paid in %d ms", n*7919, n*104729%100_000, n*31%900),
		UserID:    fmt.Sprintf("user-%d", n*104729%100_000),
		IPAddress: fmt.Sprintf("10.%d.%d.%d", n%7, n*31%256, n*17%256), SchemaVersion: 1,
		TraceID:  fmt.Sprintf("%016x%016x", xxhash.Sum64String(fmt.Sprint(n)), xxhash.Sum64String(fmt.Sprint(n, "b"))),
		Metadata: fmt.Appendf(nil, `{"region":"eu-central-1","amount":%d.%02d,"path":"/api/v1/orders/%d","status":200}`, n*31%1000, n%100, n*7919),
	}
}

func samples(n int) []byte {
	var b []byte
	for i := range n {
		e := sample(i)
		b = append(logentry.AppendJSON(b, &e), '\n')
	}
	return b
}

func newPacker(t testing.TB, wire Wire) *Packer {
	t.Helper()
	p, err := NewPacker(wire)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func pack(t testing.TB, wire Wire, lines []byte, count int) []byte {
	t.Helper()
	p := newPacker(t, wire)
	body, err := p.Pack(nil, Header{TenantID: "tenant7abcde", Producer: "ocelot/test", Created: created, Count: count}, lines)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestEnvelopeRoundTrip(t *testing.T) {
	for name, wire := range wires {
		for _, n := range []int{0, 1, 10_000} {
			t.Run(fmt.Sprintf("%s of %d entries", name, n), func(t *testing.T) {
				lines := samples(n)
				e, err := Unpack(pack(t, wire, lines, n))
				if err != nil {
					t.Fatal(err)
				}
				if e.Version != 1 || e.TenantID != "tenant7abcde" || e.Producer != "ocelot/test" || !e.Created.Equal(created) || e.Count != n || !bytes.Equal(e.Payload, lines) {
					t.Errorf("%d, %q, %q, %v, %d entries, equal: %v", e.Version, e.TenantID, e.Producer, e.Created, e.Count, bytes.Equal(e.Payload, lines))
				}
				records, err := e.Records()
				if err != nil || len(records) != n {
					t.Fatalf("%d records, %v", len(records), err)
				}
				for i, r := range records {
					want := sample(i)
					if r.TenantID != "tenant7abcde" || r.ID != want.ID || r.Message != want.Message || !r.ReceivedAt.Equal(want.ReceivedAt) {
						t.Fatalf("record %d: %+v", i, r)
					}
				}
			})
		}
	}
}

func TestEnvelopeCarriesEveryCharacter(t *testing.T) {
	var lines []byte
	n := 0
	for r := rune(0); r <= 0xffff; r++ {
		if r >= 0xd800 && r <= 0xdfff { // halves of surrogate pairs are no characters
			continue
		}
		e := logentry.Entry{ReceivedAt: created, Message: "<" + string(r) + ">", UserID: string(r)}
		lines = append(logentry.AppendJSON(lines, &e), '\n')
		if n++; n == MaxEntries {
			break
		}
	}
	rest := []byte{}
	more := 0
	for r := rune(0xffff); more < 0x10000-2048-MaxEntries; r-- {
		e := logentry.Entry{ReceivedAt: created, Message: "<" + string(r) + ">", UserID: string(r)}
		rest = append(logentry.AppendJSON(rest, &e), '\n')
		more++
	}
	for name, wire := range wires {
		for part, want := range map[int][]byte{n: lines, more: rest} {
			body := pack(t, wire, want, part)
			if wire == Text {
				for i, c := range body {
					if c <= ' ' || c > '~' {
						t.Fatalf("byte %d of the text wire is %#x", i, c)
					}
				}
			}
			e, err := Unpack(body)
			if err != nil || !bytes.Equal(e.Payload, want) {
				t.Fatalf("%s: %v", name, err)
			}
			records, err := e.Records()
			if err != nil || len(records) != part {
				t.Fatalf("%s: %d records, %v", name, len(records), err)
			}
			for _, r := range records {
				if r.Message != "<"+r.UserID+">" {
					t.Fatalf("%s: %q is not %q", name, r.Message, r.UserID)
				}
			}
		}
	}
}

func TestEnvelopePartsMayBeCutAnywhere(t *testing.T) {
	lines := samples(3)
	p := newPacker(t, Text)
	h := Header{TenantID: "t", Producer: "p", Created: created, Count: 3}
	whole, err := p.Pack([]byte("before"), h, lines)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := p.Pack(nil, h, lines[:10], nil, lines[10:700], lines[700:])
	if err != nil || "before"+string(cut) != string(whole) {
		t.Errorf("%v: %s is not %s", err, cut, whole)
	}
}

func TestPackRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		h     Header
		lines string
		kind  fault.Kind
		code  string
	}{
		"a count that is too high":        {Header{TenantID: "t", Count: 2}, "{}\n", fault.Internal, "envelope_miscounted"},
		"a count that is too low":         {Header{TenantID: "t", Count: 1}, "{}\n{}\n", fault.Internal, "envelope_miscounted"},
		"a last line without its end":     {Header{TenantID: "t", Count: 1}, "{}\n{}", fault.Internal, "envelope_miscounted"},
		"no tenant":                       {Header{Count: 1}, "{}\n", fault.Internal, "envelope_header"},
		"a header that is too long":       {Header{TenantID: "t", Producer: strings.Repeat("p", 5000)}, "", fault.Internal, "envelope_header"},
		"more entries than may be in one": {Header{TenantID: "t", Count: 50_001}, strings.Repeat("\n", 50_001), fault.TooLarge, "envelope_too_large"},
		"more bytes than may be in one":   {Header{TenantID: "t", Count: 1}, strings.Repeat("x", 16<<20) + "\n", fault.TooLarge, "envelope_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPacker(t, Binary)
			body, err := p.Pack(nil, c.h, []byte(c.lines))
			if f := fault.Of(err); f == nil || f.Kind != c.kind || f.Code != c.code || len(body) > 0 {
				t.Errorf("%v", err)
			}
			if _, err := p.Pack(nil, Header{TenantID: "t", Count: 1}, []byte("{}\n")); err != nil {
				t.Errorf("the packer is spoilt: %v", err)
			}
		})
	}
}

// zstdText makes an envelope of raw bytes as our writer would, with options of the encoder.
func zstdText(t testing.TB, raw []byte, o ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true)}, o...)...)
	if err != nil {
		t.Fatal(err)
	}
	return "OCz1:" + base64.StdEncoding.EncodeToString(w.EncodeAll(raw, nil))
}

func header(format string, args ...any) string {
	return fmt.Sprintf(`{"v":1,"tenant":"t","producer":"p","created":"2026-01-02T03:04:05Z",`+format+"}\n", args...)
}

func TestUnpackRefuses(t *testing.T) {
	lines := "{\"a\":1}\n{\"b\":2}\n"
	sum := fmt.Sprintf("%016x", xxhash.Sum64String(lines))
	good := header(`"count":2,"bytes":16,"xxh64":%q,"later":true`, sum) + lines
	if _, err := Unpack([]byte(zstdText(t, []byte(good)))); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	if _, err := Unpack([]byte("OCs1:" + string(s2.Encode(nil, []byte(good))))); err != nil {
		t.Fatalf("the good binary one: %v", err)
	}
	frame := func(b string) []byte {
		raw, err := base64.StdEncoding.DecodeString(b[tagLen:])
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	text := func(b ...[]byte) string { return "OCz1:" + base64.StdEncoding.EncodeToString(bytes.Join(b, nil)) }
	one := frame(zstdText(t, []byte(good)))
	flipped := bytes.Clone(one)
	flipped[len(flipped)/2] ^= 1
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	zeros := make([]byte, MaxPayload+maxHeader+1)
	const unknown, newer, bad = "envelope_unknown_format", "envelope_newer_version", "envelope_corrupt"
	for name, c := range map[string]struct{ body, code string }{
		"nothing":                       {"", unknown},
		"a body cut within the tag":     {"OCz1", unknown},
		"somebody else's body":          {`{"hello":1}`, unknown},
		"version 0":                     {"OCz0:" + good, unknown},
		"a tag in capitals":             {"OCZ1:" + good, unknown},
		"a newer version":               {"OCz2:whatever", newer},
		"a newer codec":                 {"OCq1:whatever", newer},
		"nothing behind the tag":        {"OCz1:", bad},
		"nothing behind the binary tag": {"OCs1:", bad},
		"no base64":                     {"OCz1:%%%%", bad},
		"base64 with a line end":        {"OCz1:" + zstdText(t, []byte(good))[5:9] + "\n" + zstdText(t, []byte(good))[9:], bad},
		"base64 without padding bits":   {strings.TrimRight(text(one, nil), "=") + "=x", bad},
		"no frame":                      {text([]byte("no frame at all")), bad},
		"a frame that is cut":           {text(one[:len(one)-1]), bad},
		"a flipped bit":                 {text(flipped), bad},
		"bytes behind the frame":        {text(one, []byte{0}), bad},
		"two frames":                    {text(one, one), bad},
		"a skippable frame before":      {text(skippable, one), bad},
		"a skippable frame behind":      {text(one, skippable), bad},
		"a frame without checksum":      {zstdText(t, []byte(good), zstd.WithEncoderCRC(false)), bad},
		"a window of 8 MiB":             {zstdText(t, zeros[:9<<20], zstd.WithWindowSize(8<<20), zstd.WithSingleSegment(false)), bad},
		"a bomb":                        {zstdText(t, zeros), bad},
		"a binary bomb":                 {"OCs1:" + string(s2.Encode(nil, zeros)), bad},
		"a binary size that is a lie":   {"OCs1:\xff\xff\xff\x07abc", bad},
		"bytes behind the block":        {"OCs1:" + string(s2.Encode(nil, []byte(good))) + "x", bad},
		"no header":                     {zstdText(t, []byte("no line end")), bad},
		"a header that is no JSON":      {zstdText(t, []byte("hello\n"+lines)), bad},
		"a header with a name twice":    {zstdText(t, []byte(header(`"count":2,"count":2,"bytes":16,"xxh64":%q`, sum)+lines)), bad},
		"a header of 5 KiB":             {zstdText(t, []byte(header(`"x":%q,"count":2,"bytes":16,"xxh64":%q`, strings.Repeat("x", 5000), sum)+lines)), bad},
		"no tenant":                     {zstdText(t, []byte(strings.Replace(good, `"t"`, `""`, 1))), bad},
		"another version in the header": {zstdText(t, []byte(strings.Replace(good, `"v":1`, `"v":2`, 1))), bad},
		"a size that differs":           {zstdText(t, []byte(header(`"count":2,"bytes":15,"xxh64":%q`, sum)+lines)), bad},
		"a checksum that differs":       {zstdText(t, []byte(header(`"count":2,"bytes":16,"xxh64":"0000000000000000"`)+lines)), bad},
		"a checksum in capitals":        {zstdText(t, []byte(header(`"count":2,"bytes":16,"xxh64":%q`, strings.ToUpper(sum))+lines)), bad},
		"a count that is too high":      {zstdText(t, []byte(header(`"count":3,"bytes":16,"xxh64":%q`, sum)+lines)), bad},
		"a count below nothing":         {zstdText(t, []byte(header(`"count":-1,"bytes":16,"xxh64":%q`, sum)+lines)), bad},
		"a last line without its end":   {zstdText(t, []byte(header(`"count":1,"bytes":15,"xxh64":"%016x"`, xxhash.Sum64String(lines[:15]))+lines[:15])), bad},
		"more entries than an envelope may hold": {zstdText(t, []byte(header(`"count":50001,"bytes":50001,"xxh64":"%016x"`,
			xxhash.Sum64String(strings.Repeat("\n", 50_001)))+strings.Repeat("\n", 50_001))), bad},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Unpack([]byte(c.body))
			kind := fault.Corrupt
			if c.code == newer {
				kind = fault.Unavailable
			}
			if f := fault.Of(err); f == nil || f.Code != c.code || f.Kind != kind {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRecordsOfALineThatIsNoEntry(t *testing.T) {
	e, err := Unpack(pack(t, Text, []byte("{}\n"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Records(); fault.KindOf(err) != fault.Corrupt {
		t.Errorf("%v", err)
	}
}

// Bodies that were written once must open for ever: -update adds files that are missing and never changes one.
func TestGolden(t *testing.T) {
	for name, wire := range wires {
		lines := samples(3)
		path := filepath.Join("testdata", "envelope-v1-"+name+".golden")
		body, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && *update {
			body = pack(t, wire, lines, 3)
			err = errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, body, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := Unpack(body)
		if err != nil {
			t.Fatalf("%s no longer opens: %v", path, err)
		}
		records, err := e.Records()
		if err != nil || len(records) != 3 || e.TenantID != "tenant7abcde" || e.Producer != "ocelot/test" || !e.Created.Equal(created) {
			t.Fatalf("%s: %+v, %d records, %v", path, e, len(records), err)
		}
		for i, r := range records {
			if want := sample(i); r.Message != want.Message || r.TraceID != want.TraceID || string(r.Metadata) != string(want.Metadata) {
				t.Errorf("%s, record %d: %s", path, i, r.JSON)
			}
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, wire := range wires {
		f.Add(pack(f, wire, samples(3), 3))
		f.Add(pack(f, wire, nil, 0))
	}
	f.Add([]byte("OCz2:x"))
	f.Add([]byte("OCs1:\xff\xff\xff\x07abc"))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := Unpack(body)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Corrupt && k != fault.Unavailable {
				t.Fatalf("%v", err)
			}
			return
		}
		if len(e.Payload) > MaxPayload || e.Count > MaxEntries || e.Count != bytes.Count(e.Payload, []byte("\n")) || e.TenantID == "" {
			t.Fatalf("%d bytes, %d entries of %q", len(e.Payload), e.Count, e.TenantID)
		}
		again, err := Unpack(packAs(t, Wire(body[2]), e))
		if err != nil || !bytes.Equal(again.Payload, e.Payload) {
			t.Fatalf("packed again: %v", err)
		}
		_, _ = e.Records()
	})
}

func packAs(t *testing.T, wire Wire, e Envelope) []byte {
	p := newPacker(t, wire)
	body, err := p.Pack(nil, Header{TenantID: e.TenantID, Producer: "p", Created: created, Count: e.Count}, e.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func BenchmarkEnvelope(b *testing.B) {
	lines := samples(500)
	h := Header{TenantID: "tenant7abcde", Producer: "bench", Created: created, Count: 500}
	for name, wire := range wires {
		p := newPacker(b, wire)
		body := pack(b, wire, lines, 500)
		b.Run("pack "+name, func(b *testing.B) {
			for b.Loop() {
				var err error
				if body, err = p.Pack(body[:0], h, lines); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/entry")
			b.ReportMetric(float64(len(body)), "bytes")
			b.ReportMetric(float64(len(lines))/float64(len(body)), "ratio")
		})
		b.Run("unpack "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Unpack(body); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/entry")
		})
	}
}
