package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// verifyPage is the number of records that are read at once. 128 records of 32 KiB take 4 MiB.
const verifyPage = 128

// Verify reads the whole chain in the store and returns its head. It returns a *BreakError for the first record that was changed, removed
// or moved after it was appended. If no known heads are given, Verify can detect neither that the last records were removed and the head
// was adjusted, nor that the whole chain was rewritten.
//
// If records were archived, the chain begins after the checkpoint, and one of its records must name that checkpoint. Verify does not check
// known heads before the checkpoint: see Archives.
func (a *Audit) Verify(ctx context.Context, known ...Head) (Head, error) {
	v, err := a.VerifyFrom(ctx, known...)
	return v.Head, err
}

// A Verified describes a verified chain. The chain consists of the records after Checkpoint, up to Head.
type Verified struct {
	Checkpoint Checkpoint
	Head       Head
}

// VerifyFrom is like Verify, and also returns the checkpoint.
func (a *Audit) VerifyFrom(ctx context.Context, known ...Head) (Verified, error) {
	for {
		v, err := a.verify(ctx, known)
		if compacted(err) {
			continue
		}
		return v, err
	}
}

func (a *Audit) verify(ctx context.Context, known []Head) (v Verified, err error) {
	found, at, err := a.s.get(ctx, "read audit head", a.s.auditHeadKey(), a.s.checkpointKey())
	if err != nil {
		return v, err
	}
	head, err := decodeHead(found[a.s.auditHeadKey()])
	if err != nil {
		return v, err
	}
	if v.Checkpoint, err = decodeCheckpoint(found[a.s.checkpointKey()]); err != nil {
		return v, err
	}
	seal := string(found[a.s.checkpointKey()].GetValue()) // the Detail of the audit record that names the checkpoint
	sealed := v.Checkpoint.Seq == 0
	last := Head{Seq: v.Checkpoint.Seq, Hash: v.Checkpoint.Hash}
	if err := agrees(last, known); err != nil {
		return v, err
	}
	for {
		kvs, err := a.page(ctx, last.Seq+1, verifyPage, at)
		if err != nil {
			return v, err
		}
		for _, kv := range kvs {
			r, err := a.follows(last, kv)
			if err != nil {
				return v, err
			}
			last = Head{Seq: r.Seq, Hash: r.Hash}
			if err := agrees(last, known); err != nil {
				return v, err
			}
			sealed = sealed || r.Verb == VerbArchive && r.Detail == seal
		}
		if len(kvs) < verifyPage {
			break
		}
	}
	if !sealed {
		return v, &BreakError{Seq: v.Checkpoint.Seq, What: "removed: the chain begins behind it, and no record says that those up to it were archived"}
	}
	v.Head = last
	return v, a.ends(last, head, known)
}

// follows checks that a stored record follows the record last, and returns the stored record.
func (a *Audit) follows(last Head, kv *mvccpb.KeyValue) (r AuditRecord, err error) {
	want := last.Seq + 1
	if key := string(kv.Key); key != a.s.auditKey(want) {
		return r, &BreakError{Seq: want, What: fmt.Sprintf("removed: after record %d comes %s", last.Seq, key)}
	}
	if err := strictly(kv.Value, &r); err != nil {
		return r, &BreakError{Seq: want, What: fmt.Sprintf("changed: it cannot be read: %v", err)}
	}
	return r, r.after(last)
}

// agrees returns a *BreakError if a known head has the number of next but another hash.
func agrees(next Head, known []Head) error {
	for _, k := range known {
		if k.Seq == next.Seq && k.Hash != next.Hash {
			return &BreakError{Seq: next.Seq, What: fmt.Sprintf(
				"replaced: its hash is %.12s..., and was known as %.12s...; it, or one before it, was written anew", next.Hash, k.Hash)}
		}
	}
	return nil
}

// ends checks that the chain ends at its stored head and not before the last known head.
func (a *Audit) ends(last, head Head, known []Head) error {
	longest := slices.MaxFunc(append([]Head{head}, known...), func(x, y Head) int { return cmp.Compare(x.Seq, y.Seq) })
	switch {
	case longest.Seq > last.Seq:
		return &BreakError{Seq: last.Seq + 1, What: fmt.Sprintf("removed: the chain ends at record %d, and is known up to %d", last.Seq, longest.Seq)}
	case head != last:
		return &BreakError{Seq: last.Seq, What: fmt.Sprintf("the head of the chain is record %d, hash %.12s..., and the last record is %d, hash %.12s...",
			head.Seq, head.Hash, last.Seq, last.Hash)}
	default:
		return nil
	}
}
