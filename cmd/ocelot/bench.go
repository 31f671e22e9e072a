package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/spf13/cobra"
)

const benchLong = `Loads a running service with entries made from a seed and measures it end to end.

With --rate the load is an open loop: requests have times at which they are due, whatever the service does, and the
latency counts from then. With --rate 0 each connection sends as fast as it is answered. While it runs, sampled
entries are searched for until they are found. At the end it waits until everything is searchable and walks over
all of it: every acknowledged entry must be found exactly once, otherwise the exit code is 1. With --tail a live tail of
the run, which begins before the load, must have shown each of them once too.

The entries stay: use a tenant or a data directory of its own.`

// benchOptions are the flags of bench that are not the load's own.
type benchOptions struct {
	target  target
	tenants int
	json    bool
}

func newBenchCmd() *cobra.Command {
	var o benchOptions
	var cfg bench.Config
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Measure a running service, and check that it keeps everything",
		Long:    benchLong,
		Example: "  ocelot bench --rate 0 --duration 30s\n  ocelot bench --rate 8000 --batch 1 --conns 64 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := clientFromEnv(cmd, o.target, o.tenants > 1)
			if err != nil {
				return err
			}
			return runBench(cmd.Context(), o, cfg, c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.Float64Var(&cfg.Rate, "rate", 0, "entries a second; 0 is as fast as the connections are answered")
	f.DurationVar(&cfg.Duration, "duration", 10*time.Second, "how long to load")
	f.IntVar(&cfg.Batch, "batch", 500, "entries in a request; 1 sends single entries")
	f.IntVar(&cfg.Conns, "conns", 8, "connections")
	f.IntVar(&o.tenants, "tenants", 1, "1: the token's own; more: bench-1, bench-2, …, which a platform admin's token creates")
	f.Uint64Var(&cfg.Seed, "seed", 1, "of the entries")
	f.BoolVar(&cfg.Gzip, "gzip", false, "compress the requests")
	f.BoolVar(&cfg.Tail, "tail", false, "follow the run too, and take the time from the acknowledgement to the screen")
	f.DurationVar(&cfg.Timeout, "timeout", 30*time.Second, "of a request")
	f.DurationVar(&cfg.Settle, "settle", 5*time.Minute, "how long to wait until all is searchable")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runBench(ctx context.Context, o benchOptions, cfg bench.Config, c *client, stdout, stderr io.Writer) error {
	if o.tenants < 1 || o.tenants > 1000 {
		return errors.New("--tenants is 1 … 1,000")
	}
	var run [4]byte
	_, _ = rand.Read(run[:]) // never fails
	cfg.Run = "bench-" + hex.EncodeToString(run[:])
	cfg.URL, cfg.Token, cfg.HTTP = c.URL, c.bearer, c.HTTP
	cfg.Note = func(s string) { _, _ = fmt.Fprintln(stderr, s) }
	cfg.Tenants = []string{c.Tenant}
	if o.tenants > 1 {
		cfg.Tenants = nil
		for i := range o.tenants {
			slug := fmt.Sprintf("bench-%d", i+1)
			if err := ensureTenant(ctx, c, slug); err != nil {
				return err
			}
			cfg.Tenants = append(cfg.Tenants, slug)
		}
	}
	report, err := bench.Run(ctx, cfg)
	if report.Run == "" {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	} else {
		_, failed := io.WriteString(stdout, visibleLines(report.Text()))
		err = errors.Join(err, failed)
	}
	if err == nil && !report.OK {
		err = errors.New("the check failed: see the report")
	}
	return err
}

// ensureTenant creates a tenant where it is not there yet.
func ensureTenant(ctx context.Context, c *client, slug string) error {
	body, err := json.Marshal(map[string]string{"id": slug, "name": slug})
	if err != nil {
		return err
	}
	_, err = c.do(ctx, http.MethodPost, "/api/v1/tenants", http.Header{"Content-Type": {"application/json"}}, body)
	if r, ok := errors.AsType[*refusal](err); ok && r.Status == http.StatusConflict {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating the tenant %s: %w", slug, err)
	}
	return nil
}
