package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// verifyPage is how many records are read at once: 128 of 32 KiB are 4 MiB.
const verifyPage = 128

// Verify reads the whole chain and returns its head, or a *BreakError for the first record that is not what was appended: changed,
// removed, put elsewhere, or cut off from the end. That somebody has cut off the end and made the head agree, or has written the whole
// chain anew, only a head known from before can tell.
func (a *Audit) Verify(ctx context.Context, known ...Head) (Head, error) {
	for {
		head, err := a.verify(ctx, known)
		if compacted(err) {
			continue
		}
		return head, err
	}
}

func (a *Audit) verify(ctx context.Context, known []Head) (Head, error) {
	found, at, err := a.s.get(ctx, "read audit head", a.s.auditHeadKey())
	if err != nil {
		return Head{}, err
	}
	head, err := decodeHead(found[a.s.auditHeadKey()])
	if err != nil {
		return Head{}, err
	}
	var last Head
	for {
		kvs, err := a.page(ctx, last.Seq+1, verifyPage, at)
		if err != nil {
			return Head{}, err
		}
		for _, kv := range kvs {
			next, err := a.follows(last, kv)
			if err != nil {
				return Head{}, err
			}
			if err := agrees(next, known); err != nil {
				return Head{}, err
			}
			last = next
		}
		if len(kvs) < verifyPage {
			break
		}
	}
	return last, a.ends(last, head, known)
}

// follows checks that a stored record is the one after last.
func (a *Audit) follows(last Head, kv *mvccpb.KeyValue) (Head, error) {
	want := last.Seq + 1
	broken := func(format string, args ...any) (Head, error) {
		return Head{}, &BreakError{Seq: want, What: fmt.Sprintf(format, args...)}
	}
	if key := string(kv.Key); key != a.s.auditKey(want) {
		return broken("removed: after record %d comes %s", last.Seq, key)
	}
	var r AuditRecord
	d := json.NewDecoder(bytes.NewReader(kv.Value))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return broken("changed: it cannot be read: %v", err)
	}
	switch sum := r.sum(); {
	case sum != r.Hash:
		return broken("changed: its hash is %.12s..., and what it holds hashes to %.12s...", r.Hash, sum)
	case r.Seq != want:
		return broken("in its place is record %d", r.Seq)
	case r.Prev != last.Hash:
		return broken("does not follow record %d: it names %.12s..., and that has %.12s...: one of them was replaced", last.Seq, r.Prev, last.Hash)
	}
	return Head{Seq: r.Seq, Hash: r.Hash}, nil
}

// agrees checks a record against the heads known from before.
func agrees(next Head, known []Head) error {
	for _, k := range known {
		if k.Seq == next.Seq && k.Hash != next.Hash {
			return &BreakError{Seq: next.Seq, What: fmt.Sprintf(
				"replaced: its hash is %.12s..., and was known as %.12s...; it, or one before it, was written anew", next.Hash, k.Hash)}
		}
	}
	return nil
}

// ends checks that the chain ends where its head and those known from before say.
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
