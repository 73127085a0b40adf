package openid

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"op25b/internal/auth"
)

const (
	// Lasts is the time in which a person must sign in at the provider.
	Lasts = 10 * time.Minute
	// maxSealed is the limit on a sealed sign-in, in bytes. Browsers limit a cookie with its name and attributes to 4 kB.
	maxSealed = 3500
)

// A pending is a sign-in that has begun. The browser keeps it in sealed form, so that strangers cannot fill this process with sign-ins.
type pending struct {
	State    string // binds the answer to this browser (RFC 6749 section 10.12)
	Nonce    string // binds the ID token to this sign-in (OpenID Connect Core section 3.1.2.1)
	Verifier string // binds the code to this sign-in (RFC 7636)
	Redirect string
	Provider []byte // the hash of auth.OIDC.Provider
	Next     string
	Begun    time.Time
}

// A sealer seals sign-ins with a key that only this process has.
type sealer struct{ aead cipher.AEAD }

func newSealer() sealer {
	key := make([]byte, 32)
	rand.Read(key) // rand.Read never returns an error
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length of the key is valid
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block size is valid
	}
	return sealer{aead}
}

// seal returns a sign-in in sealed form. If it is too large with the path to return to, the first page takes the place of the path.
func (s sealer) seal(p pending) (string, error) {
	for {
		text, err := json.Marshal(p)
		if err != nil {
			return "", err
		}
		sealed := base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, nil))
		switch {
		case len(sealed) <= maxSealed:
			return sealed, nil
		case p.Next == "/":
			return "", fmt.Errorf("%w: the address of the page has %d bytes", ErrStart, len(p.Redirect))
		}
		p.Next = "/"
	}
}

func hashOf(o *auth.OIDC) []byte {
	sum := sha256.Sum256([]byte(o.Provider()))
	return sum[:]
}

// open returns a sealed sign-in. It returns ErrStart if the sign-in was not sealed by this process, or is too old.
func (s sealer) open(sealed string, now time.Time) (p pending, err error) {
	if sealed == "" || len(sealed) > maxSealed {
		return p, fmt.Errorf("%w: the browser sent no sign-in that it began", ErrStart)
	}
	data, err := base64.RawURLEncoding.DecodeString(sealed)
	if err == nil {
		data, err = s.aead.Open(nil, nil, data, nil)
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return p, fmt.Errorf("%w: the sign-in was begun at another controller, or before this controller was started", ErrStart)
	}
	if age := now.Sub(p.Begun); age < 0 || age > Lasts {
		return p, fmt.Errorf("%w: it was begun %v ago, and the limit is %v", ErrStart, age.Round(time.Second), Lasts)
	}
	return p, nil
}
