package httpapi

import (
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

const maxSmallBody = 64 << 10

// tenantBody is a tenant as callers see it: its id is the slug. What only its admins see is absent for others.
type tenantBody struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	CreatedAt time.Time      `json:"created_at"`
	Settings  jsontext.Value `json:"settings,omitzero"`
	Suspended *bool          `json:"suspended,omitzero"`
	DeleteAt  *time.Time     `json:"delete_at,omitzero"`
}

func bodyOf(t tenant.Info, whole bool) tenantBody {
	b := tenantBody{ID: t.Slug, Name: t.Name, CreatedAt: t.CreatedAt.UTC()}
	if whole {
		b.Settings, b.Suspended = t.Settings.AppendJSON(nil), &t.Suspended
		if !t.DeleteAt.IsZero() {
			at := t.DeleteAt.UTC()
			b.DeleteAt = &at
		}
	}
	return b
}

// listTenants answers the caller's own.
func (s *Server) listTenants(k *call) error {
	all, err := s.access.Tenants.List(k.Request.Context())
	if err != nil {
		return err
	}
	own := []tenantBody{}
	for _, t := range all {
		if k.principal.Platform() || k.principal.Serves(&t) {
			own = append(own, bodyOf(t, k.principal.Can(auth.Admin)))
		}
	}
	return replyData(k, http.StatusOK, own)
}

// createTenant makes a tenant with a random internal id behind the chosen slug.
func (s *Server) createTenant(k *call) error {
	var sent struct {
		ID   *string `json:"id"`
		Name string  `json:"name"`
	}
	if err := s.readSmall(k, &sent); err != nil {
		return err
	}
	if sent.ID == nil {
		return atField("/id", "required", "a tenant needs an id")
	}
	if !tenant.ValidSlug(*sent.ID) {
		return atField("/id", "tenant_slug_invalid", fault.Of(tenant.CheckSlug(*sent.ID)).Detail)
	}
	if !tenant.ValidName(sent.Name) {
		return atField("/name", "tenant_name_invalid", tenant.NameRule)
	}
	t := tenant.Info{ID: tenant.NewID(), Slug: *sent.ID, Name: sent.Name, CreatedAt: time.Now().UTC(), Version: 1}
	if t.Name == "" {
		t.Name = t.Slug
	}
	if err := s.reading.Store.CreateTenant(k.Request.Context(), t); err != nil {
		return err
	}
	s.access.Tenants.Forget()
	for _, in := range []string{t.ID, ""} { // in its own log and in that of the operators
		if err := s.changed(k, in, audit.Create, "tenant", t.Slug, nil, bodyOf(t, true)); err != nil {
			return err
		}
	}
	return replyTenant(k, http.StatusCreated, t)
}

func replyData(k *call, status int, data any) error {
	b, err := json.Marshal(struct {
		Data any      `json:"data"`
		Meta struct{} `json:"meta"`
	}{Data: data})
	if err != nil {
		return err
	}
	return reply(k.Context, status, b)
}

// readSmall reads a small JSON body strictly into v. types are what it may be besides application/json.
func (s *Server) readSmall(k *call, v any, types ...string) error {
	if _, err := takes(k.Request.Header, append(types, "application/json")...); err != nil {
		return err
	}
	held := hold{of: &s.budget}
	defer held.release()
	body, err := readBody(k.Request, maxSmallBody, &held)
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return fault.New(fault.Malformed, "body_empty", "the body is empty; send a JSON object")
	}
	if jsontext.Value(body).Kind() == 'n' { // which would be read as an object without members
		return fault.New(fault.Invalid, "field_wrong_type", "the body is null; send a JSON object")
	}
	err = json.Unmarshal(body, v, json.RejectUnknownMembers(true), noNullText)
	switch semantic, ok := errors.AsType[*json.SemanticError](err); {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return fault.New(fault.Malformed, "json_duplicate_key", "a name stands twice in an object")
	case ok && errors.Is(err, json.ErrUnknownName):
		const message, longest = "the body has a field that this route does not take", 256
		if len(semantic.JSONPointer) > longest {
			return fault.New(fault.Malformed, "unknown_field", message)
		}
		return &fault.Error{Kind: fault.Malformed, Code: "unknown_field", Detail: message, Problems: []fault.Problem{{Pointer: string(semantic.JSONPointer), Code: "unknown_field", Message: message}}}
	case ok:
		return atField(string(semantic.JSONPointer), "field_wrong_type", "this value has the wrong type"+wanted(semantic.GoType))
	}
	return fault.New(fault.Malformed, "json_invalid", "the body is not one valid JSON document in UTF-8")
}

// wanted says for people what a value of a body should have been.
func wanted(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return ""
	case t == reflect.TypeFor[time.Time]():
		return ": it is a time as in RFC 3339, such as 2026-12-31T23:59:59Z"
	case t.Kind() == reflect.String:
		return ": it is a text"
	case t.Kind() == reflect.Bool:
		return ": it is true or false"
	case t.Kind() == reflect.Slice:
		return ": it is a list"
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return ": it is an object"
	}
	return ""
}

// noNullText refuses null where a text must be; what may be null is a pointer.
var noNullText = json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, _ *string) error {
	if d.PeekKind() == 'n' {
		return errors.New("null is no text")
	}
	return errors.ErrUnsupported
}))

// atField is a wrong value.
func atField(pointer, code, message string) error {
	return &fault.Error{Kind: fault.Invalid, Code: code, Detail: message, Problems: []fault.Problem{{Pointer: pointer, Code: code, Message: message}}}
}
