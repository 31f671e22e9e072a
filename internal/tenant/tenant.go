// Package tenant is whose entries they are: tenants, their settings, and a cache of them for the hot path.
package tenant

import (
	"time"

	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Info is a tenant as the record store keeps it.
type Info struct {
	ID        string    // internal, random, never reused: 12 characters of [a-z2-7]
	Slug      string    // public, [a-z0-9-]{3,40}, chosen at creation, never changed
	Name      string    // for people; the slug where none was given
	CreatedAt time.Time // UTC
	Settings  Settings
	Suspended bool      // its credentials are refused; its entries stay
	DeleteAt  time.Time // everything of it is removed from then on; zero: it is not being deleted
	Version   int64     // goes up by one with each change
}

// Disabled says whether the tenant's own credentials are refused: it is suspended, or to be deleted.
func (i *Info) Disabled() bool { return i.Suspended || !i.DeleteAt.IsZero() }

// Gone says whether the tenant is being removed by now, or is about to be: nothing of it may be kept any more.
func (i *Info) Gone(now time.Time) bool { return !i.DeleteAt.IsZero() && !now.Before(i.DeleteAt) }

// Settings are what a tenant may choose. The zero value is the service's own settings.
type Settings struct {
	RetentionDays int               // counted from receipt; 0: as long as the service keeps entries
	MinSeverity   logentry.Severity // entries below it are accepted and not kept; 0: all are kept
	MaxEntryAge   time.Duration     // how far before receipt a timestamp may be; 0: any time
	Masking       []mask.Rule       // besides the rules that hold for everybody
	Limits        Limits
}

// Limits are how much a tenant may send; 0: unlimited.
type Limits struct {
	EntriesPerMin int64
	BytesPerMin   int64 // of entries as they were sent, inflated
	EntriesPerDay int64
	BytesPerDay   int64
}
