package abuse

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// An ID is the pseudonym of a line: the first 64 bits of a keyed hash of its switch and name. Among a million lines, two have the same ID
// with a probability of 1 in 37 million.
type ID uint64

// String returns 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseID reads an ID as String writes it.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("%w %q: must be 16 hexadecimal digits, as op25b offenders prints them", ErrUnknownID, text)
	}
	return ID(n), nil
}

// keySize is the size of a key in bytes. It is the size of the hash (RFC 2104 section 3).
const keySize = sha256.Size

// A key turns names and addresses into pseudonyms.
type key struct {
	secret  [keySize]byte
	created time.Time
}

func newKey(now time.Time) key {
	k := key{created: now.UTC()}
	_, _ = rand.Read(k.secret[:]) // never fails (crypto/rand)
	return k
}

// hash returns the first 64 bits of HMAC-SHA256 over a kind and the parts, each with its length.
func (k *key) hash(kind string, parts ...[]byte) uint64 {
	h := hmac.New(sha256.New, k.secret[:])
	h.Write([]byte(kind))
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

// line returns the ID of a line.
func (k *key) line(switchName, name string) ID {
	return ID(k.hash("line", []byte(switchName), []byte(name)))
}

// server returns a hash of a server for one line. The hashes of a server for two lines differ, so that lines cannot be compared by their
// servers. The result is never 0.
func (k *key) server(line ID, addr netip.Addr) uint64 {
	b := addr.As16()
	return max(1, k.hash("server", binary.BigEndian.AppendUint64(nil, uint64(line)), b[:]))
}

// fingerprint identifies the key in a snapshot without revealing it.
func (k *key) fingerprint() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, k.hash("key")))
}

// A keyFile is the form of a key in its file.
type keyFile struct {
	Created time.Time `json:"created"`
	Secret  []byte    `json:"secret"`
}

// maxKeyFile is the maximum size of the file of a key. The file has about 100 bytes.
const maxKeyFile = 1 << 10

// errNoKey means that there is no key yet.
var errNoKey = errors.New("there is none")

// readKey reads a key. It returns errNoKey if there is none, and ErrKey if the key must not be used any more: its file is damaged, or other
// users of the host can read it.
func readKey(path string) (key, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key{}, errNoKey
	case err != nil:
		return key{}, fmt.Errorf("%w: %w", ErrKey, err)
	case info.Mode().Perm()&0o077 != 0:
		return key{}, fmt.Errorf("%w: %s has mode %04o: other users may have read it; must be 0600", ErrKey, path, info.Mode().Perm())
	case info.Size() > maxKeyFile:
		return key{}, fmt.Errorf("%w: %s has %d bytes; must be at most %d", ErrKey, path, info.Size(), maxKeyFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	var f keyFile
	if err := json.Unmarshal(b, &f); err != nil || len(f.Secret) != keySize || f.Created.IsZero() {
		return key{}, fmt.Errorf("%w: %s is damaged; must have a time and a secret of %d bytes", ErrKey, path, keySize)
	}
	return key{[keySize]byte(f.Secret), f.Created}, nil
}

// writeKey replaces the file of a key. The previous key is overwritten before its file is removed. On a file system that never overwrites
// in place, an old copy may survive in free blocks.
func writeKey(path string, k key) error {
	b, err := json.Marshal(keyFile{k.created, k.secret[:]})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	overwrite(path)
	if err := replaceFile(path, b); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

// overwrite fills a file with zeros, as far as it can.
func overwrite(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		_, _ = f.WriteAt(make([]byte, min(info.Size(), maxKeyFile)), 0)
		_ = f.Sync()
	}
}

// replaceFile writes a file that only its owner can read. After a crash, the file has the old content or the new one.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
