package store

import (
	"context"
	"errors"
	"path"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// sweepEvery is the number of revisions between two sweeps. A sweep deletes the pieces of revisions that are no longer kept, and of changes
// that were begun but not completed.
const sweepEvery = 16

// sweepChunk is the number of revisions that are read together. If their manifests share pieces, these pieces are read once.
const sweepChunk = 32

// sweepSometimes starts a sweep in the background after every sweepEvery-th revision.
func (rs *Revisions) sweepSometimes(number uint64) {
	if number%sweepEvery != 0 {
		return
	}
	select {
	case rs.s.sweeping <- struct{}{}:
	default:
		return
	}
	if !rs.s.start(func() {
		defer func() { <-rs.s.sweeping }()
		n, err := rs.sweep(rs.s.life)
		rs.s.log.Debug("unused content reclaimed", zap.Int("pieces", n), zap.Error(err))
	}) {
		<-rs.s.sweeping
	}
}

// sweep deletes the pieces that no revision uses, and returns the number of deleted pieces.
//
// A change in progress may rely on pieces that no revision uses yet. So each deletion is a transaction that also writes the sweep key, and
// that requires that the head and the sweep key are unchanged since they were read. A change that is stored before the deletion makes the
// deletion fail. A change that is to be stored after the deletion is refused and must store its pieces again.
func (rs *Revisions) sweep(ctx context.Context) (int, error) {
	found, at, err := rs.s.get(ctx, "sweep", rs.headKey(), rs.sweepKey())
	if err != nil {
		return 0, err
	}
	used, err := rs.used(ctx, at)
	if err != nil {
		return 0, err
	}
	all, err := ask(ctx, rs.s, "sweep", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return rs.s.client.Get(ctx, rs.s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(at))
	})
	if err != nil {
		return 0, err
	}
	var unused []clientv3.Op
	for _, kv := range all.Kvs {
		if !used[path.Base(string(kv.Key))] {
			unused = append(unused, clientv3.OpDelete(string(kv.Key)))
		}
	}
	head, sweep := found[rs.headKey()].GetModRevision(), found[rs.sweepKey()].GetModRevision()
	for n := 0; n < len(unused); n += batchOps {
		batch := unused[n:min(n+batchOps, len(unused))]
		rev, _, err := rs.s.commit(ctx, change{
			op: "sweep",
			guards: []clientv3.Cmp{
				clientv3.Compare(clientv3.ModRevision(rs.headKey()), "=", head),
				clientv3.Compare(clientv3.ModRevision(rs.sweepKey()), "=", sweep),
			},
			then: append([]clientv3.Op{clientv3.OpPut(rs.sweepKey(), nonce())}, batch...),
		})
		if errors.Is(err, errRefused) {
			return n, nil // the next sweep deletes the rest
		}
		if err != nil {
			return n, err
		}
		sweep = rev
	}
	return len(unused), nil
}

// used returns the hashes of all pieces that revisions use, as of etcd's revision at.
func (rs *Revisions) used(ctx context.Context, at int64) (map[string]bool, error) {
	revisions, err := ask(ctx, rs.s, "sweep", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return rs.s.client.Get(ctx, rs.revisionKey(0), clientv3.WithRange(rs.revisionKey(1<<63)), clientv3.WithRev(at))
	})
	if err != nil {
		return nil, err
	}
	used := make(map[string]bool)
	for some := range slices.Chunk(revisions.Kvs, sweepChunk) {
		manifests := make(map[string][]piece)
		for _, kv := range some {
			rec, err := decodeRevision(kv)
			if err != nil {
				return nil, err
			}
			for _, p := range rec.Manifest {
				used[p.Hash] = true
			}
			manifests[string(kv.Key)] = rec.Manifest
		}
		contents, err := rs.s.getPieces(ctx, at, manifests)
		if err != nil {
			return nil, err
		}
		for _, content := range contents {
			m, err := decodeManifest(content)
			if err != nil {
				return nil, err
			}
			for _, p := range m.pieces() {
				used[p.Hash] = true
			}
		}
	}
	return used, nil
}
