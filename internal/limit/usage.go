package limit

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/tenant"
)

const (
	shownDays = 31
	perMinute = int64(time.Minute / window)
)

// Usage is what a tenant has sent: all processes together, as of their last exchange.
type Usage struct {
	At       time.Time
	Minute   Cost            // since the UTC minute began
	Days     [shownDays]Cost // UTC days, today first
	Standing Standing
}

// Usage asks the store. Kind Unavailable: it does not answer.
func (t *Tenants) Usage(ctx context.Context, id string, own *tenant.Limits) (Usage, error) {
	now := time.Now().UTC()
	today, first := now.UnixNano()/int64(day), now.UnixNano()/int64(time.Minute)*perMinute
	var keys []string
	for n := range int64(shownDays) {
		keys = append(keys, key('d', today-n, 0, id), key('d', today-n, 1, id))
	}
	for n := range perMinute {
		keys = append(keys, key('w', first+n, 0, id), key('w', first+n, 1, id))
	}
	totals, err := t.from.Counters(ctx, keys)
	if err != nil {
		return Usage{}, err
	}
	u := Usage{At: now}
	for n := range u.Days {
		u.Days[n] = Cost{totals[2*n], totals[2*n+1]}
	}
	for n := 2 * shownDays; n < len(totals); n += 2 {
		u.Minute.Entries += totals[n]
		u.Minute.Bytes += totals[n+1]
	}
	a := t.account(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn(now.UnixNano(), t.effective(own))
	untold := a.unsent
	untold.add(a.flying)
	untold.sub(a.refund.pair)
	for _, c := range []*Cost{&u.Minute, &u.Days[0]} {
		c.Entries, c.Bytes = max(0, c.Entries+untold[0]), max(0, c.Bytes+untold[1])
	}
	u.Standing = a.standing(now.UnixNano())
	for i, sent := range (pair{u.Days[0].Entries, u.Days[0].Bytes}) {
		u.Standing[2+i].Left = max(0, u.Standing[2+i].Max-sent)
	}
	return u, nil
}
