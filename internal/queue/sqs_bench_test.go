package queue_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
)

// nullSQS answers each call with bytes made beforehand, at the least cost to the process that is measured.
func nullSQS(b *testing.B, body []byte, messages int) string {
	b.Helper()
	testCredentials(b)
	sum := md5.Sum(body)
	digest := hex.EncodeToString(sum[:])
	sent := fmt.Appendf(nil, `{"MessageId":"m","MD5OfMessageBody":"%s"}`, digest)
	var received bytes.Buffer
	for i := range messages {
		fmt.Fprintf(&received, `,{"MessageId":"%d","ReceiptHandle":"r%d","MD5OfBody":"%s","Body":"%s","Attributes":{"SentTimestamp":"1763900000000","ApproximateReceiveCount":"1"}}`,
			i, i, digest, body)
	}
	receive := fmt.Appendf(nil, `{"Messages":[%s]}`, received.Bytes()[1:])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		switch r.Header.Get("X-Amz-Target") {
		case "AmazonSQS.SendMessage":
			_, _ = w.Write(sent)
		case "AmazonSQS.ReceiveMessage":
			_, _ = w.Write(receive)
		default:
			_, _ = w.Write([]byte(`{"Attributes":{}}`))
		}
	})}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String()
}

// cpu is what the process used so far, the server's share included.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSQSSend is the CPU of sending one 60 KiB envelope; µs-cpu/message has the null server's share in it.
func BenchmarkSQSSend(b *testing.B) {
	body := bytes.Repeat([]byte("A1b2/+9="), 60<<10/8)
	endpoint := nullSQS(b, body, 1)
	q := openSQS(b, queue.SQSConfig{QueueURL: endpoint + "/0/q"})
	messages := []queue.Outgoing{{Body: body}}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if errs := q.Send(background, messages); errs != nil {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "µs-cpu/message")
}

// BenchmarkSQSReceive is the CPU of receiving one 60 KiB envelope out of ten.
func BenchmarkSQSReceive(b *testing.B) {
	body := bytes.Repeat([]byte("A1b2/+9="), 60<<10/8)
	endpoint := nullSQS(b, body, 10)
	q := openSQS(b, queue.SQSConfig{QueueURL: endpoint + "/0/q"})
	b.SetBytes(int64(10 * len(body)))
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if ms, err := q.Receive(background, 10, 0, held); err != nil || len(ms) != 10 {
			b.Fatal(len(ms), err)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(10*b.N), "µs-cpu/message")
}
