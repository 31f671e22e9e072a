package mask

import (
	"testing"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// sample has 400 bytes, as entries of real services have.
const sample = `{"timestamp":"2026-03-01T12:00:00.123456Z","severity":"INFO","service":"billing","action":"UPDATE","message":"invoice 20260301-7 was paid by card",` +
	`"user_id":"ann@example.org","resource_type":"invoice","resource_id":"20260301-7","ip_address":"203.0.113.7",` +
	`"metadata":{"order":{"id":42,"lines":[{"sku":"A-1","n":2},{"sku":"B-2","n":1}]},"amount":129.90,"currency":"EUR","region":"eu-west-1","retry":false,"via":"web"}}`

func BenchmarkApply(b *testing.B) {
	entries, err := logentry.Decode([]byte(sample), logentry.Single, logentry.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for name, m := range map[string]*Masker{
		"default rules":    compile(b),
		"a field":          compile(b, field("metadata.order.id", Keep)),
		"all the builtins": compile(b, builtin("email", Mask), builtin("card", Mask), builtin("bearer", Mask), builtin("aws_key", Mask), builtin("ip", Mask)),
		"a hash":           compile(b, field("user_id", Hash)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sample)))
			for b.Loop() {
				e := entries[0]
				m.Apply(&e, nil)
			}
		})
	}
}
