//go:build e2e

package differential

import (
	"encoding/json"
	"net/http"
)

const usage = "/api/v1/usage"

// sameUsage asks both systems what each tenant has sent: the same entries and bytes, on whatever days.
func (w *twins) sameUsage() {
	for _, tenant := range tenants {
		a, err := w.both(w.t.Context(), get(tenant, usage), [2]string{usage, usage})
		if err != nil {
			w.t.Fatal(err)
		}
		var sent [2][2]int64
		for side := range a {
			var body struct {
				Data struct {
					Days []struct{ Entries, Bytes int64 }
				}
			}
			if err := json.Unmarshal(a[side].body, &body); err != nil || a[side].status != http.StatusOK {
				w.t.Fatalf("%d %s: %v", a[side].status, a[side].body, err)
			}
			for _, day := range body.Data.Days {
				sent[side][0] += day.Entries
				sent[side][1] += day.Bytes
			}
		}
		if sent[0] != sent[1] || sent[0][0] == 0 || sent[0][1] == 0 {
			w.t.Errorf("%s has sent %v entries and bytes by one system, %v by the other", tenant, sent[0], sent[1])
		}
	}
}
