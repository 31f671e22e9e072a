package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/spf13/cobra"
)

func newKeyCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Create, list, rotate and revoke API keys",
		Long: "API keys of a tenant, through the running server or, without one, in the record that the settings name.\n" +
			"A key is shown once, when it is made: only a hash of it is kept.",
	}
	var slug string
	cmd.PersistentFlags().StringVar(&slug, "tenant", "default", "tenant that the keys are of")
	cmd.AddCommand(newKeyCreateCmd(&slug), newKeyListCmd(&slug), newKeyRotateCmd(&slug), newKeyRevokeCmd(&slug))
	return cmd
}

func newKeyCreateCmd(slug *string) *cobra.Command {
	var r app.KeyRequest
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Create a key and print it",
		Long:    "Creates a key. The key goes to the output and nothing else, what is known of it to the error output.",
		Example: "  ocelot key create shop --tenant acme --role writer --filter service:shop --cidr 10.0.0.0/8",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			r.Name = args[0]
			k, err := app.CreateKey(cmd.Context(), s, *slug, r)
			if err != nil {
				return err
			}
			return printKey(cmd, k, "created key "+k.ID+" of tenant "+*slug+", role "+k.Role)
		},
	}
	cmd.Flags().StringVar(&r.Role, "role", "writer", "role: writer, reader or admin")
	cmd.Flags().DurationVar(&r.TTL, "ttl", 0, "how long it is valid; 0: until it is revoked")
	cmd.Flags().StringSliceVar(&r.CIDRs, "cidr", nil, "networks or addresses that it may be used from, comma-separated; none: everywhere")
	cmd.Flags().StringVar(&r.Filter, "filter", "", "a search that bounds which entries it is for; empty: all of the tenant")
	return cmd
}

func newKeyListCmd(slug *string) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys of a tenant",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			keys, err := app.ListKeys(cmd.Context(), s, *slug)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "ID\tNAME\tROLE\tCREATED\tEXPIRES\tLAST USED\tFILTER")
			for _, k := range keys {
				name := visible(k.Name)
				if k.Disabled {
					name += " (disabled)"
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, name, k.Role, moment(k.CreatedAt), moment(k.ExpiresAt), moment(k.LastUsedAt), visible(k.Filter))
			}
			return w.Flush()
		},
	}
}

func newKeyRotateCmd(slug *string) *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Create the key that replaces one, and print it",
		Long:  "Creates a key like the one named and gives that one an end. Until then both work.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			k, err := app.RotateKey(cmd.Context(), s, *slug, args[0], overlap)
			if err != nil {
				return err
			}
			return printKey(cmd, k, fmt.Sprintf("created key %s of tenant %s; %s works for another %s", k.ID, *slug, args[0], overlap))
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 24*time.Hour, "how long both work")
	return cmd
}

func newKeyRevokeCmd(slug *string) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a key for good, everywhere within 5 seconds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			if err := app.RevokeKey(cmd.Context(), s, *slug, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked key %s\n", args[0])
			return err
		},
	}
}

// printKey prints a key alone, so that it can be piped, and what it is beside it.
func printKey(cmd *cobra.Command, k app.Key, what string) error {
	_, _ = fmt.Fprintln(cmd.ErrOrStderr(), what+"; it is shown this once:")
	_, err := fmt.Fprintln(cmd.OutOrStdout(), k.Text)
	return err
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
