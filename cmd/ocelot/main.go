// Command ocelot runs the whole service in one process and is the tool for it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/ocelot-log/ocelot/internal/config"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/spf13/cobra"
)

// version is set when the binary is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(app.ExitCode(os.Stderr, "ocelot", newRootCmd().ExecuteContext(ctx)))
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:           "ocelot",
		Short:         "Logs and audit events: accept, keep, find",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().String("config", "", "YAML file of settings; the environment goes over it")
	root.AddCommand(newUpCmd(), newTokenCmd(), newTenantCmd(), newKeyCmd(), newConfigCmd(), newVersionCmd(), newHealthCmd(), newMigrateCmd(),
		newSendCmd(), newSearchCmd(), newTailCmd(), newStatsCmd(), newExportCmd(), newDeleteCmd(), newBenchCmd())
	return root
}

// settings loads what --config and the environment say.
func settings(cmd *cobra.Command) (config.Settings, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Settings{}, err
	}
	return config.Load(config.Up, path, os.Environ())
}
