package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Limits of a change of intent. The total size of the documents is limited only by the quota.
const (
	// MaxPath is the maximum size of a document's path in bytes.
	MaxPath = 1024
	// MaxReason is the maximum size of an author or a reason in bytes.
	MaxReason = 4096
)

// Revisions gives access to the documents of policy and inventory and their history. Numbers count from 1; revision 0 has no documents.
type Revisions struct{ s *Store }

// Revisions returns the revisions of the store.
func (s *Store) Revisions() *Revisions { return &Revisions{s} }

// A Revision is one stored change of the intent.
type Revision struct {
	Number    uint64    `json:"number"`
	Author    string    `json:"author"`
	Reason    string    `json:"reason"`
	Time      time.Time `json:"time"`
	Restores  uint64    `json:"restores,omitempty"` // number of the revision whose documents were restored, or 0
	Documents int       `json:"documents"`
	Bytes     int64     `json:"bytes"` // total size of the documents in bytes
	ID        string    `json:"id"`    // id that is unique among all revisions of all stores
	// Request is the random id that the caller chose for the request that created the revision. It may be empty.
	Request string `json:"request,omitempty"`
	// Unproved is the reason why the change, or an earlier one that the documents still contain, was not proved; empty if all was proved.
	Unproved string `json:"unproved,omitempty"`
}

// A Change is a change of the intent that the caller requests. Documents, indexed by path, replace the documents of revision Base. A path
// must satisfy io/fs.ValidPath: it is relative, uses slashes and has no element "." or "..".
type Change struct {
	Base           uint64
	Author, Reason string
	Request        string    // request id that the caller chooses, or empty: see Made and Settle
	Time           time.Time // time of the revision; zero means the store's clock; a revision is never earlier than the previous one
	Documents      map[string][]byte
	KeepOthers     bool     // whether the documents of Base that Documents does not name are kept instead of removed
	Remove         []string // the paths of documents of Base that are not kept nevertheless
	Reserved       bool     // whether the change may use the room that is reserved for changes of phase, rollbacks and restores
	Restores       uint64   // number of the revision whose documents the change restores, or 0: see Revision
	// Unproved is the reason why the change is not proved, or empty. With KeepOthers, a change of an unproved revision is unproved for the same reason.
	Unproved string
}

// A revisionRecord is the stored form of a revision. It is stored under its number, and the newest one also under the head key.
type revisionRecord struct {
	Revision
	Manifest []piece `json:"manifest"` // pieces of the manifest, which is encoded as JSON
}

// A manifest lists the documents of a revision, ordered by path.
type manifest []document

type document struct {
	Path   string  `json:"path"`
	Pieces []piece `json:"pieces,omitempty"`
}

// Keys of the intent. Every sweep that deletes pieces also writes the sweep key. A change whose pieces a sweep may have deleted is
// therefore refused.
func (rs *Revisions) headKey() string  { return rs.s.key("intent/head") }
func (rs *Revisions) sweepKey() string { return rs.s.key("intent/sweep") }
func (rs *Revisions) revisionKey(n uint64) string {
	return rs.s.key(fmt.Sprintf("intent/rev/%020d", n))
}

// Put stores a change in one transaction, together with records in the audit chain. It returns ErrInvalid if an argument is invalid, a
// *StaleError if Base is not the current revision, ErrUnchanged if Base has the same documents and is not unproved, ErrAbandoned if Settle has abandoned the
// request, and a *FullError if there is no room.
func (rs *Revisions) Put(ctx context.Context, c Change, records ...AuditRecord) (Revision, error) {
	if err := c.check(); err != nil {
		return Revision{}, err
	}
	return rs.make(ctx, c.Base, c.Reserved, records, func(old manifest) (draft, error) {
		d := draft{
			rec:     revisionRecord{Revision: Revision{Author: c.Author, Reason: c.Reason, Request: c.Request, Time: c.Time, Restores: c.Restores, Unproved: c.Unproved}},
			content: make(map[string][]byte), inherits: c.KeepOthers,
		}
		var m manifest
		if c.KeepOthers {
			m = slices.DeleteFunc(old, func(of document) bool {
				_, replaced := c.Documents[of.Path]
				return replaced || slices.Contains(c.Remove, of.Path)
			})
		}
		for path, text := range c.Documents {
			m = append(m, document{Path: path, Pieces: cut(text, d.content)})
		}
		slices.SortFunc(m, func(x, y document) int { return strings.Compare(x.Path, y.Path) })
		d.rec.Documents, d.rec.Bytes = len(m), m.bytes()
		encoded, err := encode(m)
		if err != nil {
			return d, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		d.rec.Manifest = cut([]byte(encoded), d.content)
		return d, nil
	})
}

// A draft is a revision that has no number yet.
type draft struct {
	rec     revisionRecord
	content map[string][]byte // pieces of the documents and the manifest, indexed by hash
	// inherits is true if the draft contains what makes its base unproved.
	inherits bool
}

// make stores the revision after base. It calls drafted to build the draft from the manifest of base. reserved has the meaning of
// Change.Reserved.
func (rs *Revisions) make(ctx context.Context, base uint64, reserved bool, records []AuditRecord, drafted func(manifest) (draft, error)) (Revision, error) {
	defer rs.s.Precede()()
	records = slices.Clone(records) // copy the records, because commitRecorded modifies them
	for {
		g := rs.s.Generation()
		found, at, err := rs.s.get(ctx, "read intent", rs.headKey(), rs.sweepKey(), rs.abandonedKey())
		if err != nil {
			return Revision{}, err
		}
		headKV, sweepKV, abandonedKV := found[rs.headKey()], found[rs.sweepKey()], found[rs.abandonedKey()]
		head, err := decodeRevision(headKV)
		switch {
		case err != nil:
			return Revision{}, err
		case head.Number != base:
			return Revision{}, &StaleError{Base: base, Current: head.Number}
		}
		old, err := rs.manifest(ctx, at, head)
		switch {
		case compacted(err):
			continue
		case err != nil:
			return Revision{}, err
		}
		kept := slices.Concat(old.pieces(), head.Manifest) // pieces of the current revision, which need not be stored again
		d, err := drafted(old)
		if err != nil {
			return Revision{}, err
		}
		rec := d.rec
		if d.inherits && rec.Unproved == "" {
			rec.Unproved = head.Unproved
		}
		abandoned, err := decodeAbandonment(abandonedKV)
		switch {
		case err != nil:
			return Revision{}, err
		case abandoned.refuses(base, rec.Request):
			return Revision{}, fmt.Errorf("%w: request %s on revision %d: nothing was stored", ErrAbandoned, rec.Request, base)
		}
		nowProved := head.Unproved != "" && rec.Unproved == ""
		if head.Number > 0 && slices.Equal(head.Manifest, rec.Manifest) && !nowProved {
			return Revision{}, fmt.Errorf("%w: revision %d has the same documents", ErrUnchanged, base)
		}
		fresh := maps.Clone(d.content)
		for _, p := range kept {
			delete(fresh, p.Hash)
		}
		if err := rs.s.admit(ctx, "put intent", sizeOf(fresh)+recordsSize(records), reserved); err != nil {
			return Revision{}, err
		}
		with, err := rs.s.putPieces(ctx, fresh)
		if err != nil {
			return Revision{}, err
		}
		rec.Number, rec.ID = base+1, nonce()
		if rec.Time.IsZero() {
			rec.Time = rs.s.cfg.Now()
		}
		if rec.Time = rec.Time.UTC().Round(0); rec.Time.Before(head.Time) {
			rec.Time = head.Time
		}
		value, err := encode(rec)
		if err != nil {
			return Revision{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		c := change{
			op: "put intent", gen: g,
			guards: []clientv3.Cmp{
				unmoved(rs.headKey(), headKV), unmoved(rs.sweepKey(), sweepKV), unmoved(rs.abandonedKey(), abandonedKV),
			},
			then:    append(with, clientv3.OpPut(rs.headKey(), value), clientv3.OpPut(rs.revisionKey(rec.Number), value)),
			witness: rs.revisionKey(rec.Number), value: value,
			read: []string{rs.headKey(), rs.sweepKey(), rs.abandonedKey()},
		}
		if most := uint64(rs.s.cfg.History); rec.Number > most {
			c.then = append(c.then, clientv3.OpDelete(rs.revisionKey(0), clientv3.WithRange(rs.revisionKey(rec.Number-most+1))))
		}
		_, err = rs.s.commitRecorded(ctx, c, records)
		switch {
		case errors.Is(err, errRefused): // another change, a sweep or an abandonment was stored first; the next iteration finds out which
			continue
		case err != nil:
			return Revision{}, err
		}
		rs.s.sighted(g, rec.Revision)
		for hash, content := range d.content {
			rs.s.recent.learn(hash, bytes.Clone(content))
		}
		rs.sweepSometimes(rec.Number)
		return rec.Revision, nil
	}
}

// sizeOf returns the total size of pieces in bytes.
func sizeOf(pieces map[string][]byte) (n int64) {
	for _, content := range pieces {
		n += int64(len(content))
	}
	return n
}

func (m manifest) pieces() []piece {
	var all []piece
	for _, d := range m {
		all = append(all, d.Pieces...)
	}
	return all
}

// bytes returns the total size of all documents.
func (m manifest) bytes() (n int64) {
	for _, p := range m.pieces() {
		n += int64(p.Bytes)
	}
	return n
}

// decodeRevision decodes a revision record. A nil kv means revision 0.
func decodeRevision(kv *mvccpb.KeyValue) (revisionRecord, error) {
	var rec revisionRecord
	if kv == nil {
		return rec, nil
	}
	if err := json.Unmarshal(kv.Value, &rec); err != nil {
		return rec, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
	}
	return rec, nil
}

func (c *Change) check() error {
	if err := checkAuthor(c.Author, c.Reason, c.Request); err != nil {
		return err
	}
	if len(c.Documents)+len(c.Remove) == 0 {
		return fmt.Errorf("%w: a change without documents: give at least one", ErrInvalid)
	}
	for path := range c.Documents {
		if !fs.ValidPath(path) || path == "." || len(path) > MaxPath {
			return fmt.Errorf("%w: document path %.80q: must be relative, with slashes, without . and .., and of 1 to %d bytes", ErrInvalid, path, MaxPath)
		}
	}
	return nil
}

func checkAuthor(author, reason, request string) error {
	if request != "" {
		if err := CheckRequest(request); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, text string }{{"author", author}, {"reason", reason}} {
		if strings.TrimSpace(f.text) == "" || len(f.text) > MaxReason || !utf8.ValidString(f.text) {
			return fmt.Errorf("%w: %s %.40q: must be UTF-8 text of 1 to %d bytes", ErrInvalid, f.name, f.text, MaxReason)
		}
	}
	return nil
}
