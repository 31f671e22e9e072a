package httpapi

import (
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// scoped narrows a question to the entries that the caller's credentials are for, and to audit entries or to the
// others. Every question goes through it, before its cursor is read and before it is asked.
func scoped(k *call, q query.Query) query.Query {
	return q.Narrow(q.Audit.Node()).Narrow(k.principal.Scope())
}

// inScope says whether the caller's credentials are for an entry; one that they are not for is absent to it.
func inScope(k *call, e *logentry.Entry) bool { return query.Match(k.principal.Scope(), e) }

// allows is inScope for entries that come in; nil where the credentials are for all.
func allows(k *call) func(*logentry.Entry) bool {
	if k.principal.Scope() == nil {
		return nil
	}
	return func(e *logentry.Entry) bool { return inScope(k, e) }
}

// wholeTenant refuses credentials that are for a part of the tenant's entries where all of them are at stake.
func wholeTenant(k *call) error {
	if k.principal.Scope() == nil {
		return nil
	}
	return fault.New(fault.Forbidden, "outside_scope", "these credentials are for a part of the tenant's entries, and this is about all of them; use credentials without a filter")
}
