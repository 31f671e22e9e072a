package tenant

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// settingsJSON is the form in which settings are kept and shown. What is left to the service is absent.
type settingsJSON struct {
	RetentionDays *int        `json:"retention_days,omitempty"`
	MinSeverity   string      `json:"min_severity,omitempty"`
	MaxEntryAge   string      `json:"max_entry_age,omitempty"`
	Masking       []mask.Rule `json:"masking,omitempty"`
	Limits        *limitsJSON `json:"limits,omitempty"`
}

type limitsJSON struct {
	EntriesPerMin int64 `json:"entries_per_min,omitempty"`
	BytesPerMin   int64 `json:"bytes_per_min,omitempty"`
	EntriesPerDay int64 `json:"entries_per_day,omitempty"`
	BytesPerDay   int64 `json:"bytes_per_day,omitempty"`
}

// AppendJSON appends the settings as they are kept and shown: an object with what the tenant chose.
func (s Settings) AppendJSON(dst []byte) []byte {
	form := settingsJSON{Masking: s.Masking}
	if s.RetentionDays != 0 {
		form.RetentionDays = &s.RetentionDays
	}
	if s.MinSeverity != 0 {
		form.MinSeverity = s.MinSeverity.String()
	}
	if s.MaxEntryAge != 0 {
		form.MaxEntryAge = formatAge(s.MaxEntryAge)
	}
	if s.Limits != (Limits{}) {
		limits := limitsJSON(s.Limits)
		form.Limits = &limits
	}
	body, err := json.Marshal(form)
	if err != nil { // strings and numbers only
		panic(err)
	}
	return append(dst, body...)
}

// StoredSettings reads what AppendJSON wrote; nothing at all is the service's own settings. Members of a later
// version are passed over.
func StoredSettings(body []byte) (s Settings, err error) {
	if len(body) == 0 {
		return s, nil
	}
	var form settingsJSON
	if err := json.Unmarshal(body, &form); err != nil {
		return s, fmt.Errorf("read a tenant's settings: %w", err)
	}
	if form.RetentionDays != nil {
		s.RetentionDays = *form.RetentionDays
	}
	if form.MinSeverity != "" {
		var ok bool
		if s.MinSeverity, ok = logentry.ParseSeverity(form.MinSeverity); !ok {
			return s, errors.New("read a tenant's settings: an unknown severity")
		}
	}
	if form.MaxEntryAge != "" {
		var ok bool
		if s.MaxEntryAge, ok = parseAge(form.MaxEntryAge); !ok {
			return s, errors.New("read a tenant's settings: an age that is none")
		}
	}
	if form.Limits != nil {
		s.Limits = Limits(*form.Limits)
	}
	s.Masking = form.Masking
	return s, nil
}
