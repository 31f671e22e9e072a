package service

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaries builds the commands once and returns the folder that they are in.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ocelot-tests-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/", "github.com/ocelot-log/ocelot/cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, nil
})

// Binary is the path of a command of the project: ocelot, api or worker.
func Binary(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := binaries()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// Process is a program of the project that is started, killed and started again.
type Process struct {
	// FileLimit bounds each file in bytes from the next start on, as a full disk does; 0: no bound.
	FileLimit int64

	binary string
	args   []string
	env    []string
	cmd    *exec.Cmd
	done   chan error
	log    *output
}

// NewProcess makes a process of a command of the project; env are settings, NAME=value, over the environment's.
func NewProcess(tb testing.TB, name string, args []string, env ...string) *Process {
	tb.Helper()
	// All that a test sends comes from one address.
	env = append([]string{"RATE_LIMIT_PER_MIN=1000000", "LOGIN_LIMIT_PER_MIN=1000000"}, env...)
	p := &Process{binary: Binary(tb, name), args: args, env: env, log: &output{}}
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("last output of %s:\n%s", name, tail(p.Output(), 4000))
		}
	})
	return p
}

// Start starts the process, which must not be running, and returns at once.
func (p *Process) Start() error {
	p.log = &output{}
	p.cmd = exec.Command(p.binary, p.args...)
	if p.FileLimit > 0 {
		p.cmd = exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, p.FileLimit/512), p.binary}, p.args...)...)
	}
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(p.cmd, p.done)
	return nil
}

// await waits until ready says true; an error if the process ends before or the time is over.
func (p *Process) await(limit time.Duration, ready func() bool) error {
	deadline := time.After(limit)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("%s ended while starting: %w\n%s", filepath.Base(p.binary), err, tail(p.Output(), 2000))
		case <-deadline:
			return fmt.Errorf("%s did not become ready in %s\n%s", filepath.Base(p.binary), limit, tail(p.Output(), 2000))
		case <-poll.C:
		}
		if ready() {
			return nil
		}
	}
}

// Wait waits until the process ended by itself and returns its exit code; ok is false if it did not in time.
func (p *Process) Wait(limit time.Duration) (code int, ok bool) {
	select {
	case err := <-p.done:
		p.done <- err
		return p.cmd.ProcessState.ExitCode(), true
	case <-time.After(limit):
		return 0, false
	}
}

// Kill ends the process with SIGKILL, as a crash does. Killing one that is gone does nothing.
func (p *Process) Kill() { _ = p.end(syscall.SIGKILL) }

// Stop ends the process with SIGTERM and returns what it exited with.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM) }

func (p *Process) end(sig syscall.Signal) error {
	if p.done == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(sig)
	err := <-p.done
	p.done <- err
	return err
}

// PID is that of the running process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the process printed since it was started.
func (p *Process) Output() string { return p.log.String() }

// output is a buffer that is written and read at the same time.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}
