package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	mostUnfinished = 10                  // removals of old entries that a tenant may have at a time
	keptFinished   = 30 * 24 * time.Hour // how long one that is done is shown
)

// keeping is where jobs are kept and listed.
type keeping interface {
	documents
	lister
}

// OldEntriesID is the id of the job that removes what a tenant received before a time. It tells nothing about it.
func OldEntriesID(tenantID string, before time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "delete entries %s %d", tenantID, before.UnixMilli()))
	return "old-" + hex.EncodeToString(sum[:10])
}

// ScheduleOldEntries makes the job that removes what a tenant received before a time, in whole milliseconds. One that
// is there and not done is the same; one that is done begins again. Kind Conflict, code too_many_jobs: the tenant has
// as many as it may have.
func ScheduleOldEntries(ctx context.Context, in keeping, tenantID, slug, by string, before time.Time) (Job, error) {
	before = before.UTC().Truncate(time.Millisecond)
	for range 5 {
		j, err := Read(ctx, in, OldEntriesID(tenantID, before))
		switch {
		case fault.KindOf(err) == fault.NotFound:
			if err := roomForOne(ctx, in, tenantID); err != nil {
				return Job{}, err
			}
			j = Job{ID: OldEntriesID(tenantID, before), TenantID: tenantID}
		case err != nil:
			return j, err
		case j.State != Done:
			return j, nil
		}
		at := now()
		j = Job{ID: j.ID, TenantID: tenantID, Type: OldEntries, State: Waiting, Tenant: slug, CreatedAt: at, StartAt: at, Before: before, By: by, doc: j.doc}
		j.doc.ExpiresAt = time.Time{}
		if err = j.save(ctx, in); fault.KindOf(err) != fault.Conflict {
			return j, err
		}
	}
	return Job{}, errBusy
}

func roomForOne(ctx context.Context, in lister, tenantID string) error {
	unfinished := 0
	err := each(ctx, in, tenantID, func(j Job) error {
		if j.Type == OldEntries && j.State != Done {
			unfinished++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if unfinished >= mostUnfinished {
		return fault.New(fault.Conflict, "too_many_jobs", fmt.Sprintf("%d removals of old entries of this tenant are under way: wait until one is done", unfinished))
	}
	return nil
}

// walk is how far a removal of old entries has come: over the record, then over the index. It is in memory only, since
// another process may begin from the start.
type walk struct {
	from   string // in the record
	index  bool   // the record is done
	clean  bool   // nothing was found so far
	begun  time.Time
	resume time.Time // not before
}

// removeOld works on a job for a slice of time. It is done when a walk found nothing that began some time after the
// first: until then a worker may write what it had read of the backlog, or held, before that.
func (j *Janitor) removeOld(ctx context.Context, job Job) error {
	if job.State != Running {
		job.State, job.StartedAt = Running, now()
		if err := job.save(ctx, j.store); err != nil {
			return err
		}
		j.log.Info("removing old entries", zap.String("job", job.ID), zap.String("tenant", job.Tenant), zap.Time("before", job.Before))
	}
	w := j.walks[job.ID]
	if w == nil {
		w = &walk{clean: true}
		j.walks[job.ID] = w
	}
	if time.Now().Before(w.resume) {
		return nil
	}
	if w.begun.IsZero() {
		w.begun = time.Now()
	}
	over, err := j.walkOld(ctx, &job, w)
	if err != nil || !over {
		if code := codeOf(err); code != job.LastError {
			job.LastError = code
			err = errors.Join(err, job.save(context.WithoutCancel(ctx), j.store))
		}
		return err
	}
	done := w.clean && w.begun.Sub(job.StartedAt) >= j.cfg.Settle
	delete(j.walks, job.ID)
	if job.LastError = ""; !done {
		j.walks[job.ID] = &walk{clean: true, resume: job.StartedAt.Add(j.cfg.Settle)}
		return job.save(ctx, j.store)
	}
	job.State, job.FinishedAt = Done, now()
	job.doc.ExpiresAt = job.FinishedAt.Add(keptFinished)
	if err := j.tell(ctx, job); err != nil {
		return err
	}
	if err := job.save(ctx, j.store); err != nil {
		return err
	}
	j.log.Info("old entries are removed", zap.String("job", job.ID), zap.String("tenant", job.Tenant), zap.Any("removed", job.Removed))
	return nil
}

// codeOf is what a job says of an error; nothing of one that is no failure.
func codeOf(err error) string {
	if err == nil || errors.Is(err, errLost) || errors.Is(err, context.Canceled) {
		return ""
	}
	return fault.Of(err).Code
}

// walkOld takes steps until the walk is over or the slice of time is. What was removed is kept in the job now and then,
// for those who watch it.
func (j *Janitor) walkOld(ctx context.Context, job *Job, w *walk) (over bool, err error) {
	begun := time.Now()
	saved, changed := begun, false
	err = j.steps(ctx, func() (more bool, err error) {
		var c Counts
		if !w.index {
			c.Records, err = j.stepRecord(ctx, job, w)
		} else {
			c.Index, more, err = j.index.PurgeOld(ctx, job.TenantID, job.Before, j.cfg.Step)
			over = err == nil && !more
			err = fault.Wrap(err, "remove old entries from the index")
		}
		if c != (Counts{}) {
			w.clean, changed = false, true
			job.Removed.add(c)
		}
		if err == nil && changed && time.Since(saved) >= j.cfg.Every {
			saved, changed = time.Now(), false
			err = job.save(ctx, j.store)
		}
		return !over && time.Since(begun) < j.cfg.Slice, err
	})
	if changed && !over {
		err = errors.Join(err, job.save(context.WithoutCancel(ctx), j.store))
	}
	return over, err
}

func (j *Janitor) stepRecord(ctx context.Context, job *Job, w *walk) (removed int64, err error) {
	p, err := j.store.PurgeOld(ctx, job.TenantID, job.Before, w.from, j.cfg.Step)
	if err != nil {
		return 0, fault.Wrap(err, "remove old records")
	}
	w.from, w.index = p.Next, !p.More
	w.clean = w.clean && p.Left == 0
	return p.Records, nil
}

// tell notes in the tenant's log what was removed, once however often it is told.
func (j *Janitor) tell(ctx context.Context, job Job) error {
	return audit.Keep(ctx, j.store, job.TenantID, fmt.Sprintf("%s:%d", job.ID, job.CreatedAt.UnixMilli()), audit.Event{
		Who: audit.Who{Subject: job.By}, Action: audit.Delete, ResourceType: "entries", ResourceID: job.ID,
		Message: fmt.Sprintf("deleted %d entries that were received before %s", job.Removed.Records, job.Before.Format(time.RFC3339Nano)),
		After:   map[string]any{"before": job.Before, "records": job.Removed.Records, "index": job.Removed.Index},
	})
}
