// Package auth says who is calling: it turns credentials into a Principal, and a Principal into the
// one Tenant that a request is about.
//
// It is the only maker of Tenant values. Every read of the record and of the index takes one as an
// argument, so a read without a tenant, or with one that the caller chose freely, does not compile.
package auth

import "github.com/ocelot-log/ocelot/internal/tenant"

// Tenant is a tenant that a principal may act for in this request. The zero value belongs to nobody
// and finds nothing.
type Tenant struct {
	id, slug string
	settings *tenant.Settings
	version  int64
}

// ID is the internal id, random and never reused; it is what the record and the index are keyed by.
func (t Tenant) ID() string { return t.id }

// Slug is the public name in URLs, headers and answers.
func (t Tenant) Slug() string { return t.slug }

// Settings are what the tenant chose, as they were when the request came. Nobody changes them.
func (t Tenant) Settings() *tenant.Settings {
	if t.settings == nil {
		return &tenant.Settings{}
	}
	return t.settings
}

// Version is that of the settings: whoever makes something of them makes it again when it has changed.
func (t Tenant) Version() int64 { return t.version }

// IsZero tells a tenant that nobody made.
func (t Tenant) IsZero() bool { return t.id == "" }
