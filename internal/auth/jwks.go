package auth

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/wait"
)

const (
	jwksEvery   = 5 * time.Minute // so long a key that the issuer withdrew may still be good here
	jwksPause   = time.Minute     // between two readings because of keys that nobody knows
	jwksTimeout = 5 * time.Second
	maxJWKS     = 1 << 20 // bytes
	maxJWKSKeys = 100
)

// jwks is the keys that an issuer publishes. What was read holds until something else is read: while the endpoint is down,
// or answers something that is no set with a usable key, the keys that are known go on.
type jwks struct {
	url        string
	client     *http.Client
	log        *zap.Logger
	keys       atomic.Pointer[[]publicKey]
	generation atomic.Uint64
	mu         sync.Mutex // held while reading
	tried      time.Time
}

func newJWKS(url string, log *zap.Logger) *jwks {
	j := &jwks{url: url, log: log, client: &http.Client{Timeout: jwksTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it answers with a redirect; set JWKS_URL to where it leads")
	}}}
	j.keys.Store(&[]publicKey{})
	return j
}

// find returns the keys of an id, of every id where it is empty. One that is not known is asked for, once a minute at the
// most; whoever comes meanwhile waits for the answer.
func (j *jwks) find(ctx context.Context, id string) ([]publicKey, error) {
	if found := pick(*j.keys.Load(), id); len(found) > 0 {
		return found, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.tried) >= jwksPause {
		// The reading is for everybody: the caller who happens to do it can't cancel it.
		_ = j.read(context.WithoutCancel(ctx))
	}
	return pick(*j.keys.Load(), id), nil
}

func pick(all []publicKey, id string) []publicKey {
	if id == "" {
		return all
	}
	var found []publicKey
	for _, k := range all {
		if k.id == id {
			found = append(found, k)
		}
	}
	return found
}

// refresh reads the keys again.
func (j *jwks) refresh(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.read(ctx)
}

// run refreshes until ctx ends, sooner after a failure.
func (j *jwks) run(ctx context.Context) {
	for pause := jwksEvery; wait.For(ctx, pause) == nil; {
		pause = jwksEvery
		if err := j.refresh(ctx); err != nil {
			pause = jwksPause
		}
	}
}

func (j *jwks) read(ctx context.Context) error {
	j.tried = time.Now()
	keys, err := j.fetch(ctx)
	if err != nil {
		if known := len(*j.keys.Load()); known > 0 && ctx.Err() == nil { // at the start whoever waits says so
			j.log.Warn("the keys of JWKS_URL can't be read: those that are known go on", zap.Int("known", known), zap.Error(err))
		}
		return &fault.Error{Kind: fault.Unavailable, Code: "jwks_unavailable", Detail: "the keys of JWKS_URL can't be read: " + err.Error(), Err: err, RetryAfter: jwksPause}
	}
	if !reflect.DeepEqual(*j.keys.Load(), keys) {
		j.keys.Store(&keys)
		j.generation.Add(1)
		j.log.Info("read the keys of JWKS_URL", zap.Int("keys", len(keys)))
	}
	return nil
}

func (j *jwks) fetch(ctx context.Context) ([]publicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := j.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxJWKS:
		return nil, errors.New("it answers with more than 1 MiB")
	}
	return parseJWKS(body)
}

// parseJWKS takes the keys of a set that can check signatures of tokens, and leaves the others out.
func parseJWKS(body []byte) ([]publicKey, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("it answers something that is no JSON Web Key Set")
	}
	if len(set.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxJWKSKeys)
	}
	keys := []publicKey{}
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err != nil || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		if p, err := newPublicKey(k.KeyID, k.Algorithm, crypto.PublicKey(k.Key)); err == nil {
			keys = append(keys, p)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key for RS256, RS384, RS512, ES256, ES384, ES512 or EdDSA")
	}
	return keys, nil
}
