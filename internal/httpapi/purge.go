package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// deleteLogs has a job remove what the tenant received before a time. Sent again with the same time it answers the
// same job.
func (s *Server) deleteLogs(k *call) error {
	before, err := purgeBefore(k.Request.URL.RawQuery, time.Now())
	if err != nil {
		return err
	}
	if err := wholeTenant(k); err != nil { // the job goes by age alone
		return err
	}
	// Noted before it is done: what was deleted can't tell who did it.
	id := jobs.OldEntriesID(k.tenant.ID(), before)
	if err := s.changed(k, k.tenant.ID(), audit.Delete, "entries", id, nil, map[string]any{"before": before, "job": id}); err != nil {
		return err
	}
	j, err := jobs.ScheduleOldEntries(k.Request.Context(), s.reading.Store, k.tenant.ID(), k.tenant.Slug(), who(k).Name(), before)
	if err != nil {
		return err
	}
	k.Writer.Header().Set("Location", "/api/v1/jobs/"+j.ID)
	return replyData(k, http.StatusAccepted, j)
}

// purgeBefore is the time that the parameters name: before, or so many days ago. Anything else in them is refused, since
// a condition that was meant and not read would delete what it should keep.
func purgeBefore(raw string, now time.Time) (time.Time, error) {
	params, err := query.ParseRawQuery(raw)
	if err != nil {
		return time.Time{}, err
	}
	for name, values := range params {
		switch {
		case name != "before" && name != "days":
			return time.Time{}, fault.New(fault.Malformed, "unknown_parameter", "entries are deleted by age alone: the parameters are before or days")
		case len(values) > 1:
			return time.Time{}, fault.New(fault.Malformed, "repeated_parameter", "this parameter may be there only once")
		}
	}
	before, days := params["before"], params["days"]
	switch {
	case len(before)+len(days) != 1:
		return time.Time{}, badRange("say before which time of receipt: either before or days")
	case len(days) == 1:
		n, err := strconv.ParseUint(days[0], 10, 32)
		if err != nil || n < 1 || n > tenant.MaxRetentionDays || days[0][0] == '0' {
			return time.Time{}, badRange("days is a whole number from 1 to 36500")
		}
		return now.Add(-time.Duration(n) * 24 * time.Hour).UTC().Truncate(time.Millisecond), nil
	}
	at, ok := query.ParseInstant(before[0])
	if !ok {
		return time.Time{}, badRange("before is a time as in RFC 3339 (a + in a URL is %2B) or a date such as 2026-11-01")
	}
	if at.After(now) {
		return time.Time{}, badRange("before lies ahead: only what has been received can be deleted")
	}
	return at.Truncate(time.Millisecond), nil
}

func badRange(detail string) error { return fault.New(fault.Malformed, "range_invalid", detail) }
