package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// VerbArchive is the verb of the audit record that Prune appends. The Detail of that record is the checkpoint as JSON.
const VerbArchive = "archive"

// pruneChunk is the maximum number of records that one request deletes.
const pruneChunk = 1000

// A Checkpoint names the last audit record that was moved into an archive. The chain in the store begins with the next record.
type Checkpoint struct {
	Seq     uint64    `json:"seq"`     // number of the last archived record; 0 if there is none
	Hash    string    `json:"hash"`    // hash of that record
	Archive string    `json:"archive"` // SHA-256 of the archive file, in hexadecimal
	Time    time.Time `json:"time"`    // time at which the records were archived
}

func (s *Store) checkpointKey() string { return s.key("audit/checkpoint") }

// Checkpoint returns the checkpoint before the first record in the store. Its Seq is 0 if no record was archived.
func (a *Audit) Checkpoint(ctx context.Context) (Checkpoint, error) {
	found, _, err := a.s.get(ctx, "read audit checkpoint", a.s.checkpointKey())
	if err != nil {
		return Checkpoint{}, err
	}
	return decodeCheckpoint(found[a.s.checkpointKey()])
}

func decodeCheckpoint(kv *mvccpb.KeyValue) (cp Checkpoint, err error) {
	if kv == nil {
		return cp, nil
	}
	if err := json.Unmarshal(kv.Value, &cp); err != nil {
		return cp, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
	}
	return cp, nil
}

// Prune deletes the records up to a checkpoint. The caller must have written these records to an archive and read the archive back. Prune
// first verifies the chain. If the chain is broken, Prune deletes nothing and returns a *BreakError. rec names the author and the reason.
// Prune returns the audit record as it was stored.
//
// Prune stores the checkpoint and the audit record in one transaction, and then deletes the archived records. If the deletion is
// interrupted, it is completed the next time the store is opened. Until then, the remaining archived records are ignored.
func (a *Audit) Prune(ctx context.Context, cp Checkpoint, rec AuditRecord) (AuditRecord, error) {
	found, _, err := a.s.get(ctx, "read audit checkpoint", a.s.checkpointKey())
	if err != nil {
		return AuditRecord{}, err
	}
	was := found[a.s.checkpointKey()]
	before, err := decodeCheckpoint(was)
	if err != nil {
		return AuditRecord{}, err
	}
	head, err := a.Verify(ctx, Head{Seq: cp.Seq, Hash: cp.Hash})
	switch {
	case err != nil:
		return AuditRecord{}, err
	case cp.Seq <= before.Seq:
		return AuditRecord{}, fmt.Errorf("%w: archive of records up to %d: those up to %d are archived already", ErrInvalid, cp.Seq, before.Seq)
	case cp.Seq > head.Seq:
		return AuditRecord{}, fmt.Errorf("%w: archive of records up to %d: the chain ends at %d", ErrInvalid, cp.Seq, head.Seq)
	case len(cp.Archive) != 64:
		return AuditRecord{}, fmt.Errorf("%w: archive %.80q: must be the SHA-256 of its file, in hexadecimal", ErrInvalid, cp.Archive)
	}
	cp.Time = a.s.cfg.Now().UTC().Round(0)
	value, err := encode(cp)
	if err != nil {
		return AuditRecord{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	rec.Verb, rec.Object, rec.Detail = VerbArchive, fmt.Sprintf("records %d to %d", before.Seq+1, cp.Seq), value
	records := []AuditRecord{rec}
	if _, err := a.s.commitRecorded(ctx, change{
		op:     "archive audit records",
		guards: []clientv3.Cmp{unmoved(a.s.checkpointKey(), was)},
		then:   []clientv3.Op{clientv3.OpPut(a.s.checkpointKey(), value)},
	}, records); err != nil {
		return AuditRecord{}, err
	}
	if err := a.dropArchived(ctx); err != nil {
		a.s.log.Warn("archived audit records are not deleted yet; the next start deletes them", zap.Error(err))
		return records[0], nil
	}
	a.s.makeRoom(ctx, 0)
	a.s.tellSpace(a.s.Space(ctx))
	return records[0], nil
}

// dropArchived deletes the stored records up to the checkpoint.
func (a *Audit) dropArchived(ctx context.Context) error {
	cp, err := a.Checkpoint(ctx)
	if err != nil || cp.Seq == 0 {
		return err
	}
	behind := a.s.auditKey(cp.Seq + 1)
	for {
		left, err := ask(ctx, a.s, "look for archived audit records", func(ctx context.Context) (*clientv3.GetResponse, error) {
			return a.s.client.Get(ctx, a.s.auditKey(0), clientv3.WithRange(behind), clientv3.WithLimit(pruneChunk), clientv3.WithKeysOnly())
		})
		if err != nil || len(left.Kvs) == 0 {
			return err
		}
		to := behind
		if len(left.Kvs) == pruneChunk {
			to = string(left.Kvs[pruneChunk-1].Key) + "\x00"
		}
		if _, err := ask(ctx, a.s, "delete archived audit records", func(ctx context.Context) (*clientv3.DeleteResponse, error) {
			return a.s.client.Delete(ctx, a.s.auditKey(0), clientv3.WithRange(to))
		}); err != nil {
			return err
		}
	}
}
