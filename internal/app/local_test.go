package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The certificate is for the name that others use, and of an authority that this machine knows nothing of.
func TestTheCommandsOfThisMachineWorkBesideAServerThatSpeaksTLS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"logs.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := up(t, filepath.Join(dir, "data"), "TLS_CERT_FILE="+filepath.Join(dir, "cert"), "TLS_KEY_FILE="+filepath.Join(dir, "key"))
	if _, err := CreateTenant(t.Context(), r.settings, "acme", ""); err != nil {
		t.Error(err)
	}
	if list, err := ListTenants(t.Context(), r.settings); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
