package app

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/zap"
)

// embeddedMemory bounds the Go heap of `ocelot up`; SQLite's caches come on top.
const embeddedMemory = 112 << 20

// rebuildIndex puts the whole record into the backlog when the index is empty beside a full record: its
// file was removed, or is new. It runs before the worker, so a crash in the middle starts it again.
func rebuildIndex(ctx context.Context, st store.Store, ix search.Index, log *zap.Logger) error {
	empty, err := ix.Empty(ctx)
	if ctx.Err() != nil {
		return nil // asked to stop before it began
	}
	if err != nil || !empty {
		return err
	}
	started, total := time.Now(), 0
	for at := store.Position(""); ctx.Err() == nil; {
		const page = 5_000
		records, next, err := st.Scan(ctx, at, page)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if len(records) > 0 {
			ids := make([]logentry.ID, len(records))
			for i := range records {
				ids[i] = records[i].ID
			}
			if err := st.AddBacklog(ctx, ids); err != nil {
				return err
			}
		}
		total, at = total+len(records), next
		if len(records) < page {
			break
		}
	}
	if total > 0 {
		log.Warn("the index was empty: the whole record goes into it again", zap.Int("entries", total), zap.Duration("took", time.Since(started)))
	}
	return nil
}
