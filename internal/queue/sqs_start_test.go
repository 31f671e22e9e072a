package queue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

func TestSQSStartWarnings(t *testing.T) {
	redrive := func(count string) map[string]string {
		return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:0:dlq","maxReceiveCount":` + count + `}`}
	}
	for _, c := range []struct {
		name      string
		main, dlq map[string]string
		dlqDenied bool
		noDLQ     bool     // not set
		want      []string // the beginnings of the warnings
	}{
		{name: "a queue as it should be gives no warning"},
		{name: "a server that leaves attributes out gives none either", main: map[string]string{"MaximumMessageSize": "", "MessageRetentionPeriod": "", "SqsManagedSseEnabled": "", "DelaySeconds": ""}},
		{name: "keys of one's own are encryption", main: map[string]string{"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/mine"}},
		{name: "maxReceiveCount as text is read", main: redrive(`"1000"`)},
		{name: "a short retention", main: map[string]string{"MessageRetentionPeriod": "345600"}, want: []string{"the queue forgets messages too early"}},
		{name: "a short retention of the dead-letter queue", dlq: map[string]string{"MessageRetentionPeriod": "345600"}, want: []string{"the dead-letter queue forgets messages too early"}},
		{name: "an old limit of the size", main: map[string]string{"MaximumMessageSize": "262144"}, want: []string{"the queue takes smaller messages"}},
		{name: "no encryption", main: map[string]string{"SqsManagedSseEnabled": "false"}, want: []string{"the queue is not encrypted"}},
		{name: "a delay", main: map[string]string{"DelaySeconds": "30"}, want: []string{"the queue delays each message"}},
		{name: "no dead-letter queue", main: map[string]string{"RedrivePolicy": ""}, noDLQ: true, want: []string{"the queue has no dead-letter queue"}},
		{name: "a low maxReceiveCount", main: redrive("5"), want: []string{"an outage can fill the dead-letter queue"}},
		{name: "a dead-letter queue that nobody watches", noDLQ: true, want: []string{"the queue has a dead-letter queue that nobody watches"}},
		{name: "another dead-letter queue than the one in use", dlq: map[string]string{"QueueArn": "arn:aws:sqs:us-east-1:0:other"}, want: []string{"SQS_DLQ_URL is not the queue"}},
		{name: "a dead-letter queue that may not be read", dlqDenied: true, want: []string{"the dead-letter queue can't be watched"}},
		{name: "all at once", main: map[string]string{"MessageRetentionPeriod": "60", "MaximumMessageSize": "262144", "SqsManagedSseEnabled": "false"},
			want: []string{"the queue forgets", "the queue takes smaller", "the queue is not encrypted"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
				switch {
				case op != "GetQueueAttributes":
					return nil
				case !strings.HasSuffix(in.QueueUrl, "dlq"):
					return attributes(c.main)
				case c.dlqDenied:
					return refusal(http.StatusForbidden, "AccessDeniedException")
				}
				a := map[string]string{"QueueArn": "arn:aws:sqs:us-east-1:0:dlq", "RedrivePolicy": ""}
				for k, v := range c.dlq {
					a[k] = v
				}
				return attributes(a)
			})
			cfg := queue.SQSConfig{QueueURL: f.url + "/0/q", DLQURL: f.url + "/0/dlq"}
			if c.noDLQ {
				cfg.DLQURL = ""
			}
			core, logs := observer.New(zap.WarnLevel)
			tel := telemetry.Discard()
			tel.Log = zap.New(core)
			q, err := queue.NewSQS(background, cfg, tel)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = q.Close() }()
			var got []string
			for _, e := range logs.All() {
				got = append(got, e.Message)
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

func TestSQSLimits(t *testing.T) {
	for told, want := range map[string]int{"": 1<<20 - 4096, "1048576": 1<<20 - 4096, "262144": 262144 - 4096, "99999999": 1<<20 - 4096, "what": 1<<20 - 4096} {
		f := newFake(t, func(op string, _ fakeCall) *fakeAnswer {
			return attributes(map[string]string{"MaximumMessageSize": told})
		})
		if l := f.open(t, queue.SQSConfig{}).Limits(); l.MaxBytes != want || l.Binary {
			t.Errorf("a queue that tells %q has the limits %+v, want %d", told, l, want)
		}
	}
}

func TestSQSStartErrors(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	well := newFake(t, nil)
	answering := func(a *fakeAnswer) string {
		return newFake(t, func(string, fakeCall) *fakeAnswer { return a }).url + "/0/q"
	}
	for _, c := range []struct {
		name string
		cfg  queue.SQSConfig
		kind fault.Kind
		want []string // in the error's one line
	}{
		{"no URL", queue.SQSConfig{}, fault.Invalid, []string{"SQS_QUEUE_URL is no URL", "https://"}},
		{"a name instead of a URL", queue.SQSConfig{QueueURL: "ocelot"}, fault.Invalid, []string{"SQS_QUEUE_URL is no URL"}},
		{"a URL without a queue", queue.SQSConfig{QueueURL: well.url}, fault.Invalid, []string{"SQS_QUEUE_URL has no queue's name"}},
		{"a FIFO queue", queue.SQSConfig{QueueURL: well.url + "/0/q.fifo"}, fault.Invalid, []string{"FIFO", "make a standard queue"}},
		{"a bad URL of the dead-letter queue", queue.SQSConfig{QueueURL: well.url + "/0/q", DLQURL: "dlq"}, fault.Invalid, []string{"SQS_DLQ_URL is no URL"}},
		{"a bad URL of the endpoint", queue.SQSConfig{QueueURL: well.url + "/0/q", EndpointURL: "localhost:9324"}, fault.Invalid, []string{"SQS_ENDPOINT_URL is no URL"}},
		{"a queue that does not exist", queue.SQSConfig{QueueURL: answering(refusal(http.StatusBadRequest, "QueueDoesNotExist"))}, fault.Invalid,
			[]string{"SQS_QUEUE_URL http://127.0.0.1", "/0/q", "does not exist; make the queue or correct the URL"}},
		{"the older name of that error", queue.SQSConfig{QueueURL: answering(refusal(http.StatusBadRequest, "AWS.SimpleQueueService.NonExistentQueue"))}, fault.Invalid, []string{"does not exist"}},
		{"credentials that may not", queue.SQSConfig{QueueURL: answering(refusal(http.StatusForbidden, "AccessDeniedException"))}, fault.Invalid, []string{"allow sqs:GetQueueAttributes"}},
		{"wrong credentials", queue.SQSConfig{QueueURL: answering(refusal(http.StatusForbidden, "InvalidClientTokenId"))}, fault.Invalid, []string{"can't be read with these AWS credentials"}},
		{"a web server", queue.SQSConfig{QueueURL: web.URL + "/0/q"}, fault.Invalid, []string{"check that the URL and SQS_ENDPOINT_URL are those of an SQS server"}},
		{"nobody there", queue.SQSConfig{QueueURL: gone.URL + "/0/q"}, fault.Unavailable, []string{gone.URL, "does not answer; check that the server runs", "connection refused"}},
		{"an endpoint where nobody is", queue.SQSConfig{QueueURL: well.url + "/0/q", EndpointURL: gone.URL}, fault.Unavailable, []string{"through " + gone.URL, "does not answer"}},
		{"a server that fails", queue.SQSConfig{QueueURL: answering(refusal(http.StatusInternalServerError, "InternalError"))}, fault.Unavailable, []string{"the queue failed"}},
		{"messages that are too small", queue.SQSConfig{QueueURL: answering(attributes(map[string]string{"MaximumMessageSize": "1024"}))}, fault.Invalid, []string{"1024 bytes", "set its MaximumMessageSize to 1048576"}},
		{"a secret in the URL is not told", queue.SQSConfig{QueueURL: strings.Replace(gone.URL, "//", "//user:hunter2@", 1) + "/0/q?token=hunter2"}, fault.Unavailable, []string{"does not answer"}},
		{"no queue where the dead letters should be", queue.SQSConfig{QueueURL: well.url + "/0/q", DLQURL: gone.URL + "/0/dlq", EndpointURL: dlqMissing(t)}, fault.Invalid, []string{"SQS_DLQ_URL", "does not exist"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := queue.NewSQS(background, c.cfg, telemetry.Discard())
			if fault.KindOf(err) != c.kind || err == nil {
				t.Fatalf("%v, want the kind %v", err, c.kind)
			}
			line := err.Error()
			for _, want := range c.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q does not say %q", line, want)
				}
			}
			if strings.ContainsAny(line, "\r\n") || strings.Contains(line, "hunter2") || len(line) > 400 {
				t.Errorf("not one short line without secrets: %q", line)
			}
		})
	}
}

func dlqMissing(t *testing.T) string {
	return newFake(t, func(_ string, in fakeCall) *fakeAnswer {
		if strings.HasSuffix(in.QueueUrl, "dlq") {
			return refusal(http.StatusBadRequest, "QueueDoesNotExist")
		}
		return nil
	}).url
}

func TestSQSStartWithoutCredentials(t *testing.T) {
	f := newFake(t, nil)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := queue.NewSQS(background, queue.SQSConfig{QueueURL: f.url + "/0/q"}, telemetry.Discard())
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), "set AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
}

func TestSQSStartEndsWithItsContext(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	f := newFake(t, func(string, fakeCall) *fakeAnswer { return &fakeAnswer{hold: never} })
	ctx, cancel := context.WithTimeout(background, 200*time.Millisecond)
	defer cancel()
	if _, err := queue.NewSQS(ctx, queue.SQSConfig{QueueURL: f.url + "/0/q"}, telemetry.Discard()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestSQSCounts(t *testing.T) {
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		return attributes(map[string]string{"ApproximateNumberOfMessages": "5", "ApproximateNumberOfMessagesDelayed": "2", "ApproximateNumberOfMessagesNotVisible": "3"})
	})
	q := f.open(t, queue.SQSConfig{DLQURL: f.url + "/0/dlq"})
	if s, err := q.Stats(background); err != nil || s != (queue.Stats{Visible: 7, InFlight: 3, Dead: 10, Oldest: -1}) {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := f.open(t, queue.SQSConfig{}).Stats(background); err != nil || s.Dead != -1 {
		t.Errorf("where nobody watches: %+v, %v", s, err)
	}
}
