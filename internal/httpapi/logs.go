package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/limit"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// accepter makes entries durable.
type accepter interface {
	Accept(ctx context.Context, t auth.Tenant, b ingest.Batch) (ingest.Receipt, error)
}

// postLog takes one entry.
func (s *Server) postLog(k *call) error {
	if _, err := takes(k.Request.Header, "application/json"); err != nil {
		return err
	}
	receipt, err := s.take(k, logentry.Single)
	if err != nil {
		return err
	}
	b := make([]byte, 0, 96)
	b = append(b, `{"data":{"id":"`...)
	b = receipt.IDs[0].AppendText(b)
	status := "queued"
	if receipt.Dropped > 0 {
		status = "dropped"
	}
	b = append(append(b, `","status":"`...), status...)
	b = append(b, `"},"meta":{}}`...)
	return reply(k.Context, http.StatusAccepted, b)
}

// postLogs takes a batch: all of it or nothing.
func (s *Server) postLogs(k *call) error {
	mt, err := takes(k.Request.Header, "application/json", "application/x-ndjson", "application/ndjson")
	if err != nil {
		return err
	}
	form := logentry.NDJSON
	if mt == "application/json" {
		form = logentry.Bulk
	}
	receipt, err := s.take(k, form)
	if err != nil {
		return err
	}
	b := make([]byte, 0, 96+39*len(receipt.IDs))
	b = append(b, `{"data":{"ids":[`...)
	for i, id := range receipt.IDs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(id.AppendText(b), '"')
	}
	b = append(b, `],"count":`...)
	b = strconv.AppendInt(b, int64(len(receipt.IDs)), 10)
	b = append(b, `,"status":"queued","duplicates":`...)
	b = strconv.AppendInt(b, int64(receipt.Duplicates), 10)
	b = append(b, `,"dropped":`...)
	b = strconv.AppendInt(b, int64(receipt.Dropped), 10)
	return reply(k.Context, http.StatusAccepted, append(b, `},"meta":{}}`...))
}

// take reads, decodes and hands over the entries of a request.
func (s *Server) take(k *call, form logentry.Form) (ingest.Receipt, error) {
	receipt, _, err := s.takeEntries(k, form)
	return receipt, err
}

// takeEntries is take for who answers the entries as they were stamped.
func (s *Server) takeEntries(k *call, form logentry.Form) (ingest.Receipt, []logentry.Entry, error) {
	key, err := idempotencyKey(k.Request.Header)
	if err != nil {
		return ingest.Receipt{}, nil, err
	}
	if err := s.mayCome(k); err != nil {
		return ingest.Receipt{}, nil, err
	}
	held := hold{of: &s.budget}
	defer held.release() // ingest keeps nothing of a body once it has answered
	body, err := readBody(k.Request, maxInflated, &held)
	if err != nil {
		return ingest.Receipt{}, nil, err
	}
	s.tel.Metrics.RequestBytes.WithLabelValues(k.FullPath()).Observe(float64(len(body)))
	now := time.Now()
	entries, err := logentry.Decode(body, form, logentry.Options{Now: now, MaxFutureSkew: s.cfg.MaxFutureSkew, MaxAge: k.tenant.Settings().MaxEntryAge, Reserved: logentry.OwnService})
	if err != nil {
		return ingest.Receipt{}, nil, decodeFault(err)
	}
	cost := limit.Cost{Entries: int64(len(entries)), Bytes: int64(len(body))}
	if err := s.admitted(k, cost); err != nil {
		return ingest.Receipt{}, nil, err
	}
	k.handed = true
	ctx, cancel := context.WithTimeout(k.Request.Context(), s.cfg.AcceptTimeout)
	defer cancel()
	receipt, err := s.writing.Ingest.Accept(ctx, k.tenant, ingest.Batch{Entries: entries, IdempotencyKey: key, ReceivedAt: now,
		Allows: allows(k), Trace: telemetry.Traceparent(k.Request.Header["Traceparent"]), Patient: s.pressing(k)})
	if err != nil {
		s.giveBack(k, cost, err)
	}
	return receipt, entries, err
}

func idempotencyKey(h http.Header) (string, error) {
	sent := h["Idempotency-Key"]
	if len(sent) == 0 {
		return "", nil
	}
	valid := len(sent) == 1 && len(sent[0]) >= 1 && len(sent[0]) <= 255
	if valid {
		for i := range len(sent[0]) {
			if c := sent[0][i]; c < 0x21 || c > 0x7e {
				valid = false
			}
		}
	}
	if !valid {
		return "", fault.New(fault.Malformed, "idempotency_key_invalid", "Idempotency-Key is 1 to 255 visible ASCII characters, sent once")
	}
	return sent[0], nil
}

// classes are what the classes of the decoder's refusals mean here.
var classes = map[logentry.Class]fault.Kind{
	logentry.Malformed: fault.Malformed,
	logentry.Invalid:   fault.Invalid,
	logentry.TooLarge:  fault.TooLarge,
}

func decodeFault(err error) error {
	d, ok := errors.AsType[*logentry.DecodeError](err)
	if !ok {
		return fault.Wrap(err, "decode a body")
	}
	f := &fault.Error{Kind: classes[d.Class], Code: d.Code, Detail: d.Detail, Truncated: d.Truncated, Problems: make([]fault.Problem, len(d.Problems))}
	for i, p := range d.Problems {
		f.Problems[i] = fault.Problem{Pointer: p.Pointer, Line: p.Line, Column: p.Column, Code: p.Code, Message: p.Message}
	}
	return f
}
