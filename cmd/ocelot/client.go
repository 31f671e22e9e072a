package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/spf13/cobra"
)

// target is what the flags say about the service that a command talks to.
type target struct {
	url, token, dataDir, tenant string
}

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.url, "url", "", "address of the service (OCELOT_URL; without it the local ocelot up)")
	cmd.Flags().StringVar(&t.token, "token", "", "token or API key (OCELOT_TOKEN; without it the data directory's own)")
	cmd.Flags().StringVar(&t.dataDir, "data-dir", "", "directory of the local ocelot up (DATA_DIR, ./data)")
	cmd.Flags().StringVar(&t.tenant, "tenant", "", "tenant to act for, where there is a choice")
}

// client talks to a service with one credential. It may be used concurrently.
type client struct {
	URL    string // without a slash at the end
	Token  string // "" where mint makes them
	Tenant string // for X-Tenant-ID; "" leaves it to the token
	HTTP   *http.Client

	mint   func() (string, error)
	life   time.Duration // of what mint makes, half of which is used; 0: mintedFor
	mu     sync.Mutex
	minted string
	fresh  time.Time // until when minted is used
}

// mintedFor is how long a token of our own is valid, where the settings allow it.
const mintedFor = time.Hour

// clientFromEnv finds the service: flags, then OCELOT_URL and OCELOT_TOKEN, then the local data directory. all asks
// for a token for all tenants where one is made here.
func clientFromEnv(cmd *cobra.Command, t target, all bool) (*client, error) {
	c := &client{URL: strings.TrimRight(first(t.url, os.Getenv("OCELOT_URL")), "/"), Token: first(t.token, os.Getenv("OCELOT_TOKEN")), Tenant: t.tenant,
		HTTP: &http.Client{
			Timeout:       2 * time.Minute,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
	if c.URL != "" && c.Token != "" {
		return c, c.check()
	}
	s, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	if t.dataDir != "" {
		s.DataDir = t.dataDir
	}
	local, err := app.Address(s)
	switch {
	case c.URL == "" && err != nil:
		return nil, fmt.Errorf("no service is known: start `ocelot up` (data directory %s), or say --url and --token: %w", s.DataDir, err)
	case c.URL == "":
		c.URL = strings.TrimRight(local, "/")
	case err != nil || c.URL != strings.TrimRight(local, "/"):
		// A token of the local secret is good for the local service and goes nowhere else.
		return nil, fmt.Errorf("there is no token for %s: say --token or OCELOT_TOKEN; `ocelot token --role writer` prints one on the service's machine", c.URL)
	}
	over := app.LocalTransport()
	over.MaxIdleConnsPerHost = 64
	c.HTTP.Transport = over
	if c.Token == "" {
		c.mintWith(s, all)
	}
	return c, c.check()
}

func (c *client) mintWith(s config.Settings, all bool) {
	request := app.TokenRequest{Subject: "cli", Tenants: []string{first(c.Tenant, "default")}, Roles: []string{"writer", "reader", "admin"}, TTL: mintedFor}
	if all {
		request.Tenants = []string{"*"}
		c.Tenant = first(c.Tenant, "default")
	}
	c.life = mintedFor
	if s.JWTMaxTTL > 0 {
		c.life = min(c.life, s.JWTMaxTTL)
	}
	c.mint = func() (string, error) { return app.Token(s, request) }
}

func (c *client) check() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%q is not the URL of a service, such as http://127.0.0.1:8080", c.URL)
	}
	if c.mint == nil {
		return nil
	}
	_, err = c.bearer()
	return err
}

// bearer is a valid token.
func (c *client) bearer() (string, error) {
	if c.mint == nil {
		return c.Token, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.After(c.fresh) {
		token, err := c.mint()
		if err != nil {
			return "", fmt.Errorf("making a token: %w", err)
		}
		c.minted, c.fresh = token, now.Add(cmp.Or(c.life, mintedFor)/2)
	}
	return c.minted, nil
}

// do sends one request and reads the answer. An answer that is not 2xx is a *refusal, no answer at all an *unreachable.
func (c *client) do(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, error) {
	resp, err := c.open(ctx, c.HTTP, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &unreachable{c.URL, err}
	}
	return answer, nil
}

// stream is do for an answer that may take any time. Its body is the caller's to read and to close.
func (c *client) stream(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	patient := *c.HTTP
	patient.Timeout = 0
	return c.open(ctx, &patient, http.MethodGet, path, header, nil)
}

func (c *client) open(ctx context.Context, over *http.Client, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	token, err := c.bearer()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if c.Tenant != "" {
		req.Header.Set("X-Tenant-ID", c.Tenant)
	}
	resp, err := over.Do(req)
	if err != nil {
		return nil, &unreachable{c.URL, err}
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &unreachable{c.URL, err}
	}
	return nil, newRefusal(resp, answer)
}

// unreachable means that nobody knows whether the request arrived.
type unreachable struct {
	url string
	err error
}

func (u *unreachable) Error() string {
	cause := u.err
	if e, ok := errors.AsType[*url.Error](cause); ok {
		cause = e.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](cause); ok {
		return fmt.Sprintf("the certificate of %s is not one that this machine trusts (%v): use the name that it is for, or name the file of its authority in SSL_CERT_FILE", u.url, cause)
	}
	return fmt.Sprintf("nothing answers at %s: is `ocelot up` running? (%v)", u.url, cause)
}

func (u *unreachable) Unwrap() error { return u.err }

// refusal is an answer that is not 2xx.
type refusal struct {
	Status     int             `json:"-"`
	RetryAfter time.Duration   `json:"-"`
	Code       string          `json:"code"`
	Detail     string          `json:"detail"`
	RequestID  string          `json:"request_id"`
	Errors     []fault.Problem `json:"errors"`
}

func newRefusal(resp *http.Response, body []byte) *refusal {
	r := &refusal{}
	if json.Unmarshal(body, r) != nil || r.Code == "" {
		r.Code = "status_" + strconv.Itoa(resp.StatusCode)
		r.Detail = "the answer is not one of Ocelot: is the URL right?"
	}
	r.Status = resp.StatusCode
	after := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil && seconds >= 0 {
		r.RetryAfter = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		r.RetryAfter = max(0, time.Until(at))
	}
	return r
}

func (r *refusal) Error() string {
	s := fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Detail)
	switch r.Status {
	case http.StatusUnauthorized:
		s += " (say --token or OCELOT_TOKEN; `ocelot token` prints one)"
	case http.StatusForbidden:
		s += " (the token's role or tenant does not allow it)"
	}
	return visible(s)
}

// passing says that the same request may succeed later.
func (r *refusal) passing() bool {
	return r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout || r.Status >= 500
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
