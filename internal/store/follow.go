package store

import (
	"context"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// followPause is the pause before missed changes are read again. It limits the reads to ten a second while the cluster is unreachable.
const followPause = 100 * time.Millisecond

// An update is a set of changed keys that etcd has reported.
type update struct {
	gen   *Generation         // generation in which the update was read
	whole bool                // kvs contains all keys, so that a key which is not in kvs does not exist
	rev   int64               // revision of etcd up to which changes are included
	kvs   []*mvccpb.KeyValue  // keys that were put
	gone  map[string]struct{} // keys that were deleted
}

// follow sends all keys at a path, and then every change of them. A path that ends in a slash means all keys under it. All keys are sent
// again if the store was replaced, or if changes were missed because they were compacted or no member was reachable. The channel is closed
// when ctx ends or the store is closed.
func (s *Store) follow(ctx context.Context, key string) <-chan update {
	out := make(chan update)
	follow := func() {
		defer close(out)
		ctx, cancel := s.within(ctx)
		defer cancel()
		var opts []clientv3.OpOption
		if strings.HasSuffix(key, "/") {
			opts = append(opts, clientv3.WithPrefix())
		}
		for ctx.Err() == nil {
			g := s.Generation()
			all, err := ask(ctx, s, "follow "+key, func(ctx context.Context) (*clientv3.GetResponse, error) {
				return s.client.Get(ctx, key, opts...)
			})
			if err == nil && send(ctx, out, update{gen: g, whole: true, rev: all.Header.Revision, kvs: all.Kvs}) {
				err = s.tail(ctx, g, key, all.Header.Revision+1, opts, out)
			}
			if ctx.Err() == nil {
				s.log.Debug("reading again", zap.String("key", key), zap.Error(err))
				Pause(ctx, followPause)
			}
		}
	}
	if !s.start(follow) {
		close(out)
	}
	return out
}

// tail sends the changes that were made at etcd's revision from and later. It returns when a change was missed or the generation ends. It
// must not continue in a replaced store, where a watch from a revision in the future would report nothing.
func (s *Store) tail(ctx context.Context, g *Generation, key string, from int64, opts []clientv3.OpOption, out chan<- update) error {
	// A member that is separated from the other members reports no changes. WithRequireLeader makes the client switch to another member.
	watch, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	opts = append([]clientv3.OpOption{clientv3.WithRev(from)}, opts...)
	for resp := range s.client.Watch(watch, key, opts...) {
		if err := resp.Err(); err != nil {
			return err
		}
		u := changes(resp)
		u.gen = g
		if len(u.kvs)+len(u.gone) > 0 && !send(ctx, out, u) {
			break
		}
	}
	return ctx.Err()
}

// changes converts a response to an update with the last change of each key.
func changes(resp clientv3.WatchResponse) update {
	last := make(map[string]*clientv3.Event, len(resp.Events))
	for _, e := range resp.Events {
		last[string(e.Kv.Key)] = e
	}
	u := update{rev: resp.Header.Revision}
	for _, e := range resp.Events {
		switch key := string(e.Kv.Key); {
		case last[key] != e:
		case e.Type == clientv3.EventTypeDelete:
			if u.gone == nil {
				u.gone = make(map[string]struct{})
			}
			u.gone[key] = struct{}{}
		default:
			u.kvs = append(u.kvs, e.Kv)
		}
	}
	return u
}

func send(ctx context.Context, out chan<- update, u update) bool {
	select {
	case out <- u:
		return true
	case <-ctx.Done():
		return false
	}
}

// A mailbox merges updates until the receiver takes the merged value.
type mailbox[V any] interface {
	merge(update) bool // merges an update, and reports whether there is a value to send
	value() V
	sent() // called after the value was received
}

// deliver sends the merged value whenever the receiver is ready. A slow receiver gets fewer values, but always the newest.
func deliver[V any](s *Store, in <-chan update, box mailbox[V]) <-chan V {
	out := make(chan V)
	pass := func() {
		defer close(out)
		var v V
		var ready chan<- V // nil while there is nothing to send
		for {
			select {
			case u, ok := <-in:
				if !ok {
					return
				}
				if box.merge(u) {
					v, ready = box.value(), out
				}
			case ready <- v:
				box.sent()
				ready = nil
			}
		}
	}
	if !s.start(pass) {
		close(out)
	}
	return out
}
