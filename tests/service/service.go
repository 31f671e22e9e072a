// Package service starts the real binaries for the tests that need the whole system, and speaks HTTP to them.
package service

import (
	"bytes"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// System is the product, running: `ocelot up` on a data directory that outlives it, or an API and workers on
// real servers.
type System struct {
	URL     string   // of the API; the same after a restart, but for `ocelot up`
	Metrics []string // URLs of the second listeners, in the order of the processes
	API     *Process // or the one process
	Workers []*Process
	Dir     string   // the data directory of `ocelot up`
	Servers *Servers // of a deployed system

	tb  testing.TB
	env []string
}

// New starts the system that TEST_SYSTEM names: "" is `ocelot up` on an empty directory, "deployed" an API and two
// workers on real servers.
func New(tb testing.TB) *System {
	tb.Helper()
	switch kind := os.Getenv("TEST_SYSTEM"); kind {
	case "":
		return Start(tb, tb.TempDir())
	case "deployed":
		return Deploy(tb, NewServers(tb), 2)
	default:
		tb.Fatalf("TEST_SYSTEM is %q; it is empty or deployed", kind)
		return nil
	}
}

// Start starts `ocelot up` on dir and waits until it is ready. env are settings, NAME=value.
func Start(tb testing.TB, dir string, env ...string) *System {
	tb.Helper()
	s := &System{Dir: dir, tb: tb, env: append([]string{"DATA_DIR=" + dir}, env...)}
	s.API = NewProcess(tb, "ocelot", []string{"up"}, append([]string{"PORT=0", "METRICS_PORT=0", "LOG_FORMAT=json"}, s.env...)...)
	s.Restart()
	return s
}

// Deploy starts an API and workers on servers and waits until they are ready. env are settings, NAME=value.
func Deploy(tb testing.TB, servers *Servers, workers int, env ...string) *System {
	tb.Helper()
	return DeployApart(tb, servers, workers, env, env)
}

// DeployApart is Deploy with settings of their own for the API, which the commands of the tool get too, and for the
// workers.
func DeployApart(tb testing.TB, servers *Servers, workers int, apiEnv, workerEnv []string) *System {
	tb.Helper()
	s := &System{Servers: servers, tb: tb}
	// Messages of a worker that was killed come back soon, and what is indexed is found soon.
	all := append([]string{"LOG_FORMAT=json", "JWT_SECRET=" + crand.Text() + crand.Text(), "WORKER_VISIBILITY=10s", "OPENSEARCH_REFRESH_INTERVAL=200ms"}, servers.Env()...)
	s.env = slices.Concat(all, apiEnv)
	port := freePort(tb)
	s.URL = "http://127.0.0.1:" + port
	add := func(name string, env []string) *Process {
		metrics := freePort(tb)
		s.Metrics = append(s.Metrics, "http://127.0.0.1:"+metrics)
		return NewProcess(tb, name, nil, slices.Concat(all, env, []string{"METRICS_PORT=" + metrics, "PORT=" + port})...)
	}
	s.API = add("api", apiEnv)
	for range workers {
		s.Workers = append(s.Workers, add("worker", workerEnv))
	}
	s.Restart()
	return s
}

// AddAPI starts another API process on the same servers, with the same settings and env, and returns its address once
// it is ready.
func (s *System) AddAPI(env ...string) string {
	s.tb.Helper()
	port := freePort(s.tb)
	url := "http://127.0.0.1:" + port
	p := NewProcess(s.tb, "api", nil, slices.Concat(s.env, env, []string{"METRICS_PORT=" + freePort(s.tb), "PORT=" + port})...)
	if err := p.Start(); err != nil {
		s.tb.Fatal(err)
	}
	Eventually(s.tb, time.Minute, func() (bool, string) {
		a, err := Client{URL: url}.Do(s.tb.Context(), http.MethodGet, "/health/ready", nil)
		return err == nil && a.Status == http.StatusOK, fmt.Sprint("another API is not ready: ", a.Status, err)
	})
	return url
}

// handedOut are the ports that freePort gave.
var handedOut sync.Map

// freePort is a port of the loopback that nobody listens on, that was not given before, and that the system gives to
// no connection: until a process listens on it, and while it is down, it stays free.
func freePort(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000)) // ephemeral ports begin at 32768 on Linux
		if _, given := handedOut.LoadOrStore(port, true); given {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("no port of the loopback is free")
	return ""
}

func (s *System) processes() []*Process { return append([]*Process{s.API}, s.Workers...) }

// Restart starts the system again; it must not be running.
func (s *System) Restart() {
	s.tb.Helper()
	if err := s.TryRestart(); err != nil {
		s.tb.Fatal(err)
	}
}

// TryRestart is Restart that reports instead of failing the test.
func (s *System) TryRestart() error {
	for i := range s.processes() {
		if err := s.start(i); err != nil {
			return err
		}
	}
	for i := range s.processes() {
		if err := s.ready(i); err != nil {
			return err
		}
	}
	return nil
}

// RestartProcess starts the API (0) or a worker (1, 2, …) again and waits until it is ready.
func (s *System) RestartProcess(i int) error {
	if err := s.start(i); err != nil {
		return err
	}
	return s.ready(i)
}

func (s *System) start(i int) error {
	if s.Dir != "" {
		_ = os.Remove(s.address())
	}
	return s.processes()[i].Start()
}

// startLimit is how long a start may take: servers that are busy or recover are waited for.
const startLimit = time.Minute

func (s *System) ready(i int) error {
	return s.processes()[i].await(startLimit, func() bool {
		url := s.URL
		if s.Dir != "" {
			b, err := os.ReadFile(s.address())
			if err != nil {
				return false
			}
			s.URL = strings.TrimSpace(string(b))
			url = s.URL
		} else if i > 0 {
			url = s.Metrics[i]
		}
		res, err := http.Get(url + "/health/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (s *System) address() string { return filepath.Join(s.Dir, "address") }

// Kill ends all processes with SIGKILL. Killing what is gone does nothing.
func (s *System) Kill() {
	for _, p := range s.processes() {
		p.Kill()
	}
}

// Stop ends all processes with SIGTERM, the API first, and returns what they exited with.
func (s *System) Stop() error {
	var errs []error
	for _, p := range s.processes() {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

// Command is a command of the tool with the settings of the system.
func (s *System) Command(args ...string) *exec.Cmd {
	s.tb.Helper()
	cmd := exec.CommandContext(s.tb.Context(), Binary(s.tb, "ocelot"), args...)
	cmd.Env = append(os.Environ(), s.env...)
	return cmd
}

// Run runs a command of the tool with the settings of the system and returns its standard output.
func (s *System) Run(stdin io.Reader, args ...string) (string, error) {
	s.tb.Helper()
	cmd := s.Command(args...)
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
func (s *System) Token(tenant, role string) string {
	s.tb.Helper()
	out, err := s.Run(nil, "token", "--tenant", tenant, "--role", role)
	if err != nil {
		s.tb.Fatal(err)
	}
	return strings.TrimSpace(out)
}
