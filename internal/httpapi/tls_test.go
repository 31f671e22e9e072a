package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// certFiles are a certificate for 127.0.0.1 and its key, made anew by each call of write.
type certFiles struct{ cert, key string }

func newCertFiles(t *testing.T) certFiles {
	dir := t.TempDir()
	return certFiles{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
}

func (f certFiles) write(t *testing.T, serial int64) {
	t.Helper()
	cert, key := newPair(t, serial)
	must(t, os.WriteFile(f.cert, cert, 0o600))
	must(t, os.WriteFile(f.key, key, 0o600))
}

func newPair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "ocelot test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// serial is the serial number of the certificate that a new connection is shown.
func serial(t *testing.T, address string) int64 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is only looked at
	must(t, err)
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestTLSIsReadAgainWhenTheFilesChangeAndABadPairIsNot(t *testing.T) {
	files := newCertFiles(t)
	files.write(t, 1)
	c, err := CertificateOf(files.cert, files.key)
	must(t, err)
	core, logs := observer.New(zap.InfoLevel)
	w := newWorld(t, func(p *parts) { p.cfg.Certificate = c })
	w.Server.tel.Log = zap.New(core)
	address := listen(t, w)

	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true} //nolint:gosec // a certificate of the test
	res, err := (&http.Client{Transport: transport}).Get("https://" + address + "/health/live")
	must(t, err)
	_ = res.Body.Close()
	transport.CloseIdleConnections()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" || serial(t, address) != 1 {
		t.Fatalf("%s %d %v", res.Proto, res.StatusCode, res.Header)
	}
	becomes := func(want int64) {
		t.Helper()
		for until := time.Now().Add(30 * time.Second); serial(t, address) != want; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%d is not shown", want)
			}
		}
	}
	said := func(text string) {
		t.Helper()
		for until := time.Now().Add(30 * time.Second); logs.FilterMessageSnippet(text).Len() == 0; time.Sleep(50 * time.Millisecond) {
			if got := serial(t, address); got != 2 || time.Now().After(until) {
				t.Fatalf("%d is shown; nobody says %q", got, text)
			}
		}
	}
	files.write(t, 2)
	becomes(2)
	other, _ := newPair(t, 3)
	must(t, os.WriteFile(files.cert, other, 0o600)) // its key has not come yet
	said("the old one goes on")
	if serial(t, address) != 2 {
		t.Error("a pair that does not fit is shown")
	}
	files.write(t, 4)
	becomes(4)
	for _, e := range logs.All() {
		if strings.Contains(e.Message, "PRIVATE KEY") {
			t.Error("a key is logged")
		}
	}
}

func TestABadCertificateIsRefusedAtTheStart(t *testing.T) {
	files := newCertFiles(t)
	if _, err := CertificateOf(files.cert, files.key); err == nil || !strings.Contains(err.Error(), files.cert) {
		t.Errorf("files that are absent: %v", err)
	}
	files.write(t, 1)
	if _, err := CertificateOf(files.cert, ""); err == nil {
		t.Error("a certificate without its key is taken")
	}
	if _, err := CertificateOf("", files.key); err == nil {
		t.Error("a key without its certificate is taken")
	}
	other, _ := newPair(t, 2)
	must(t, os.WriteFile(files.cert, other, 0o600))
	if _, err := CertificateOf(files.cert, files.key); err == nil {
		t.Error("a key of another certificate is taken")
	}
	must(t, os.WriteFile(files.cert, []byte("no PEM"), 0o600))
	if _, err := CertificateOf(files.cert, files.key); err == nil || strings.Contains(err.Error(), "no PEM") {
		t.Errorf("no PEM: %v", err)
	}
	if c, err := CertificateOf("", ""); c != nil || err != nil {
		t.Errorf("neither is set: %v, %v", c, err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	files := newCertFiles(t)
	files.write(t, 1)
	c, err := CertificateOf(files.cert, files.key)
	must(t, err)
	w := newWorld(t, func(p *parts) { p.cfg.Certificate = c })
	address := listen(t, w)
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}} //nolint:gosec // that is the question
	if conn, err := dialer.DialContext(context.Background(), "tcp", address); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
