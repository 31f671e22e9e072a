package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/spf13/cobra"
)

func newTenantCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Create, list, rename, set, suspend and delete tenants"}
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
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", t.ID, visible(t.Name), t.CreatedAt.Format(time.RFC3339))
			}
			return w.Flush()
		},
	}
	cmd.AddCommand(create, list, newTenantShowCmd(), newTenantSetCmd(), newTenantDeleteCmd(),
		newTenantChangeCmd("rename ID NAME", "Give a tenant another name for people", 2, func(args []string) app.TenantChange { return app.TenantChange{Name: &args[1]} }),
		newTenantChangeCmd("suspend ID", "Refuse a tenant's credentials; its entries stay", 1, func([]string) app.TenantChange { return app.TenantChange{Suspended: new(true)} }),
		newTenantChangeCmd("resume ID", "Take the credentials of a suspended tenant again", 1, func([]string) app.TenantChange { return app.TenantChange{Suspended: new(false)} }),
		newTenantChangeCmd("undelete ID", "Take a deletion back whose grace is not over", 1, func([]string) app.TenantChange { return app.TenantChange{Deleted: new(false)} }))
	return cmd
}

func newTenantShowCmd() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a tenant and its settings", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			t, err := app.ShowTenant(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			return showTenant(cmd, t)
		}}
}

func newTenantSetCmd() *cobra.Command {
	cmd := newTenantChangeCmd("set ID SETTINGS", "Change settings of a tenant", 2, func(args []string) app.TenantChange { return app.TenantChange{Settings: json.RawMessage(args[1])} })
	cmd.Long = "Changes the settings that are named, and leaves the others; null gives one back to the service. They hold everywhere within 5 seconds.\n" +
		"Settings: retention_days, min_severity, max_entry_age, masking (a list of rules), limits {entries_per_min, bytes_per_min, entries_per_day, bytes_per_day}."
	cmd.Example = "  ocelot tenant set acme '{\"retention_days\":90,\"limits\":{\"entries_per_day\":1000000}}'\n" +
		"  ocelot tenant set acme '{\"masking\":[{\"name\":\"mail\",\"builtin\":\"email\",\"action\":\"hash\"}]}'"
	return cmd
}

func newTenantChangeCmd(use, short string, args int, change func(args []string) app.TenantChange) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			t, err := app.ChangeTenant(cmd.Context(), s, args[0], change(args))
			if err != nil {
				return err
			}
			return showTenant(cmd, t)
		}}
}

func newTenantDeleteCmd() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "delete ID", Short: "Delete a tenant and everything of it",
		Long: "Refuses the tenant's credentials now and removes everything of it once the grace (TENANT_DELETE_GRACE) has passed. Until then `tenant undelete` takes it back.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return errors.New("this removes every entry of the tenant; say --yes")
			}
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			job, at, err := app.DeleteTenant(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "tenant %s is removed from %s on; job %s\n", args[0], at.Format(time.RFC3339), job)
			return err
		}}
	cmd.Flags().BoolVar(&yes, "yes", false, "say that it is meant")
	return cmd
}

func showTenant(cmd *cobra.Command, t app.Tenant) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(t)
}
