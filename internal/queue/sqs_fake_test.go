package queue_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/internal/queue"
)

// fakeSQS answers calls as a test wants, in SQS's words, to make it fail where a real server would not.
type fakeSQS struct {
	url string
	// answer says what a call gets; nil: what a server that is well says. It may be called concurrently.
	answer func(op string, in fakeCall) *fakeAnswer

	mu    sync.Mutex
	calls []fakeCall // but for GetQueueAttributes
}

// fakeCall has the members of all calls that the tests look at.
type fakeCall struct {
	Op, QueueUrl, MessageBody, MessageGroupId               string
	MaxNumberOfMessages, WaitTimeSeconds, VisibilityTimeout int
	Entries                                                 []fakeEntry
	MessageAttributes                                       map[string]fakeAttribute
	MessageAttributeNames                                   []string
}

type fakeEntry struct {
	Id, MessageBody, MessageGroupId, ReceiptHandle string
	VisibilityTimeout                              *int
	MessageAttributes                              map[string]fakeAttribute
}

type fakeAttribute struct{ DataType, StringValue string }

type fakeAnswer struct {
	status int
	body   string
	hold   <-chan struct{} // before answering
	cut    bool            // the connection, instead of an answer
}

func newFake(t testing.TB, answer func(op string, in fakeCall) *fakeAnswer) *fakeSQS {
	t.Helper()
	testCredentials(t)
	f := &fakeSQS{answer: answer}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *fakeSQS) open(t testing.TB, cfg queue.SQSConfig) *queue.SQS {
	t.Helper()
	cfg.QueueURL = f.url + "/0/q"
	return openSQS(t, cfg)
}

// of returns the calls of one operation so far.
func (f *fakeSQS) of(op string) (calls []fakeCall) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.Op == op {
			calls = append(calls, c)
		}
	}
	return calls
}

func (f *fakeSQS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	in := fakeCall{Op: strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")}
	if err := json.Unmarshal(body, &in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if in.Op != "GetQueueAttributes" {
		f.mu.Lock()
		f.calls = append(f.calls, in)
		f.mu.Unlock()
	}
	var a *fakeAnswer
	if f.answer != nil {
		a = f.answer(in.Op, in)
	}
	if a == nil {
		a = wellAnswer(in)
	}
	if a.hold != nil {
		select {
		case <-a.hold:
		case <-r.Context().Done():
			return
		}
	}
	if a.cut {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// wellAnswer is what a server that is well says.
func wellAnswer(in fakeCall) *fakeAnswer {
	switch in.Op {
	case "GetQueueAttributes":
		return attributes(nil)
	case "SendMessage":
		return ok(`{"MessageId":"m","MD5OfMessageBody":"` + md5Of(in.MessageBody) + `"}`)
	case "ReceiveMessage":
		return ok(`{}`)
	}
	return batchAnswer(in, func(fakeEntry) string { return "" })
}

// batchAnswer fails the entries for which fail gives a code; "!" before a code: by the sender's fault;
// "-": the answer does not name the entry.
func batchAnswer(in fakeCall, fail func(fakeEntry) string) *fakeAnswer {
	var done, failed []string
	for _, e := range in.Entries {
		switch code := fail(e); code {
		case "":
			done = append(done, fmt.Sprintf(`{"Id":%q,"MessageId":"m","MD5OfMessageBody":%q}`, e.Id, md5Of(e.MessageBody)))
		case "-":
		default:
			bare := strings.TrimPrefix(code, "!")
			failed = append(failed, fmt.Sprintf(`{"Id":%q,"Code":%q,"Message":"no","SenderFault":%v}`, e.Id, bare, bare != code))
		}
	}
	return ok(`{"Successful":[` + strings.Join(done, ",") + `],"Failed":[` + strings.Join(failed, ",") + `]}`)
}

func ok(body string) *fakeAnswer { return &fakeAnswer{status: http.StatusOK, body: body} }

// refusal is an error as SQS words it.
func refusal(status int, code string) *fakeAnswer {
	return &fakeAnswer{status: status, body: `{"__type":"com.amazonaws.sqs#` + code + `","message":"words that nobody may depend on"}`}
}

// attributes are those of a queue as it should be, but for changes; an empty value leaves one out.
func attributes(changes map[string]string) *fakeAnswer {
	a := map[string]string{"MaximumMessageSize": "1048576", "MessageRetentionPeriod": "1209600", "SqsManagedSseEnabled": "true",
		"QueueArn": "arn:aws:sqs:us-east-1:0:q", "DelaySeconds": "0", "ApproximateNumberOfMessages": "0",
		"ApproximateNumberOfMessagesDelayed": "0", "ApproximateNumberOfMessagesNotVisible": "0",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:0:dlq","maxReceiveCount":1000}`}
	for name, value := range changes {
		if value == "" {
			delete(a, name)
		} else {
			a[name] = value
		}
	}
	b, err := json.Marshal(map[string]any{"Attributes": a})
	if err != nil {
		panic(err)
	}
	return ok(string(b))
}

func md5Of(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
