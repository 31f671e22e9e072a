package main

import (
	"io"
	"strings"
	"testing"
)

func TestWrongArgumentsAreAnsweredWithWhatTheCommandTakes(t *testing.T) {
	for args, want := range map[string]string{
		"key create --tenant acme": "usage: ocelot key create NAME [flags]\nmore: ocelot key create --help",
		"tenant set acme":          "usage: ocelot tenant set ID SETTINGS [flags]",
		"token reader":             "usage: ocelot token [flags]",
		"search a:b c:d":           "the query is one argument: quote it\nusage: ocelot search [QUERY] [flags]",
		"tail a b":                 "quote it", "stats a b": "quote it", "export a b": "quote it", "export bigquery a b": "quote it",
		"search -action:LOGIN":       "a query that begins with - goes behind --, after the flags: ocelot search -- '-action:LOGIN'\nusage: ocelot search [QUERY]",
		"export bigquery -service:a": "ocelot export bigquery -- '-service:a'", "stats -x": "unknown shorthand flag: 'x' in -x\nusage", "export -o": "flag needs an argument: 'o' in -o\nusage",
		"tenant create a --nam b": "unknown flag: --nam\nusage: ocelot tenant create ID [flags]",
	} {
		cmd := newRootCmd()
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		cmd.SetArgs(strings.Fields(args))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
}
