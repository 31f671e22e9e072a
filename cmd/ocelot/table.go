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

// columns are widths of the table's columns, in the order of a row; 0 leaves one out. The message takes the rest.
type columns [5]int

const (
	timeColumn = iota
	severityColumn
	serviceColumn
	actionColumn
	userColumn
)

var (
	wide   = columns{len("2006-01-02 15:04:05.000"), len("CRITICAL"), 16, 12, 14}
	narrow = columns{len("2006-01-02 15:04:05"), len("CRITICAL"), 10, 10, 8} // 80 columns hold it
)

const leastMessage = 20

// table prints entries for a person. Nothing in an entry can move the cursor or change the terminal.
type table struct {
	w       *bufio.Writer
	width   int
	color   bool
	columns columns
	message int
	begun   bool
}

func newTable(w io.Writer, width int, color bool) *table {
	t := &table{w: bufio.NewWriter(w), width: width, color: color}
	t.leave(true, true)
	return t
}

// leave leaves columns to what entries have, and the others' room to the message.
func (t *table) leave(action, user bool) {
	for _, t.columns = range []columns{wide, narrow} {
		if !action {
			t.columns[actionColumn] = 0
		}
		if !user {
			t.columns[userColumn] = 0
		}
		t.message = t.width
		for _, c := range t.columns {
			if c > 0 {
				t.message -= c + 1
			}
		}
		if t.message >= leastMessage {
			return
		}
	}
	t.message = leastMessage
}

// tableEntry is what the table shows of an entry.
type tableEntry struct {
	Timestamp time.Time `json:"timestamp"`
	Severity  string    `json:"severity"`
	Service   string    `json:"service"`
	Action    string    `json:"action"`
	UserID    string    `json:"user_id"`
	Message   string    `json:"message"`
}

// page prepares for entries that come together: columns that all of them leave empty are not there.
func (t *table) page(raws []json.RawMessage) {
	before, action, user := t.columns, false, false
	for _, raw := range raws {
		var e tableEntry
		_ = json.Unmarshal(raw, &e) // entry tells
		action, user = action || e.Action != "", user || e.UserID != ""
	}
	if t.leave(action, user); t.columns != before {
		t.begun = false // there is another header
	}
}

func (t *table) entry(raw json.RawMessage) error {
	var e tableEntry
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("an entry of the answer is not one: %w", err)
	}
	if !t.begun {
		t.begun = true
		t.row("", "TIME (UTC)", "SEVERITY", "SERVICE", "ACTION", "USER", "MESSAGE")
	}
	at := e.Timestamp.UTC().Format("2006-01-02 15:04:05.000")
	t.row(t.paint(e.Severity), at[:t.columns[timeColumn]], e.Severity, e.Service, e.Action, e.UserID, e.Message)
	return nil
}

// row takes the columns' cells and the message behind them.
func (t *table) row(paint string, cells ...string) {
	var b strings.Builder
	for i, width := range t.columns {
		switch {
		case width == 0:
			continue
		case i == severityColumn && paint != "":
			b.WriteString(paint + pad(cells[i], width) + "\x1b[0m ")
		default:
			b.WriteString(pad(cells[i], width) + " ")
		}
	}
	b.WriteString(fit(visible(cells[len(t.columns)]), t.message))
	_, _ = fmt.Fprintln(t.w, strings.TrimRight(b.String(), " ")) // the error is that of end
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
