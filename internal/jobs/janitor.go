package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/internal/wait"
	"go.uber.org/zap"
)

// Config is when the janitor works. A zero field takes its default.
type Config struct {
	Every  time.Duration // between two looks for work; default 5 s
	Term   time.Duration // of the lease; default 30 s
	Settle time.Duration // from the first pass over a tenant to the last; default 2 min: what a worker held or a process had cached is written by then
	Late   time.Duration // between two passes over tenants that are gone, for what was still in the queue; default 1 h
	Step   int           // entries that a step removes; default 2,000
	Slice  time.Duration // that one job of many takes at a time; default 1 min
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Every, 5 * time.Second}, {&c.Term, 30 * time.Second}, {&c.Settle, 2 * time.Minute}, {&c.Late, time.Hour}, {&c.Slice, time.Minute}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Step <= 0 {
		c.Step = 2_000
	}
	return c
}

// longestQueued is how long a queue keeps a message at the most, and so how long entries of a tenant that is gone
// may still come.
const longestQueued = 14 * 24 * time.Hour

// removing stands in DeleteAt once the removal has begun: long past on every clock, so that nobody takes it back.
var removing = time.Unix(1, 0).UTC()

// record is what the janitor asks of the record.
type record interface {
	documents
	store.Purger
	audit.Record
	DeleteDocument(ctx context.Context, kind document.Kind, id string) error
	Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error)
	ListTenants(ctx context.Context) ([]tenant.Info, error)
	UpdateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error)
	DeleteTenant(ctx context.Context, id string) error
}

// index is what it asks of the index.
type index interface {
	PurgeTenant(ctx context.Context, tenantID string, max int) (n int64, more bool, err error)
	PurgeOld(ctx context.Context, tenantID string, before time.Time, max int) (n int64, more bool, err error)
}

// Janitor removes tenants that are to be deleted, and old entries of others. Any number of them may run; one works.
type Janitor struct {
	cfg   Config
	store record
	index index
	log   *zap.Logger
	lease *lease
	late  map[string]time.Time // by job: the last pass over a tenant that is gone
	walks map[string]*walk     // by job: how far the removal of old entries has come here
}

// New makes a Janitor that does nothing until Run.
func New(cfg Config, st record, ix index, tel telemetry.Telemetry) *Janitor {
	cfg = cfg.withDefaults()
	return &Janitor{cfg: cfg, store: st, index: ix, log: tel.Log, lease: newLease(st, "janitor", cfg.Term), late: map[string]time.Time{}, walks: map[string]*walk{}}
}

// Run works until ctx ends. What fails is tried again at the next look.
func (j *Janitor) Run(ctx context.Context) error {
	for {
		ours, err := j.lease.hold(ctx)
		if err == nil && ours {
			err = j.look(ctx)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, errLost) {
			j.log.Warn("the janitor's work is put off", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if err := j.lease.release(last); err != nil && fault.KindOf(err) != fault.NotFound {
				j.log.Info("the janitor's lease is left to run out", zap.Error(err))
			}
			return nil
		case <-time.After(j.cfg.Every):
		}
	}
}

var errLost = errors.New("another process has the lease now")

// look does what is due.
func (j *Janitor) look(ctx context.Context) error {
	all, err := j.store.ListTenants(ctx)
	if err != nil {
		return err
	}
	var failed error
	there := map[string]tenant.Info{}
	for _, t := range all {
		there[t.ID] = t
		if t.DeleteAt.IsZero() {
			continue
		}
		job, err := ScheduleDeletion(ctx, j.store, t.ID, t.Slug, t.DeleteAt) // where whoever deleted it did not get so far
		if err == nil && t.Gone(time.Now()) {
			err = j.remove(ctx, t, job)
		}
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		failed = errors.Join(failed, err) // one tenant's trouble does not keep the others
	}
	return errors.Join(failed, j.others(ctx, there))
}

// remove makes a pass over a tenant, and ends the job where there was nothing left some time after the first.
func (j *Janitor) remove(ctx context.Context, t tenant.Info, job Job) error {
	if !t.DeleteAt.Equal(removing) {
		t.DeleteAt = removing
		if _, err := j.store.UpdateTenant(ctx, t); err != nil {
			return err // where somebody took it back at the last moment, that counts
		}
	}
	if job.State != Running {
		job.State, job.StartedAt = Running, now()
		if err := job.save(ctx, j.store); err != nil {
			return err
		}
		j.log.Info("removing a tenant", zap.String("job", job.ID), zap.String("tenant", t.Slug))
	}
	counts, left, err := j.pass(ctx, t.ID, job.ID)
	done := err == nil && counts == (Counts{}) && left == 0 && time.Since(job.StartedAt) >= j.cfg.Settle
	code := codeOf(err)
	if counts != (Counts{}) || code != job.LastError {
		job.Removed.add(counts)
		job.LastError = code
		if saved := job.save(context.WithoutCancel(ctx), j.store); saved != nil {
			return errors.Join(err, saved)
		}
	}
	if !done {
		return err
	}
	if err := j.store.DeleteTenant(ctx, t.ID); err != nil {
		return err
	}
	job.State, job.FinishedAt = Done, now()
	if err := job.save(ctx, j.store); err != nil {
		return err
	}
	j.log.Info("a tenant is removed", zap.String("job", job.ID), zap.String("tenant", t.Slug), zap.Any("removed", job.Removed))
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// pass removes what is there of a tenant: first the record, with its backlog, from which the index is made, then the
// index, then the small things. left are records that must wait for another.
func (j *Janitor) pass(ctx context.Context, tenantID, except string) (c Counts, left int64, err error) {
	err = j.steps(ctx, func() (more bool, err error) {
		p, err := j.store.PurgeTenant(ctx, tenantID, j.cfg.Step)
		c.Records += p.Records
		c.Quarantine += p.Quarantined
		left += p.Left
		return p.More, err
	})
	if err != nil {
		return c, left, fault.Wrap(err, "remove a tenant's records")
	}
	err = j.steps(ctx, func() (more bool, err error) {
		n, more, err := j.index.PurgeTenant(ctx, tenantID, j.cfg.Step)
		c.Index += n
		return more, err
	})
	if err != nil {
		return c, left, fault.Wrap(err, "remove a tenant from the index")
	}
	for _, kind := range document.Kinds() {
		after := ""
		err := j.steps(ctx, func() (more bool, err error) {
			const page = 100
			all, err := j.store.Documents(ctx, kind, tenantID, after, page)
			for _, d := range all {
				after = d.ID
				if d.ID == except && kind == document.Job {
					continue
				}
				switch err := j.store.DeleteDocument(ctx, kind, d.ID); {
				case err == nil:
					c.Documents++
				case fault.KindOf(err) != fault.NotFound:
					return false, err
				}
			}
			return len(all) == page, err
		})
		if err != nil {
			return c, left, fault.Wrap(err, "remove a tenant's "+string(kind))
		}
	}
	return c, left, nil
}

// steps repeats step until there is no more, as long as the lease is ours. It rests as long as a step took, so that
// half of what the backends can do is left to others.
func (j *Janitor) steps(ctx context.Context, step func() (more bool, err error)) error {
	for {
		ours, err := j.lease.keep(ctx)
		if err != nil {
			return err
		}
		if !ours {
			return errLost
		}
		begun := time.Now()
		more, err := step()
		if err != nil || !more {
			return err
		}
		if err := wait.For(ctx, time.Since(begun)); err != nil {
			return err
		}
	}
}

// others does what other jobs there are. One job's trouble does not keep the others.
func (j *Janitor) others(ctx context.Context, there map[string]tenant.Info) (failed error) {
	err := each(ctx, j.store, "", func(job Job) (err error) {
		t, known := there[job.TenantID]
		switch {
		case job.Type == Deletion && job.State != Cancelled && job.State != Waiting:
			err = j.lateComers(ctx, job, known)
		case job.Type == OldEntries && job.State != Done && known && !t.Gone(time.Now()):
			err = j.removeOld(ctx, job)
		}
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		failed = errors.Join(failed, err)
		return nil
	})
	return errors.Join(failed, err)
}

// lateComers makes a pass over a tenant that is gone, as long as a queue may still have had entries of it. Nobody
// can read these meanwhile: the tenant they belong to is not there, and its internal id is never given again.
func (j *Janitor) lateComers(ctx context.Context, job Job, there bool) error {
	if job.State == Running && !there { // a crash came before its last word
		job.State, job.FinishedAt = Done, now()
		if err := job.save(ctx, j.store); err != nil {
			return err
		}
	}
	if job.State != Done || time.Since(job.FinishedAt) > longestQueued || time.Since(j.late[job.ID]) < j.cfg.Late {
		return nil
	}
	counts, _, err := j.pass(ctx, job.TenantID, job.ID)
	if err != nil {
		return err
	}
	j.late[job.ID] = time.Now()
	if counts == (Counts{}) {
		return nil
	}
	job.Removed.add(counts)
	return job.save(ctx, j.store)
}
