package httpapi

import (
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsHandler is for a second listener that strangers can't reach: /metrics, /debug/pprof/ and the same
// /health as on the first.
func (s *Server) MetricsHandler() http.Handler {
	build := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ocelot", Name: "build_info", Help: "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": s.cfg.Version}})
	build.Set(1)
	for _, c := range []prometheus.Collector{build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		_ = s.tel.Metrics.Registry.Register(c) // it may be there already
	}
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(s.tel.Metrics.Registry, promhttp.HandlerOpts{ErrorLog: s.stdLog()}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	m.Handle("/", s.handlerOnlyHealth())
	return m
}

// handlerOnlyHealth lets nothing but /health through to the API's handler.
func (s *Server) handlerOnlyHealth() http.Handler {
	m := http.NewServeMux()
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		m.Handle(path, s.handler)
	}
	return m
}
