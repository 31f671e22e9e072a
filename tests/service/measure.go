package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// clockTick is the unit of processor times in /proc, which is the same on all Linux platforms of Go.
const clockTick = 10 * time.Millisecond

// CPU is the processor time that the process has used, of all cores.
func (p *Process) CPU() (time.Duration, error) { return CPU(p.PID()) }

// CPU is the processor time that a process has used, of all cores. It reads /proc, so it needs Linux.
func CPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have spaces
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// PeakMemory is the most memory that the process had resident, in bytes. It reads /proc, so it needs Linux.
func (p *Process) PeakMemory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, is := strings.CutPrefix(line, "VmHWM:"); is {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.PID())
}

// StartWorkers starts all workers, which must not be running, at the same moment, and waits until they are ready.
func (s *System) StartWorkers() error {
	for i := range s.Workers {
		if err := s.start(i + 1); err != nil {
			return err
		}
	}
	for i := range s.Workers {
		if err := s.ready(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// Metric reads one number of a process: name with its labels as Prometheus writes it. One that is not there is 0.
func Metric(ctx context.Context, listener, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, listener+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, is := strings.CutPrefix(line, name+" "); is {
			return strconv.ParseFloat(strings.TrimSpace(rest), 64)
		}
	}
	return 0, nil
}

// Listen serves h on the loopback until the test ends and returns its URL.
func Listen(tb testing.TB, h http.Handler) string {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// RunCommand runs a command in the database, past the code under test.
func (s *Servers) RunCommand(ctx context.Context, cmd bson.Raw) error {
	return s.mongo.Database(s.Name).RunCommand(ctx, cmd).Err()
}

// ChangeStreams are the cursors of the change streams of the commits that are open on the server.
func (s *Servers) ChangeStreams(ctx context.Context) (cursors []int64, err error) {
	found, err := s.mongo.Database("admin").Aggregate(ctx, bson.A{
		bson.D{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleCursors", Value: true}}}},
		bson.D{{Key: "$match", Value: bson.D{{Key: "cursor.originatingCommand.pipeline.0.$changeStream", Value: bson.D{{Key: "$exists", Value: true}}},
			{Key: "ns", Value: s.Name + ".commits"}}}},
	})
	if err != nil {
		return nil, err
	}
	var all []struct {
		Cursor struct {
			ID int64 `bson:"cursorId"`
		} `bson:"cursor"`
	}
	err = found.All(ctx, &all)
	for _, c := range all {
		cursors = append(cursors, c.Cursor.ID)
	}
	return cursors, err
}

// BulkOf is a _bulk that creates copies of the documents of entries in the indices of another prefix.
func (s *Servers) BulkOf(ctx context.Context, prefix string, ids [][16]byte) ([]byte, error) {
	names, err := s.indices(ctx)
	if err != nil {
		return nil, err
	}
	var bulk bytes.Buffer
	for _, name := range names {
		wanted := make([]string, len(ids))
		for i, id := range ids {
			wanted[i] = base64.RawURLEncoding.EncodeToString(id[:])
		}
		body, err := json.Marshal(map[string]any{"ids": wanted})
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.OpenSearch+"/"+name+"/_mget", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		var answer struct {
			Docs []struct {
				ID     string          `json:"_id"`
				Source json.RawMessage `json:"_source"`
			} `json:"docs"`
		}
		if err := answered("read documents", req, &answer); err != nil {
			return nil, err
		}
		for _, d := range answer.Docs {
			if d.Source != nil {
				fmt.Fprintf(&bulk, "{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", prefix+strings.TrimPrefix(name, s.Name), d.ID, d.Source)
			}
		}
	}
	return bulk.Bytes(), nil
}

// Merging is how many merges of the index are under way in the cluster.
func (s *Servers) Merging(ctx context.Context) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.OpenSearch+"/_nodes/stats/indices/merge", nil)
	if err != nil {
		return 0, err
	}
	var stats struct {
		Nodes map[string]struct {
			Indices struct{ Merges struct{ Current int } }
		}
	}
	if err := answered("merges", req, &stats); err != nil {
		return 0, err
	}
	for _, node := range stats.Nodes {
		n += node.Indices.Merges.Current
	}
	return n, nil
}
