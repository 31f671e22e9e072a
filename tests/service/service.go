// Package service starts the real binary for the tests that need the whole system, and speaks HTTP to it.
package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Binary builds the ocelot command once and returns its path.
var Binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ocelot-tests-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ocelot")
	build := exec.Command("go", "build", "-o", path, "github.com/ocelot-log/ocelot/cmd/ocelot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// Service is a running `ocelot up` on a data directory that outlives it.
type Service struct {
	URL     string
	Metrics string // URL of the second listener
	Dir     string
	// FileLimit bounds each file in bytes from the next start on, as a full disk does; 0: no bound.
	FileLimit int64

	tb     testing.TB
	binary string
	env    []string
	cmd    *exec.Cmd
	done   chan error
	log    *bytes.Buffer
}

// Start builds and starts the service on dir and waits until it is ready. env are settings, NAME=value.
func Start(tb testing.TB, dir string, env ...string) *Service {
	tb.Helper()
	binary, err := Binary()
	if err != nil {
		tb.Fatal(err)
	}
	s := &Service{Dir: dir, tb: tb, binary: binary, env: env}
	s.Restart()
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("last output of the service:\n%s", tail(s.log.String(), 4000))
		}
	})
	return s
}

// Restart starts the service again on its directory; it must not be running.
func (s *Service) Restart() {
	s.tb.Helper()
	if err := s.TryRestart(); err != nil {
		s.tb.Fatal(err)
	}
}

// TryRestart is Restart that reports instead of failing the test.
func (s *Service) TryRestart() error {
	_ = os.Remove(filepath.Join(s.Dir, "address"))
	s.log = &bytes.Buffer{}
	s.cmd = exec.Command(s.binary, "up")
	if s.FileLimit > 0 {
		s.cmd = exec.Command("sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0" up`, s.FileLimit/512), s.binary)
	}
	s.cmd.Env = append(append(os.Environ(), "DATA_DIR="+s.Dir, "PORT=0", "METRICS_PORT=0", "LOG_FORMAT=json"), s.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(s.cmd, s.done)
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("the service ended while starting: %w\n%s", err, tail(s.log.String(), 2000))
		case <-deadline:
			return fmt.Errorf("the service did not become ready in 30 s\n%s", tail(s.log.String(), 2000))
		case <-poll.C:
		}
		b, err := os.ReadFile(filepath.Join(s.Dir, "address"))
		if err != nil {
			continue
		}
		s.URL = strings.TrimSpace(string(b))
		if res, err := http.Get(s.URL + "/health/ready"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
}

// Kill ends the service with SIGKILL, as a crash does. Killing one that is gone does nothing.
func (s *Service) Kill() { _ = s.end(syscall.SIGKILL) }

// Stop ends the service with SIGTERM and returns what it exited with.
func (s *Service) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Service) end(sig syscall.Signal) error {
	_ = s.cmd.Process.Signal(sig)
	err := <-s.done
	s.done <- err
	return err
}

// Output is what the process printed since it was started.
func (s *Service) Output() string { return s.log.String() }

// Run runs a command of the tool beside the service and returns its standard output.
func (s *Service) Run(stdin io.Reader, args ...string) (string, error) {
	cmd := exec.Command(s.binary, args...)
	cmd.Env = append(append(os.Environ(), "DATA_DIR="+s.Dir), s.env...)
	cmd.Stdin = stdin
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("ocelot %s: %w: %s", strings.Join(args, " "), err, tail(stderr.String(), 2000))
	}
	return string(out), nil
}

// Token prints a token for tenant and role.
func (s *Service) Token(tenant, role string) string {
	s.tb.Helper()
	out, err := s.Run(nil, "token", "--tenant", tenant, "--role", role)
	if err != nil {
		s.tb.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// Client speaks HTTP to a service, wherever it runs.
type Client struct {
	URL, Token string
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request. Headers are Name: value pairs.
func (c Client) Do(ctx context.Context, method, path string, body []byte, headers ...string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return Answer{res.StatusCode, res.Header, b}, err
}

// Page is an answer of a search.
type Page struct {
	Data []map[string]any `json:"data"`
	Meta struct {
		Source     string `json:"source"`
		Pagination struct {
			Total    int64   `json:"total"`
			Relation string  `json:"relation"`
			Next     *string `json:"next_cursor"`
		} `json:"pagination"`
	} `json:"meta"`
}

// Search asks for one page.
func (c Client) Search(ctx context.Context, params url.Values) (Page, error) {
	var p Page
	a, err := c.Do(ctx, http.MethodGet, "/api/v1/logs?"+params.Encode(), nil)
	if err != nil {
		return p, err
	}
	if a.Status != http.StatusOK {
		return p, fmt.Errorf("search %s: status %d: %s", params.Encode(), a.Status, a.Body)
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.UseNumber()
	return p, d.Decode(&p)
}

// Count is the exact number of entries that a search finds.
func (c Client) Count(ctx context.Context, params url.Values) (int64, error) {
	q := url.Values{"total": {"exact"}, "limit": {"1"}}
	for k, v := range params {
		q[k] = v
	}
	p, err := c.Search(ctx, q)
	return p.Meta.Pagination.Total, err
}

// Walk calls yield for every entry that a search finds, page by page.
func (c Client) Walk(ctx context.Context, params url.Values, yield func(map[string]any)) error {
	q := url.Values{"total": {"none"}, "limit": {"1000"}}
	for k, v := range params {
		q[k] = v
	}
	for {
		p, err := c.Search(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range p.Data {
			yield(e)
		}
		if p.Meta.Pagination.Next == nil {
			return nil
		}
		q.Set("cursor", *p.Meta.Pagination.Next)
	}
}

// Eventually waits until check says true, and fails the test with its last words if it does not in time.
func Eventually(tb testing.TB, limit time.Duration, check func() (bool, string)) {
	tb.Helper()
	deadline := time.After(limit)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, words := check()
		if ok {
			return
		}
		select {
		case <-deadline:
			tb.Fatalf("not within %s: %s", limit, words)
		case <-poll.C:
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}
