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

// credentials returns the one bearer token of a request.
func credentials(header http.Header, rawQuery string) (string, error) {
	if inURL(rawQuery) {
		return "", unauthenticated("credentials_in_url", "send credentials in the Authorization header, never in the URL; consider these as leaked")
	}
	authorization, keys := header["Authorization"], header["X-Api-Key"]
	switch {
	case len(authorization)+len(keys) > 1:
		return "", fault.New(fault.Malformed, "ambiguous_credentials", "send one credential, once")
	case len(keys) == 1:
		return "", unauthenticated("unauthenticated", "API keys are not accepted by this server; send Authorization: Bearer with a token")
	case len(authorization) == 0:
		return "", unauthenticated("unauthenticated", "send Authorization: Bearer with a token")
	}
	scheme, token, ok := strings.Cut(authorization[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t,") {
		return "", unauthenticated("malformed_credentials", "the Authorization header must be the word Bearer, one space and a token")
	}
	return token, nil
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
