package query

import "github.com/ocelot-log/ocelot/pkg/logentry"

// Audit says what becomes of the entries that the service itself made of reads and changes.
type Audit uint8

// The ways; an analyst's total does not grow by looking, unless asked to.
const (
	AuditLeftOut  Audit = iota // as if they were not there
	AuditIncluded              // like all others
	AuditOnly                  // none but them
)

// audits are the ways by their names.
var audits = map[string]Audit{"include": AuditIncluded, "only": AuditOnly}

// Node is the condition to narrow a question by; nil for none. Of services only this one may have such entries.
func (a Audit) Node() Node {
	own := Term{Field: Service, Value: logentry.OwnService}
	switch a {
	case AuditIncluded:
		return nil
	case AuditOnly:
		return own
	}
	return Not{Node: own}
}

// audit reads what is asked of audit entries.
func (r *reader) audit(q *Query) {
	v, ok := r.first("audit")
	if !ok {
		return
	}
	if q.Audit, ok = audits[v]; !ok {
		r.whole("audit", codeAudit, "audit is include or only; without it audit entries are left out")
	}
}
