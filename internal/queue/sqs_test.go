package queue_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// sqsEndpoint is the server to test with.
func sqsEndpoint(t testing.TB) string {
	t.Helper()
	endpoint := os.Getenv("TEST_SQS_ENDPOINT")
	if endpoint == "" {
		t.Skip(`no SQS server: make services-up; eval "$(tests/services/services test-env)"`)
	}
	testCredentials(t)
	return endpoint
}

// testCredentials makes the SDK look nowhere for credentials.
func testCredentials(t testing.TB) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		if os.Getenv(name) == "" {
			if err := os.Setenv(name, value); err != nil { // t.Setenv forbids parallel tests
				t.Fatal(err)
			}
		}
	}
}

// newQueue makes a queue on the server for one test and returns its URL.
func newQueue(t testing.TB, endpoint string) string {
	t.Helper()
	cfg, err := awsconfig.LoadDefaultConfig(background)
	if err != nil {
		t.Fatal(err)
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	client := sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint, o.HTTPClient = &endpoint, plain })
	out, err := client.CreateQueue(background, &sqs.CreateQueueInput{QueueName: aws.String("test-" + strings.ToLower(rand.Text()))})
	if err != nil {
		t.Fatalf("make a queue: %v", err)
	}
	t.Cleanup(func() {
		if _, err := client.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Errorf("delete the queue: %v", err)
		}
	})
	return *out.QueueUrl
}

func openSQS(t testing.TB, cfg queue.SQSConfig) *queue.SQS {
	t.Helper()
	q, err := queue.NewSQS(background, cfg, telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return q
}

func TestSQSContract(t *testing.T) {
	endpoint := sqsEndpoint(t)
	testQueue(t, backend{tick: time.Second, open: func(t *testing.T) queue.Queue {
		return openSQS(t, queue.SQSConfig{QueueURL: newQueue(t, endpoint), EndpointURL: endpoint, FairQueues: true})
	}})
}
