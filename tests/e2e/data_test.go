//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// auditEvents makes n audit events of one hour, ten actions in turn, every seventh an error, as NDJSON.
func auditEvents(n int) []byte {
	actions := []string{"GetObject", "PutObject", "ListUsers", "CreateUser", "DeleteTrail", "PutBucketPolicy", "AssumeRole", "ConsoleLogin", "StopLogging", "CreateAccessKey"}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	at := time.Date(2025, 7, 10, 11, 40, 0, 0, time.UTC)
	for i := range n {
		action := actions[i%len(actions)]
		message := "call of " + action
		if action == "PutBucketPolicy" {
			message = "bucket policy changed by hand"
		}
		if i == n-7 {
			message += " with a chainsaw"
		}
		severity := "INFO"
		if i%7 == 0 && i > 0 {
			severity = "err"
		}
		_ = enc.Encode(map[string]any{
			"timestamp": at.Add(time.Duration(i) * time.Second).Format(time.RFC3339), "service": "cloud-audit", "action": action,
			"severity": severity, "message": message, "user_id": fmt.Sprintf("arn:aws:iam::1:user/u%d", i%13), "session_id": "audit-walk",
			"ip_address": fmt.Sprintf("10.0.0.%d", i%251), "event_id": fmt.Sprintf("ev-%06d", i), "request_id": fmt.Sprintf("REQ%06d", i),
			"before_state": map[string]any{"enabled": true, "n": i}, "after_state": map[string]any{"enabled": i%2 == 0, "n": i},
			"metadata": map[string]any{"region": "eu-west-1", "nested": map[string]any{"list": []any{1, "two", nil, 3.50}}, "odd": "İß ſ 漢字 \u2028"},
		})
	}
	return b.Bytes()
}

// rawLog is a log file as a system writes it: how many lines it has, and how many in [start, end).
type rawLog struct {
	service, text, start, end string
	lines, inTime             int
}

func rawLogs() []rawLog {
	var crlf, lone, iso, spark, trace strings.Builder
	for i := range 300 {
		fmt.Fprintf(&crlf, "Jun 14 15:%02d:%02d combo sshd[19939]: authentication failure; rhost=10.0.%d.4\r\n", i/60, i%60, i%200)
		fmt.Fprintf(&lone, "[Sun Dec 04 04:%02d:%02d 2005] [error] worker %d in error state\r", i/60, i%60, i)
		fmt.Fprintf(&iso, "2015-07-29 17:%02d:%02d,744 - WARN  [main:Quorum@774] - timed out: %d\n", i/60, i%60, i)
		fmt.Fprintf(&spark, "17/06/09 20:%02d:%02d INFO executor.Backend: task %d\n\n", i/60, i%60, i)
	}
	trace.WriteString("2025-03-01T10:00:00.123456789+02:00 ERROR panic in handler\n\tat a.b.C(D.java:1)\n\tat e.f.G(H.java:2)\n")
	return []rawLog{
		{"linux", crlf.String(), "2025-06-14T15:01:00Z", "2025-06-14T15:02:00Z", 300, 60},
		{"apache", lone.String(), "2005-12-04T04:00:00Z", "2005-12-04T04:00:10Z", 300, 10},
		{"zookeeper", iso.String(), "2015-07-29T17:00:00Z", "2015-07-29T17:00:01Z", 300, 1},
		{"spark", spark.String(), "2017-06-09T20:00:00Z", "2017-06-10", 300, 300},
		{"java", trace.String(), "2025-03-01T08:00:00Z", "2025-03-01T08:00:01Z", 3, 1},
	}
}
