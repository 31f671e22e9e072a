package app

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/config"
)

func TestSettingsOfTheListenerAreRefusedAtTheStartAllAtOnce(t *testing.T) {
	s := config.Settings{TrustedProxies: "10.0.0.1/8", AllowedHosts: "https://logs.example.com", CORSOrigins: "*,https://a.example.com",
		TLSCertFile: filepath.Join(t.TempDir(), "none.pem")}
	err := checkBackends(config.Up, s)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"TRUSTED_PROXIES: ", "the network is 10.0.0.0/8", "ALLOWED_HOSTS: ", "CORS_ORIGINS: * is everybody", "TLS_CERT_FILE, TLS_KEY_FILE: a certificate and its key belong together"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	for want, s := range map[string]config.Settings{
		"OIDC_ISSUER_URL: is not set":                  {OIDCClientID: "ocelot"},
		"OIDC_ISSUER_URL: write an https:// address":   {OIDCIssuerURL: "id.example.com", OIDCClientID: "ocelot", OIDCRedirectURL: "https://logs.example.com/cb"},
		"OIDC_REDIRECT_URL: write an https:// address": {OIDCIssuerURL: "https://id.example.com", OIDCClientID: "ocelot"},
		"OIDC_CLIENT_ID: is not set":                   {OIDCIssuerURL: "https://id.example.com", OIDCRedirectURL: "https://logs.example.com/cb"},
	} {
		if err := checkBackends(config.Up, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
	if err := checkBackends(config.Up, config.Settings{}); err != nil {
		t.Errorf("none is set: %v", err)
	}
}

// Where others issue the tokens there is no JWT_SECRET, and a key that is derived of nothing is known to everybody.
func TestTheKeyOfSignInsComesOfASecret(t *testing.T) {
	one, other := strings.Repeat("one ", 8), strings.Repeat("two ", 8)
	keys := map[[32]byte]string{}
	for name, s := range map[string]config.Settings{
		"nothing":        {},
		"a secret":       {JWTSecret: auth.NewSecret(one)},
		"another secret": {JWTSecret: auth.NewSecret(other), APIKeyPepper: auth.NewSecret(one + one)},
		"a pepper":       {APIKeyPepper: auth.NewSecret(one + other)},
		"another pepper": {APIKeyPepper: auth.NewSecret(other + one)},
	} {
		key := signInConfig(s).Key
		if same, ok := keys[key]; ok {
			t.Errorf("%s and %s make the same key", name, same)
		}
		keys[key] = name
	}
}
