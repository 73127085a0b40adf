package ledger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"

	"op25b/internal/subscriber/register"
)

// errSealed is returned for an address that was sealed with another key, or under another name.
var errSealed = errors.New("the address cannot be decrypted")

// sealedMark begins the name of a record of an address. No name of a line begins with it.
const sealedMark = "@"

// A sealer gives addresses a name in the store, and encrypts them. etcd keeps old versions of records for minutes, and its files do so for longer
// (I8). Without the key, they tell no address.
type sealer struct {
	names []byte
	gcm   cipher.AEAD
}

// newSealer derives the keys of a sealer from the key that encrypts sessions (RFC 5869).
func newSealer(k register.Key) *sealer {
	key := func(info string) []byte {
		derived, _ := hkdf.Key(sha256.New, k[:], nil, info, sha256.Size) // fails only for keys of more than 8 KiB
		return derived
	}
	block, _ := aes.NewCipher(key("op25b lease: addresses")) // fails only for other lengths of the key
	gcm, _ := cipher.NewGCM(block)                           // fails only for other sizes of the block
	return &sealer{key("op25b lease: names of addresses"), gcm}
}

// name returns the name of the record of an address. It is the same for all controllers with the same key.
func (s *sealer) name(a netip.Addr) string {
	mac := hmac.New(sha256.New, s.names)
	_, _ = mac.Write(a.AsSlice()) // never fails (package hash)
	return sealedMark + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// seal encrypts an address: a nonce followed by AES-256-GCM (NIST SP 800-38D). The name of the record is authenticated with it.
func (s *sealer) seal(name string, a netip.Addr) []byte {
	nonce := make([]byte, s.gcm.NonceSize(), s.gcm.NonceSize()+16+s.gcm.Overhead())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return s.gcm.Seal(nonce, nonce, a.AsSlice(), []byte(name))
}

// open decrypts the address of a record. It returns errSealed if the address was sealed with another key or for another record. A nil sealer opens
// nothing.
func (s *sealer) open(name string, box []byte) (netip.Addr, error) {
	if s == nil || len(box) < s.gcm.NonceSize() {
		return netip.Addr{}, errSealed
	}
	text, err := s.gcm.Open(nil, box[:s.gcm.NonceSize()], box[s.gcm.NonceSize():], []byte(name))
	if err != nil {
		return netip.Addr{}, errSealed
	}
	a, ok := netip.AddrFromSlice(text)
	if !ok {
		return netip.Addr{}, errSealed
	}
	return a, nil
}
