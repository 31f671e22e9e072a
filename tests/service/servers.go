package service

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Servers are a queue, a database and indices of one test's own, on the servers that TEST_SQS_ENDPOINT,
// TEST_MONGODB_URI and TEST_OPENSEARCH_URL name. They are removed when the test ends.
type Servers struct {
	Queue, DLQ string // URLs
	SQS        string // URL of the server
	MongoDB    string // URI
	OpenSearch string // URL
	Name       string // of the database, and prefix of the indices

	mongo *mongo.Client
}

// NewServers makes what one test uses; without servers the test is skipped.
func NewServers(tb testing.TB) *Servers {
	tb.Helper()
	s := &Servers{SQS: os.Getenv("TEST_SQS_ENDPOINT"), MongoDB: os.Getenv("TEST_MONGODB_URI"), OpenSearch: strings.TrimRight(os.Getenv("TEST_OPENSEARCH_URL"), "/"),
		Name: "test-" + strings.ToLower(rand.Text())[:12]}
	if s.SQS == "" || s.MongoDB == "" || s.OpenSearch == "" {
		tb.Skip(`no servers: make services-up; eval "$(tests/services/services test-env)"`)
	}
	s.DLQ = s.createQueue(tb, s.Name+"-dlq", nil)
	s.Queue = s.createQueue(tb, s.Name, map[string]string{"VisibilityTimeout": "90",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:` + s.Name + `-dlq","maxReceiveCount":1000}`})
	client, err := mongo.Connect(options.Client().ApplyURI(s.MongoDB))
	if err != nil {
		tb.Fatal(err)
	}
	s.mongo = client
	tb.Cleanup(func() { s.remove(tb) })
	return s
}

// Env are the settings of a process that uses the servers.
func (s *Servers) Env() []string {
	return []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "SQS_ENDPOINT_URL=" + s.SQS,
		"SQS_QUEUE_URL=" + s.Queue, "SQS_DLQ_URL=" + s.DLQ, "MONGODB_URI=" + s.MongoDB, "MONGODB_DATABASE=" + s.Name,
		"OPENSEARCH_URL=" + s.OpenSearch, "OPENSEARCH_INDEX_PREFIX=" + s.Name, "OPENSEARCH_REPLICAS=0"}
}

func (s *Servers) remove(tb testing.TB) {
	ctx := context.Background()
	if err := s.mongo.Database(s.Name).Drop(ctx); err != nil {
		tb.Errorf("drop the database: %v", err)
	}
	_ = s.mongo.Disconnect(ctx)
	names, err := s.indices(ctx)
	if err != nil {
		tb.Error(err)
	}
	for _, name := range names {
		if _, err := s.ask(ctx, http.MethodDelete, "/"+name, nil); err != nil {
			tb.Error(err)
		}
	}
	_, _ = s.ask(ctx, http.MethodDelete, "/_index_template/"+s.Name, nil) // there is none where no process ran
	for _, queue := range []string{s.Queue, s.DLQ} {
		if err := s.sqs(ctx, "DeleteQueue", map[string]any{"QueueUrl": queue}, nil); err != nil {
			tb.Error(err)
		}
	}
}

// sqs makes one call past the code under test.
func (s *Servers) sqs(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.SQS, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	return answered(operation, req, out)
}

func (s *Servers) createQueue(tb testing.TB, name string, attributes map[string]string) string {
	tb.Helper()
	var out struct{ QueueUrl string }
	if err := s.sqs(tb.Context(), "CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes}, &out); err != nil {
		tb.Fatal(err)
	}
	return out.QueueUrl
}

// SendMessage puts a message into the queue as it is.
func (s *Servers) SendMessage(ctx context.Context, body string) error {
	return s.sqs(ctx, "SendMessage", map[string]any{"QueueUrl": s.Queue, "MessageBody": body}, nil)
}

// QueueDepth is how many messages are visible and in flight, and how many are in the dead-letter queue.
func (s *Servers) QueueDepth(ctx context.Context) (visible, held, dead string, err error) {
	depth := func(queue string) (visible, held string, err error) {
		var out struct{ Attributes map[string]string }
		err = s.sqs(ctx, "GetQueueAttributes", map[string]any{"QueueUrl": queue, "AttributeNames": []string{"All"}}, &out)
		return out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"], err
	}
	if visible, held, err = depth(s.Queue); err == nil {
		dead, _, err = depth(s.DLQ)
	}
	return visible, held, dead, err
}

// ask makes one request to OpenSearch past the code under test.
func (s *Servers) ask(ctx context.Context, method, path string, body any) (answer map[string]any, err error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.OpenSearch+path, sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return answer, answered(method+" "+path, req, &answer)
}

func answered(doing string, req *http.Request, out any) error {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s %s", doing, res.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// indices are the names of all indices of the test, whatever alias they have.
func (s *Servers) indices(ctx context.Context) (names []string, err error) {
	answer, err := s.ask(ctx, http.MethodGet, "/"+url.PathEscape(s.Name+"-*")+"?allow_no_indices=true&expand_wildcards=all", nil)
	for name := range answer {
		names = append(names, name)
	}
	return names, err
}

// Sent finds the entries that were sent, in the collection of entries: all but those that the service makes of reads.
var Sent = bson.D{{Key: "s", Value: bson.D{{Key: "$ne", Value: logentry.OwnService}}}}

// Collection is a collection of the record, to look into past the code under test.
func (s *Servers) Collection(name string) *mongo.Collection {
	return s.mongo.Database(s.Name).Collection(name)
}

// Recorded counts how often each id is in the record, in MongoDB itself; without the entries that the service makes of
// reads.
func (s *Servers) Recorded(ctx context.Context) (map[logentry.ID]int, error) {
	rows, err := s.Collection("entries").Find(ctx, Sent, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close(ctx) }()
	found := map[logentry.ID]int{}
	for rows.Next(ctx) {
		var row struct {
			ID bson.Binary `bson:"_id"`
		}
		if err := rows.Decode(&row); err != nil {
			return nil, err
		}
		found[logentry.ID(row.ID.Data)]++
	}
	return found, rows.Err()
}

// Indexed counts how often each id is in the index, over all indices, in OpenSearch itself; without the entries that
// the service makes of reads.
func (s *Servers) Indexed(ctx context.Context) (map[logentry.ID]int, error) {
	found := map[logentry.ID]int{}
	names, err := s.indices(ctx)
	if err != nil || len(names) == 0 {
		return found, err
	}
	all := url.PathEscape(s.Name + "-*")
	if _, err := s.ask(ctx, http.MethodPost, "/"+all+"/_refresh", nil); err != nil {
		return nil, err
	}
	answer, err := s.ask(ctx, http.MethodPost, "/"+all+"/_search?scroll=1m", map[string]any{"size": 10_000, "_source": false, "sort": []string{"_doc"},
		"query": map[string]any{"bool": map[string]any{"must_not": map[string]any{"term": map[string]any{"service": logentry.OwnService}}}}})
	for err == nil {
		hits, _ := answer["hits"].(map[string]any)["hits"].([]any)
		for _, hit := range hits {
			text, _ := hit.(map[string]any)["_id"].(string)
			b, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil || len(b) != len(logentry.ID{}) {
				return nil, fmt.Errorf("the index has a document with the id %q", text)
			}
			found[logentry.ID(b)]++
		}
		if len(hits) == 0 {
			break
		}
		answer, err = s.ask(ctx, http.MethodPost, "/_search/scroll", map[string]any{"scroll": "1m", "scroll_id": answer["_scroll_id"]})
	}
	return found, err
}
