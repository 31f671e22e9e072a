package httpapi

import (
	"net/http"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
)

// keyBody is an API key as callers see it. The key itself is there once: in the answer to its making.
type keyBody struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Role       string    `json:"role"`
	Key        string    `json:"key,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	Disabled   bool      `json:"disabled"`
	CIDRs      []string  `json:"cidrs,omitempty"`
	Filter     string    `json:"filter,omitzero"`
	Replaces   string    `json:"replaces,omitzero"`
	ReplacedBy string    `json:"replaced_by,omitzero"`
}

func bodyOfKey(k auth.Key, text string) keyBody {
	b := keyBody{ID: k.ID, Name: k.Name, Key: text, CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt,
		Disabled: k.Disabled, CIDRs: k.CIDRs, Filter: k.Filter, Replaces: k.Replaces, ReplacedBy: k.ReplacedBy}
	if len(k.Roles) > 0 {
		b.Role = k.Roles[0] // a key has one
	}
	return b
}

func (s *Server) listKeys(k *call) error {
	all, err := s.access.Auth.Keys().List(k.Request.Context(), k.tenant)
	if err != nil {
		return err
	}
	bodies := make([]keyBody, len(all))
	for i, key := range all {
		bodies[i] = bodyOfKey(key, "")
	}
	return replyData(k, http.StatusOK, bodies)
}

func (s *Server) createKey(k *call) error {
	var sent struct {
		Name      string    `json:"name"`
		Role      string    `json:"role"`
		ExpiresAt time.Time `json:"expires_at"`
		CIDRs     []string  `json:"cidrs"`
		Filter    string    `json:"filter"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	key, text, err := s.access.Auth.Keys().Create(k.Request.Context(), k.principal, k.tenant, auth.KeyRequest{Name: sent.Name, Roles: []string{sent.Role},
		ExpiresAt: sent.ExpiresAt, CIDRs: sent.CIDRs, Filter: sent.Filter})
	if err != nil {
		return err
	}
	if err := s.changed(k, k.tenant.ID(), audit.Create, "key", key.ID, nil, bodyOfKey(key, "")); err != nil {
		return err
	}
	return replyData(k, http.StatusCreated, bodyOfKey(key, text))
}

// changeKey disables a key for a while, or ends that.
func (s *Server) changeKey(k *call) error {
	var sent struct {
		Disabled *bool `json:"disabled"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	if sent.Disabled == nil {
		return atField("/disabled", "required", "say whether the key is disabled: true or false")
	}
	was, err := s.access.Auth.Keys().Get(k.Request.Context(), k.tenant, k.Param("key"))
	if err != nil {
		return err
	}
	key, err := s.access.Auth.Keys().SetDisabled(k.Request.Context(), k.principal, k.tenant, k.Param("key"), *sent.Disabled)
	if err != nil {
		return err
	}
	if err := s.changed(k, k.tenant.ID(), audit.Update, "key", key.ID, bodyOfKey(was, ""), bodyOfKey(key, "")); err != nil {
		return err
	}
	return replyData(k, http.StatusOK, bodyOfKey(key, ""))
}

func (s *Server) revokeKey(k *call) error {
	was, err := s.access.Auth.Keys().Get(k.Request.Context(), k.tenant, k.Param("key"))
	if err != nil {
		return err
	}
	if err := s.access.Auth.Keys().Revoke(k.Request.Context(), k.principal, k.tenant, k.Param("key")); err != nil {
		return err
	}
	if err := s.changed(k, k.tenant.ID(), audit.Delete, "key", was.ID, bodyOfKey(was, ""), nil); err != nil {
		return err
	}
	return replyData(k, http.StatusOK, ended{"revoked"})
}

// ended is the answer to the end of something.
type ended struct {
	Status string `json:"status"`
}

// rotateKey makes the key that replaces one. Both work until the overlap is over.
func (s *Server) rotateKey(k *call) error {
	var sent struct {
		Overlap string `json:"overlap"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	var overlap time.Duration
	if sent.Overlap != "" {
		var err error
		if overlap, err = time.ParseDuration(sent.Overlap); err != nil || overlap <= 0 {
			return atField("/overlap", "overlap_invalid", "an overlap is a time such as 30m or 24h, at least 1ns; leave it out for 24h")
		}
	}
	was, err := s.access.Auth.Keys().Get(k.Request.Context(), k.tenant, k.Param("key"))
	if err != nil {
		return err
	}
	key, text, err := s.access.Auth.Keys().Rotate(k.Request.Context(), k.principal, k.tenant, k.Param("key"), overlap)
	if err != nil {
		return err
	}
	if err := s.changed(k, k.tenant.ID(), audit.Create, "key", key.ID, nil, bodyOfKey(key, "")); err != nil {
		return err
	}
	is, err := s.access.Auth.Keys().Get(k.Request.Context(), k.tenant, was.ID)
	if err == nil { // it has an end now; unless it was revoked meanwhile, which is noted there
		if err := s.changed(k, k.tenant.ID(), audit.Update, "key", was.ID, bodyOfKey(was, ""), bodyOfKey(is, "")); err != nil {
			return err
		}
	}
	return replyData(k, http.StatusCreated, bodyOfKey(key, text))
}
