package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// reader searches the service.
type reader struct {
	cfg  Config
	body bytes.Buffer // of the last answer

	fromRecord int64 // answers that came from the record
}

// get asks for a page of entries; the answer is valid until the next call.
func (r *reader) get(ctx context.Context, tenant string, params url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, max(r.cfg.Timeout, 30*time.Second))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(r.cfg.URL, "/")+"/api/v1/logs?"+params.Encode(), nil)
	if err != nil {
		return nil, err
	}
	token, err := r.cfg.Token()
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if tenant != "" {
		req.Header.Set("X-Tenant-ID", tenant)
	}
	resp, err := r.cfg.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("nothing answers at %s: is `ocelot up` running? (%w)", r.cfg.URL, err)
	}
	defer resp.Body.Close()
	r.body.Reset()
	if _, err := r.body.ReadFrom(io.LimitReader(resp.Body, 512<<20)); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the search was answered with %d %s", resp.StatusCode, r.body.Bytes()[:min(r.body.Len(), 300)])
	}
	if fromRecord(r.body.Bytes()) {
		r.fromRecord++
	}
	return r.body.Bytes(), nil
}

// count is how many entries of the run are searchable.
func (r *reader) count(ctx context.Context) (int64, error) {
	sum := int64(0)
	for _, tenant := range r.cfg.Tenants {
		body, err := r.get(ctx, tenant, url.Values{"session_id": {r.cfg.Run}, "limit": {"1"}, "total": {"exact"}})
		if err != nil {
			return 0, err
		}
		n := total(body)
		if n < 0 {
			return 0, fmt.Errorf("no total in the answer to total=exact")
		}
		sum += n
	}
	return sum, nil
}

// probeAtOnce is how many entries one search asks for.
const probeAtOnce = 20

// found asks which of the entries with these request ids are searchable.
func (r *reader) found(ctx context.Context, tenant string, requestIDs []string) (map[string]bool, error) {
	body, err := r.get(ctx, tenant, url.Values{"request_id": requestIDs, "limit": {strconv.Itoa(probeAtOnce)}, "total": {"none"}})
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	eachFound(body, func(_ logentry.ID, requestID []byte) { out[string(requestID)] = true })
	return out, nil
}

// walk visits every searchable entry of the run, by cursor.
func (r *reader) walk(ctx context.Context, visit func(id logentry.ID, requestID []byte)) error {
	for _, tenant := range r.cfg.Tenants {
		params := url.Values{"session_id": {r.cfg.Run}, "limit": {"1000"}, "total": {"none"}}
		for {
			body, err := r.get(ctx, tenant, params)
			if err != nil {
				return err
			}
			n := eachFound(body, visit)
			next := cursor(body)
			if next == "" {
				break
			}
			if n == 0 || next == params.Get("cursor") {
				return fmt.Errorf("the search goes on without end: a page with %d entries and another cursor", n)
			}
			params.Set("cursor", next)
		}
	}
	return nil
}
