// Package queue carries envelopes from the API to the workers.
//
// What it promises:
//   - Durable: when Send reports no error for a message, the message survives a crash of this process
//     (and, in production, the loss of a data centre).
//   - At least once: a message that was sent is received until it is deleted. It may be received more
//     than once, and even after its deletion.
//   - Hidden while held: after Receive a message is invisible for the visibility timeout; it comes back
//     unless it is deleted or extended with the newest receipt.
//
// What it does not promise: order; that a failed Send stored nothing (a timeout is "unknown").
//
// What it leaves to its caller: idempotence (ids decide), the size of messages (see Limits), and the
// bytes: a body passed to Send is not kept after Send returns, a received one belongs to the caller.
// All methods may be called concurrently.
package queue

import (
	"context"
	"time"
)

// Outgoing is a message to send.
type Outgoing struct {
	Body  []byte
	Group string // internal tenant id; a backend with fair queues may use it, others ignore it
	Trace string // W3C traceparent of the request that it comes from, as telemetry.Traceparent gives it; empty: none, or several
}

// Message is a received message.
type Message struct {
	ID       string
	Body     []byte
	Trace    string    // as sent; empty: none
	Receipt  string    // names this delivery; a later delivery of the same message has another
	Receives int       // how often it was handed out, this time included; at least 1
	SentAt   time.Time // when the queue took it
}

// Limits are what a backend takes.
type Limits struct {
	MaxBytes int  // of one body
	Binary   bool // any bytes; false: a body must be ASCII text
}

// Stats is how full the queue is. In production the counts are approximate.
type Stats struct {
	Visible  int64         // waiting
	InFlight int64         // held by a worker
	Dead     int64         // in the dead-letter queue, where nobody receives them; -1 where none is watched or it does not answer
	Oldest   time.Duration // age of the oldest message; -1 where the backend can't tell
}

// Sender is the producer's side.
type Sender interface {
	// Send hands over messages. The result is nil when all are durable; otherwise it has one error
	// (or nil) per message, in order. An error of kind TooLarge is final for that message; Full means
	// there is no space; Unavailable may be tried again, and may have been stored all the same.
	Send(ctx context.Context, messages []Outgoing) []error
	Limits() Limits
}

// Receiver is the consumer's side.
type Receiver interface {
	// Receive waits up to wait for messages and returns between 0 and max of them (10 at the most),
	// hidden for visibility. When ctx ends it returns what it holds, or ctx's error with nothing held.
	Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]Message, error)
	// Extend hides deliveries for visibility from now; 0 releases them at once. One result per receipt;
	// kind NotFound: the delivery is no longer ours. The whole result is nil when all went well.
	Extend(ctx context.Context, receipts []string, visibility time.Duration) []error
	// Delete ends messages for good. A receipt of an older delivery deletes nothing and is no error,
	// so success is not proof: a message may come again. One result per receipt, or nil when all went well.
	Delete(ctx context.Context, receipts []string) []error
	Stats(ctx context.Context) (Stats, error)
}

// Queue is both sides and the life of the connection.
type Queue interface {
	Sender
	Receiver
	// Ping says whether the queue answers.
	Ping(ctx context.Context) error
	// Close releases what the backend holds; calls still running end first.
	Close() error
}
