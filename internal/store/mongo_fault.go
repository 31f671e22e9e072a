package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ocelot-log/ocelot/internal/fault"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

// Codes of MongoDB that mean something to us. Texts are never looked at.
const (
	mongoUnauthorized         = 13
	mongoAuthenticationFailed = 18
	mongoNamespaceExists      = 48
	mongoDuplicateKey         = 11000
	mongoObjectTooLarge       = 10334
	mongoDocumentTooLarge     = 17280
	mongoValidationFailed     = 121
	mongoOutOfDiskSpace       = 14031
)

// mongoPassing are the codes of failures that pass by themselves: a failover, a shutdown, a lost
// connection between servers, too much to do.
var mongoPassing = []int{
	6, 7, 89, // host unreachable, not found, network timeout
	91, 11600, 11602, // shutting down, interrupted by it, by a change of state
	112,               // write conflict
	134,               // the majority can't be read at the moment
	189, 10107, 10058, // stepped down, not the primary
	262,          // exceeded its time limit
	462,          // ingress limit: too many requests
	9001,         // connection closed
	13388, 13435, // stale routing, not primary and no read from secondaries
	13436, // recovering
	46841, // client too old for the moment: the server is being upgraded
}

// mongoFault turns an error of the driver into a fault. Nil stays nil.
func mongoFault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(f, doing)
	}
	f := &fault.Error{Kind: fault.Internal, Code: "storage_failed", Err: fmt.Errorf("%s: %w", doing, err)}
	codes := mongo.ErrorCodes(err)
	_, unselected := errors.AsType[topology.ServerSelectionError](err)
	switch {
	case errors.Is(err, errMongoRecord):
		f.Kind, f.Code = fault.Corrupt, "record_corrupt"
	case errors.Is(err, context.Canceled):
		f.Kind, f.Code = fault.Unavailable, "canceled"
	case slices.Contains(codes, mongoOutOfDiskSpace):
		f.Kind, f.Code, f.Detail = fault.Full, "storage_full", "MongoDB has no space left; nothing was stored. Give it some and send again."
	case slices.Contains(codes, mongoAuthenticationFailed) || slices.Contains(codes, mongoUnauthorized):
		f.Kind, f.Code, f.Detail = fault.Unavailable, "storage_refused", "MongoDB refuses our user"
	case errors.Is(err, mongo.ErrClientDisconnected):
		f.Kind, f.Code = fault.Unavailable, "storage_closed"
	case unselected || mongoPasses(err):
		f.Kind, f.Code = fault.Unavailable, "storage_unavailable"
	case mongo.IsTimeout(err):
		f.Kind, f.Code = fault.Timeout, "search_timeout"
	case len(codes) == 0: // not the server's: connections, pools
		f.Kind, f.Code = fault.Unavailable, "storage_unavailable"
	}
	return f
}

// mongoPasses tells a failure after which the same command may be sent again at once.
func mongoPasses(err error) bool {
	if mongo.IsTimeout(err) {
		return false
	}
	for _, code := range mongo.ErrorCodes(err) {
		if slices.Contains(mongoPassing, code) {
			return true
		}
	}
	if labeled, ok := errors.AsType[mongo.LabeledError](err); ok &&
		(labeled.HasErrorLabel("RetryableWriteError") || labeled.HasErrorLabel("RetryableError")) {
		return true
	}
	_, lost := errors.AsType[topology.ConnectionError](err)
	return lost || mongo.IsNetworkError(err)
}
