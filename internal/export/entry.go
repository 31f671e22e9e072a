package export

import (
	"bytes"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// idMember is how long the id member is with which the JSON of every record begins: {"id":"…",
const idMember = len(`{"id":"`) + 36 + len(`",`)

// AppendEntry appends the JSON of a record with the tenant's public name behind its id: an entry as the API answers it.
func AppendEntry(dst, record []byte, tenant string) ([]byte, error) {
	if len(record) < idMember || !bytes.HasPrefix(record, []byte(`{"id":"`)) || record[idMember-1] != ',' {
		return nil, fault.New(fault.Corrupt, "record_corrupt", "a record does not begin with its id")
	}
	dst = append(dst, record[:idMember]...)
	dst = append(dst, `"tenant_id":"`...)
	dst = append(dst, tenant...) // of characters that need no escape
	dst = append(dst, `",`...)
	return append(dst, record[idMember:]...), nil
}

// AppendRecord is AppendEntry that also says where not all of the metadata can be found by a search.
func AppendRecord(dst []byte, r *logentry.Record, tenant string) ([]byte, error) {
	dst, err := AppendEntry(dst, r.JSON, tenant)
	if err == nil && query.Truncated(r.Metadata) {
		dst = append(dst[:len(dst)-1], `,"index_truncated":true}`...)
	}
	return dst, err
}
