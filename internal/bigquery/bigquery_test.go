package bigquery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/ocelot-log/ocelot/internal/bigquery/bigquerytest"
)

var table = Table{Project: "p", Dataset: "d", Name: "t"}

// clientOf is a client whose pauses take no time, with a table of one column.
func clientOf(t *testing.T, s *bigquerytest.Server) *Client {
	t.Helper()
	c, err := New(t.Context(), s.URL, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	c.Pause, c.chunk = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }, 100
	info := Info{Table: table, Description: "first"}
	info.Schema.Fields = []Field{{Name: "n", Type: "INTEGER", Mode: "REQUIRED"}}
	if err := c.Create(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	return c
}

// rowsFrom is rows with the numbers from … to-1.
func rowsFrom(from, to int) *strings.Reader {
	var b strings.Builder
	for ; from < to; from++ {
		fmt.Fprintf(&b, `{"n":%d}`+"\n", from)
	}
	return strings.NewReader(b.String())
}

func TestAJobOfOneIDAddsItsRowsOnce(t *testing.T) {
	s := bigquerytest.New(t)
	s.Looks = 3
	c := clientOf(t, s)
	load := Load{ID: "a", Table: table, Location: "EU"}
	if _, err := c.Wait(t.Context(), load); !errors.Is(err, ErrNotFound) {
		t.Errorf("before it was begun: %v", err)
	}
	rows := rowsFrom(0, 100) // of several chunks
	if err := c.Upload(t.Context(), load, rows, rows.Size()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Wait(t.Context(), load); n != 100 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := c.Upload(t.Context(), load, rows, rows.Size()); !errors.Is(err, ErrExists) {
		t.Errorf("again: %v", err)
	}
	if got := s.Rows("t"); len(got) != 100 || fmt.Sprint(got[99]["n"]) != "99" {
		t.Errorf("%d rows", len(got))
	}
	bad := strings.NewReader(`{"n":1}` + "\n" + `{"n":"x"}` + "\n")
	load.ID = "b"
	if err := c.Upload(t.Context(), load, bad, bad.Size()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Wait(t.Context(), load)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 0 || e.Reason != "invalid" || len(s.Rows("t")) != 100 {
		t.Errorf("%v, %d rows", err, len(s.Rows("t")))
	}
}

func TestAnUploadGoesOnWhereItBroke(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for _, often := range []int{3, 4} {
			s := bigquerytest.New(t)
			c := clientOf(t, s)
			n := 0
			s.Before(func(string) (int, bool) {
				if n++; n%often != 0 {
					return 0, false
				}
				if lost {
					return 0, true
				}
				return http.StatusBadGateway, false
			})
			load := Load{ID: "a", Table: table, Location: "EU"}
			rows := rowsFrom(0, 100)
			if err := c.Upload(t.Context(), load, rows, rows.Size()); err != nil {
				t.Errorf("every %d, answers lost %t: %v", often, lost, err)
			}
			s.Before(nil)
			if n, err := c.Wait(t.Context(), load); n != 100 || err != nil {
				t.Errorf("every %d, answers lost %t: %d rows, %v", often, lost, n, err)
			}
		}
	}
	s := bigquerytest.New(t)
	c := clientOf(t, s)
	s.Before(func(string) (int, bool) { return http.StatusServiceUnavailable, false })
	rows := rowsFrom(0, 100)
	if err := c.Upload(t.Context(), Load{ID: "a", Table: table}, rows, rows.Size()); err == nil || !strings.Contains(err.Error(), "BigQuery says backendError: refused by the test") {
		t.Errorf("for ever: %v", err)
	}
}

func TestADescriptionChangesOnlyWhereItIsWhatWasSeen(t *testing.T) {
	c := clientOf(t, bigquerytest.New(t))
	seen, err := c.Get(t.Context(), table)
	if err != nil || seen.Description != "first" || seen.Location != "EU" || seen.Rows != "0" || len(seen.Schema.Fields) != 1 {
		t.Fatalf("%+v %v", seen, err)
	}
	if err := c.Describe(t.Context(), table, seen.ETag, "second"); err != nil {
		t.Fatal(err)
	}
	if err := c.Describe(t.Context(), table, seen.ETag, "third"); !errors.Is(err, ErrChanged) {
		t.Error(err)
	}
	if now, err := c.Get(t.Context(), table); err != nil || now.Description != "second" || now.ETag == seen.ETag {
		t.Errorf("%+v %v", now, err)
	}
	if err := c.Create(t.Context(), seen); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), Table{"p", "d", "other"}); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) {
		t.Error(err)
	}
}

func TestUploadsGoToTheEndpointOnly(t *testing.T) {
	for _, location := range []string{"", "https://elsewhere.example/upload", "//elsewhere.example/upload", "http://%zz"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Location", location) }))
		defer s.Close()
		c, err := New(t.Context(), s.URL, http.DefaultClient)
		if err != nil {
			t.Fatal(err)
		}
		rows := rowsFrom(0, 1)
		if err := c.Upload(t.Context(), Load{ID: "a", Table: table}, rows, rows.Size()); err == nil || !strings.Contains(err.Error(), "to another place than it is itself") {
			t.Errorf("%q: %v", location, err)
		}
	}
}

// wire answers every request with what it was.
type wire struct{ got *http.Request }

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.got = r
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

func TestCredentialsGoToGoogleOnly(t *testing.T) {
	for target, mayHave := range map[string]bool{
		"https://bigquery.googleapis.com/x": true, "https://bigquery-mine.p.googleapis.com/x": true, "https://googleapis.com/x": true,
		"http://bigquery.googleapis.com/x": false, "https://bigquery.googleapis.com.example/x": false, "https://notgoogleapis.com/x": false,
		"http://127.0.0.1:9050/x": false, "https://example.com/googleapis.com": false, "https://googleapis.com@example.com/": false,
	} {
		u, err := url.Parse(target)
		if err != nil || googles(u) != mayHave {
			t.Errorf("%s: %t %v", target, googles(u), err)
		}
		w := &wire{}
		client := &http.Client{Transport: &authorized{over: w, tokens: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "secret"})}}
		resp, err := client.Post(target, "text/plain", strings.NewReader("x"))
		if err == nil {
			_ = resp.Body.Close()
		}
		switch {
		case mayHave && (err != nil || w.got.Header.Get("Authorization") != "Bearer secret"):
			t.Errorf("%s: %v %v", target, w.got, err)
		case !mayHave && (err == nil || w.got != nil || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v %v", target, w.got, err)
		}
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/does/not/exist")
	if _, err := New(t.Context(), Endpoint, http.DefaultClient); err == nil || !strings.Contains(err.Error(), "there are no Google credentials: `gcloud auth application-default login`") {
		t.Error(err)
	}
	if _, err := New(t.Context(), "bigquery.googleapis.com", http.DefaultClient); err == nil {
		t.Error("an endpoint without a scheme was taken")
	}
}
