package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// deletion is what the service says of a job.
type deletion struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Before  time.Time `json:"before"`
	Removed struct {
		Records int64 `json:"records"`
		Index   int64 `json:"index"`
	} `json:"removed"`
}

func newDeleteCmd() *cobra.Command {
	var (
		t      target
		before string
		days   int
		yes    bool
		wait   bool
	)
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Delete a tenant's old entries",
		Long: "Has a job delete what the tenant received before a time, from record and index. It goes by the time of receipt,\n" +
			"not by the entries' own timestamps. What is deleted can't be had back: `ocelot export` keeps it elsewhere.",
		Example: "  ocelot delete --tenant acme --days 90 --yes --wait\n  ocelot delete --tenant acme --before 2026-01-01 --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := url.Values{}
			if before != "" {
				asked.Set("before", before)
			}
			if cmd.Flags().Changed("days") {
				asked.Set("days", strconv.Itoa(days))
			}
			switch {
			case len(asked) != 1:
				return errors.New("say either --before or --days")
			case !yes:
				return errors.New("this deletes entries for good; say --yes")
			}
			c, err := clientFromEnv(cmd, t, true)
			if err != nil {
				return err
			}
			j, err := askDeletion(cmd.Context(), c, http.MethodDelete, "/api/v1/logs?"+asked.Encode())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "what was received before %s is being deleted; job %s\n", j.Before.Format(time.RFC3339Nano), j.ID); err != nil || !wait {
				return err
			}
			return watchDeletion(cmd, c, j.ID)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&before, "before", "", "time of receipt, as in RFC 3339 or a date in UTC; entries received earlier are deleted")
	cmd.Flags().IntVar(&days, "days", 0, "delete what is older than so many days, counted from receipt")
	cmd.Flags().BoolVar(&yes, "yes", false, "say that it is meant")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done, about two minutes at least, and say how many were deleted")
	return cmd
}

func askDeletion(ctx context.Context, c *client, method, path string) (deletion, error) {
	var answer struct{ Data deletion }
	body, err := c.do(ctx, method, path, nil, nil)
	if err != nil {
		return answer.Data, err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer.Data, fmt.Errorf("the answer of %s can't be read: %w", c.URL, err)
	}
	return answer.Data, nil
}

// watchDeletion says what a job does until it is done.
func watchDeletion(cmd *cobra.Command, c *client, id string) error {
	for said := int64(-1); ; {
		j, err := askDeletion(cmd.Context(), c, http.MethodGet, "/api/v1/jobs/"+id)
		if err != nil {
			return err
		}
		if j.State == "done" {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "deleted %d entries\n", j.Removed.Records)
			return err
		}
		if j.Removed.Records != said {
			said = j.Removed.Records
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d entries so far, %d of them out of the index\n", j.State, said, j.Removed.Index)
		}
		select {
		case <-time.After(2 * time.Second):
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
}
