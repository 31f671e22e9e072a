package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// HandlerOptions are what a Handler makes of records. The zero value is ready.
type HandlerOptions struct {
	Level     slog.Leveler   // the least level that is sent; default slog.LevelInfo
	Base      logentry.Entry // what every entry begins with: its service above all. Its metadata is not used
	AddSource bool           // file, line and function of the call as metadata.source

	// Wait is how long a record may wait for room in the producer's buffer. Default not at all: a service that is away
	// must not stop the program that logs. What finds no room is dropped; OnError hears of it with ErrFull.
	Wait time.Duration

	// Fill may change an entry before it is sent: take a trace_id from the context, say. Nil: nothing.
	Fill func(ctx context.Context, r slog.Record, e *logentry.Entry)
}

// Handler is a slog.Handler that hands records to a Producer, as entries. The level becomes the severity (below Info
// DEBUG, from Info INFO, from Warn WARNING, from Error ERROR, from Error+4 CRITICAL), attributes become metadata, groups
// objects in it. Where one name comes twice in an object, the last value counts; two groups are joined.
type Handler struct {
	p     *Producer
	o     HandlerOptions
	steps []step
}

// step is what With or WithGroup added: attributes, or the group that what follows is in.
type step struct {
	group string
	attrs []slog.Attr
}

// NewHandler makes a Handler. A nil o is the zero value.
func NewHandler(p *Producer, o *HandlerOptions) *Handler {
	h := &Handler{p: p}
	if o != nil {
		h.o = *o
	}
	if h.o.Level == nil {
		h.o.Level = slog.LevelInfo
	}
	h.o.Base.Metadata = nil
	return h
}

// Enabled says whether records of a level are sent.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.o.Level.Level()
}

// WithAttrs is a Handler whose entries have more attributes.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.with(step{attrs: attrs}) }

// WithGroup is a Handler whose attributes from here on are in an object of that name.
func (h *Handler) WithGroup(name string) slog.Handler { return h.with(step{group: name}) }

func (h *Handler) with(s step) *Handler {
	if s.group == "" && len(s.attrs) == 0 {
		return h
	}
	other := *h
	other.steps = append(slices.Clip(h.steps), s)
	return &other
}

// Handle hands over one record. It waits no longer than HandlerOptions.Wait, and a context that has ended does not keep
// a record from being sent: the end of a request is just what is logged.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	e := h.entry(ctx, r)
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(0, h.o.Wait))
	defer cancel()
	err := h.p.Send(limited, e)
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrFull
	}
	if err != nil {
		h.p.drop(e, err)
	}
	return err
}

// entry makes the entry of a record.
func (h *Handler) entry(ctx context.Context, r slog.Record) logentry.Entry {
	e := h.o.Base
	e.Timestamp, e.Severity, e.Message = r.Time, severityOf(r.Level), r.Message
	if e.Message == "" && e.Action == "" {
		e.Message = "(no message)" // an entry has to have one
	}
	whole := &object{}
	if h.o.AddSource {
		if s := r.Source(); s != nil {
			at := &object{}
			at.set("function", s.Function)
			at.set("file", s.File)
			at.set("line", s.Line)
			whole.set("source", at)
		}
	}
	in := whole
	for _, s := range h.steps {
		if s.group != "" {
			in = in.object(s.group)
		}
		in.add(s.attrs...)
	}
	r.Attrs(func(a slog.Attr) bool {
		in.add(a)
		return true
	})
	if !whole.empty() {
		e.Metadata = whole.appendJSON(nil)
	}
	if h.o.Fill != nil {
		h.o.Fill(ctx, r, &e)
	}
	return e
}

func severityOf(l slog.Level) logentry.Severity {
	switch {
	case l < slog.LevelInfo:
		return logentry.Debug
	case l < slog.LevelWarn:
		return logentry.Info
	case l < slog.LevelError:
		return logentry.Warning
	case l < slog.LevelError+4:
		return logentry.Error
	}
	return logentry.Critical
}

// object is a JSON object whose names are there once, in the order in which they came.
type object struct {
	names   []string
	members map[string]any // *object, or what json.Marshal takes
}

func (o *object) set(name string, value any) {
	name = strings.ToValidUTF8(name, "\ufffd") // as it is written, so that two are not one there
	if _, known := o.members[name]; !known {
		if o.members == nil {
			o.members = map[string]any{}
		}
		o.names = append(o.names, name)
	}
	o.members[name] = value
}

// object is the member of that name, made one if it is none.
func (o *object) object(name string) *object {
	if inner, ok := o.members[name].(*object); ok {
		return inner
	}
	inner := &object{}
	o.set(name, inner)
	return inner
}

// add sets attributes as slog says: empty ones and empty groups are left out, a group without a name is its members.
func (o *object) add(attrs ...slog.Attr) {
	for _, a := range attrs {
		v := a.Value.Resolve()
		switch {
		case v.Kind() == slog.KindGroup:
			inner := o
			if len(v.Group()) > 0 && a.Key != "" {
				inner = o.object(a.Key)
			}
			inner.add(v.Group()...)
		case a.Key != "":
			o.set(a.Key, v)
		case !a.Equal(slog.Attr{}):
			o.set("!BADKEY", v) // as slog names what has no name; the service takes no empty one
		}
	}
}

func (o *object) empty() bool {
	for _, value := range o.members {
		if inner, ok := value.(*object); !ok || !inner.empty() {
			return false
		}
	}
	return true
}

func (o *object) appendJSON(b []byte) []byte {
	b = append(b, '{')
	for _, name := range o.names {
		inner, nested := o.members[name].(*object)
		if nested && inner.empty() {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(append(b, marshal(name)...), ':')
		if nested {
			b = inner.appendJSON(b)
		} else {
			b = append(b, marshal(o.members[name])...)
		}
	}
	return append(b, '}')
}

// plain is the value of an attribute as JSON should have it, mostly as slog.JSONHandler writes it.
func plain(value any) any {
	v, ok := value.(slog.Value)
	if !ok {
		return value
	}
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().Nanoseconds()
	case slog.KindFloat64:
		if f := v.Float64(); math.IsNaN(f) || math.IsInf(f, 0) { // JSON has none
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			if _, speaks := v.Any().(json.Marshaler); !speaks {
				return err.Error()
			}
		}
	}
	return v.Any()
}

// marshal never fails: what is no JSON becomes its text, and a value that panics does not end the program that logs it.
func marshal(value any) (b []byte) {
	defer func() {
		if why := recover(); why != nil {
			b, _ = json.Marshal(fmt.Sprintf("!PANIC: %v", why))
		}
	}()
	value = plain(value)
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	err := to.Encode(value)
	if b = bytes.TrimSuffix(text.Bytes(), []byte("\n")); err != nil || !valid(b) {
		b, _ = json.Marshal(fmt.Sprintf("%+v", value)) // a string
	}
	return b
}
