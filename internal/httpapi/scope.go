package httpapi

import (
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// scoped narrows a question to the entries that the caller's credentials are for. Every question goes through it,
// before its cursor is read and before it is asked.
func scoped(k *call, q query.Query) query.Query {
	switch scope := k.principal.Scope(); {
	case scope == nil:
	case q.Where == nil:
		q.Where = scope
	default:
		q.Where = query.And{scope, q.Where}
	}
	return q
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
