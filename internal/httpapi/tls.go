package httpapi

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// certLook is how often the files of a certificate are looked at, by whoever connects.
const certLook = time.Second

// Certificate is a key pair in two PEM files. It is read again when they change; while they hold nothing that fits
// together, the pair that did goes on.
type Certificate struct {
	certFile, keyFile string
	now               atomic.Pointer[pair]
	mu                sync.Mutex // held while looking at the files
	looked            time.Time
	refused           string // what was refused last, so that it is said once
}

// pair is a certificate and the bytes that it was made of.
type pair struct {
	cert      tls.Certificate
	certPEM   string
	keyDigest [sha256.Size]byte
}

// LoadCertificate reads the files once, and refuses what can't be read or does not fit together.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile}
	p, err := c.read(nil)
	if err != nil {
		return nil, err
	}
	c.now.Store(p)
	c.looked = time.Now()
	return c, nil
}

// read makes a pair of the files, or returns old where they are what it was made of.
func (c *Certificate) read(old *pair) (*pair, error) {
	certPEM, err := os.ReadFile(c.certFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate can't be read: %w", err)
	}
	keyPEM, err := os.ReadFile(c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("the key can't be read: %w", err)
	}
	if old != nil && old.certPEM == string(certPEM) && old.keyDigest == sha256.Sum256(keyPEM) {
		return old, nil
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and its key in PEM: %w", c.certFile, c.keyFile, err)
	}
	return &pair{cert, string(certPEM), sha256.Sum256(keyPEM)}, nil
}

// current is the pair to serve with. At most once in certLook somebody looks whether the files have changed; nobody
// waits for that.
func (c *Certificate) current(log *zap.Logger) *tls.Certificate {
	if c.mu.TryLock() {
		if time.Since(c.looked) >= certLook {
			c.look(log)
		}
		c.mu.Unlock()
	}
	return &c.now.Load().cert
}

func (c *Certificate) look(log *zap.Logger) {
	c.looked = time.Now()
	old := c.now.Load()
	p, err := c.read(old)
	switch {
	case err != nil:
		if err.Error() != c.refused {
			log.Warn("the new TLS certificate is refused; the old one goes on", zap.Error(err))
		}
		c.refused = err.Error()
		return
	case p != old:
		c.now.Store(p)
		log.Info("TLS certificate read again", zap.Time("valid_until", p.cert.Leaf.NotAfter))
	}
	c.refused = ""
}

// config is for a listener; TLS 1.2 is the oldest that browsers and clients of today still need.
func (c *Certificate) config(log *zap.Logger) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.current(log), nil
	}}
}

var errOneTLSFile = errors.New("a certificate and its key belong together: set both or none")

// CertificateOf is the certificate of two settings; nil where neither is set.
func CertificateOf(certFile, keyFile string) (*Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "" || keyFile == "":
		return nil, errOneTLSFile
	}
	return LoadCertificate(certFile, keyFile)
}
