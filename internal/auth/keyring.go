package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"
)

const (
	minRSABits = 2_048
	maxRSABits = 8_192 // a signature of a larger one costs milliseconds, for each token that somebody invents
	hs256      = "HS256"
)

// publicKey is a key that checks tokens, bound to its algorithms: no token chooses another.
type publicKey struct {
	id         string // kid; of a JWKS only
	key        crypto.PublicKey
	algorithms []string
}

// newPublicKey takes RSA keys of 2,048 to 8,192 bits, the curves P-256, P-384 and P-521, and Ed25519. algorithm is what
// the key says of itself; empty: nothing, then its kind decides.
func newPublicKey(id, algorithm string, key crypto.PublicKey) (publicKey, error) {
	var may []string
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return publicKey{}, fmt.Errorf("an RSA key of %d bits; it must have %d to %d", bits, minRSABits, maxRSABits)
		}
		may = []string{"RS256", "RS384", "RS512"}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			may = []string{"ES256"}
		case 384:
			may = []string{"ES384"}
		case 521:
			may = []string{"ES512"}
		default:
			return publicKey{}, errors.New("a curve other than P-256, P-384 and P-521")
		}
	case ed25519.PublicKey:
		may = []string{"EdDSA"}
	default:
		return publicKey{}, errors.New("neither an RSA, an EC nor an Ed25519 key")
	}
	switch {
	case algorithm == "":
	case slices.Contains(may, algorithm):
		may = []string{algorithm}
	default:
		return publicKey{}, errors.New("its alg is not one that this server accepts for it")
	}
	return publicKey{id, key, may}, nil
}

// parsePublicKeys reads PEM text: one public key or certificate, or several while keys are being exchanged.
func parsePublicKeys(text string) ([]publicKey, error) {
	var all []publicKey
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(all) == 0 || strings.TrimSpace(string(rest)) != "" {
				return nil, errors.New("is no PEM text: it begins with -----BEGIN PUBLIC KEY-----; for a path use JWT_PUBLIC_KEY_FILE")
			}
			return all, nil
		}
		var key crypto.PublicKey
		var err error
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, errors.New("holds a private key: give the public one only, and consider this one as leaked")
		case block.Type == "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case block.Type == "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = c.PublicKey
			}
		default:
			return nil, errors.New("holds PEM text that is no PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
		}
		if err != nil {
			return nil, errors.New("holds a public key that can't be read")
		}
		k, err := newPublicKey("", "", key)
		if err != nil {
			return nil, fmt.Errorf("holds %w", err)
		}
		all = append(all, k)
	}
}

// keyring is what tokens are checked with: the secret, fixed public keys or those of an endpoint.
type keyring struct {
	secret []byte
	fixed  []publicKey
	remote *jwks
}

func newKeyring(cfg Config, log *zap.Logger) (keyring, error) {
	var r keyring
	if cfg.Secret.IsSet() || cfg.PublicKey == "" && cfg.JWKSURL == "" {
		if err := checkSecret("JWT_SECRET", cfg.Secret); err != nil {
			return r, err
		}
		r.secret = []byte(cfg.Secret.Reveal())
	}
	if cfg.PublicKey != "" {
		if cfg.JWKSURL != "" {
			return r, errors.New("both JWT_PUBLIC_KEY and JWKS_URL are set; keep one")
		}
		var err error
		if r.fixed, err = parsePublicKeys(cfg.PublicKey); err != nil {
			return r, fmt.Errorf("JWT_PUBLIC_KEY %w", err)
		}
	}
	if cfg.JWKSURL != "" {
		if err := CheckJWKSURL(cfg.JWKSURL); err != nil {
			return r, fmt.Errorf("JWKS_URL %w", err)
		}
		r.remote = newJWKS(cfg.JWKSURL, log)
	}
	return r, nil
}

func loopback(host string) bool {
	at, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && at.IsLoopback()
}

// CheckJWKSURL says what is wrong with the address of published keys.
func CheckJWKSURL(address string) error {
	u, err := url.Parse(address)
	if address == "" || err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())) {
		return nil
	}
	return errors.New("is no https:// address without a user; http:// is for this machine alone, since who changes keys on their way signs any token")
}

// CheckPublicKey says what is wrong with the text of public keys.
func CheckPublicKey(pem Secret) error {
	if !pem.IsSet() {
		return nil
	}
	_, err := parsePublicKeys(pem.Reveal())
	return err
}

// methods are the algorithms that a token may name at all.
func (r *keyring) methods() []string {
	var all []string
	if len(r.secret) > 0 {
		all = append(all, hs256)
	}
	if r.remote != nil {
		return append(all, "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA")
	}
	for _, k := range r.fixed {
		all = append(all, k.algorithms...)
	}
	return all
}

// find returns the keys that may have signed a token with this header. HS256 goes by the secret only and everything
// else by public keys only, so that no public key is ever taken for a secret.
func (r *keyring) find(ctx context.Context, h *tokenHeader) (jwt.VerificationKeySet, error) {
	return r.matching(h, func(id string) ([]publicKey, error) { return r.remote.find(ctx, id) })
}

// held is find among the keys that are here: nobody is asked for one that is not.
func (r *keyring) held(h *tokenHeader) (jwt.VerificationKeySet, error) {
	return r.matching(h, func(id string) ([]publicKey, error) { return pick(*r.remote.keys.Load(), id), nil })
}

func (r *keyring) matching(h *tokenHeader, remote func(id string) ([]publicKey, error)) (jwt.VerificationKeySet, error) {
	var set jwt.VerificationKeySet
	if h.Algorithm == hs256 {
		if len(r.secret) > 0 {
			set.Keys = []jwt.VerificationKey{r.secret}
		}
		return set, nil
	}
	id, candidates := "", r.fixed
	if r.remote != nil {
		if h.KeyID != nil {
			if err := json.Unmarshal(h.KeyID, &id); err != nil {
				return set, errTokenInvalid()
			}
		}
		var err error
		if candidates, err = remote(id); err != nil {
			return set, err
		}
	}
	for _, k := range candidates {
		if slices.Contains(k.algorithms, h.Algorithm) {
			set.Keys = append(set.Keys, k.key)
		}
	}
	return set, nil
}

// generation changes whenever keys do: what was verified with keys of before must be verified again.
func (r *keyring) generation() uint64 {
	if r.remote == nil {
		return 0
	}
	return r.remote.generation.Load()
}
