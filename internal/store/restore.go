package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrNotEmpty is returned by Restore if the store has content. Nothing was changed.
var ErrNotEmpty = errors.New("the store is not empty")

// CheckBackup reads a backup to its end and returns its description. It returns ErrBackup if the backup is not complete.
func CheckBackup(r io.Reader) (BackupInfo, error) {
	b, err := newBackupReader(r)
	if err != nil {
		return BackupInfo{}, err
	}
	heads := 0
	for {
		key, value, err := b.next()
		switch {
		case errors.Is(err, io.EOF) && heads == 0 && b.info.Revision > 0:
			return BackupInfo{}, fmt.Errorf("%w: it names revision %d, and has no head of the intent", ErrBackup, b.info.Revision)
		case errors.Is(err, io.EOF):
			return b.info, nil
		case err != nil:
			return BackupInfo{}, err
		}
		if key == "intent/head" {
			heads++
		}
		if err := checkBackupKey(key, value); err != nil {
			return BackupInfo{}, err
		}
	}
}

// checkBackupKey returns an error for a key or a value that no backup contains.
func checkBackupKey(key string, value []byte) error {
	if !inBackup(key) {
		return fmt.Errorf("%w: key %.80q does not belong in a backup", ErrBackup, key)
	}
	if hash, piece := strings.CutPrefix(key, "intent/piece/"); piece {
		if sum := sha256.Sum256(value); hex.EncodeToString(sum[:]) != hash {
			return fmt.Errorf("%w: the store was damaged when it was made: piece %.80s has bytes that hash to %x", ErrBackup, hash, sum)
		}
	}
	return nil
}

// Restore writes a backup into the store. If the store has content, Restore returns ErrNotEmpty unless replace is set, in which case the
// backup replaces the content. Restore checks the whole backup before it changes anything. During the restore, or after it was
// interrupted, no controller can use the store: see ErrRestoring. At the end, the store gets a new identity, so that running controllers
// read everything again.
func (s *Store) Restore(ctx context.Context, r io.ReadSeeker, replace bool) (BackupInfo, error) {
	info, err := CheckBackup(r)
	if err != nil {
		return BackupInfo{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return BackupInfo{}, err
	}
	if _, err := s.Generation().Identity(ctx); err != nil && !errors.Is(err, ErrRestoring) {
		return BackupInfo{}, err
	}
	x := &restoring{s: s}
	if err := x.begin(ctx, info, replace); err != nil {
		return BackupInfo{}, err
	}
	if err := x.fill(ctx, r); err != nil {
		return BackupInfo{}, fmt.Errorf("restore: the store is incomplete; run op25b store restore --replace again: %w", err)
	}
	return info, nil
}

// A restoring is a restore in progress. mark is the identity record that marks the store as being restored. Every step requires that this
// record is unchanged.
type restoring struct {
	s    *Store
	mark *mvccpb.KeyValue
	was  string // the previous identity of the store; the backup's identity if the store had none
	ops  []clientv3.Op
	size int
}

// begin marks the store as being restored and deletes its content.
func (x *restoring) begin(ctx context.Context, info BackupInfo, replace bool) error {
	s := x.s
	found, _, err := s.get(ctx, "restore", s.identityKey(), s.Revisions().headKey(), s.auditHeadKey())
	if err != nil {
		return err
	}
	x.mark = found[s.identityKey()]
	id, err := decodeIdentity(x.mark)
	if err != nil {
		return err
	}
	head, audit := found[s.Revisions().headKey()], found[s.auditHeadKey()]
	if (head != nil || audit != nil) && !replace {
		at, _ := decodeRevision(head)
		chain, _ := decodeHead(audit)
		return fmt.Errorf("%w: it has revision %d of the intent and %d audit records: --replace discards them", ErrNotEmpty, at.Number, chain.Seq)
	}
	x.was = info.Store
	if id.ID != "" {
		x.was = id.ID
	}
	if err := x.name(ctx, Identity{Made: s.cfg.Now().UTC().Round(0), Was: x.was, Restoring: true}); err != nil {
		return err
	}
	for _, path := range append([]string{"own/"}, backedUp...) {
		x.ops = append(x.ops, clientv3.OpDelete(s.key(path), clientv3.WithPrefix()))
	}
	if err := x.flush(ctx); err != nil {
		return err
	}
	s.makeRoom(ctx, info.Bytes)
	return nil
}

// fill writes the content of the backup into the store, checks the result, and ends the restore.
func (x *restoring) fill(ctx context.Context, r io.Reader) error {
	b, err := newBackupReader(r)
	if err != nil {
		return err
	}
	for {
		key, value, err := b.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(x.ops) > 0 && (x.size+len(value) > batchBytes || len(x.ops) == batchOps) {
			if err := x.flush(ctx); err != nil {
				return err
			}
		}
		x.ops = append(x.ops, clientv3.OpPut(x.s.key(key), string(bytes.Clone(value))))
		x.size += len(key) + len(value)
	}
	if err := x.flush(ctx); err != nil {
		return err
	}
	if err := x.check(ctx, b.info); err != nil {
		return err
	}
	return x.name(ctx, Identity{ID: nonce(), Made: x.s.cfg.Now().UTC().Round(0), Was: x.was})
}

// check verifies that the restored content matches the description of the backup.
func (x *restoring) check(ctx context.Context, info BackupInfo) error {
	head, err := x.s.Revisions().Head(ctx)
	if err != nil {
		return err
	}
	if head.Number != info.Revision {
		return fmt.Errorf("%w: the newest revision is %d, and the backup says %d", ErrBackup, head.Number, info.Revision)
	}
	if _, err := x.s.Revisions().At(ctx, head.Number); err != nil {
		return err
	}
	audit, err := x.s.Audit().Verify(ctx)
	if err != nil {
		return err
	}
	if audit != info.Audit {
		return fmt.Errorf("%w: the audit chain ends at record %d, and the backup says %d", ErrBackup, audit.Seq, info.Audit.Seq)
	}
	return nil
}

// flush writes the pending operations.
func (x *restoring) flush(ctx context.Context) error {
	if len(x.ops) == 0 {
		return nil
	}
	_, err := x.commit(ctx, x.ops...)
	x.ops, x.size = nil, 0
	return err
}

// name writes an identity record.
func (x *restoring) name(ctx context.Context, id Identity) error {
	value, err := encode(id)
	if err != nil {
		return err
	}
	rev, err := x.commit(ctx, clientv3.OpPut(x.s.identityKey(), value))
	x.mark = &mvccpb.KeyValue{Value: []byte(value), ModRevision: rev}
	return err
}

// commit executes one step if the mark is unchanged. A step may be sent again because an answer was lost. For a step that writes the mark,
// commit then reads the mark to determine whether the step was executed. Any other step is safe to repeat.
func (x *restoring) commit(ctx context.Context, ops ...clientv3.Op) (int64, error) {
	key := x.s.identityKey()
	resp, err := ask(ctx, x.s, "restore", func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return x.s.client.Txn(ctx).If(unmoved(key, x.mark)).Then(ops...).Else(clientv3.OpGet(key)).Commit()
	})
	if err != nil {
		return 0, err
	}
	if resp.Succeeded {
		return resp.Header.Revision, nil
	}
	kv := keysOf(resp.Responses)[key]
	if len(ops) == 1 && ops[0].IsPut() && string(ops[0].ValueBytes()) == string(kv.GetValue()) {
		return kv.ModRevision, nil
	}
	return 0, fmt.Errorf("restore: %w: another restore, or a controller, was faster", ErrReplaced)
}
