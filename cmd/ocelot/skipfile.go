package main

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// skipFile takes the lines that were refused, as they were sent.
type skipFile struct {
	note func(string)

	mu   sync.Mutex
	file *os.File
	told int
}

// newSkipFile makes the file empty; it must not be one of the inputs.
func newSkipFile(path string, inputs []string, note func(string)) (*skipFile, error) {
	if have, err := os.Stat(path); err == nil {
		for _, input := range inputs {
			if in, err := os.Stat(input); err == nil && os.SameFile(have, in) {
				return nil, fmt.Errorf("--skip-bad %s is one of the files to send: name another one", path)
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--skip-bad: %w", err)
	}
	return &skipFile{note: note, file: f}, nil
}

func (s *skipFile) write(file string, line int, text []byte, why string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.Write(append(bytes.TrimRight(text, "\r\n"), '\n')); err != nil {
		return fmt.Errorf("--skip-bad: %w", err)
	}
	switch s.told++; {
	case s.told <= maxListed:
		s.note(fmt.Sprintf("%s:%d: %s", file, line, why))
	case s.told == maxListed+1:
		s.note("more lines are refused: they are in " + s.file.Name())
	}
	return nil
}

func (s *skipFile) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}
