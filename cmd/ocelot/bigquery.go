package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ocelot-log/ocelot/internal/bigquery"
	"github.com/ocelot-log/ocelot/internal/query"
)

const bigQueryLong = `Loads what a query finds into a table of BigQuery, and the next time what was recorded since: each entry once, however long it had
waited, and also when a run was interrupted. The query is that of search; none takes everything.

The table is made if it is not there, with the columns of the format bigquery-schema, in partitions of their timestamp. How far it is
stands in its description: leave that line, and always use the same query, columns and times. One run at a time. Times are written out:
with now each run would ask something else, and what it does not find when its turn comes is not looked at again.

Rows go in by load jobs, which cost nothing. Credentials are the machine's own for Google (gcloud auth application-default login, or
GOOGLE_APPLICATION_CREDENTIALS); they need BigQuery Data Editor on the data set and BigQuery Job User on the project.`

// loadOptions are the flags of export bigquery.
type loadOptions struct {
	searchOptions
	table     bigquery.Table
	columns   string
	partition string
	endpoint  string
}

func newBigQueryCmd() *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "bigquery [QUERY]",
		Short: "Load what was recorded since the last time into a table of BigQuery",
		Long:  bigQueryLong,
		Example: "  ocelot export bigquery --project my-project --dataset logs --table entries\n" +
			"  ocelot export bigquery 'service:billing' --project my-project --dataset logs --table billing --columns id,timestamp,message,metadata",
		Args: oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.columns = listed(o.columns)
			params, err := o.asked(strings.Join(args, ""))
			if err != nil {
				return err
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			over := &http.Client{Transport: http.DefaultTransport}
			bq, err := bigquery.New(cmd.Context(), o.endpoint, over)
			if err != nil {
				return err
			}
			l := &loading{c: c, bq: bq, o: o, params: params, part: exportPart, most: loadBytes}
			stderr := cmd.ErrOrStderr()
			stop := newProgress(stderr).start(l.line, &l.mu)
			err = l.run(cmd.Context())
			stop()
			if err != nil {
				return l.broken(cmd.Context(), err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "loaded %s entries into %s; it has %s by now\n", grouped(l.loaded), visible(o.table.String()), grouped(l.state.Rows))
			return err
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.table.Project, "project", "", "the project of Google Cloud")
	f.StringVar(&o.table.Dataset, "dataset", "", "the data set, which must be there")
	f.StringVar(&o.table.Name, "table", "", "the table")
	f.StringVar(&o.columns, "columns", "", "up to 64 fields, separated by commas, also paths such as metadata.order.id; without it all")
	f.StringVar(&o.partition, "partition", "day", "what a new table is cut by: hour, day, month, year, or none")
	f.StringVar(&o.endpoint, "endpoint", bigquery.Endpoint, "address of BigQuery; one that is not Google's, such as an emulator's, gets no credentials")
	f.StringVar(&o.start, "start", "", "from this time on, RFC 3339")
	f.StringVar(&o.end, "end", "", "before this time, RFC 3339")
	f.StringVar(&o.audit, "audit", "", auditUsage)
	return cmd
}

// partitions are the ways to cut a table; BigQuery takes 10,000 partitions of one.
var partitions = map[string]string{"hour": "HOUR", "day": "DAY", "month": "MONTH", "year": "YEAR", "none": ""}

func (o loadOptions) asked(text string) (url.Values, error) {
	for flag, value := range map[string]string{"--project": o.table.Project, "--dataset": o.table.Dataset, "--table": o.table.Name} {
		if value == "" {
			return nil, errors.New("--project, --dataset and --table say which table: " + flag + " is missing")
		}
	}
	if _, ok := partitions[o.partition]; !ok {
		return nil, fmt.Errorf("--partition %q is none of hour, day, month, year, none", o.partition)
	}
	params, err := o.params(text, time.Time{})
	if err != nil {
		return nil, err
	}
	if q, err := query.FromParams(query.Params(params), time.Now()); err == nil { // else the service says what is wrong
		if part := query.ByClock(q.Where); part != "" {
			return nil, fmt.Errorf("%s goes by the clock: each run would ask something else, and what it does not find when its turn comes is never looked at again. "+
				"Write the time out, as in timestamp:>=%s, or leave it out: a run takes what was recorded since the last one", part, time.Now().UTC().Format(time.DateOnly))
		}
	}
	params.Set("format", "bigquery")
	params.Set("sort", "recorded")
	if o.columns != "" {
		params.Set("columns", o.columns)
	}
	return params, nil
}

// line is the progress. Its caller holds the lock.
func (l *loading) line() string {
	return fmt.Sprintf("%s entries loaded, %s more", grouped(l.loaded), grouped(l.gathered))
}

// broken adds to an error what is in the table.
func (l *loading) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if !l.ready {
		return err
	}
	return fmt.Errorf("%w\nincomplete: %s entries were loaded this time; the same command goes on behind them, each entry once", err, grouped(l.loaded))
}
