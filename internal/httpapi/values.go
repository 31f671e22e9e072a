package httpapi

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// sampled is how many of the newest entries are looked into for what their metadata have.
const sampled = 500

// fieldAnswer is a field that a question may name.
type fieldAnswer struct {
	Name   string   `json:"name"`
	Types  []string `json:"types"`         // what its values are
	Facet  bool     `json:"facet"`         // its values may be counted by stats
	Values bool     `json:"values"`        // there is completion for its values
	Seen   int      `json:"seen,omitzero"` // in how many of the sampled entries; of metadata only
}

// listFields answers the fields that every entry has, and those that the metadata of the newest entries have.
func (s *Server) listFields(k *call) error {
	started := time.Now()
	q, params, err := asked(k, started)
	if err != nil {
		return err
	}
	var fields []fieldAnswer
	for _, f := range query.Fields() {
		facet := slices.Contains(search.FacetFields, f.Field)
		fields = append(fields, fieldAnswer{Name: f.Name, Types: []string{f.Type}, Facet: facet, Values: facet})
	}
	found, err := s.newest(k, q)
	if err != nil {
		return err
	}
	seen := map[string]*fieldAnswer{}
	for i := range found {
		of := map[string]bool{}
		query.Pairs(found[i].Metadata, func(p query.Pair) bool {
			f := seen[p.Path]
			if f == nil {
				f = &fieldAnswer{Name: "metadata." + p.Path, Values: true}
				seen[p.Path] = f
			}
			if t := pairType(p); !slices.Contains(f.Types, t) {
				f.Types = append(f.Types, t)
			}
			if !of[p.Path] {
				of[p.Path] = true
				f.Seen++
			}
			return true
		})
	}
	for _, path := range slices.Sorted(maps.Keys(seen)) {
		slices.Sort(seen[path].Types)
		fields = append(fields, *seen[path])
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "fields", Params: params, Took: time.Since(started)}); err != nil {
		return err
	}
	return replyMeta(k, http.StatusOK, fields, map[string]int{"sampled": len(found)})
}

// pairType is what a scalar of the metadata is.
func pairType(p query.Pair) string {
	switch {
	case p.Kind == query.PairNumber:
		return "number"
	case p.Kind == query.PairLiteral && p.Text == "null":
		return "null"
	case p.Kind == query.PairLiteral:
		return "boolean"
	}
	return "string"
}

// listValues answers the values of a field that begin with a prefix, the most frequent first.
func (s *Server) listValues(k *call) error {
	started := time.Now()
	q, params, err := asked(k, started, "prefix", "limit")
	if err != nil {
		return err
	}
	limit := defaultTop
	if v, ok := first(params, "limit"); ok {
		if limit, err = number("limit", v, 1, search.MaxTop); err != nil {
			return err
		}
	}
	delete(params, "limit") // here it is of values
	prefix, _ := first(params, "prefix")
	name, err := url.PathUnescape(k.Param("name")) // paths are matched as they were sent
	if err != nil || !utf8.ValidString(name) {
		return badParameter("name", "field_not_allowed", "this is the name of a field")
	}
	var values []valueCount
	meta := map[string]int{}
	if path, ok := strings.CutPrefix(name, "metadata."); ok && path != "" {
		found, err := s.newest(k, q)
		if err != nil {
			return err
		}
		values, meta["sampled"] = metadataValues(found, path, prefix), len(found)
	} else if values, err = s.fieldValues(k, q, name, prefix, limit); err != nil {
		return err
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "fields", ResourceID: name, Params: params, Took: time.Since(started)}); err != nil {
		return err
	}
	return replyMeta(k, http.StatusOK, values[:min(len(values), limit)], meta)
}

// manyValues are more than fields without prefixes have, but for addresses: of those it is the most frequent ones.
const manyValues = 1000

// fieldValues counts the values of a field that every entry may have.
func (s *Server) fieldValues(k *call, q query.Query, name, prefix string, limit int) ([]valueCount, error) {
	f, err := facetNamed("name", name)
	if err != nil {
		return nil, err
	}
	r := search.StatsRequest{Facets: []query.Field{f}, Top: limit}
	switch f {
	case query.IPAddress, query.SchemaVersion, query.Severity:
		r.Top = manyValues
	default:
		if prefix != "" {
			q = q.Narrow(query.Term{Field: f, Value: prefix, Prefix: true})
		}
	}
	found, err := s.stats(k, q, r)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(counts(found.Facets[0].Values), func(v valueCount) bool { return !strings.HasPrefix(v.Value, prefix) }), nil
}

// metadataValues counts the values of a path that begin with a prefix.
func metadataValues(found []logentry.Record, path, prefix string) []valueCount {
	n := map[string]int64{}
	for i := range found {
		of := map[string]bool{}
		query.Pairs(found[i].Metadata, func(p query.Pair) bool {
			if p.Path == path && p.Kind != query.PairCut && strings.HasPrefix(p.Text, prefix) && !of[p.Text] {
				of[p.Text] = true
				n[p.Text]++
			}
			return true
		})
	}
	values := make([]valueCount, 0, len(n))
	for v, count := range n {
		values = append(values, valueCount{v, count})
	}
	slices.SortFunc(values, func(a, b valueCount) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Value, b.Value)
	})
	return values
}

// newest are the newest entries that a question finds.
func (s *Server) newest(k *call, q query.Query) ([]logentry.Record, error) {
	q.Sort, q.Limit, q.Total = query.NewestFirst, sampled, query.TotalNone
	ctx, cancel := context.WithTimeout(k.Request.Context(), s.cfg.SearchTimeout)
	defer cancel()
	page, source, err := s.find(ctx, k.tenant, q)
	var found []logentry.Record
	if err == nil {
		found, err = s.entries(ctx, k.tenant, page, source)
	}
	return found, inTime(ctx, err, "look into the newest entries")
}
