package store

import (
	"context"
	"errors"
	"path"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// sweepEvery is how many revisions come between two sweeps. What a sweep finds is of revisions that are kept no more, and of changes that
// were begun and not made.
const sweepEvery = 16

// sweepChunk is how many revisions are looked at together: what their manifests have in common is read once.
const sweepChunk = 32

// sweepSometimes reclaims pieces after some of the revisions, beside whatever else happens.
func (in *Intent) sweepSometimes(number uint64) {
	if number%sweepEvery != 0 {
		return
	}
	select {
	case in.s.sweeping <- struct{}{}:
	default:
		return
	}
	if !in.s.start(func() {
		defer func() { <-in.s.sweeping }()
		n, err := in.sweep(in.s.life)
		in.s.log.Debug("unused content reclaimed", zap.Int("pieces", n), zap.Error(err))
	}) {
		<-in.s.sweeping
	}
}

// sweep deletes the pieces that no revision has, and returns how many.
//
// A change that is being made may count on pieces that no revision has yet. So each deletion is a transaction that also puts the sweep
// key, and is made only on the head and the sweep key that were read: a change that is made first refuses the deletion, and one that
// is made after it is refused and puts its pieces again.
func (in *Intent) sweep(ctx context.Context) (int, error) {
	found, at, err := in.s.get(ctx, "sweep", in.headKey(), in.sweepKey())
	if err != nil {
		return 0, err
	}
	used, err := in.used(ctx, at)
	if err != nil {
		return 0, err
	}
	all, err := ask(ctx, in.s, "sweep", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return in.s.client.Get(ctx, in.s.pieceKey(""), clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(at))
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
	head, sweep := found[in.headKey()].GetModRevision(), found[in.sweepKey()].GetModRevision()
	for n := 0; n < len(unused); n += batchOps {
		batch := unused[n:min(n+batchOps, len(unused))]
		rev, _, err := in.s.commit(ctx, change{
			op: "sweep",
			guards: []clientv3.Cmp{
				clientv3.Compare(clientv3.ModRevision(in.headKey()), "=", head),
				clientv3.Compare(clientv3.ModRevision(in.sweepKey()), "=", sweep),
			},
			then: append([]clientv3.Op{clientv3.OpPut(in.sweepKey(), nonce())}, batch...),
		})
		if errors.Is(err, errRefused) {
			return n, nil // the next sweep finds them
		}
		if err != nil {
			return n, err
		}
		sweep = rev
	}
	return len(unused), nil
}

// used is the hashes of all pieces of all revisions, as they were at a revision of etcd.
func (in *Intent) used(ctx context.Context, at int64) (map[string]bool, error) {
	revisions, err := ask(ctx, in.s, "sweep", func(ctx context.Context) (*clientv3.GetResponse, error) {
		return in.s.client.Get(ctx, in.revisionKey(0), clientv3.WithRange(in.revisionKey(1<<63)), clientv3.WithRev(at))
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
		contents, err := in.s.getPieces(ctx, at, manifests)
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
