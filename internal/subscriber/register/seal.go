package register

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"op25b/internal/readfile"
	"op25b/internal/subscriber"
)

// A Key encrypts the sessions in the store. All controllers that share a store must have the same key.
type Key [32]byte

// Sizes of a key's file in bytes.
const (
	minKeyFile = 32
	maxKeyFile = 4096
)

// newKey returns a random key.
func newKey() (k Key) {
	_, _ = rand.Read(k[:]) // never fails (crypto/rand)
	return k
}

// OpenKey returns the key that a file contains. If the file does not exist and create is set, OpenKey creates it with a random key. The key is
// the SHA-256 of the content, so the file may have any form. OpenKey returns ErrKey if the file cannot be used.
func OpenKey(path string, create bool) (Key, error) {
	b, err := readfile.Bounded(path, maxKeyFile)
	if create && errors.Is(err, fs.ErrNotExist) {
		k := newKey()
		if err := os.WriteFile(path, k[:], 0o600); err != nil {
			return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
		}
		return sha256.Sum256(k[:]), nil
	}
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if len(b) < minKeyFile || len(b) > maxKeyFile {
		return Key{}, fmt.Errorf("%w: %s has %d bytes; must have %d to %d random bytes, as head -c 32 /dev/urandom makes them", ErrKey, path, len(b), minKeyFile, maxKeyFile)
	}
	return sha256.Sum256(b), nil
}

// A sealed is the stored form of a subscriber.Record. The store keeps old versions of its records for minutes, and its files do so for longer.
// Without the key, they tell no address.
type sealed struct {
	// Box is a nonce followed by the record's JSON, encrypted with AES-256-GCM (NIST SP 800-38D). The line's name is authenticated with it.
	Box []byte `json:"box"`
}

// A sealer converts records to their stored form and back.
type sealer struct{ gcm cipher.AEAD }

func newSealer(k Key) (sealer, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return sealer{}, err
	}
	gcm, err := cipher.NewGCM(block)
	return sealer{gcm}, err
}

func (s sealer) seal(line string, r subscriber.Record) (sealed, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return sealed{}, err
	}
	nonce := make([]byte, s.gcm.NonceSize(), s.gcm.NonceSize()+len(text)+s.gcm.Overhead())
	_, _ = rand.Read(nonce)
	return sealed{s.gcm.Seal(nonce, nonce, text, []byte(line))}, nil
}

// open returns the record of a line. It returns an error if the record was sealed with another key or for another line.
func (s sealer) open(line string, b sealed) (r subscriber.Record, err error) {
	n := s.gcm.NonceSize()
	if len(b.Box) < n {
		return r, errors.New("the sealed session is too short")
	}
	text, err := s.gcm.Open(nil, b.Box[:n], b.Box[n:], []byte(line))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(text, &r)
}
