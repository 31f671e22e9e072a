package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"

	"github.com/go-json-experiment/json"
)

// sealed is an attempt as the browser keeps it: nobody but us can read or make one.
type sealed struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Until    int64  `json:"u"` // seconds since 1970
}

type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) (*sealer, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &sealer{aead}, err
}

func (s *sealer) close(a sealed) string {
	text, _ := json.Marshal(a) // strings and a number
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, nil))
}

func (s *sealer) open(text string) (a sealed, ok bool) {
	if len(text) > maxParameter {
		return sealed{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return sealed{}, false
	}
	if b, err = s.aead.Open(nil, nil, b, nil); err != nil {
		return sealed{}, false
	}
	return a, json.Unmarshal(b, &a) == nil
}
