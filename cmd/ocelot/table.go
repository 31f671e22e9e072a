package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// ndjson prints entries as the service sent them, one a line.
type ndjson struct{ w *bufio.Writer }

func (n *ndjson) entry(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := n.w.Write(b.Bytes())
	return err
}

func (n *ndjson) end() error { return n.w.Flush() }

// Widths of the table's columns; the message takes the rest.
const (
	timeWidth     = len("2006-01-02 15:04:05.000")
	severityWidth = len("CRITICAL")
	serviceWidth  = 16
	actionWidth   = 12
	userWidth     = 14
	leastMessage  = 20
)

// table prints entries for a person. Nothing in an entry can move the cursor or change the terminal.
type table struct {
	w       *bufio.Writer
	message int
	color   bool
	begun   bool
}

func newTable(w io.Writer, width int, color bool) *table {
	fixed := timeWidth + severityWidth + serviceWidth + actionWidth + userWidth + 5
	return &table{w: bufio.NewWriter(w), message: max(leastMessage, width-fixed), color: color}
}

func (t *table) entry(raw json.RawMessage) error {
	var e struct {
		Timestamp time.Time `json:"timestamp"`
		Severity  string    `json:"severity"`
		Service   string    `json:"service"`
		Action    string    `json:"action"`
		UserID    string    `json:"user_id"`
		Message   string    `json:"message"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("an entry of the answer is not one: %w", err)
	}
	if !t.begun {
		t.begun = true
		t.row("TIME (UTC)", "SEVERITY", "", "SERVICE", "ACTION", "USER", "MESSAGE")
	}
	t.row(e.Timestamp.UTC().Format("2006-01-02 15:04:05.000"), e.Severity, t.paint(e.Severity), e.Service, e.Action, e.UserID, e.Message)
	return nil
}

func (t *table) row(at, severity, paint, service, action, user, message string) {
	reset := ""
	if paint != "" {
		reset = "\x1b[0m"
	}
	line := fmt.Sprintf("%s %s%s%s %s %s %s %s", pad(at, timeWidth), paint, pad(severity, severityWidth), reset,
		pad(service, serviceWidth), pad(action, actionWidth), pad(user, userWidth), fit(visible(message), t.message))
	_, _ = fmt.Fprintln(t.w, strings.TrimRight(line, " ")) // the error is that of end
}

func (t *table) end() error { return t.w.Flush() }

func (t *table) paint(severity string) string {
	if !t.color {
		return ""
	}
	switch severity {
	case "DEBUG":
		return "\x1b[90m"
	case "WARNING":
		return "\x1b[33m"
	case "ERROR":
		return "\x1b[31m"
	case "CRITICAL":
		return "\x1b[1;31m"
	}
	return ""
}

// pad is visible text of exactly width columns.
func pad(s string, width int) string {
	s = fit(visible(s), width)
	return s + strings.Repeat(" ", width-len([]rune(s)))
}
