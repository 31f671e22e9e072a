package auth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// urlCredentials are the parameters that people put credentials into.
var urlCredentials = []string{"api_key", "apikey", "api-key", "x-api-key", "access_token", "token", "id_token",
	"jwt", "bearer", "bearer_token", "authorization", "auth_token", "ticket"}

// credential is what a request brings: a bearer, which is a token or a key, or what can only be a key.
type credential struct {
	text string
	key  bool
}

// credentials returns the one credential of a request.
func credentials(header http.Header, rawQuery string) (credential, error) {
	if inURL(rawQuery) {
		return credential{}, unauthenticated("credentials_in_url", "send credentials in the Authorization header, never in the URL; consider these as leaked")
	}
	authorization, keys := header["Authorization"], header["X-Api-Key"]
	switch {
	case len(authorization)+len(keys) > 1:
		return credential{}, fault.New(fault.Malformed, "ambiguous_credentials", "send one credential, once")
	case len(keys) == 1:
		if keys[0] == "" || strings.ContainsAny(keys[0], " \t,") {
			return credential{}, unauthenticated("malformed_credentials", "the X-API-Key header must be one key and nothing else")
		}
		return credential{keys[0], true}, nil
	case len(authorization) == 0:
		return credential{}, unauthenticated("unauthenticated", "send Authorization: Bearer with a token or an API key, or X-API-Key with a key")
	}
	scheme, token, ok := strings.Cut(authorization[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return credential{}, unauthenticated("malformed_credentials", "the Authorization header must be the word Bearer, one space and a token or an API key")
	}
	return credential{token, looksLikeKey(token)}, nil
}

// inURL says whether a query names a credential. What can't be unescaped is compared as it is: it is
// refused elsewhere.
func inURL(rawQuery string) bool {
	for pair := range strings.FieldsFuncSeq(rawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if strings.ContainsRune(name, '%') {
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
		}
		for _, c := range urlCredentials {
			if strings.EqualFold(name, c) {
				return true
			}
		}
	}
	return false
}
