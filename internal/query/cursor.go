package query

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Cursors writes and reads cursors: places in a result that a client keeps, so that the next page begins
// exactly after the last entry of this one. A cursor is signed and says nothing without its question.
// It may be used concurrently.
type Cursors struct{ key []byte }

const badCursor = "this is no cursor of an earlier page"

// A cursor is a version, the place, who asked what, and a signature over it all and the tenant.
const (
	cursorVersion = 1
	cursorPlace   = 1 + 8 + 4 + 16
	cursorAsked   = cursorPlace + 15
	cursorSize    = cursorAsked + 16
	cursorLength  = cursorSize / 3 * 4
)

// NewCursors makes cursors with a secret of at least 32 bytes, from which a key of its own is derived.
// Processes that have the same secret read each other's cursors.
func NewCursors(key []byte) *Cursors {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("ocelot cursor 1"))
	return &Cursors{key: mac.Sum(nil)}
}

// Binding says whose question a cursor belongs to: the tenant's internal id, the principal's subject and
// the question, whatever piece of its result is asked for.
func Binding(tenantID, subject string, q Query) string {
	return tenantID + "\x00" + subject + "\x00" + q.Fingerprint()
}

// Encode writes the place p as a cursor of the binding, 80 characters of base64url.
func (c *Cursors) Encode(p Position, binding string) string {
	tenant, asked := splitBinding(binding)
	b := make([]byte, 0, cursorSize)
	b = append(b, cursorVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(p.At.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(p.At.Nanosecond()))
	b = append(b, p.ID[:]...)
	b = append(b, asked...)
	b = append(b, c.sign(tenant, b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Decode reads a cursor that Encode wrote for the same binding. Errors are *fault.Error of kind
// Malformed: cursor_invalid for what is no cursor of the tenant, cursor_mismatch for one of another
// principal, question or order.
func (c *Cursors) Decode(s, binding string) (Position, error) {
	if len(s) != cursorLength {
		return Position{}, cursorFault(codeCursor, badCursor)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cursorSize || b[0] != cursorVersion {
		return Position{}, cursorFault(codeCursor, badCursor)
	}
	tenant, asked := splitBinding(binding)
	if !hmac.Equal(b[cursorAsked:], c.sign(tenant, b[:cursorAsked])) {
		return Position{}, cursorFault(codeCursor, badCursor)
	}
	if string(b[cursorPlace:cursorAsked]) != string(asked) {
		return Position{}, cursorFault(codeMismatch, "this cursor belongs to another query or order: send the same parameters with it")
	}
	p := Position{At: time.Unix(int64(binary.BigEndian.Uint64(b[1:])), int64(binary.BigEndian.Uint32(b[9:]))).UTC()}
	p.ID = logentry.ID(b[13:cursorPlace])
	return p, nil
}

// splitBinding returns the tenant, and a digest of who asked what.
func splitBinding(binding string) (tenant string, asked []byte) {
	tenant, rest, _ := strings.Cut(binding, "\x00")
	sum := sha256.Sum256([]byte(rest))
	return tenant, sum[:cursorAsked-cursorPlace]
}

// sign is over the fixed length of the payload before the tenant, so that nothing can move between them.
func (c *Cursors) sign(tenant string, payload []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write(payload)
	mac.Write([]byte(tenant))
	return mac.Sum(nil)[:cursorSize-cursorAsked]
}

func cursorFault(code, message string) error {
	return &fault.Error{Kind: fault.Malformed, Code: code, Detail: message,
		Problems: []fault.Problem{{Pointer: "cursor", Code: code, Message: message}}}
}
