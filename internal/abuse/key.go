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
	"strconv"
	"time"

	"op25b/internal/writefile"
)

// An ID is the pseudonym of a line, which is the first 64 bits of a keyed hash of the line's switch and name. The probability that two of a
// million lines have the same ID is 1 in 37 million.
type ID uint64

// String returns 16 hexadecimal digits.
func (id ID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseID parses an ID in the form that String returns.
func ParseID(text string) (ID, error) {
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		return 0, fmt.Errorf("%w %q: must be 16 hexadecimal digits, as op25b offenders prints them", ErrUnknownID, text)
	}
	return ID(n), nil
}

// keySize is the size of a key in bytes, which equals the size of the hash (RFC 2104 section 3).
const keySize = sha256.Size

// A key converts names and addresses to pseudonyms.
type key struct {
	secret  [keySize]byte
	created time.Time
}

func newKey(now time.Time) key {
	k := key{created: now.UTC()}
	_, _ = rand.Read(k.secret[:]) // never fails (crypto/rand)
	return k
}

// hash returns the first 64 bits of HMAC-SHA256 over a kind and the parts. Each is preceded by its length.
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

// server returns the hash of a server for one line. The same server has different hashes for different lines, so that lines cannot be
// compared by their servers. The result is never 0.
func (k *key) server(line ID, addr netip.Addr) uint64 {
	b := addr.As16()
	return max(1, k.hash("server", binary.BigEndian.AppendUint64(nil, uint64(line)), b[:]))
}

// fingerprint identifies the key in a snapshot without revealing it.
func (k *key) fingerprint() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, k.hash("key")))
}

// A keyFile is the content of a key's file.
type keyFile struct {
	Created time.Time `json:"created"`
	Secret  []byte    `json:"secret"`
}

// maxKeyFile is the largest size of a key's file. The file has about 100 bytes.
const maxKeyFile = 1 << 10

// errNoKey means that no key exists yet.
var errNoKey = errors.New("there is none")

// readKey reads a key. It returns errNoKey if the file does not exist. It returns ErrKey if the key must not be used any more, because the
// file is damaged or other users of the host can read it.
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

// writeKey replaces a key's file. It overwrites the previous key before it removes the file. On a file system that never overwrites in
// place, an old copy may survive in free blocks.
func writeKey(path string, k key) error {
	b, err := json.Marshal(keyFile{k.created, k.secret[:]})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	overwrite(path)
	if err := writefile.Replace(path, 0o600, b); err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	return nil
}

// overwrite fills a file with zeros, on a best-effort basis.
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
