// Command api accepts entries, enqueues them and answers searches.
package main

import (
	"os"

	"github.com/ocelot-log/ocelot/internal/app"
	"github.com/ocelot-log/ocelot/internal/config"
)

// version is set when the binary is built.
var version = "dev"

func main() { os.Exit(app.Main(config.API, version, app.API, os.Args[1:])) }
