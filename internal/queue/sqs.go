package queue

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/logging"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

const (
	sqsMaxBytes = 1 << 20  // of a message, and of all messages of a batch; AWS, since 2025-08
	sqsMargin   = 4 << 10  // of it left free, for attributes
	sqsMinBytes = 64 << 10 // a queue that takes less can't carry envelopes
	sqsMaxWait  = 20 * time.Second
)

// SQSConfig is where the queue is. Credentials come from where the AWS SDK looks for them.
type SQSConfig struct {
	QueueURL    string        // of a standard queue; required
	DLQURL      string        // of its dead-letter queue, to watch it; empty: nobody watches
	EndpointURL string        // of a server that speaks SQS; empty: AWS, or the host of a QueueURL that isn't AWS's
	Region      string        // empty: that of the QueueURL, else what the AWS SDK finds, else us-east-1 for a server that isn't AWS
	FairQueues  bool          // MessageGroupId = tenant, so that a tenant with many messages delays others less; costs extra on AWS
	CallTimeout time.Duration // of a call that does not wait for messages, retries included; default 10 s
	PollTime    time.Duration // of one poll: Receive makes several until its wait is over, Close waits for the last. Default 5 s, at most 20 s
}

// SQS is the queue on AWS SQS, or on a server that speaks its protocol.
//
// Times are counted in whole seconds, rounded up; a visibility is at most 12 h. A message handed out may come
// a second time before its visibility ends, though rarely.
type SQS struct {
	calls   *sqs.Client // everything but Receive
	polls   *sqs.Client // Receive: a connection may be busy for 20 s, and a retry would lose the first answer
	http    [2]ownBody  // of calls and polls
	url     string
	dlqURL  string
	limits  Limits
	timeout time.Duration
	log     *zap.Logger
	fair    atomic.Bool
	circuit circuit

	pollTime time.Duration
	open     context.Context // until Close begins
	close    context.CancelFunc
	polling  context.Context // until Close has waited long enough
	cut      context.CancelFunc
	mu       sync.Mutex // of close, against begin
	running  sync.WaitGroup
}

// NewSQS connects, reads the queue's attributes and warns of those that put entries at risk. Its error is
// Unavailable when the queue does not answer, which may change, and Invalid when waiting will not help.
func NewSQS(ctx context.Context, cfg SQSConfig, tel telemetry.Telemetry) (*SQS, error) {
	queueURL, err := sqsURL("SQS_QUEUE_URL", cfg.QueueURL)
	if err != nil {
		return nil, err
	}
	if cfg.DLQURL != "" {
		if _, err := sqsURL("SQS_DLQ_URL", cfg.DLQURL); err != nil {
			return nil, err
		}
	}
	if cfg.EndpointURL != "" {
		if _, err := httpURL("SQS_ENDPOINT_URL", cfg.EndpointURL); err != nil {
			return nil, err
		}
	}
	if cfg.CallTimeout <= 0 {
		cfg.CallTimeout = 10 * time.Second
	}
	if cfg.PollTime <= 0 {
		cfg.PollTime = 5 * time.Second
	}
	cfg.PollTime = min(cfg.PollTime, sqsMaxWait)
	ac, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithLogger(logging.Nop{}))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Code: "aws_config", Detail: "the AWS settings can't be read; check ~/.aws and the AWS_ variables", Err: err}
	}
	q := &SQS{url: cfg.QueueURL, dlqURL: cfg.DLQURL, timeout: cfg.CallTimeout, pollTime: cfg.PollTime, log: tel.Named("queue").Log,
		http: [2]ownBody{sqsClient(), sqsClient()}}
	q.open, q.close = context.WithCancel(context.Background())
	q.polling, q.cut = context.WithCancel(context.Background())
	q.fair.Store(cfg.FairQueues)
	var endpoint *string
	shared := func(o *sqs.Options) {
		switch {
		case cfg.EndpointURL != "":
			o.BaseEndpoint = &cfg.EndpointURL
		case o.BaseEndpoint == nil && !onAWS(queueURL):
			o.BaseEndpoint = aws.String(queueURL.Scheme + "://" + queueURL.Host)
		}
		endpoint = o.BaseEndpoint
		o.Region = sqsRegion(cfg.Region, queueURL, o.Region, endpoint != nil)
	}
	q.calls = sqs.NewFromConfig(ac, shared, func(o *sqs.Options) {
		o.HTTPClient = q.http[0]
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = 3
			r.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
				return jitter(50 * time.Millisecond << attempt), nil
			})
		})
	})
	q.polls = sqs.NewFromConfig(ac, shared, func(o *sqs.Options) {
		o.HTTPClient = q.http[1]
		o.Retryer = aws.NopRetryer{}
		// An envelope has a checksum of its own; here one bad body would fail all ten, again and again.
		o.DisableMessageChecksumValidation = true
	})
	if q.calls.Options().Region == "" {
		return nil, fault.New(fault.Invalid, "sqs_region", "SQS_QUEUE_URL does not tell the AWS region; set AWS_REGION")
	}
	if err := q.check(ctx, ac.Credentials); err != nil {
		_ = q.Close()
		return nil, err
	}
	return q, nil
}

// httpURL reads the URL in a setting.
func httpURL(setting, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Invalid, "sqs_url", setting+" is no URL; it looks like https://sqs.eu-west-1.amazonaws.com/123456789012/ocelot")
	}
	return u, nil
}

// sqsURL reads the URL of a queue.
func sqsURL(setting, text string) (*url.URL, error) {
	u, err := httpURL(setting, text)
	switch {
	case err != nil:
		return nil, err
	case strings.Trim(u.Path, "/") == "":
		return nil, fault.New(fault.Invalid, "sqs_url", setting+" has no queue's name at its end; it looks like https://sqs.eu-west-1.amazonaws.com/123456789012/ocelot")
	case strings.HasSuffix(u.Path, ".fifo"):
		return nil, fault.New(fault.Invalid, "sqs_fifo", setting+" names a FIFO queue; make a standard queue, which has no limit of calls per second")
	}
	return u, nil
}

func onAWS(u *url.URL) bool {
	host := u.Hostname()
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"} {
		if strings.HasSuffix(host, domain) {
			return true
		}
	}
	return false
}

// sqsRegion is the region to sign for: a queue is reached only through the region that its URL names.
func sqsRegion(set string, queueURL *url.URL, found string, foreign bool) string {
	if set != "" {
		return set
	}
	if onAWS(queueURL) {
		labels := strings.Split(queueURL.Hostname(), ".")
		for i, l := range labels[:len(labels)-1] {
			switch {
			case l == "sqs" || l == "sqs-fips":
				return labels[i+1]
			case l == "queue" && i > 0:
				return labels[i-1]
			}
		}
	}
	if found == "" && foreign {
		return "us-east-1"
	}
	return found
}

// Limits leave room for attributes below what the queue takes.
func (q *SQS) Limits() Limits { return q.limits }

// begin counts a call, so that Close can wait for it.
func (q *SQS) begin() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open.Err() != nil {
		return errClosed()
	}
	q.running.Add(1)
	return nil
}

// Stats counts approximately; messages that are delayed wait too. SQS does not tell the oldest one's age.
func (q *SQS) Stats(ctx context.Context) (Stats, error) {
	s, err := q.stats(ctx, q.url)
	if err != nil {
		return s, fault.Wrap(err, "queue stats")
	}
	if q.dlqURL != "" {
		if dead, err := q.stats(ctx, q.dlqURL); err == nil {
			s.Dead = dead.Visible + dead.InFlight
		}
	}
	return s, nil
}

// Ping asks for an attribute.
func (q *SQS) Ping(ctx context.Context) error {
	_, err := q.attributes(ctx, q.url, "QueueArn")
	return fault.Wrap(err, "ping")
}

// Close waits for the calls that run. Receive ends at once, its poll within PollTime, so that no server hides
// messages for a worker that is gone.
func (q *SQS) Close() error {
	q.mu.Lock()
	q.close()
	q.mu.Unlock()
	patience := time.AfterFunc(q.pollTime+time.Second, q.cut)
	q.running.Wait()
	patience.Stop()
	q.cut()
	for _, c := range q.http {
		c.close()
	}
	return nil
}
