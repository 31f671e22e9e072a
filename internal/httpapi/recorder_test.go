package httpapi

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
)

// recorder keeps an answer and allocates little: for benchmarks and fuzzing.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func newRecorder() *recorder { return &recorder{header: http.Header{}} }

func (r *recorder) reset() {
	clear(r.header)
	r.status, r.body = 0, r.body[:0]
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) { r.status = status }

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.body = append(r.body, b...)
	return len(b), nil
}

// unknownRole is the header of a token whose only role is of another version.
func unknownRole(tb testing.TB, slug string) http.Header {
	tb.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "test", "tenants": []string{slug}, "roles": []string{"gardener"},
		"typ": "access", "exp": time.Now().Add(time.Hour).Unix()})
	text, err := token.SignedString([]byte(authtest.Secret.Reveal()))
	must(tb, err)
	return http.Header{"Authorization": {fmt.Sprintf("Bearer %s", text)}}
}
