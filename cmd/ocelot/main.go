// Command ocelot runs the whole service in one process and is the tool for it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misused(cmd, err) })
	sayHowToUse(root)
	return root
}

// sayHowToUse makes wrong arguments of all commands be answered with what the command takes.
func sayHowToUse(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return misused(cmd, err)
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		sayHowToUse(c)
	}
}

// oneQuery takes a query or none. The shell makes several arguments of one that is not quoted.
func oneQuery(_ *cobra.Command, given []string) error {
	if len(given) > 1 {
		return errors.New("the query is one argument: quote it")
	}
	return nil
}

func misused(cmd *cobra.Command, err error) error {
	// -action:LOGIN is a query, but is read as flags of one letter each.
	letters, ok := errors.AsType[interface {
		error
		GetSpecifiedShortnames() string
	}](err)
	if ok && strings.Contains(cmd.Use, "[QUERY]") && len(letters.GetSpecifiedShortnames()) > 1 {
		err = fmt.Errorf("%w\na query that begins with - goes behind --, after the flags: %s -- '-%s'", err, cmd.CommandPath(), visible(letters.GetSpecifiedShortnames()))
	}
	return fmt.Errorf("%w\nusage: %s\nmore: %s --help", err, cmd.UseLine(), cmd.CommandPath())
}

// settings loads what --config and the environment say.
func settings(cmd *cobra.Command) (config.Settings, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return config.Settings{}, err
	}
	return config.Load(config.Up, path, os.Environ())
}
