package app

import (
	"strings"

	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/signin"
)

// newSignIn is the provider of identities that the settings name; nil where they name none.
func newSignIn(s config.Settings) (*signin.Provider, error) {
	if s.OIDCIssuerURL == "" {
		if s.OIDCClientID != "" || s.OIDCClientSecret.IsSet() || s.OIDCRedirectURL != "" {
			return nil, config.Problems{{Where: "OIDC_ISSUER_URL", Message: "is not set, but other OIDC_ settings are: the address of the provider"}}
		}
		return nil, nil
	}
	p, err := signin.New(signInConfig(s))
	if err != nil {
		where, message, _ := strings.Cut(err.Error(), ": ")
		return nil, config.Problems{{Where: where, Message: message}}
	}
	return p, nil
}

func signInConfig(s config.Settings) signin.Config {
	return signin.Config{Issuer: s.OIDCIssuerURL, ClientID: s.OIDCClientID, ClientSecret: s.OIDCClientSecret, RedirectURL: s.OIDCRedirectURL,
		TenantsClaim: s.OIDCTenantsClaim, RolesClaim: s.OIDCRolesClaim, Scopes: strings.Fields(s.OIDCScopes), Key: [32]byte(derive(rootSecret(s), "sign-in"))}
}
