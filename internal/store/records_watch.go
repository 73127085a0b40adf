package store

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// An Event is the newest known state of a record.
type Event[T any] struct {
	Record[T]       // if Deleted is true, only Name is set
	Deleted   bool  // whether the record was deleted
	Err       error // ErrCorrupt if the record exists but cannot be decoded; otherwise nil
}

// Watch sends all records, and then every change. The first slice contains all records and is sent even if it is empty. A record that
// changes twice before the next receive is sent once, in its newest state. The newest state is sent even if changes were compacted or the
// connection was lost. A record that was written and deleted meanwhile may be sent as deleted, because its writer may know it already. It is not
// sent if both happened while changes were missed: see Unreported. The channel is closed when ctx ends or the store is closed.
func (r *Records[T]) Watch(ctx context.Context) <-chan []Event[T] {
	box := &eventBox[T]{r: r, known: make(map[string]int64), at: make(map[string]int)}
	return deliver(r.s, r.s.follow(ctx, r.path), mailbox[[]Event[T]](box))
}

// An eventBox merges updates into one event for each record.
type eventBox[T any] struct {
	r       *Records[T]
	gen     *Generation
	known   map[string]int64 // version of every existing record
	pending []Event[T]
	at      map[string]int // index of each record's event in pending
	begun   bool
}

func (b *eventBox[T]) merge(u update) bool {
	first := !b.begun
	anew := b.gen != nil && b.gen != u.gen // in another store, the same version may belong to different content
	b.gen = u.gen
	b.begun = true
	if u.whole {
		u.gone = make(map[string]struct{})
		for key := range b.known {
			u.gone[key] = struct{}{}
		}
		for _, kv := range u.kvs {
			delete(u.gone, string(kv.Key))
		}
	}
	for _, kv := range u.kvs {
		if key := string(kv.Key); anew || b.known[key] != kv.ModRevision {
			b.known[key] = kv.ModRevision
			b.add(key, b.event(kv))
		}
	}
	for key := range u.gone { // also of records that are not known: etcd reports a record that was put and deleted at once only as deleted
		delete(b.known, key)
		b.add(key, Event[T]{Record: Record[T]{Name: strings.TrimPrefix(key, b.r.path)}, Deleted: true})
	}
	return first || len(b.pending) > 0
}

func (b *eventBox[T]) event(kv *mvccpb.KeyValue) Event[T] {
	rec, err := b.r.record(kv)
	if err != nil {
		rec = Record[T]{Name: strings.TrimPrefix(string(kv.Key), b.r.path), Version: kv.ModRevision}
	}
	return Event[T]{Record: rec, Err: err}
}

func (b *eventBox[T]) add(key string, e Event[T]) {
	if i, ok := b.at[key]; ok {
		b.pending[i] = e
		return
	}
	b.at[key] = len(b.pending)
	b.pending = append(b.pending, e)
}

func (b *eventBox[T]) value() []Event[T] { return b.pending }

func (b *eventBox[T]) sent() {
	b.pending = nil
	clear(b.at)
}
