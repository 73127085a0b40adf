package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// archiveKind identifies the format of an archive. An archive consists of a header on one line of JSON, followed by one line for each
// record, in order.

const archiveKind = "op25b audit archive 1"

// maxArchiveLine is the maximum length of a line in bytes. JSON may need six bytes for one byte of a record's text.
const maxArchiveLine = 1 << 20

// ErrArchive means that a file is not a complete archive of audit records.
var ErrArchive = errors.New("not a usable audit archive")

// An ArchiveInfo describes the records in an archive.
type ArchiveInfo struct {
	Kind  string `json:"kind"`
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Prev  string `json:"prev"` // hash of the record that precedes the first record; empty if the first record has the number 1

	Hash string `json:"-"` // hash of the last record
	Sum  string `json:"-"` // SHA-256 of the file, in hexadecimal
}

// An ArchiveWriter writes an archive. Its method Add returns a *BreakError for a record that does not follow the previous record.
type ArchiveWriter struct {
	w    io.Writer
	info ArchiveInfo
	last Head
}

// NewArchiveWriter writes the header of an archive that will contain the records after the head behind, up to number last.
func NewArchiveWriter(w io.Writer, behind Head, last uint64) (*ArchiveWriter, error) {
	a := &ArchiveWriter{w: w, info: ArchiveInfo{Kind: archiveKind, First: behind.Seq + 1, Last: last, Prev: behind.Hash}, last: behind}
	if last <= behind.Seq {
		return nil, fmt.Errorf("%w: records %d to %d: there are none", ErrInvalid, behind.Seq+1, last)
	}
	return a, a.line(a.info)
}

// Add writes the next record.
func (a *ArchiveWriter) Add(r AuditRecord) error {
	if err := r.after(a.last); err != nil {
		return err
	}
	a.last = Head{Seq: r.Seq, Hash: r.Hash}
	return a.line(r)
}

func (a *ArchiveWriter) line(v any) error {
	text, err := encode(v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	_, err = io.WriteString(a.w, text+"\n")
	return err
}

// after returns a *BreakError unless the record matches its own hash and follows the record last.
func (r *AuditRecord) after(last Head) error {
	want := last.Seq + 1
	broken := func(format string, args ...any) error {
		return &BreakError{Seq: want, What: fmt.Sprintf(format, args...)}
	}
	switch sum := r.sum(); {
	case sum != r.Hash:
		return broken("changed: its hash is %.12s..., and what it holds hashes to %.12s...", r.Hash, sum)
	case r.Seq != want:
		return broken("in its place is record %d", r.Seq)
	case r.Prev != last.Hash:
		return broken("does not follow record %d: it names %.12s..., and that has %.12s...: one of them was replaced", last.Seq, r.Prev, last.Hash)
	}
	return nil
}

// ReadArchive reads an archive and verifies its chain. It calls each, which may be nil, for every record. It returns ErrArchive if the
// file is not a complete archive, and a *BreakError if the chain is broken. Errors of file and each are returned as they are.
func ReadArchive(file io.Reader, each func(AuditRecord) error) (ArchiveInfo, error) {
	sum := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(file, sum))
	lines.Buffer(nil, maxArchiveLine)
	var info ArchiveInfo
	unusable := func(format string, args ...any) (ArchiveInfo, error) {
		return info, fmt.Errorf("%w: %s", ErrArchive, fmt.Sprintf(format, args...))
	}
	if !lines.Scan() {
		return unusable("it is empty, or its first line is longer than %d bytes", maxArchiveLine)
	}
	if err := strictly(lines.Bytes(), &info); err != nil || info.Kind != archiveKind || info.First == 0 || info.Last < info.First {
		return unusable("its first line is %.80q: want the header of %q", lines.Bytes(), archiveKind)
	}
	last := Head{Seq: info.First - 1, Hash: info.Prev}
	for lines.Scan() {
		var r AuditRecord
		if err := strictly(lines.Bytes(), &r); err != nil {
			return info, &BreakError{Seq: last.Seq + 1, What: fmt.Sprintf("changed: it cannot be read: %v", err)}
		}
		if err := r.after(last); err != nil {
			return info, err
		}
		last = Head{Seq: r.Seq, Hash: r.Hash}
		if last.Seq > info.Last {
			return unusable("it goes on behind record %d, and its header does not", info.Last)
		}
		if each != nil {
			if err := each(r); err != nil {
				return info, err
			}
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return unusable("the line behind record %d is longer than %d bytes", last.Seq, maxArchiveLine)
	case err != nil:
		return info, err
	case last.Seq != info.Last:
		return unusable("it was cut off: it ends at record %d of %d", last.Seq, info.Last)
	}
	info.Hash, info.Sum = last.Hash, hex.EncodeToString(sum.Sum(nil))
	return info, nil
}

// strictly decodes one JSON value and refuses unknown fields.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is data after it")
	}
	return nil
}
