// Package bigquerytest is a BigQuery that holds its tables in memory, as far as tables and load jobs go: it speaks the REST protocol,
// takes resumable uploads, and refuses rows that do not fit their table as BigQuery does. For tests only.
package bigquerytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a BigQuery with one data set, d of the project p.
type Server struct {
	URL string
	// Looks is how often a job is looked at before it is over.
	Looks int

	t      testing.TB
	asking sync.Mutex
	before func(kind string) (status int, lost bool)

	mu       sync.Mutex
	tables   map[string]map[string]any
	rows     map[string][]map[string]any
	jobs     map[string]map[string]any
	looked   map[string]int
	sessions []*session
	version  int
	seen     []string
}

// unknown is the size of an upload whose client has not told it.
const unknown = -1

type session struct {
	job  map[string]any
	size int
	have []byte
	over bool
}

// New starts one, which ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, tables: map[string]map[string]any{}, rows: map[string][]map[string]any{}, jobs: map[string]map[string]any{}, looked: map[string]int{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// Before sets what is asked before each request, one at a time; its kind is get, create, describe, session, put, status or job. A
// status refuses the request; lost does it and breaks the connection in place of an answer. Nil asks nothing.
func (s *Server) Before(ask func(kind string) (status int, lost bool)) {
	s.asking.Lock()
	defer s.asking.Unlock()
	s.before = ask
}

func (s *Server) ask(kind string) (status int, lost bool) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if s.before == nil {
		return 0, false
	}
	return s.before(kind)
}

// Rows are the rows of a table, in the order in which they were loaded.
func (s *Server) Rows(table string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows[table])
}

// Table is what is known of a table; nil where there is none.
func (s *Server) Table(table string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.tables[table])
}

// Change changes what is known of a table, as somebody else would; nil removes the table.
func (s *Server) Change(table string, values map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if values == nil {
		delete(s.tables, table)
		delete(s.rows, table)
		return
	}
	if s.tables[table] == nil {
		s.tables[table] = map[string]any{"location": "EU", "numRows": "0", "tableReference": map[string]any{"projectId": "p", "datasetId": "d", "tableId": table}}
	}
	for name, v := range values {
		s.tables[table][name] = v
	}
	s.touch(table)
}

// Seen are the kinds of all requests so far.
func (s *Server) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *Server) touch(table string) {
	s.version++
	s.tables[table]["etag"] = "etag-" + strconv.Itoa(s.version)
}

const (
	tablesPath = "/bigquery/v2/projects/p/datasets/d/tables"
	jobsPath   = "/bigquery/v2/projects/p/jobs/"
	uploadPath = "/upload/bigquery/v2/projects/p/jobs"
)

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client broke off
	}
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("%s %s has credentials that are for Google only", r.Method, r.URL.Path)
	}
	kind := kindOf(r)
	status, lost := s.ask(kind)
	if status != 0 {
		refuse(w, status, "backendError", "refused by the test")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, kind)
	answer := httptest.NewRecorder()
	s.do(answer, r, kind, body)
	if lost {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func kindOf(r *http.Request) string {
	switch {
	case r.URL.Path == tablesPath && r.Method == http.MethodPost:
		return "create"
	case strings.HasPrefix(r.URL.Path, tablesPath+"/") && r.Method == http.MethodPatch:
		return "describe"
	case strings.HasPrefix(r.URL.Path, tablesPath+"/") && r.Method == http.MethodGet:
		return "get"
	case strings.HasPrefix(r.URL.Path, jobsPath) && r.Method == http.MethodGet:
		return "job"
	case r.URL.Path == uploadPath && r.Method == http.MethodPost && !r.URL.Query().Has("upload_id"):
		return "session"
	case r.URL.Path == uploadPath && strings.HasPrefix(r.Header.Get("Content-Range"), "bytes */"):
		return "status"
	case r.URL.Path == uploadPath && (r.Method == http.MethodPut || r.Method == http.MethodPost): // Google's own client posts chunks
		return "put"
	}
	return r.Method + " " + r.URL.Path
}

func (s *Server) do(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	var sent map[string]any
	if kind == "create" || kind == "describe" || kind == "session" {
		if err := json.Unmarshal(body, &sent); err != nil {
			refuse(w, http.StatusBadRequest, "parseError", err.Error())
			return
		}
	}
	name := strings.TrimPrefix(r.URL.Path, tablesPath+"/")
	switch kind {
	case "get":
		if s.tables[name] == nil {
			refuse(w, http.StatusNotFound, "notFound", "Not found: Table p:d."+name)
			return
		}
		reply(w, s.tables[name])
	case "create":
		name, _ := sent["tableReference"].(map[string]any)["tableId"].(string)
		if s.tables[name] != nil {
			refuse(w, http.StatusConflict, "duplicate", "Already Exists: Table p:d."+name)
			return
		}
		sent["location"], sent["numRows"] = "EU", "0"
		s.tables[name] = sent
		s.touch(name)
		reply(w, sent)
	case "describe":
		switch {
		case s.tables[name] == nil:
			refuse(w, http.StatusNotFound, "notFound", "Not found: Table p:d."+name)
		case r.Header.Get("If-Match") != s.tables[name]["etag"]:
			refuse(w, http.StatusPreconditionFailed, "conditionNotMet", "Precondition Failed")
		default:
			s.tables[name]["description"] = sent["description"]
			s.touch(name)
			reply(w, s.tables[name])
		}
	case "session":
		if r.URL.Query().Get("uploadType") != "resumable" {
			refuse(w, http.StatusBadRequest, "invalid", "no resumable upload")
			return
		}
		size := unknown
		if n, err := strconv.Atoi(r.Header.Get("X-Upload-Content-Length")); err == nil {
			size = n
		}
		s.sessions = append(s.sessions, &session{job: sent, size: size})
		w.Header().Set("Location", fmt.Sprintf("http://%s%s?uploadType=resumable&upload_id=%d", r.Host, uploadPath, len(s.sessions)-1))
	case "put", "status":
		s.put(w, r, body)
	case "job":
		s.look(w, r)
	default:
		refuse(w, http.StatusNotFound, "notFound", kind)
	}
}

// put takes a chunk of an upload; with the last one the job runs.
func (s *Server) put(w http.ResponseWriter, r *http.Request, body []byte) {
	i, err := strconv.Atoi(r.URL.Query().Get("upload_id"))
	if err != nil || i < 0 || i >= len(s.sessions) {
		refuse(w, http.StatusNotFound, "notFound", "no such upload")
		return
	}
	up := s.sessions[i]
	var from, to int
	var total string // * where the client does not know it yet
	if n, _ := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%s", &from, &to, &total); n == 3 {
		size, err := strconv.Atoi(total)
		if err == nil && up.size == unknown {
			up.size = size
		}
		if err == nil && size != up.size || to-from+1 != len(body) || from > len(up.have) {
			refuse(w, http.StatusBadRequest, "invalid", "not the next bytes of this upload")
			return
		}
		if to >= len(up.have) {
			up.have = append(up.have, body[len(up.have)-from:]...)
		}
	}
	if up.size == unknown || len(up.have) < up.size {
		if len(up.have) > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", len(up.have)-1))
		}
		if r.Header.Get("X-Guploader-No-308") == "yes" { // asked by Google's own client
			w.Header().Set("X-Http-Status-Code-Override", "308")
			return
		}
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	id, _ := up.job["jobReference"].(map[string]any)["jobId"].(string)
	if s.jobs[id] == nil {
		s.run(id, up)
	} else if !up.over {
		refuse(w, http.StatusConflict, "duplicate", "Already Exists: Job p:EU."+id)
		return
	}
	up.over = true
	reply(w, s.jobs[id])
}

// run loads all rows of a job, or none.
func (s *Server) run(id string, up *session) {
	load, _ := up.job["configuration"].(map[string]any)["load"].(map[string]any)
	table, _ := load["destinationTable"].(map[string]any)["tableId"].(string)
	job := map[string]any{"jobReference": up.job["jobReference"], "configuration": up.job["configuration"]}
	s.jobs[id] = job
	var rows []map[string]any
	var err error
	switch {
	case s.tables[table] == nil:
		err = fmt.Errorf("not found: table p:d.%s", table)
	case load["sourceFormat"] != "NEWLINE_DELIMITED_JSON" || load["writeDisposition"] != "WRITE_APPEND":
		err = fmt.Errorf("not what this BigQuery can do: %v", load)
	default:
		rows, err = s.read(table, up.have)
	}
	if err != nil {
		job["status"] = map[string]any{"state": "DONE", "errorResult": map[string]any{"reason": "invalid", "message": err.Error()}}
		return
	}
	s.rows[table] = append(s.rows[table], rows...)
	s.tables[table]["numRows"] = strconv.Itoa(len(s.rows[table]))
	s.touch(table)
	job["status"] = map[string]any{"state": "DONE"}
	job["statistics"] = map[string]any{"load": map[string]any{"outputRows": strconv.Itoa(len(rows))}}
}

// read reads rows as the table's schema says.
func (s *Server) read(table string, text []byte) (rows []map[string]any, err error) {
	schema, _ := s.tables[table]["schema"].(map[string]any)
	fields, _ := schema["fields"].([]any)
	for line := range bytes.Lines(text) {
		row := map[string]any{}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			return nil, err
		}
		left := len(row)
		for _, f := range fields {
			f := f.(map[string]any)
			v, there := row[f["name"].(string)]
			if !there && f["mode"] == "REQUIRED" {
				return nil, fmt.Errorf("missing required field: %v", f["name"])
			}
			if there {
				left--
				if !fits(f, v) {
					return nil, fmt.Errorf("field %v is no %v", f["name"], f["type"])
				}
			}
		}
		if left > 0 {
			return nil, fmt.Errorf("no such field in one of %d", len(row))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func fits(field map[string]any, v any) bool {
	if field["mode"] == "REPEATED" {
		_, ok := v.([]any)
		return ok
	}
	text, isText := v.(string)
	switch field["type"] {
	case "STRING":
		return isText
	case "TIMESTAMP":
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	case "INTEGER":
		_, ok := v.(json.Number)
		return ok
	}
	return true
}

// look answers what became of a job.
func (s *Server) look(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, jobsPath)
	job := s.jobs[id]
	if job == nil || r.URL.Query().Get("location") != "EU" {
		refuse(w, http.StatusNotFound, "notFound", "Not found: Job p:"+id)
		return
	}
	if s.looked[id]++; s.looked[id] <= s.Looks {
		reply(w, map[string]any{"jobReference": job["jobReference"], "status": map[string]any{"state": "RUNNING"}})
		return
	}
	reply(w, job)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "message": message, "errors": []any{map[string]any{"reason": reason, "message": message}}}})
}
