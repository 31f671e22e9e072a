package app

import (
	"errors"

	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/httpapi"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// httpConfig is how the API is reached, by the settings.
func httpConfig(s config.Settings, version string) (httpapi.Config, error) {
	var problems config.Problems
	note := func(setting string, err error) {
		if err != nil {
			problems = append(problems, config.Problem{Where: setting, Message: err.Error()})
		}
	}
	c := httpapi.Config{Version: version, MaxFutureSkew: s.MaxFutureSkew, DeleteGrace: s.TenantDeleteGrace, ShutdownGrace: s.ShutdownGrace, TenantExports: s.TenantExports,
		AuditTenant: s.AuditTenant, UnauditedReads: !s.ReadAudit}
	if err := tenant.CheckSlug(s.AuditTenant); s.AuditTenant != "" && err != nil {
		note("AUDIT_TENANT", errors.New(fault.Of(err).Detail))
	}
	var err error
	c.Proxies, err = httpapi.ParseProxies(s.TrustedProxies)
	note("TRUSTED_PROXIES", err)
	c.Hosts, err = httpapi.ParseHosts(s.AllowedHosts)
	note("ALLOWED_HOSTS", err)
	c.Origins, err = httpapi.ParseOrigins(s.CORSOrigins)
	note("CORS_ORIGINS", err)
	c.Certificate, err = httpapi.CertificateOf(s.TLSCertFile, s.TLSKeyFile)
	note("TLS_CERT_FILE, TLS_KEY_FILE", err)
	if len(problems) > 0 {
		return c, problems
	}
	return c, nil
}

// scheme is how the API is spoken to.
func scheme(s config.Settings) string {
	if s.TLSCertFile != "" {
		return "https://"
	}
	return "http://"
}
