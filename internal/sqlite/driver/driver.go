// Package driver brings SQLite itself, which sqlite speaks to by database/sql. Programs that open files import
// it, and tests do; api and worker, which only use servers, leave it out and are a third smaller without it.
package driver

import _ "modernc.org/sqlite" // registers itself as "sqlite"
