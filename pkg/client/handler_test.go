package client

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// record is the last entry that a handler made.
type record struct{ last logentry.Entry }

func (r *record) fill(_ context.Context, _ slog.Record, e *logentry.Entry) { r.last = *e }

func producerOf(t *testing.T, cfg ProducerConfig) (*Producer, *fake) {
	f := newFake(t)
	p := clientOf(t, f.URL).StartProducer(cfg)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // that of t has ended
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return p, f
}

func TestTheHandlerDoesWhatSlogAsks(t *testing.T) {
	var r record
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		p, _ := producerOf(t, ProducerConfig{})
		return NewHandler(p, &HandlerOptions{Level: slog.LevelDebug, Fill: r.fill})
	}, func(t *testing.T) map[string]any {
		have := map[string]any{}
		if len(r.last.Metadata) > 0 {
			must(t, json.Unmarshal(r.last.Metadata, &have))
		}
		have[slog.MessageKey], have[slog.LevelKey] = r.last.Message, r.last.Severity.String()
		if !r.last.Timestamp.IsZero() {
			have[slog.TimeKey] = r.last.Timestamp
		}
		return have
	})
}

// odd are values that JSON or the service does not take as they are.
type odd struct{}

func (odd) MarshalJSON() ([]byte, error) { return []byte(`{"a":1,"a":2}`), nil }

type angry struct{}

func (*angry) MarshalJSON() ([]byte, error) { panic("secretly") }

func TestAttributesBecomeMetadata(t *testing.T) {
	var r record
	p, f := producerOf(t, ProducerConfig{})
	base := NewHandler(p, &HandlerOptions{Base: logentry.Entry{Service: "shop", Metadata: []byte("{")}, Fill: r.fill})
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want string
	}{
		{"none", func(l *slog.Logger) { l.Info("m") }, ``},
		{"kinds", func(l *slog.Logger) {
			l.Info("m", "s", "<é>", "i", -1, "u", uint64(math.MaxUint64), "f", 1.5, "b", true, "d", time.Second, "t", time.Unix(0, 5).UTC(), "e", errors.New("why"), "n", nil)
		}, `{"s":"<é>","i":-1,"u":18446744073709551615,"f":1.5,"b":true,"d":1000000000,"t":"1970-01-01T00:00:00.000000005Z","e":"why","n":null}`},
		{"structs and lists", func(l *slog.Logger) { l.Info("m", "x", struct{ A []int }{[]int{1}}) }, `{"x":{"A":[1]}}`},
		{"groups, also of the record", func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("m", "c", 3, slog.Group("i", "d", 4))
		}, `{"a":1,"g":{"b":2,"h":{"c":3,"i":{"d":4}}}}`},
		{"an empty group at the end", func(l *slog.Logger) { l.With("a", 1).WithGroup("g").Info("m") }, `{"a":1}`},
		{"only empty groups", func(l *slog.Logger) { l.WithGroup("g").Info("m", slog.Group("h")) }, ``},
		{"a name twice", func(l *slog.Logger) { l.With("a", 1, "b", 1).Info("m", "a", 2) }, `{"a":2,"b":1}`},
		{"a group twice", func(l *slog.Logger) { l.Info("m", slog.Group("g", "a", 1), slog.Group("g", "b", 2)) }, `{"g":{"a":1,"b":2}}`},
		{"two names that are one when they are written", func(l *slog.Logger) { l.Info("m", "\xff", 1, "\xfe", 2) }, `{"` + "\ufffd" + `":2}`},
		{"no name", func(l *slog.Logger) { l.Info("m", "", 1) }, `{"!BADKEY":1}`},
		{"no number", func(l *slog.Logger) { l.Info("m", "f", math.Inf(1), "g", math.NaN()) }, `{"f":"+Inf","g":"NaN"}`},
		{"no JSON", func(l *slog.Logger) { l.Info("m", "c", complex(1, 2), "f", odd{}) }, `{"c":"(1+2i)","f":"{}"}`},
		{"a panic", func(l *slog.Logger) { l.Info("m", "p", &angry{}) }, `{"p":"!PANIC: secretly"}`},
	} {
		r.last = logentry.Entry{}
		c.log(slog.New(base))
		if have := string(r.last.Metadata); have != c.want || r.last.Service != "shop" || r.last.Message != "m" {
			t.Errorf("%s: have %s\nwant %s", c.name, have, c.want)
		}
	}
	must(t, p.Flush(soon(t)))
	if n := f.counts()["m"]; n != 13 {
		t.Errorf("%d entries arrived", n)
	}
}

// Loggers that have a parent in common do not write into each other's attributes.
func TestSiblingsAreApart(t *testing.T) {
	var r record
	p, _ := producerOf(t, ProducerConfig{})
	parent := slog.New(NewHandler(p, &HandlerOptions{Fill: r.fill})).With("a", 1).With("b", 2).With("c", 3)
	one, two := parent.With("x", 1), parent.With("y", 2)
	for _, c := range []struct {
		log  *slog.Logger
		want string
	}{{one, `{"a":1,"b":2,"c":3,"x":1}`}, {two, `{"a":1,"b":2,"c":3,"y":2}`}, {parent, `{"a":1,"b":2,"c":3}`}} {
		if c.log.Info("m"); string(r.last.Metadata) != c.want {
			t.Errorf("have %s, want %s", r.last.Metadata, c.want)
		}
	}
}

func TestLevelsBecomeSeverities(t *testing.T) {
	var r record
	p, _ := producerOf(t, ProducerConfig{})
	l := slog.New(NewHandler(p, &HandlerOptions{Level: slog.Level(-100), Fill: r.fill, AddSource: true}))
	for level, want := range map[slog.Level]logentry.Severity{-8: logentry.Debug, -4: logentry.Debug, -1: logentry.Debug, 0: logentry.Info, 2: logentry.Info,
		4: logentry.Warning, 7: logentry.Warning, 8: logentry.Error, 11: logentry.Error, 12: logentry.Critical, 100: logentry.Critical} {
		l.Log(t.Context(), level, "")
		if r.last.Severity != want || r.last.Message == "" || !strings.Contains(string(r.last.Metadata), `handler_test.go","line":`) {
			t.Errorf("%s is %+v, want %s", level, r.last, want)
		}
	}
	if NewHandler(p, nil).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("without options it sends DEBUG")
	}
}

// A service that is away must not stop the program that logs, and OnError may log itself.
func TestAFullBufferDropsRecordsAndSaysSo(t *testing.T) {
	f := newFake(t)
	let := make(chan struct{})
	f.answer = func(int, post) (int, string) { <-let; return http.StatusForbidden, `{"code":"insufficient_role"}` }
	var l *slog.Logger
	var told reports
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{MaxEntries: 1, Buffer: 300, OnError: func(b Batch, err error) {
		told.add(b, err)
		l.Error("lost", "err", err)
	}})
	l = slog.New(NewHandler(p, nil))
	began := time.Now()
	for range 20 {
		l.Info(strings.Repeat("x", 100))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it waited %s", took)
	}
	close(let)
	_ = p.Close(soon(t)) // its error depends on when the refusal came
	told.mu.Lock()
	defer told.mu.Unlock()
	full, refused := 0, 0
	for _, err := range told.errs {
		if _, answered := errors.AsType[*Problem](err); answered {
			refused++
		} else if errors.Is(err, ErrFull) {
			full++
		}
	}
	if full != 19 || refused != 1 || p.Dropped() < 2*19 { // each report was logged, and found no room either
		t.Errorf("%d reported as not taken, %d as refused, %d counted", full, refused, p.Dropped())
	}
}

func TestARecordOfARequestThatHasEndedIsSent(t *testing.T) {
	p, f := producerOf(t, ProducerConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	slog.New(NewHandler(p, &HandlerOptions{Wait: time.Second})).InfoContext(ctx, "canceled")
	must(t, p.Flush(soon(t)))
	if n := f.counts(); n["canceled"] != 1 {
		t.Errorf("kept: %v", n)
	}
}
