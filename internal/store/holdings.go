package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A Holding describes an ownership. Every store of the cluster can read it.
type Holding struct {
	Name   string // name of the thing that is owned
	Holder string
	Epoch  uint64
	// Alive reports whether the holder is present under the same lease as the ownership. If a holder is killed and restarted under the
	// same name, it is present under another lease. The ownership then belongs to the earlier process until the old lease expires.
	Alive bool
	// Mine reports whether the ownership is under the lease of this Store.
	Mine bool
}

// Holdings returns the ownerships of a kind, ordered by name.
func (s *Store) Holdings(ctx context.Context, kind string) ([]Holding, error) {
	h := s.newHoldings(kind)
	resp, err := ask(ctx, s, "list owners", func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).Then(clientv3.OpGet(h.own, clientv3.WithPrefix()), clientv3.OpGet(h.member, clientv3.WithPrefix())).Commit()
	})
	if err != nil {
		return nil, err
	}
	merge(h.owned, update{whole: true, kvs: resp.Responses[0].GetResponseRange().Kvs}, h.own)
	merge(h.present, update{whole: true, kvs: resp.Responses[1].GetResponseRange().Kvs}, h.member)
	return h.list(), nil
}

// WatchHoldings sends the current ownerships of a kind, and sends them again whenever they or the members change. A slow receiver gets
// only the newest list. The channel is closed when ctx ends or the store is closed.
func (s *Store) WatchHoldings(ctx context.Context, kind string) <-chan []Holding {
	out := make(chan []Holding)
	ctx, cancel := context.WithCancel(ctx)
	h := s.newHoldings(kind)
	owned, present := s.follow(ctx, h.own), s.follow(ctx, h.member)
	pass := func() {
		defer close(out)
		defer cancel()
		var ready chan<- []Holding // nil while there is nothing to send
		var v []Holding
		var ownedBegun, presentBegun bool
		for {
			select {
			case u, ok := <-owned:
				if !ok {
					return
				}
				merge(h.owned, u, h.own)
				ownedBegun = true
			case u, ok := <-present:
				if !ok {
					return
				}
				merge(h.present, u, h.member)
				presentBegun = true
			case ready <- v:
				ready = nil
				continue
			}
			if ownedBegun && presentBegun {
				v, ready = h.list(), out
			}
		}
	}
	if !s.start(pass) {
		cancel()
		close(out)
	}
	return out
}

// holdings contains the etcd keys from which the ownerships of a kind are determined.
type holdings struct {
	s              *Store
	own, member    string // the prefixes of the keys
	owned, present map[string]*mvccpb.KeyValue
}

func (s *Store) newHoldings(kind string) *holdings {
	return &holdings{
		s: s, own: s.key("own/" + kind + "/"), member: s.key("member/"),
		owned: make(map[string]*mvccpb.KeyValue), present: make(map[string]*mvccpb.KeyValue),
	}
}

// merge applies an update to the known keys under a path.
func merge(known map[string]*mvccpb.KeyValue, u update, path string) {
	if u.whole {
		clear(known)
	}
	for _, kv := range u.kvs {
		known[strings.TrimPrefix(string(kv.Key), path)] = kv
	}
	for key := range u.gone {
		delete(known, strings.TrimPrefix(key, path))
	}
}

func (h *holdings) list() []Holding {
	h.s.mu.Lock()
	mine := h.s.lease
	h.s.mu.Unlock()
	all := make([]Holding, 0, len(h.owned))
	for _, name := range slices.Sorted(maps.Keys(h.owned)) {
		kv := h.owned[name]
		var v ownerValue
		if json.Unmarshal(kv.Value, &v) != nil {
			continue // the value was not written by this package
		}
		present := h.present[v.Holder]
		all = append(all, Holding{
			Name: name, Holder: v.Holder, Epoch: uint64(kv.CreateRevision),
			Alive: present != nil && present.Lease == kv.Lease,
			Mine:  mine != nil && int64(mine.id) == kv.Lease,
		})
	}
	return all
}

// PutFor writes a record that expires after the given number of seconds unless it is written again. No ownership is required.
func (r *Records[T]) PutFor(ctx context.Context, name string, v T, seconds int64) error {
	value, err := r.value(name, v)
	if err != nil {
		return err
	}
	_, err = ask(ctx, r.s, "write "+r.kind, func(ctx context.Context) (*clientv3.PutResponse, error) {
		l, err := r.s.client.Grant(ctx, seconds)
		if err != nil {
			return nil, err
		}
		return r.s.client.Put(ctx, r.path+name, value, clientv3.WithLease(l.ID))
	})
	return err
}
