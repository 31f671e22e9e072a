package auth

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// claimPath is where in the claims something stands: under its whole name, or, where there is none, by the path that the
// dots of the name make, as in realm_access.roles.
type claimPath string

// from reads the claim as names.
func (p claimPath) from(claims []byte) ([]string, error) {
	v, err := p.find(claims)
	if err != nil {
		return nil, err
	}
	return names(v)
}

// names reads a list of strings, or one string with names between spaces.
func names(v jsontext.Value) ([]string, error) {
	switch {
	case v == nil || v.Kind() == 'n':
		return nil, nil
	case v.Kind() == '"':
		var s string
		err := json.Unmarshal(v, &s)
		return strings.Fields(s), err
	}
	var all []string
	err := json.Unmarshal(v, &all)
	return all, err
}

// listed is a list of names as a claim.
func listed(all []string) jsontext.Value {
	b, _ := json.Marshal(all) // fails only for text that is not UTF-8, which no name is
	return b
}

// grants are the tenants and the roles of a token that was verified, by the names that the settings give the claims.
func (a *Authenticator) grants(c *claims) (tenants, roles []string, err error) {
	if tenants, err = names(c.Tenants); a.tenantsAt != "" {
		tenants, err = a.tenantsAt.from(c.raw)
	}
	if err != nil {
		return nil, nil, err
	}
	if roles, err = names(c.Roles); a.rolesAt != "" {
		roles, err = a.rolesAt.from(c.raw)
	}
	return tenants, roles, err
}

func (p claimPath) find(claims []byte) (jsontext.Value, error) {
	in := jsontext.Value(claims)
	for rest := string(p); ; {
		var object map[string]jsontext.Value
		if err := json.Unmarshal(in, &object); err != nil {
			return nil, err
		}
		if v, ok := object[rest]; ok {
			return v, nil
		}
		first, more, deeper := strings.Cut(rest, ".")
		v, ok := object[first]
		if !deeper || !ok {
			return nil, nil
		}
		if v.Kind() != '{' {
			return nil, errors.New("the path of a claim leads into something that is no object")
		}
		in, rest = v, more
	}
}
