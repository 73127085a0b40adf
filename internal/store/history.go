package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// A Snapshot is a revision with its documents, which are indexed by path.
type Snapshot struct {
	Revision
	Documents map[string][]byte
}

// Head returns the current revision. Its Number is 0 before the first change.
func (rs *Revisions) Head(ctx context.Context) (Revision, error) {
	found, _, err := rs.s.get(ctx, "read intent", rs.headKey())
	if err != nil {
		return Revision{}, err
	}
	rec, err := decodeRevision(found[rs.headKey()])
	return rec.Revision, err
}

// At returns a revision with its documents, or ErrNotFound if the revision does not exist or is no longer kept.
func (rs *Revisions) At(ctx context.Context, revision uint64) (Snapshot, error) {
	for {
		rec, _, at, err := rs.revision(ctx, revision)
		if err != nil {
			return Snapshot{}, err
		}
		m, err := rs.manifest(ctx, at, rec)
		var documents map[string][]byte
		if err == nil {
			documents, err = rs.s.getPieces(ctx, at, m.contents())
		}
		switch {
		case compacted(err):
			continue
		case err != nil:
			return Snapshot{}, fmt.Errorf("intent at revision %d: %w", revision, err)
		}
		return Snapshot{Revision: rec.Revision, Documents: documents}, nil
	}
}

// Revision returns a revision without its documents. Like At, it returns ErrNotFound if the revision does not exist or is no longer kept.
func (rs *Revisions) Revision(ctx context.Context, revision uint64) (Revision, error) {
	rec, _, _, err := rs.revision(ctx, revision)
	return rec.Revision, err
}

// History returns up to limit revisions whose number is less than before, newest first. If before is 0, History starts at the current
// revision.
func (rs *Revisions) History(ctx context.Context, before uint64, limit int) ([]Revision, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("%w: history of %d revisions: must be > 0", ErrInvalid, limit)
	}
	if before == 0 {
		before = 1 << 63
	}
	resp, err := ask(ctx, rs.s, "read history", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return rs.s.client.Get(ctx, rs.revisionKey(0), clientv3.WithRange(rs.revisionKey(before)),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(int64(limit)))
	})
	if err != nil {
		return nil, err
	}
	revisions := make([]Revision, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		rec, err := decodeRevision(kv)
		if err != nil {
			return nil, err
		}
		revisions[i] = rec.Revision
	}
	return revisions, nil
}

// A DocumentDiff is the difference between two revisions of a document.
type DocumentDiff struct {
	Path    string
	Added   bool   // the document exists only in the second revision
	Removed bool   // the document exists only in the first revision
	Unified string // difference in the unified format
}

// Diff returns the documents that differ between the revisions a and b, ordered by path. Revision 0 has no documents. Like At, Diff
// returns ErrNotFound if a revision does not exist or is no longer kept.
func (rs *Revisions) Diff(ctx context.Context, a, b uint64) ([]DocumentDiff, error) {
	for {
		diffs, err := rs.diff(ctx, a, b)
		if compacted(err) {
			continue
		}
		return diffs, err
	}
}

func (rs *Revisions) diff(ctx context.Context, a, b uint64) ([]DocumentDiff, error) {
	var from, to map[string][]piece
	var at int64
	for _, side := range []struct {
		number   uint64
		contents *map[string][]piece
	}{{a, &from}, {b, &to}} {
		rec, _, rev, err := rs.revision(ctx, side.number)
		if err != nil {
			return nil, err
		}
		m, err := rs.manifest(ctx, rev, rec)
		if err != nil {
			return nil, err
		}
		*side.contents, at = m.contents(), rev
	}
	// Documents with the same pieces are equal and need not be read.
	paths := make(map[string]*DocumentDiff)
	for path, pieces := range from {
		if other, ok := to[path]; !ok || !slices.Equal(pieces, other) {
			paths[path] = &DocumentDiff{Path: path, Removed: !ok}
			continue
		}
		delete(from, path)
		delete(to, path)
	}
	for path := range to {
		if paths[path] == nil {
			paths[path] = &DocumentDiff{Path: path, Added: true}
		}
	}
	old, err := rs.s.getPieces(ctx, at, from)
	if err != nil {
		return nil, err
	}
	now, err := rs.s.getPieces(ctx, at, to)
	if err != nil {
		return nil, err
	}
	diffs := make([]DocumentDiff, 0, len(paths))
	for path, d := range paths {
		text := diff.Diff(sideName(path, a, d.Added), old[path], sideName(path, b, d.Removed), now[path])
		_, unified, _ := strings.Cut(string(text), "\n") // remove the first line, which is the diff command
		d.Unified = unified
		diffs = append(diffs, *d)
	}
	slices.SortFunc(diffs, func(x, y DocumentDiff) int { return strings.Compare(x.Path, y.Path) })
	return diffs, nil
}

func sideName(path string, revision uint64, none bool) string {
	if none {
		return "/dev/null"
	}
	return fmt.Sprintf("%s@%d", path, revision)
}

// Watch sends the current revision if its number is greater than after, and then every newer revision. A slow receiver gets only the
// newest revision. The newest revision is sent even if changes were compacted or the connection was lost. If the store is replaced, Watch
// sends the current revision of the new store even if its number is lower. Number 0 means that the new store has no intent. The channel is
// closed when ctx ends or the store is closed.
func (rs *Revisions) Watch(ctx context.Context, after uint64) <-chan Revision {
	return deliver(rs.s, rs.s.follow(ctx, rs.headKey()), mailbox[Revision](&headBox{rs: rs, after: after}))
}

type headBox struct {
	rs     *Revisions
	gen    *Generation
	after  uint64
	anew   bool // whether the store was replaced; its current revision is then sent whatever its number is
	newest Revision
}

func (b *headBox) merge(u update) bool {
	if b.gen != nil && b.gen != u.gen {
		b.anew, b.newest = true, Revision{}
	}
	b.gen = u.gen
	for _, kv := range u.kvs {
		rec, err := decodeRevision(kv)
		if err != nil {
			b.rs.s.log.Error("intent cannot be read", zap.Error(err))
			continue
		}
		b.newest = rec.Revision
	}
	return b.newest.Number > b.after || b.anew
}

func (b *headBox) value() Revision { return b.newest }
func (b *headBox) sent()           { b.after, b.anew = b.newest.Number, false }

// revision reads a revision. It returns the decoded record, the record as stored, and the revision of etcd at which it was read.
func (rs *Revisions) revision(ctx context.Context, number uint64) (revisionRecord, *mvccpb.KeyValue, int64, error) {
	key := rs.revisionKey(number)
	found, at, err := rs.s.get(ctx, "read intent", key, rs.headKey())
	if err != nil || number == 0 {
		return revisionRecord{}, nil, at, err
	}
	rec, err := decodeRevision(found[key])
	if err == nil && found[key] == nil {
		var head revisionRecord
		if head, err = decodeRevision(found[rs.headKey()]); err == nil {
			err = fmt.Errorf("revision %d of intent: %w: the current one is %d, and %d are kept", number, ErrNotFound, head.Number, rs.s.cfg.History)
		}
	}
	return rec, found[key], at, err
}

// manifest reads the list of a revision's documents, as of etcd's revision at; 0 means the current revision of etcd.
func (rs *Revisions) manifest(ctx context.Context, at int64, rec revisionRecord) (manifest, error) {
	if rec.Number == 0 {
		return nil, nil
	}
	content, err := rs.s.getPieces(ctx, at, map[string][]piece{"manifest": rec.Manifest})
	if err != nil {
		return nil, err
	}
	return decodeManifest(content["manifest"])
}

func decodeManifest(content []byte) (m manifest, err error) {
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, fmt.Errorf("%w: manifest: %w", ErrCorrupt, err)
	}
	return m, nil
}

// contents returns the pieces of each document, indexed by the document's path.
func (m manifest) contents() map[string][]piece {
	contents := make(map[string][]piece, len(m))
	for _, d := range m {
		contents[d.Path] = d.Pieces
	}
	return contents
}
