package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	scanCommits = 16 // how many commits are read at once
	scanAhead   = 64 // how many are looked through for one that has overtaken another: more than there are writers
)

// scanning is one Scan: where it is, and what it has.
type scanning struct {
	m       *Mongo
	commit  int64      // the next to read, from 1
	from    int        // its first id not yet read
	to      mongoPlace // where it ends; its zero value bounds nothing
	max     int
	records []logentry.Record
	now     time.Time // of the server, when it began
	last    int64     // where it ends at the latest: the last commit when it first had to wait
	ahead   int64     // a commit that is known to be complete
	waited  int       // in a row
}

// mongoPlace is a position, read.
type mongoPlace struct {
	commit int64
	from   int
}

// Scan returns records in commit order. A Position is the number of a commit and how many of its ids were
// passed. It waits for a Put under way that a later one has overtaken, so that nothing comes to lie
// behind a position. What no Put had confirmed when it began to wait may lie beyond its end.
func (m *Mongo) Scan(ctx context.Context, after Position, max int) ([]logentry.Record, Position, error) {
	return m.ScanTo(ctx, after, "", max)
}

// ScanTo is Scan up to a position; an empty one bounds nothing.
func (m *Mongo) ScanTo(ctx context.Context, after, to Position, max int) ([]logentry.Record, Position, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, after, err
	}
	defer done()
	s := scanning{m: m, commit: 1, max: max}
	valid := true
	if to != "" {
		valid = s.at(to)
		s.to = mongoPlace{s.commit, s.from}
		s.commit, s.from = 1, 0
	}
	if !valid || after != "" && !s.at(after) {
		return nil, after, fault.New(fault.Invalid, "position_invalid", "not a position of this store")
	}
	if max < 1 {
		return nil, after, nil
	}
	// In one session no read sees less than the one before, whoever becomes primary in between.
	session, err := m.client.StartSession()
	if err != nil {
		return nil, after, mongoFault(err, "scan records")
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	ctx = mongo.NewSessionContext(ctx, session)
	if s.now, err = m.serverTime(ctx); err != nil {
		return nil, after, mongoFault(err, "scan records")
	}
	for more := true; more && len(s.records) < max; {
		if more, err = s.next(ctx); err != nil {
			return nil, after, mongoFault(err, "scan records")
		}
	}
	if s.commit == 1 && s.from == 0 {
		return nil, after, nil
	}
	return s.records, s.position(), nil
}

func (s *scanning) position() Position { return Position(fmt.Sprintf("%d-%d", s.commit, s.from)) }

// at goes to a position; false for what is none.
func (s *scanning) at(p Position) bool {
	commit, from, ok := strings.Cut(string(p), "-")
	var errs [2]error
	s.commit, errs[0] = strconv.ParseInt(commit, 10, 64)
	s.from, errs[1] = strconv.Atoi(from)
	return ok && errors.Join(errs[:]...) == nil && s.commit > 0 && s.from >= 0 && s.position() == p
}

// commits reads the next few commits.
func (s *scanning) commits(ctx context.Context, limit int64) (commits []mongoCommitDoc, err error) {
	cursor, err := s.m.db.Collection(mongoCommits).Find(ctx, bson.D{{Key: mongoID, Value: bson.D{{Key: "$gte", Value: s.commit}}}},
		options.Find().SetSort(bson.D{{Key: mongoID, Value: 1}}).SetLimit(limit))
	if err != nil {
		return nil, err
	}
	return commits, cursor.All(ctx, &commits)
}

// next reads the records of some commits; false: there are no more.
func (s *scanning) next(ctx context.Context) (more bool, err error) {
	commits, err := s.commits(ctx, scanCommits)
	if err != nil {
		return false, err
	}
	for i := range commits {
		c := &commits[i]
		if s.last != 0 && c.Number > s.last || s.to.commit != 0 && (c.Number > s.to.commit || s.commit == s.to.commit && s.from >= s.to.from) {
			return false, nil
		}
		if c.Number > s.commit {
			return s.wait(ctx, s.skip)
		}
		complete, err := s.m.complete(ctx, c, s.now)
		if err != nil {
			return false, err
		}
		if !complete {
			return s.wait(ctx, s.pause)
		}
		s.waited = 0
		if err := s.read(ctx, c); err != nil || len(s.records) >= s.max {
			return true, err
		}
	}
	return len(commits) == scanCommits, nil
}

// wait does what brings the next commit nearer if any of those after it is complete. Otherwise this is
// the end.
func (s *scanning) wait(ctx context.Context, nearer func(context.Context) error) (more bool, err error) {
	if s.last == 0 {
		if s.last, err = s.m.lastCommit(ctx); err != nil {
			return false, err
		}
	}
	if s.ahead <= s.commit {
		commits, err := s.commits(ctx, scanAhead)
		if err != nil {
			return false, err
		}
		for i := range commits {
			c := &commits[i]
			if c.Number <= s.commit || c.Number > s.last {
				continue
			}
			complete, err := s.m.complete(ctx, c, s.now)
			if err != nil {
				return false, err
			}
			if complete {
				s.ahead = c.Number
				break
			}
		}
	}
	if s.ahead <= s.commit {
		return false, nil
	}
	return true, nearer(ctx)
}

// skip takes the number of the next commit, which is missing.
func (s *scanning) skip(ctx context.Context) error { return s.m.skipCommit(ctx, s.commit) }

// pause waits a little, longer each time.
func (s *scanning) pause(ctx context.Context) error {
	s.waited++
	if !pauseMongo(ctx, min(s.waited-1, 4)) {
		return fault.As(fault.Unavailable, "storage_busy", ctx.Err())
	}
	return nil
}

// read takes the records of a commit, from where the scan is.
func (s *scanning) read(ctx context.Context, c *mongoCommitDoc) error {
	ids := c.ids(s.from)
	if c.Number == s.to.commit {
		ids = ids[:min(len(ids), s.to.from-s.from)]
	}
	for len(ids) > 0 && len(s.records) < s.max {
		part := ids[:min(len(ids), s.max-len(s.records))]
		records, err := s.m.recordsByID(ctx, part, "", c.Number)
		if err != nil {
			return err
		}
		s.records = append(s.records, records...)
		s.from += len(part)
		ids = ids[len(part):]
	}
	if s.from*len(logentry.ID{}) >= len(c.IDs) {
		s.commit, s.from = c.Number+1, 0
	}
	return nil
}
