package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
)

// partFile is a file that is there under its name only when it is whole. Until then FILE.part holds what there is, and
// FILE.part.state says how much of that was compared and where to go on.
type partFile struct {
	path  string
	f     *os.File
	state partState
}

// partState is of the entries at the beginning of the file that are whole. What is behind them is dropped.
type partState struct {
	Params string `json:"params"` // what was asked
	Since  string `json:"since,omitempty"`
	Cursor string `json:"cursor"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
}

func (p *partFile) partPath() string  { return p.path + ".part" }
func (p *partFile) statePath() string { return p.path + ".part.state" }

// openPart begins a file, or goes on with one.
func openPart(path string, resume bool, params url.Values, since string) (*partFile, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("--out %s is no file; without --out an export goes to standard output", path)
	}
	p := &partFile{path: path}
	have, err := p.load()
	switch {
	case err != nil:
		return nil, err
	case have && !resume:
		return nil, fmt.Errorf("%s holds %s entries of an export that was interrupted: go on with --resume, or remove it", p.partPath(), grouped(p.state.Rows))
	case have:
		if since != "" && since == p.state.Since { // it means what it meant then
			params.Set("start_time", p.asked().Get("start_time"))
		}
		if params.Encode() != p.state.Params || since != p.state.Since {
			return nil, fmt.Errorf("%s is of another question: say the query, format, columns and times that it was begun with, or remove it", p.partPath())
		}
	default:
		if err := remove(p.statePath()); err != nil { // of a part that is gone: it says nothing of the new one
			return nil, err
		}
		p.state = partState{Params: params.Encode(), Since: since}
	}
	if p.f, err = os.OpenFile(p.partPath(), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := p.cut(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// load reads the state of an export that was interrupted; false where there is none.
func (p *partFile) load() (bool, error) {
	b, err := os.ReadFile(p.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(p.partPath()); errors.Is(err, fs.ErrNotExist) {
		return false, nil // it became whole, or somebody removed it
	}
	if err := json.Unmarshal(b, &p.state); err != nil || p.state.Cursor == "" || p.state.Rows < 1 || p.state.Bytes < 1 {
		return false, fmt.Errorf("%s can't be read: remove it, and %s, to begin again", p.statePath(), p.partPath())
	}
	return true, nil
}

// cut drops what is behind the entries that are known to be whole.
func (p *partFile) cut() error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < p.state.Bytes {
		return fmt.Errorf("%s is shorter than it was: remove it, and the export begins again", p.partPath())
	}
	if err := p.f.Truncate(p.state.Bytes); err != nil {
		return err
	}
	_, err = p.f.Seek(0, io.SeekEnd)
	return err
}

// asked is what the export was begun with.
func (p *partFile) asked() url.Values {
	params, _ := url.ParseQuery(p.state.Params) // compared with what Encode made
	return params
}

// keep says that so much of the file is whole.
func (p *partFile) keep(cursor string, rows, bytes int64) error {
	if err := p.f.Sync(); err != nil {
		return err
	}
	state := p.state
	state.Cursor, state.Rows, state.Bytes = cursor, rows, bytes
	b, err := json.Marshal(state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.statePath()+".new", b, 0o600); err != nil {
		return err
	}
	if err := os.Rename(p.statePath()+".new", p.statePath()); err != nil {
		return err
	}
	p.state = state
	return nil
}

// finish gives the file its name.
func (p *partFile) finish() error {
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := p.f.Close(); err != nil {
		return err
	}
	p.f = nil
	if err := os.Rename(p.partPath(), p.path); err != nil {
		return err
	}
	return remove(p.statePath())
}

// remove is os.Remove of what may not be there.
func remove(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // where nothing can be written, removing nothing would fail
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// close leaves a file that is not whole as it is; one of which nothing is kept goes.
func (p *partFile) close() {
	if p.f == nil {
		return
	}
	_ = p.f.Close() // what is kept was synced
	if p.state.Rows == 0 {
		_ = os.Remove(p.partPath())
	}
}
