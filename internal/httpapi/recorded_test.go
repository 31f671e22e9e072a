package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// recorded downloads an export in the order of recording: its messages, and the trailers.
func (w *world) recorded(t *testing.T, address string, header http.Header, params string) (messages []string, trailer http.Header) {
	t.Helper()
	a, trailer, err := w.download(t, address, header, "sort=recorded&"+params)
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("%s: %d %s %v", params, a.status, a.body, err)
	}
	for _, line := range textLines(a.body) {
		var e struct{ Message string }
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Message != "" {
			messages = append(messages, e.Message)
		}
	}
	if trailer.Get("X-Export-Place") == "" || trailer.Get("X-Export-Rows") != fmt.Sprint(len(messages)) {
		t.Fatalf("%s: the trailers are %v", params, trailer)
	}
	return messages, trailer
}

// putLate records an entry of acme that was received a day ago.
func (w *world) putLate(t *testing.T, message string) {
	t.Helper()
	at := time.Now().UTC().Add(-24 * time.Hour)
	e := logentry.Entry{ID: w.ids.New(at), TenantID: authtest.TenantID("acme"), ReceivedAt: at, Timestamp: at, SchemaVersion: 1, Severity: logentry.Info, Service: "billing", Message: message}
	_, err := w.store.Put(t.Context(), []logentry.Record{{Entry: e, JSON: logentry.AppendJSON(nil, &e)}})
	must(t, err)
}

func TestAnExportSinceAPlaceHasExactlyWhatWasRecordedSince(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	all, trailer := w.recorded(t, address, acme, "")
	if len(all) != 100 || all[0] != "payment 0 of acme" || all[99] != "payment 99 of acme" || trailer.Get("X-Export-Next-Cursor") != "" {
		t.Fatalf("%d entries, %v, %v", len(all), all, trailer)
	}
	since := func(filter, place string) ([]string, string) {
		t.Helper()
		got, trailer := w.recorded(t, address, acme, filter+"&cursor="+place)
		return got, trailer.Get("X-Export-Place")
	}
	place := trailer.Get("X-Export-Place")
	got, place := since("", place)
	if len(got) != 0 {
		t.Errorf("nothing was recorded since, it has %v", got)
	}
	w.put(t, "acme", logentry.Entry{Message: "new", Service: "shop"})
	w.put(t, "zeta", logentry.Entry{Message: "somebody else's"})
	w.putLate(t, "late")
	again := place
	if got, place = since("", place); !slices.Equal(got, []string{"new", "late"}) {
		t.Errorf("since then it has %v", got)
	}
	if got, _ = since("", again); !slices.Equal(got, []string{"new", "late"}) {
		t.Errorf("asked again it has %v", got)
	}
	if got, _ = since("", place); len(got) != 0 {
		t.Errorf("behind the end there are %v", got)
	}
	if _, trailer := w.recorded(t, address, acme, "service=billing"); trailer.Get("X-Export-Rows") != "51" {
		t.Errorf("of one service: %v", trailer)
	}
	// A place is of the tenant and the question, and not of who asked.
	other, _, _, err := auth.Mint(authtest.Secret, auth.Claims{Subject: "replacement", Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour})
	must(t, err)
	if got, _ := w.recorded(t, address, http.Header{"Authorization": {"Bearer " + other}}, "cursor="+again); !slices.Equal(got, []string{"new", "late"}) {
		t.Errorf("with other credentials it has %v", got)
	}
}

func TestPartsOfAnExportAsRecordedAreTheWhole(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	for _, filter := range []string{"", "service=shop"} {
		whole, _ := w.recorded(t, address, acme, filter)
		for _, limit := range []int{1, 7, 33, 100, 101} {
			var got []string
			cursor := ""
			for range 101 {
				part, trailer := w.recorded(t, address, acme, fmt.Sprintf("%s&limit=%d%s", filter, limit, cursor))
				place := trailer.Get("X-Export-Place")
				if next := trailer.Get("X-Export-Next-Cursor"); next != "" && next != place {
					t.Fatalf("it goes on at %s, the place is %s", next, place)
				}
				again, _ := w.recorded(t, address, acme, filter+cursor+"&until="+place)
				if !slices.Equal(again, part) {
					t.Fatalf("up to its place a part is %v, before it was %v", again, part)
				}
				got = append(got, part...)
				if cursor = "&cursor=" + place; trailer.Get("X-Export-Next-Cursor") == "" {
					break
				}
			}
			if !slices.Equal(got, whole) {
				t.Errorf("%s, %d at a time: %v, want %v", filter, limit, got, whole)
			}
		}
	}
}

func TestPlacesThatAreRefused(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	_, trailer := w.recorded(t, address, acme, "service=shop")
	place := trailer.Get("X-Export-Place")
	_, trailer = w.recorded(t, address, authHeader(t, "zeta", "reader"), "service=shop")
	for params, code := range map[string]string{
		"sort=recorded&service=shop&cursor=" + place:                         "",
		"sort=recorded&cursor=" + place:                                      "cursor_invalid", // of another question
		"sort=recorded&service=shop&cursor=" + trailer.Get("X-Export-Place"): "cursor_invalid", // another tenant's
		"sort=recorded&service=shop&until=" + trailer.Get("X-Export-Place"):  "cursor_invalid",
		"service=shop&cursor=" + place:                                       "cursor_invalid", // of another order
		"sort=recorded&cursor=x":                                             "cursor_invalid",
		"sort=recorded&until=":                                               "cursor_invalid",
		"until=" + place:                                                     "value_invalid",
		"until=":                                                             "value_invalid",
		"sort=recorded&marks=1":                                              "value_invalid",
		"sort=recorded&sort=recorded":                                        "validation_failed",
		"sort=recorded&service=shop&until=" + place + "&until=" + place:      "repeated_parameter",
		"sort=recorded&service=shop&cursor=" + place + "&cursor=" + place:    "repeated_parameter",
		"sort=recorded&service=shop&format=bigquery-schema&columns=message&cursor=" + place: "",
	} {
		if a := w.do(t, acme, http.MethodGet, "/api/v1/logs/export?"+params, ""); a.problem().Code != code || (code == "") != (a.status == http.StatusOK) {
			t.Errorf("%s: %d %s", params, a.status, a.body)
		}
	}
	if a := w.do(t, acme, http.MethodGet, "/api/v1/logs?sort=recorded", ""); a.status != http.StatusBadRequest {
		t.Errorf("a search is in that order: %d %s", a.status, a.body)
	}
}

// shorter is a record that ends before where it did, as one that was restored from a copy.
type shorter struct{ records }

func (shorter) End(context.Context) (store.Position, error) { return "1", nil }

func TestAPlaceBeyondTheRecordIsRefused(t *testing.T) {
	w := exportWorld(t)
	_, trailer := w.recorded(t, listen(t, w), authHeader(t, "acme", "reader"), "")
	w.reading.Store = shorter{w.reading.Store}
	a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs/export?sort=recorded&cursor="+trailer.Get("X-Export-Place"), "")
	if a.status != http.StatusBadRequest || a.problem().Code != "cursor_invalid" || !strings.Contains(string(a.body), "does not reach up to this place") {
		t.Errorf("%d %s", a.status, a.body)
	}
}
