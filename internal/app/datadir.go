package app

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"golang.org/x/sys/unix"
)

// The files of a data directory.
const (
	queueFile   = "queue.db"
	storeFile   = "store.db"
	searchFile  = "search.db"
	secretFile  = "secret"  // the JWT secret, made at the first start, 0600
	addressFile = "address" // the API's URL while a process owns the directory
	lockFile    = "lock"
)

// dataDir is a data directory that this process owns until release.
type dataDir struct {
	path string
	lock *os.File
}

// errOwned means that another process owns the data directory.
var errOwned = errors.New("owned by another process")

// ownDataDir makes the directory where there is none and takes its lock. SQLite would let two processes
// in; ids and the order of commits would survive it, the one writer per file would not.
func ownDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		_ = f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return nil, fmt.Errorf("the data directory %s is in use by process %s; stop it, or set DATA_DIR to another directory: %w",
			path, strings.TrimSpace(string(holder)), errOwned)
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("write %s: %w", f.Name(), err)
		}
	}
	return &dataDir{path: path, lock: f}, nil
}

// file is the path of one of the directory's files.
func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// release removes the address and gives the directory back.
func (d *dataDir) release() error {
	_ = os.Remove(d.file(addressFile))
	return d.lock.Close()
}

// announce writes where the API listens, for the commands of the same machine.
func (d *dataDir) announce(url string) error {
	return writeWhole(d.file(addressFile), url+"\n")
}

// secret is the directory's own JWT secret, made when there is none.
func (d *dataDir) secret() (auth.Secret, error) {
	s, err := readSecret(d.path)
	if !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	value := make([]byte, 48)
	_, _ = rand.Read(value) // never fails
	text := base64.RawURLEncoding.EncodeToString(value)
	if err := writeWhole(d.file(secretFile), text+"\n"); err != nil {
		return auth.Secret{}, fmt.Errorf("data directory: %w", err)
	}
	return auth.NewSecret(text), nil
}

func readSecret(dir string) (auth.Secret, error) {
	b, err := os.ReadFile(filepath.Join(dir, secretFile))
	if err != nil {
		return auth.Secret{}, err
	}
	text := strings.TrimSpace(string(b))
	if len(text) < 32 {
		return auth.Secret{}, fault.New(fault.Invalid, "secret_weak", fmt.Sprintf("%s is shorter than 32 bytes; put a longer secret there, or remove it for a new one", filepath.Join(dir, secretFile)))
	}
	return auth.NewSecret(text), nil
}

// writeWhole writes a private file so that a reader sees all of it or none.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
