package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// tokenBody is an issued token as callers see it. The token itself is there once: in the answer to its making.
type tokenBody struct {
	JTI       string    `json:"jti"`
	Token     string    `json:"token,omitzero"`
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Tenants   []string  `json:"tenants"`
	Role      string    `json:"role"`
	Filter    string    `json:"filter,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

func bodyOfToken(t auth.Token, text string) tokenBody {
	b := tokenBody{JTI: t.ID, Token: text, Subject: t.Subject, Issuer: t.Issuer, Tenants: t.Tenants, Filter: t.Filter, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, RevokedAt: t.RevokedAt}
	if len(t.Roles) > 0 {
		b.Role = t.Roles[0] // a token that the API issued has one
	}
	return b
}

func (s *Server) listTokens(k *call) error {
	all, err := s.access.Auth.Tokens().List(k.Request.Context(), k.principal)
	if err != nil {
		return err
	}
	bodies := make([]tokenBody, len(all))
	for i, t := range all {
		bodies[i] = bodyOfToken(t, "")
	}
	return replyData(k, http.StatusOK, bodies)
}

func (s *Server) issueToken(k *call) error {
	var sent struct {
		Tenants []string `json:"tenants"`
		Role    string   `json:"role"`
		TTL     string   `json:"ttl"`
		Subject string   `json:"subject"`
		Filter  string   `json:"filter"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	var ttl time.Duration
	if sent.TTL != "" {
		var err error
		if ttl, err = time.ParseDuration(sent.TTL); err != nil || ttl <= 0 {
			return atField("/ttl", "ttl_invalid", "a time to live is written as 30m or 12h")
		}
	}
	if slices.Contains(sent.Tenants, auth.AllTenants) && !k.principal.Platform() {
		return fault.New(fault.Forbidden, "insufficient_role", "only platform admins make platform admins")
	}
	t, text, err := s.access.Auth.Tokens().Issue(k.Request.Context(), k.principal, auth.TokenRequest{Subject: sent.Subject, Tenants: sent.Tenants,
		Roles: []string{sent.Role}, TTL: ttl, Filter: sent.Filter})
	if err != nil {
		return err
	}
	if err := s.changedFor(k, t.Tenants, audit.Create, "token", t.ID, nil, bodyOfToken(t, "")); err != nil {
		return err
	}
	return replyData(k, http.StatusCreated, bodyOfToken(t, text))
}

// revokeToken ends a token by its jti: an admin any of its tenants', everybody the own.
func (s *Server) revokeToken(k *call) error {
	ctx, tokens, jti := k.Request.Context(), s.access.Auth.Tokens(), k.Param("jti")
	was, known, err := tokens.Issued(ctx, k.principal, jti)
	if err != nil {
		return err
	}
	if err := tokens.Revoke(ctx, k.principal, jti); err != nil {
		return err
	}
	// It is noted for the tenants that the token was for. Where that is not known here, for those of who ended it.
	slugs, before, after := k.principal.Tenants(), any(nil), any(nil)
	if known {
		slugs, before = was.Tenants, bodyOfToken(was, "")
		if is, still, err := tokens.Issued(ctx, k.principal, jti); err == nil && still {
			after = bodyOfToken(is, "")
		}
	}
	if err := s.changedFor(k, slugs, audit.Delete, "token", jti, before, after); err != nil {
		return err
	}
	return replyData(k, http.StatusOK, ended{"revoked"})
}
