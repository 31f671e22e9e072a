package auth

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// useEvery lies between two writings of when something was last used.
const useEvery = time.Minute

var errNothingNew = fault.New(fault.Conflict, "nothing_new", "")

// writeUses tells the store what was used since it last heard, each at most once a minute. of says when a value was used
// last and what the store knows of that, in seconds since 1970; in is where the body of its document says it.
func writeUses[V, B any](ctx context.Context, m *mirror[V], of func(*V) (used, written int64), in func(*B) *time.Time) error {
	const most = int64(useEvery / time.Second)
	used := map[string]int64{}
	m.each(func(id string, v *V) bool {
		if at, written := of(v); at >= written+most {
			used[id] = at
		}
		return true
	})
	for id, at := range used {
		_, err := m.change(ctx, id, func(d *document.Document) error {
			var b B
			if err := json.Unmarshal(d.Body, &b); err != nil {
				return err
			}
			if in(&b).Unix() > at-most { // another process wrote it
				m.put(*d)
				return errNothingNew
			}
			*in(&b) = time.Unix(at, 0).UTC()
			var err error
			d.Body, err = json.Marshal(b)
			return err
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errNothingNew) && fault.KindOf(err) != fault.NotFound {
			return err
		}
	}
	return nil
}
