package search

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// schemaVersion is that of the mapping. A version may only add fields to the one before: what is there
// already keeps its documents.
//
// 1: the fields of an entry, its texts and those of its metadata. 2: values of the metadata, changes, what has
// a zone by its network; documents of before are not found by them until they are read into the index again.
const schemaVersion = 2

// longestKeyword is how long a value may be, in UTF-16 units, to be found as a whole: at three bytes each
// it is below Lucene's 32,766 for a term. What the validator lets in is far shorter.
const longestKeyword = 8191

// longestToken is above query.MaxToken characters of two UTF-16 units each.
const longestToken = 512

// deepestPage is the last entry that can be skipped to, a whole page and one more.
const deepestPage = 11_001

type object = map[string]any

// mapping is what a document may have. Nothing else is indexed, so that no entry can make it grow.
//
// Times are in nanoseconds, id_high and id_low are the two halves of the id as sortNumber writes them:
// sorted by them, entries are in the exact order. Texts come cut by query.Tokens and joined by spaces,
// and are cut at the spaces again: no analyzer of OpenSearch decides what a token is.
func (o *OpenSearch) mapping(settings string) object {
	at := object{"type": "date_nanos", "format": "epoch_millis"} // with six digits after the point
	counted := object{"type": "keyword", "ignore_above": longestKeyword}
	found := object{"type": "keyword", "ignore_above": longestKeyword, "doc_values": false}
	text := object{"type": "text", "analyzer": "tokens", "norms": false}
	half := object{"type": "long", "index": false}
	return object{
		"dynamic": false,
		"_meta":   object{"ocelot_version": o.version, "ocelot_settings": settings},
		"properties": object{
			"tenant_id": counted, "timestamp": at, "received_at": at, "id_high": half, "id_low": half,
			"severity": object{"type": "byte"}, "schema_version": object{"type": "integer"},
			"service": counted, "action": counted, "user_id": counted, "resource_type": counted,
			"resource_id": found, "session_id": found, "user_agent": found, "request_id": found, "trace_id": found, "span_id": found, "event_id": found,
			"ip_address": object{"type": "ip", "doc_values": false}, "ip_zoned": found, // an address with a zone, which the type ip does not take
			"ip_bare":    object{"type": "ip", "doc_values": false}, // that without its zone
			"ip_counted": object{"type": "ip", "index": false},      // any address without its zone, for counts
			"message":    text, "meta_text": text,
			"changes": found, "meta_kv": found, "meta_keys": counted, // as opensearch_metadata.go writes them
			"meta_num":        object{"type": "keyword", "ignore_above": longestKeyword, "index": false},
			"index_truncated": object{"type": "boolean"},
		},
	}
}

// index is what an index is made of, by the template or at once.
func (o *OpenSearch) index(codec string) object {
	settings := object{
		"number_of_shards": o.cfg.Shards, "number_of_replicas": o.cfg.Replicas, "codec": codec,
		"refresh_interval":  fmt.Sprintf("%dms", o.cfg.RefreshInterval.Milliseconds()),
		"merge.policy":      "log_byte_size", // neighbours in time stay together
		"translog":          object{"durability": "request"},
		"mapping":           object{"total_fields": object{"limit": 200}},
		"max_result_window": deepestPage,
		"sort":              object{"field": []string{"timestamp", "id_high", "id_low"}, "order": []string{"desc", "desc", "desc"}},
		"query":             object{"default_field": "message"},
		"max_terms_count":   1024,
		"max_regex_length":  64,
	}
	return object{
		"aliases": object{o.cfg.Prefix: object{}},
		"settings": object{"index": settings, "analysis": object{
			"tokenizer": object{"spaces": object{"type": "whitespace", "max_token_length": longestToken}},
			"analyzer":  object{"tokens": object{"type": "custom", "tokenizer": "spaces"}},
		}},
		"mappings": o.mapping(fingerprint(settings)),
	}
}

// fingerprint tells whether the settings changed.
func fingerprint(settings object) string {
	sum := sha256.Sum256(encode(settings))
	return hex.EncodeToString(sum[:8])
}

func encode(v object) []byte {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic(err) // maps, strings and numbers only
	}
	return b
}

// template is the index template. A longer prefix wins over a shorter one that it begins with.
func (o *OpenSearch) template(codec string) object {
	return object{
		"index_patterns": []string{o.cfg.Prefix + "-*.*.*"}, "priority": 200 + len(o.cfg.Prefix), "version": o.version,
		"template": o.index(codec),
		"_meta":    object{"description": "Indices of Ocelot, one a day. Made by ocelot migrate; changes are overwritten."},
	}
}

// word is a string, or a boolean that stands where other answers have it as a string: a template says false
// and an index "false".
type word string

// UnmarshalJSON takes both.
func (w *word) UnmarshalJSON(b []byte) error {
	*w = word(strings.Trim(string(b), `"`))
	return nil
}

// schema is what an index or a template says of its mapping.
type schema struct {
	Dynamic word `json:"dynamic"`
	Meta    struct {
		Version  int    `json:"ocelot_version"`
		Settings string `json:"ocelot_settings"`
	} `json:"_meta"`
}

// Migrate makes or upgrades the index template, and adds to the indices that are there what their
// mapping lacks. What a newer version made stays. Changed settings (shards, replicas, codec, refresh
// interval) hold for the indices that are made from then on. It may be run at any time and by several at once.
func (o *OpenSearch) Migrate(ctx context.Context) error {
	leave, err := o.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := o.upgrade(ctx); err != nil {
		return err
	}
	const doing = "make the index template"
	a, err := o.call(ctx, request{method: "GET", path: "/_index_template/" + o.cfg.Prefix, query: "filter_path=error,index_templates.index_template.template.mappings.dynamic,index_templates.index_template.template.mappings._meta"})
	if err != nil || a.status != http.StatusNotFound {
		if err := o.fault(doing, a, err); err != nil {
			return err
		}
	}
	var there struct {
		Templates []struct {
			Template struct {
				Template struct {
					Mappings schema `json:"mappings"`
				} `json:"template"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if a.status == http.StatusOK {
		if err := json.Unmarshal(a.body, &there); err != nil {
			return fault.As(fault.Internal, "opensearch_answer", err)
		}
	}
	var has schema
	if len(there.Templates) > 0 {
		has = there.Templates[0].Template.Template.Mappings
	}
	switch {
	case has.Meta.Version > o.version:
		o.log.Info("the index template is of a newer version of Ocelot and stays as it is", zap.Int("version", has.Meta.Version))
	case has.Meta.Version < o.version || !o.wanted(has.Meta.Settings):
		if err := o.withCodec(doing, func(codec string) (answer, error) {
			return o.call(ctx, request{method: "PUT", path: "/_index_template/" + o.cfg.Prefix, body: encode(o.template(codec))})
		}); err != nil {
			return err
		}
		o.log.Info("the index template was put", zap.String("name", o.cfg.Prefix), zap.Int("from", has.Meta.Version), zap.Int("to", o.version))
	}
	return nil
}

// wanted says whether settings are ours, with the codec that was asked for or the one in its place.
func (o *OpenSearch) wanted(settings string) bool {
	for _, codec := range []string{o.cfg.Codec, defaultCodec} {
		if settings == o.index(codec)["mappings"].(object)["_meta"].(object)["ocelot_settings"] {
			return true
		}
	}
	return false
}

const defaultCodec = "default"

// withCodec does what names a codec, and again with the default where the cluster refuses it: minimal
// builds lack the codecs of their plugins.
func (o *OpenSearch) withCodec(doing string, put func(codec string) (answer, error)) error {
	codec := o.cfg.Codec
	if o.noCodec.Load() {
		codec = defaultCodec
	}
	a, err := put(codec)
	if err == nil && a.status == http.StatusBadRequest && codec != defaultCodec {
		if a, err = put(defaultCodec); err == nil && a.status < 300 { // else the codec was not what it complained about
			o.noCodec.Store(true)
			o.log.Warn("OpenSearch refuses the codec of the indices; they take more space with its default", zap.String("codec", o.cfg.Codec))
		}
	}
	if err == nil && a.status == http.StatusBadRequest {
		return fault.Wrap(&fault.Error{Kind: fault.Invalid, Code: "opensearch_refused", Detail: "OpenSearch at " + o.at + " refuses the settings of our indices",
			Err: errors.New(a.failure().Reason)}, doing)
	}
	return o.fault(doing, a, err)
}

// upgrade looks at each index behind the alias.
func (o *OpenSearch) upgrade(ctx context.Context) error {
	const doing = "look at the indices"
	a, err := o.call(ctx, request{method: "GET", path: "/" + o.cfg.Prefix, query: lenient + "&filter_path=error,*.aliases,*.mappings.dynamic,*.mappings._meta"})
	if err == nil && a.status == http.StatusNotFound {
		return nil
	}
	if err := o.fault(doing, a, err); err != nil {
		return err
	}
	var there map[string]indexState
	if err := json.Unmarshal(a.body, &there); err != nil {
		return fault.As(fault.Internal, "opensearch_answer", err)
	}
	for name, x := range there {
		if name == o.cfg.Prefix {
			return fault.New(fault.Invalid, "opensearch_alias", fmt.Sprintf("OpenSearch at %s has an index named %s where our alias belongs: remove it, or choose another OPENSEARCH_INDEX_PREFIX", o.at, name))
		}
		if err := o.fits(ctx, name, x); err != nil {
			return err
		}
	}
	return nil
}

// indexState is what an index is.
type indexState struct {
	Aliases  map[string]struct{} `json:"aliases"`
	Mappings schema              `json:"mappings"`
}

// fits says whether documents can go into an index, and adds the fields that it lacks.
func (o *OpenSearch) fits(ctx context.Context, name string, x indexState) error {
	_, behind := x.Aliases[o.cfg.Prefix]
	if x.Mappings.Meta.Version == 0 || x.Mappings.Dynamic != "false" || !behind {
		return fault.New(fault.Invalid, "opensearch_foreign_index", fmt.Sprintf("the index %s of OpenSearch at %s was not made by Ocelot, or was changed: remove it and read the record into it again, or choose another OPENSEARCH_INDEX_PREFIX", name, o.at))
	}
	if x.Mappings.Meta.Version >= o.version {
		return nil
	}
	a, err := o.call(ctx, request{method: "PUT", path: "/" + name + "/_mapping", body: encode(o.mapping(x.Mappings.Meta.Settings))})
	if err == nil && a.status == http.StatusBadRequest {
		return fault.New(fault.Invalid, "opensearch_old_index", fmt.Sprintf("the index %s of OpenSearch at %s is of version %d, which can't be made version %d: remove it and read the record into it again", name, o.at, x.Mappings.Meta.Version, o.version))
	}
	return o.fault("upgrade an index", a, err)
}
