package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// A backup file consists of one line of text, a sequence of frames, and the SHA-256 of all preceding bytes. A frame consists of its kind,
// the lengths of its key and its value as 32-bit numbers, the key, and the value. The first frame is the header, the last frame marks the
// end, and each frame between them contains one key.
const (
	backupMagic = "op25b store backup 1\n"

	frameHeader = 'H'
	frameKey    = 'K'
	frameEnd    = 'E'

	// maxBackupKey and maxBackupValue limit the key and the value of a frame. They suffice because etcd accepts no request of more than 1.5
	// MiB.
	maxBackupKey   = 4 << 10
	maxBackupValue = 3 << 19
)

// ErrBackup means that a file is not a complete backup.
var ErrBackup = errors.New("not a usable backup")

// A BackupInfo describes a backup.
type BackupInfo struct {
	// Made is the time at which the backup began. Store is the identity of the store.
	Made  time.Time `json:"made"`
	Store string    `json:"store"`
	// Revision is the newest revision of the intent. Audit is the head of the audit chain.
	Revision uint64 `json:"revision"`
	Audit    Head   `json:"audit"`
	// Keys is the number of keys in the backup. Bytes is the total size of the keys and their values.
	Keys  int   `json:"keys,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
}

// A backupWriter writes a backup.
type backupWriter struct {
	out *bufio.Writer
	sum hash.Hash
	w   io.Writer // writes to the file and updates the hash
	n   BackupInfo
}

func newBackupWriter(w io.Writer, info BackupInfo) (*backupWriter, error) {
	b := &backupWriter{out: bufio.NewWriterSize(w, 256<<10), sum: sha256.New()}
	b.w = io.MultiWriter(b.out, b.sum)
	if _, err := io.WriteString(b.w, backupMagic); err != nil {
		return nil, err
	}
	return b, b.note(frameHeader, info)
}

// note writes a frame whose value is v as JSON.
func (b *backupWriter) note(kind byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.frame(kind, "", text)
}

func (b *backupWriter) frame(kind byte, key string, value []byte) error {
	if len(key) > maxBackupKey || len(value) > maxBackupValue {
		return fmt.Errorf("%w: key %.80q of %d bytes with a value of %d", ErrInvalid, key, len(key), len(value))
	}
	var head [9]byte
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(key)))
	binary.BigEndian.PutUint32(head[5:], uint32(len(value)))
	for _, part := range [][]byte{head[:], []byte(key), value} {
		if _, err := b.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (b *backupWriter) key(key string, value []byte) error {
	b.n.Keys++
	b.n.Bytes += int64(len(key) + len(value))
	return b.frame(frameKey, key, value)
}

// close writes the last frame and the hash.
func (b *backupWriter) close() error {
	if err := b.note(frameEnd, BackupInfo{Keys: b.n.Keys, Bytes: b.n.Bytes}); err != nil {
		return err
	}
	if _, err := b.out.Write(b.sum.Sum(nil)); err != nil {
		return err
	}
	return b.out.Flush()
}

// A backupReader reads a backup. The caller knows that the backup is complete only after next has returned io.EOF.
type backupReader struct {
	in   *bufio.Reader
	sum  hash.Hash
	r    io.Reader // reads from in and adds the bytes to sum
	info BackupInfo
	n    BackupInfo
}

func newBackupReader(r io.Reader) (*backupReader, error) {
	b := &backupReader{in: bufio.NewReaderSize(r, 256<<10), sum: sha256.New()}
	b.r = io.TeeReader(b.in, b.sum)
	magic := make([]byte, len(backupMagic))
	n, err := io.ReadFull(b.r, magic)
	switch known := bytes.HasPrefix(magic, []byte(backupMagic[:len(backupMagic)-2])); {
	case n > 0 && string(magic[:n]) == backupMagic[:n] && err != nil:
		return nil, cutOff(err)
	case err == nil && known && string(magic) != backupMagic:
		return nil, fmt.Errorf("%w: unsupported version %.40q: this op25b reads %q", ErrBackup, magic, backupMagic)
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case string(magic) != backupMagic:
		return nil, fmt.Errorf("%w: it does not begin with %q: use a file from op25b store backup", ErrBackup, backupMagic)
	}
	kind, _, value, err := b.frame()
	switch {
	case err != nil:
		return nil, err
	case kind != frameHeader:
		return nil, fmt.Errorf("%w: damaged: it has no header", ErrBackup)
	}
	if err := json.Unmarshal(value, &b.info); err != nil {
		return nil, fmt.Errorf("%w: damaged: header: %w", ErrBackup, err)
	}
	return b, nil
}

// next returns the next key and its value. It returns io.EOF after the last key if the backup is complete and undamaged.
func (b *backupReader) next() (string, []byte, error) {
	kind, key, value, err := b.frame()
	switch {
	case err != nil:
		return "", nil, err
	case kind == frameKey:
		b.n.Keys++
		b.n.Bytes += int64(len(key) + len(value))
		return key, value, nil
	case kind != frameEnd:
		return "", nil, fmt.Errorf("%w: damaged: frame of kind %q after %d keys", ErrBackup, kind, b.n.Keys)
	}
	want := b.sum.Sum(nil)
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(b.in, got); err != nil {
		return "", nil, cutOff(err)
	}
	if !bytes.Equal(got, want) {
		return "", nil, fmt.Errorf("%w: damaged: the content hashes to %x, and it says %x", ErrBackup, want, got)
	}
	if _, err := b.in.ReadByte(); !errors.Is(err, io.EOF) {
		return "", nil, fmt.Errorf("%w: damaged: there is data after its end", ErrBackup)
	}
	var end BackupInfo
	if err := json.Unmarshal(value, &end); err != nil || end.Keys != b.n.Keys || end.Bytes != b.n.Bytes {
		return "", nil, fmt.Errorf("%w: damaged: %d keys with %d bytes, and its end says %d with %d", ErrBackup, b.n.Keys, b.n.Bytes, end.Keys, end.Bytes)
	}
	b.info.Keys, b.info.Bytes = b.n.Keys, b.n.Bytes
	return "", nil, io.EOF
}

func (b *backupReader) frame() (kind byte, key string, value []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(b.r, head[:]); err != nil {
		return 0, "", nil, cutOff(err)
	}
	keyLen, valueLen := binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
	if keyLen > maxBackupKey || valueLen > maxBackupValue {
		return 0, "", nil, fmt.Errorf("%w: damaged: a key of %d bytes with a value of %d after %d keys", ErrBackup, keyLen, valueLen, b.n.Keys)
	}
	both := make([]byte, keyLen+valueLen)
	if _, err := io.ReadFull(b.r, both); err != nil {
		return 0, "", nil, cutOff(err)
	}
	return head[0], string(both[:keyLen]), both[keyLen:], nil
}

// cutOff turns an unexpected end of the file into ErrBackup.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off", ErrBackup)
	}
	return err
}
