package main

import (
	"fmt"
	"time"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/spf13/cobra"
)

func newTokenCmd() *cobra.Command {
	var (
		tenants []string
		roles   []string
		subject string
		ttl     time.Duration
		filter  string
	)
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Print a JWT for the API",
		Long: "Prints a JWT, signed with JWT_SECRET or with the secret of the data directory. It goes to the output and nothing else, the id by\n" +
			"which it can be revoked to the error output.\n" +
			"Roles: writer posts, reader reads, admin does both and manages; the tenant * with the role admin is the platform admin.",
		Example: "  curl -H \"Authorization: Bearer $(ocelot token --role reader)\" http://127.0.0.1:8080/api/v1/logs",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := settings(cmd)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("ttl") {
				ttl = min(ttl, s.JWTMaxTTL)
			}
			token, jti, expires, err := app.MintToken(s, app.TokenRequest{Subject: subject, Tenants: tenants, Roles: roles, TTL: ttl, Filter: filter})
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "a token until %s; DELETE /api/v1/tokens/%s ends it before\n", moment(expires), jti)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&tenants, "tenant", []string{"default"}, "tenants that the token is for, comma-separated; * for all")
	cmd.Flags().StringSliceVar(&roles, "role", []string{"reader"}, "roles: writer, reader, admin")
	cmd.Flags().StringVar(&subject, "subject", "cli", "who the token is for; stands in audit entries")
	cmd.Flags().DurationVar(&ttl, "ttl", 12*time.Hour, "how long it is valid, at most JWT_MAX_TTL")
	cmd.Flags().StringVar(&filter, "filter", "", "a search that bounds which entries it is for, such as service:billing; empty: all of its tenants")
	return cmd
}
