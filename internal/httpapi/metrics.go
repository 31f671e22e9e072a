package httpapi

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// MetricsHandler is for a second listener that strangers can't reach: /metrics, /debug/pprof/ and the same
// /health as on the first.
func (s *Server) MetricsHandler() http.Handler {
	m := observe(s.tel, s.cfg.Version)
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		m.Handle(path, s.handler)
	}
	return m
}

// WorkerHandler is the listener of a process that serves no API: /metrics, /debug/pprof/ and /health, in the
// form of the API's. A dependency that is down does not make the worker unready: it waits for it.
func WorkerHandler(tel telemetry.Telemetry, version string, queue, store, index pinger) http.Handler {
	h := &health{queue: queue, store: store, index: index, timeout: Config{}.withDefaults().PingTimeout}
	m := observe(tel, version)
	m.HandleFunc("GET /health/live", say(http.StatusOK, "live"))
	m.HandleFunc("GET /health/ready", say(http.StatusOK, "ready"))
	m.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		if down := h.down(r.Context()); len(down) > 0 {
			writeHealth(w, http.StatusServiceUnavailable, "dependency_down", down)
			return
		}
		writeHealth(w, http.StatusOK, "ok", nil)
	})
	return m
}

// StartingHandler is the same listener while the process still waits for its servers: it lives, and is not ready.
func StartingHandler(tel telemetry.Telemetry, version string) http.Handler {
	m := observe(tel, version)
	m.HandleFunc("GET /health/live", say(http.StatusOK, "live"))
	for _, path := range []string{"GET /health/ready", "GET /health"} {
		m.HandleFunc(path, say(http.StatusServiceUnavailable, "starting"))
	}
	return m
}

// say answers always the same.
func say(status int, word string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, status, word, nil) }
}

func writeHealth(w http.ResponseWriter, status int, word string, down []string) {
	body := map[string]any{"data": map[string]any{"status": word}, "meta": map[string]any{}}
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusOK {
		detail := "the process waits for its servers; its log says for which"
		if len(down) > 0 {
			detail = "these do not answer: " + strings.Join(down, ", ")
		}
		body = map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": word, "detail": detail}
		w.Header().Set("Content-Type", "application/problem+json")
	}
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body, json.Deterministic(true)) // a caller who has gone needs no answer
}

// observe serves what both kinds of process show of themselves.
func observe(tel telemetry.Telemetry, version string) *http.ServeMux {
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ocelot", Name: "build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	for _, c := range []prometheus.Collector{build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		_ = tel.Metrics.Registry.Register(c) // it may be there already
	}
	log, _ := zap.NewStdLogAt(tel.Log, zap.WarnLevel) // the level is a valid one
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(tel.Metrics.Registry, promhttp.HandlerOpts{ErrorLog: log}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return m
}
