package httpapi

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/limit"
)

// usageBody is what a tenant has sent and may still send.
type usageBody struct {
	At     time.Time   `json:"at"`
	Minute periodBody  `json:"minute"`
	Day    periodBody  `json:"day"`
	Limits []limitBody `json:"limits"` // those that the tenant has
	Days   []usedDay   `json:"days"`   // UTC, today first
}

type periodBody struct {
	Since   time.Time `json:"since"`
	Entries int64     `json:"entries"`
	Bytes   int64     `json:"bytes"`
}

type limitBody struct {
	Name   string    `json:"name"`
	Limit  int64     `json:"limit"`
	Left   int64     `json:"left"`
	Resets time.Time `json:"resets_at"` // when all of it is there again
}

type usedDay struct {
	Date    string `json:"date"`
	Entries int64  `json:"entries"`
	Bytes   int64  `json:"bytes"`
}

// getUsage says what the request's tenant has sent lately and what its limits leave.
func (s *Server) getUsage(k *call) error {
	tenants := s.access.Limits.Tenants
	if tenants == nil {
		return fault.New(fault.Unavailable, "usage_unavailable", "nothing is counted by this process")
	}
	u, err := tenants.Usage(k.Request.Context(), k.tenant.ID(), &k.tenant.Settings().Limits)
	if err != nil {
		return fault.Wrap(err, "read the usage")
	}
	today := u.At.Truncate(24 * time.Hour)
	b := usageBody{At: u.At, Limits: []limitBody{}, Days: make([]usedDay, len(u.Days)),
		Minute: periodBody{u.At.Truncate(time.Minute), u.Minute.Entries, u.Minute.Bytes},
		Day:    periodBody{today, u.Days[0].Entries, u.Days[0].Bytes}}
	for i, x := range u.Standing {
		if x.Max > 0 {
			b.Limits = append(b.Limits, limitBody{limit.Names[i], x.Max, x.Left, u.At.Add(x.Reset)})
		}
	}
	for n, d := range u.Days {
		b.Days[n] = usedDay{today.AddDate(0, 0, -n).Format(time.DateOnly), d.Entries, d.Bytes}
	}
	body, err := json.Marshal(struct {
		Data usageBody `json:"data"`
		Meta struct{}  `json:"meta"`
	}{Data: b})
	if err != nil {
		return fault.Wrap(err, "write the usage")
	}
	return reply(k.Context, http.StatusOK, body)
}
