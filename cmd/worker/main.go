// Command worker drains the queue into the record and the index.
package main

import (
	"os"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/ocelot-log/ocelot/internal/config"
)

// version is set when the binary is built.
var version = "dev"

func main() { os.Exit(app.Main(config.Worker, version, app.Worker, os.Args[1:])) }
