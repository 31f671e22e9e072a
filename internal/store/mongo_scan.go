package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// scanCommits is how many commits are read at once.
const scanCommits = 16

// scanning is one Scan: where it is, and what it has.
type scanning struct {
	m       *Mongo
	commit  int64 // the next to read, from 1
	from    int   // its first id not yet read
	max     int
	records []logentry.Record
	waited  int
}

// Scan returns records in commit order. A Position is the number of a commit and how many of its ids were
// passed. Where a Put that began earlier is still under way it waits for it, so that what it returns
// later never belongs before.
func (m *Mongo) Scan(ctx context.Context, after Position, max int) ([]logentry.Record, Position, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, after, err
	}
	defer done()
	s := scanning{m: m, commit: 1, max: max}
	if after != "" && !s.at(after) {
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

// next reads some commits; false: there is no more.
func (s *scanning) next(ctx context.Context) (more bool, err error) {
	var commits []mongoCommitDoc
	cursor, err := s.m.db.Collection(mongoCommits).Find(ctx, bson.D{{Key: mongoID, Value: bson.D{{Key: "$gte", Value: s.commit}}}},
		options.Find().SetSort(bson.D{{Key: mongoID, Value: 1}}).SetLimit(scanCommits))
	if err != nil {
		return false, err
	}
	if err := cursor.All(ctx, &commits); err != nil {
		return false, err
	}
	for i := range commits {
		c := &commits[i]
		ready, err := s.ready(ctx, c)
		if err != nil {
			return false, err
		}
		if !ready {
			return s.wait(ctx)
		}
		s.waited = 0
		if err := s.read(ctx, c); err != nil || len(s.records) >= s.max {
			return true, err
		}
	}
	return len(commits) == scanCommits, nil
}

// ready says whether c is the next commit and done. A number that is missing before it is taken, which the
// next look will see.
func (s *scanning) ready(ctx context.Context, c *mongoCommitDoc) (bool, error) {
	if c.Number == s.commit {
		return s.m.done(ctx, c)
	}
	overtaken, err := s.m.overtaken(ctx, s.commit)
	if err != nil || !overtaken {
		return false, err
	}
	_, err = s.m.skipCommit(ctx, s.commit)
	return false, err
}

// wait waits a little for the next commit where later ones are done already. Otherwise this is the end:
// nothing that a Put has confirmed lies behind it.
func (s *scanning) wait(ctx context.Context) (more bool, err error) {
	overtaken, err := s.m.overtaken(ctx, s.commit)
	if err != nil || !overtaken {
		return false, err
	}
	if !pauseMongo(ctx, min(s.waited, 4)) {
		return false, fault.As(fault.Unavailable, "storage_busy", ctx.Err())
	}
	s.waited++
	return true, nil
}

// read takes the records of a commit, from where the scan is.
func (s *scanning) read(ctx context.Context, c *mongoCommitDoc) error {
	for ids := c.ids(s.from); len(ids) > 0 && len(s.records) < s.max; {
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
