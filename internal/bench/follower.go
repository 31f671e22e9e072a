package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// maxFollowed is how many tenants can be followed: a caller may have so many streams.
const maxFollowed = 10

// follower is the live tails of a run, one for each tenant, and what came by them.
type follower struct {
	gen     *Generator
	end     context.CancelFunc
	running sync.WaitGroup
	came    atomic.Int64 // entries, and those that were said to be skipped

	mu      sync.Mutex
	seen    []arrival
	skipped int64
	err     error // why a tail ended
}

// arrival is an entry on the screen.
type arrival struct {
	number uint64
	at     time.Time
}

// follow begins to follow, and returns once the service follows too.
func follow(ctx context.Context, cfg Config, gen *Generator) (*follower, error) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	f := &follower{gen: gen, end: end}
	for _, tenant := range cfg.Tenants {
		lines, err := f.connect(ctx, cfg, tenant)
		if err != nil {
			f.stop()
			return nil, fmt.Errorf("following: %w", err)
		}
		f.running.Go(func() { f.read(ctx, lines) })
	}
	return f, nil
}

// connect returns the lines of a stream that has begun.
func (f *follower) connect(ctx context.Context, cfg Config, tenant string) (*bufio.Reader, error) {
	target := strings.TrimRight(cfg.URL, "/") + "/api/v1/logs/stream?" + url.Values{"session_id": {cfg.Run}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	token, err := cfg.Token()
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Accept-Encoding": {"identity"}}
	if tenant != "" {
		req.Header.Set("X-Tenant-ID", tenant)
	}
	client := *cfg.HTTP
	client.Timeout = 0 // a stream has no end
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = resp.Body.Close() })
	lines := bufio.NewReaderSize(resp.Body, 512<<10)
	first, err := lines.ReadString('\n')
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the stream was answered with %d %.300s", resp.StatusCode, first)
	}
	return lines, err
}

var (
	dataMark    = []byte("data: ")
	skippedMark = []byte(`data: {"count":`)
)

// read takes what comes until the stream ends.
func (f *follower) read(ctx context.Context, lines *bufio.Reader) {
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && ctx.Err() == nil {
			f.mu.Lock()
			f.err = errors.Join(f.err, err)
			f.mu.Unlock()
		}
		if err != nil {
			return
		}
		if count, ok := bytes.CutPrefix(line, skippedMark); ok {
			n, _ := strconv.ParseInt(string(bytes.TrimRight(count, "}\n")), 10, 64)
			f.mu.Lock()
			f.skipped += n
			f.mu.Unlock()
			f.came.Add(n)
			continue
		}
		at := bytes.Index(line, requestIDMark)
		if !bytes.HasPrefix(line, dataMark) || at < 0 {
			continue
		}
		if n, ok := f.gen.number(value(line[at+len(requestIDMark):])); ok {
			f.mu.Lock()
			f.seen = append(f.seen, arrival{n, time.Now()})
			f.mu.Unlock()
			f.came.Add(1)
		}
	}
}

// await waits until as many entries came as were acknowledged, or none has come for a while.
func (f *follower) await(ctx context.Context, acked int64, quiet time.Duration) {
	for last, since := int64(-1), time.Now(); f.came.Load() < acked && time.Since(since) < quiet; {
		if n := f.came.Load(); n != last {
			last, since = n, time.Now()
		}
		if wait.For(ctx, 20*time.Millisecond) != nil {
			return
		}
	}
}

func (f *follower) stop() {
	f.end()
	f.running.Wait()
}

// report says how long acknowledged entries took to the screen, and what is wrong. acks are the times of the
// acknowledgements by the first number of each request.
func (f *follower) report(acks map[uint64]time.Time, batch int) (latency Quantiles, skipped int64, problems []string) {
	h := hdrhistogram.New(1, maxLatency, 3)
	times := make(map[uint64]uint8, len(f.seen))
	for _, a := range f.seen {
		times[a.number]++
		if acked, ok := acks[a.number/uint64(batch)*uint64(batch)]; ok {
			_ = h.RecordValue(clamp(a.at.Sub(acked)))
		}
	}
	doubled, missing := 0, -f.skipped
	for _, n := range times {
		if n > 1 {
			doubled++
		}
	}
	for first := range acks {
		for i := range uint64(batch) {
			if times[first+i] == 0 {
				missing++
			}
		}
	}
	if f.err != nil {
		problems = append(problems, "the live tail ended: "+f.err.Error())
	}
	if doubled > 0 {
		problems = append(problems, fmt.Sprintf("the live tail showed %d entries more than once", doubled))
	}
	if missing > 0 {
		problems = append(problems, fmt.Sprintf("the live tail did not show %d acknowledged entries, and did not say so", missing))
	}
	return quantiles(h), f.skipped, problems
}
