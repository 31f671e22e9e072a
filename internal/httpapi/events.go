package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The routes of an older service, for programs that were written for it: bodies and answers are as they know them,
// without data and meta around them. The entries are the same ones.

// event is an entry as those programs know it.
type event struct {
	ID            string         `json:"id"`
	Timestamp     time.Time      `json:"timestamp"`
	Service       string         `json:"service"`
	UserID        *string        `json:"user_id"`
	Action        string         `json:"action"`
	Metadata      jsontext.Value `json:"metadata"`
	SchemaVersion int            `json:"schema_version"`
}

func eventOf(e *logentry.Entry) event {
	out := event{ID: e.ID.String(), Timestamp: e.Timestamp, Service: e.Service, Action: e.Action, Metadata: e.Metadata, SchemaVersion: e.SchemaVersion}
	if e.UserID != "" {
		out.UserID = &e.UserID
	}
	if len(out.Metadata) == 0 {
		out.Metadata = jsontext.Value("{}")
	}
	return out
}

// postEvent takes one event and answers it as it is kept.
func (s *Server) postEvent(k *call) error {
	if _, err := takes(k.Request.Header, "application/json"); err != nil {
		return err
	}
	_, kept, err := s.takeEntries(k, logentry.Single)
	if err != nil {
		return err
	}
	return replyJSON(k, http.StatusAccepted, eventOf(&kept[0]))
}

// listEvents answers the newest events of a service.
func (s *Server) listEvents(k *call) error {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	for name := range params {
		if name != "limit" && name != "cursor" {
			return parameterFault("", "unknown_parameter", "the parameters here are limit and cursor")
		}
	}
	q, err := query.FromParams(params, time.Now())
	if err != nil {
		return err
	}
	service, err := url.PathUnescape(k.Param("service")) // paths are matched as they were sent
	if err == nil {
		q, err = ofService(q, service)
	}
	if err != nil {
		return errService
	}
	q = scoped(k, q)
	q.Total = query.TotalNone
	found, err := s.pageOf(k, &q, params)
	if err != nil {
		return err
	}
	answer := struct {
		Items []event `json:"items"`
		Next  *string `json:"next_cursor"`
	}{Items: make([]event, len(found.records))}
	for i := range found.records {
		answer.Items[i] = eventOf(&found.records[i].Entry)
	}
	if found.next != "" {
		answer.Next = &found.next
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "entries", ResourceID: service, Params: params, Count: len(found.records), Source: found.source}); err != nil {
		return err
	}
	return replyJSON(k, http.StatusOK, answer)
}

var errService = badParameter("service", "service_invalid", "this is the name of a service")

// ofService narrows a question to a service, whatever its name looks like.
func ofService(q query.Query, service string) (query.Query, error) {
	if service == "" || !utf8.ValidString(service) {
		return q, errService
	}
	return q.Narrow(query.Term{Field: query.Service, Value: service}), nil
}

// maxActions is how many actions a summary names.
const maxActions = 1000

// analyticsSummary counts the entries by action.
func (s *Server) analyticsSummary(k *call) error {
	found, err := s.analyzed(k, search.StatsRequest{Facets: []query.Field{query.Action}, Top: maxActions})
	if err != nil {
		return err
	}
	by := map[string]int64{}
	for _, v := range found.Facets[0].Values {
		by[v.Value] = v.Count
	}
	return replyJSON(k, http.StatusOK, struct {
		ByAction map[string]int64 `json:"by_action"`
		Total    int64            `json:"total"`
	}{by, found.Total})
}

// maxPoints is how many points a timeline has at the most.
const maxPoints = 1500

// analyticsTimeline counts the entries by minute, or by as many minutes as the range needs.
func (s *Server) analyticsTimeline(k *call) error {
	found, err := s.analyzed(k, search.StatsRequest{Interval: search.Interval{Auto: true, Least: time.Minute, Buckets: maxPoints}})
	if err != nil {
		return err
	}
	type point struct {
		TS    time.Time `json:"ts"`
		Count int64     `json:"count"`
	}
	points := make([]point, len(found.Histogram.Buckets))
	for i, b := range found.Histogram.Buckets {
		points[i] = point{b.Start, b.Count}
	}
	return replyJSON(k, http.StatusOK, struct {
		Points []point `json:"points"`
	}{points})
}

// analyzed counts what service, from_ts and to_ts ask for.
func (s *Server) analyzed(k *call, r search.StatsRequest) (search.Stats, error) {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return search.Stats{}, err
	}
	q, err := analysis(params)
	if err != nil {
		return search.Stats{}, err
	}
	found, err := s.stats(k, scoped(k, q), r)
	if err == nil {
		err = s.audited(k, audit.Event{Action: audit.Read, ResourceType: "counts", Params: params, Source: "index"})
	}
	return found, err
}

// analysis is the question of service, from_ts and to_ts.
func analysis(params query.Params) (query.Query, error) {
	times := query.Params{}
	for name, values := range params {
		switch {
		case name != "service" && name != "from_ts" && name != "to_ts":
			return query.Query{}, parameterFault("", "unknown_parameter", "the parameters here are service, from_ts and to_ts")
		case len(values) > 1:
			return query.Query{}, badParameter(name, "repeated_parameter", "this parameter may be there only once")
		case name == "from_ts":
			times["start_time"] = values
		case name == "to_ts":
			times["end_time"] = values
		}
	}
	q, err := query.FromParams(times, time.Now())
	if err != nil {
		return q, renamed(err, "start_time", "from_ts", "end_time", "to_ts")
	}
	if service, ok := first(params, "service"); ok {
		if q, err = ofService(q, service); err != nil {
			return q, err
		}
	}
	return q, nil
}

// renamed is a fault about parameters that the caller knows by other names. The names are in pairs.
func renamed(err error, names ...string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	r := strings.NewReplacer(names...)
	out := *f
	out.Detail, out.Problems = r.Replace(f.Detail), nil
	for _, p := range f.Problems {
		p.Pointer, p.Message = r.Replace(p.Pointer), r.Replace(p.Message)
		out.Problems = append(out.Problems, p)
	}
	return &out
}

// replyJSON sends an answer as it is.
func replyJSON(k *call, status int, answer any) error {
	b, err := json.Marshal(answer, json.Deterministic(true))
	if err != nil {
		return fault.Wrap(err, "write an answer")
	}
	return reply(k.Context, status, b)
}
