package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/ocelot-log/ocelot/internal/bigquery"
)

// open finds the table or makes it, and reads how far it is.
func (l *loading) open(ctx context.Context) error {
	want, err := l.schema(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(l.params.Encode()))
	asked := hex.EncodeToString(sum[:8])
	info, err := l.bq.Get(ctx, l.o.table)
	if errors.Is(err, bigquery.ErrNotFound) {
		if err = l.create(ctx, want, asked); err == nil || errors.Is(err, bigquery.ErrExists) {
			info, err = l.bq.Get(ctx, l.o.table)
		}
	}
	if err != nil {
		return err
	}
	if err := fits(want, info.Schema.Fields); err != nil {
		return fmt.Errorf("the table %s has other columns: %w; choose a new table, or --columns that fit", l.o.table, err)
	}
	l.location = info.Location
	state, before, ours, err := stateOf(info.Description)
	switch {
	case err != nil:
		return fmt.Errorf("the table %s: %w: choose a new table", l.o.table, err)
	case !ours && info.Rows != "" && info.Rows != "0":
		return fmt.Errorf("the table %s has rows, and its description does not say how far it is: it is not one that was loaded by this command; choose a new table", l.o.table)
	case !ours:
		if before != "" {
			before += "\n\n"
		}
		state = loadState{Asked: asked}
		if err := l.bq.Describe(ctx, l.o.table, info.ETag, state.describe(before+loadWords)); err != nil {
			return l.otherRun(err)
		}
	case state.Asked != asked:
		return fmt.Errorf("the table %s is of another question: say the query, columns, --audit and times that it was begun with, or choose a new table", l.o.table)
	}
	l.state, l.kept = state, state
	return nil
}

// schema are the columns of the export.
func (l *loading) schema(ctx context.Context) (fields []bigquery.Field, err error) {
	params := url.Values{"format": {"bigquery-schema"}}
	if l.o.columns != "" {
		params.Set("columns", l.o.columns)
	}
	answer, err := l.c.do(ctx, http.MethodGet, "/api/v1/logs/export?"+params.Encode(), nil, nil)
	if err != nil {
		return nil, queryError(err)
	}
	if err := json.Unmarshal(answer, &fields); err != nil || len(fields) == 0 {
		return nil, fmt.Errorf("the answer of %s is no schema: is the URL right?", l.c.URL)
	}
	return fields, nil
}

func (l *loading) create(ctx context.Context, want []bigquery.Field, asked string) error {
	info := bigquery.Info{Table: l.o.table, Description: loadState{Asked: asked}.describe(loadWords)}
	info.Schema.Fields = want
	if cut := partitions[l.o.partition]; cut != "" && slices.ContainsFunc(want, func(f bigquery.Field) bool { return f.Name == "timestamp" }) {
		info.Partitioning = &bigquery.Partitioning{Type: cut, Field: "timestamp"}
	}
	err := l.bq.Create(ctx, info)
	if errors.Is(err, bigquery.ErrNotFound) {
		return fmt.Errorf("there is no data set %s.%s, or its location is not known here: make it first, `bq mk --dataset %s:%s`: %w",
			l.o.table.Project, l.o.table.Dataset, l.o.table.Project, l.o.table.Dataset, err)
	}
	return err
}

// fits says whether a table takes these columns.
func fits(want, have []bigquery.Field) error {
	kinds := map[string]string{}
	for _, f := range have {
		kinds[strings.ToLower(f.Name)] = kindOf(f)
	}
	for _, f := range want {
		switch kind, there := kinds[strings.ToLower(f.Name)]; {
		case !there:
			return fmt.Errorf("%s is missing", f.Name)
		case kind != kindOf(f):
			return fmt.Errorf("%s is %s and not %s", f.Name, kind, kindOf(f))
		}
	}
	return nil
}

// kindOf is a column's type under the one name of those that it may have.
func kindOf(f bigquery.Field) string {
	kind := strings.ToUpper(f.Type)
	if kind == "INT64" {
		kind = "INTEGER"
	}
	if strings.EqualFold(f.Mode, "REPEATED") {
		kind += " REPEATED"
	}
	return kind
}

// keepTries is how often the description is written: the table changes also when a load ends.
const keepTries = 5

// keep writes down how far the table is, unless somebody else has.
func (l *loading) keep(ctx context.Context, next loadState) error {
	if reflect.DeepEqual(next, l.kept) {
		l.state = next
		return nil
	}
	for try := 0; ; try++ {
		info, err := l.bq.Get(ctx, l.o.table)
		if err != nil {
			return err
		}
		said, before, ours, err := stateOf(info.Description)
		switch {
		case err == nil && ours && reflect.DeepEqual(said, next): // an answer was lost
			l.state, l.kept = next, next
			return nil
		case err != nil || !ours || !reflect.DeepEqual(said, l.kept):
			return l.otherRun(bigquery.ErrChanged)
		}
		err = l.bq.Describe(ctx, l.o.table, info.ETag, next.describe(before))
		if err == nil {
			l.state, l.kept = next, next
			return nil
		}
		if !errors.Is(err, bigquery.ErrChanged) || try == keepTries-1 {
			return l.otherRun(err)
		}
	}
}

// otherRun says what it means that the description is not what it was.
func (l *loading) otherRun(err error) error {
	if !errors.Is(err, bigquery.ErrChanged) {
		return err
	}
	return fmt.Errorf("what the description of %s says was changed meanwhile: is another run loading it? Wait for that one, then say the same command again", l.o.table)
}
