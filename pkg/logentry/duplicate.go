package logentry

import "strconv"

// compareEventIDs notes entries of the batch that share their event_id but not their content. Equal
// ones stay: which of them is answered is not decided here.
func (d *decoder) compareEventIDs() {
	if len(d.entries) < 2 {
		return
	}
	var first map[string]int
	for i := range d.entries {
		e := &d.entries[i]
		if e.EventID == "" {
			continue
		}
		if first == nil {
			first = make(map[string]int, len(d.entries)-i)
		}
		j, known := first[e.EventID]
		if !known {
			first[e.EventID] = i
			continue
		}
		if !sameContent(e, &d.entries[j]) {
			p := Problem{Code: "duplicate_in_batch",
				Message: "another entry of the batch has this event_id and other content; give each event its own"}
			if len(d.problems) < d.MaxProblems {
				p.Pointer, p.Line = d.eventIDPointer(i)
			}
			d.add(p, Invalid)
		}
	}
}

// eventIDPointer is where the event_id of the i-th entry stands.
func (d *decoder) eventIDPointer(i int) (_ string, line int) {
	if d.form == NDJSON {
		return "/event_id", d.lineOf[i]
	}
	return d.prefix + "/" + strconv.Itoa(i) + "/event_id", 0
}

// sameContent tells that AppendContent would write the same for both.
func sameContent(a, b *Entry) bool {
	return a.Timestamp.Equal(b.Timestamp) && a.Severity == b.Severity && a.Service == b.Service && a.Action == b.Action &&
		a.Message == b.Message && a.UserID == b.UserID && a.SessionID == b.SessionID && a.ResourceType == b.ResourceType &&
		a.ResourceID == b.ResourceID && a.IPAddress == b.IPAddress && a.UserAgent == b.UserAgent && a.RequestID == b.RequestID &&
		a.TraceID == b.TraceID && a.SpanID == b.SpanID && a.EventID == b.EventID && a.SchemaVersion == b.SchemaVersion &&
		string(a.BeforeState) == string(b.BeforeState) && string(a.AfterState) == string(b.AfterState) &&
		string(a.Metadata) == string(b.Metadata)
}
