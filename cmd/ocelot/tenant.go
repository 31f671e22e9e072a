package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/spf13/cobra"
)

func newTenantCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Create and list tenants"}
	var name string
	create := &cobra.Command{
		Use:   "create ID",
		Short: "Create a tenant",
		Long:  "Creates a tenant, through the running server or, without one, in the files. ID is its name in URLs and tokens: 3 to 40 of a-z, 0-9 and -.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			t, err := app.CreateTenant(cmd.Context(), s, args[0], name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "created tenant %s\n", t.ID)
			return err
		},
	}
	create.Flags().StringVar(&name, "name", "", "name for people; the ID when empty")
	list := &cobra.Command{
		Use:   "list",
		Short: "List the tenants",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			tenants, err := app.ListTenants(cmd.Context(), s)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "ID\tNAME\tCREATED")
			for _, t := range tenants {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", t.ID, t.Name, t.CreatedAt.Format(time.RFC3339))
			}
			return w.Flush()
		},
	}
	cmd.AddCommand(create, list)
	return cmd
}
