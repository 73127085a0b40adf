package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An Ownership is the exclusive right of a holder to write to a thing, such as a switch.
//
// An ownership ends in this process before etcd can grant it to another holder. It ends some time before its TTL has passed: see trusted.
// The TTL counts from the time at which the last confirmed renewal was sent, by the monotonic clock. The monotonic clock continues while
// the process is stopped, but not while the host is suspended. A suspended host is covered by the fences of writes and by the epoch.
type Ownership struct {
	s          *Store
	l          *lease
	key        string
	kind, name string
	epoch      uint64

	once sync.Once
	lost chan struct{}
}

// ownerValue is the value that is stored under an ownership's key.
type ownerValue struct {
	Holder string `json:"holder"`
	ID     string `json:"id"`
}

// Own waits until the thing is free, and takes ownership of it for the holder. It also waits while the cluster has no quorum. If ctx ends
// first, Own returns an error.
func (s *Store) Own(ctx context.Context, kind, name, holder string) (*Ownership, error) {
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	key := s.key("own/" + kind + "/" + name)
	last := s.failure(ctx, "own "+kind, context.DeadlineExceeded) // the error that is returned if etcd never answers
	for u := range s.follow(watch, key) {
		if len(u.kvs) > 0 {
			last = ownedBy(kind, name, u.kvs[0])
			continue
		}
		o, err := s.ownFree(watch, kind, name, holder)
		if err == nil {
			return o, nil
		}
		if last = err; !errors.Is(err, ErrOwned) {
			break
		}
	}
	switch {
	case s.life.Err() != nil:
		return nil, fmt.Errorf("own %s %q: %w", kind, name, ErrClosed)
	case ctx.Err() != nil && !errors.Is(last, ctx.Err()):
		return nil, fmt.Errorf("%w: %w", context.Cause(ctx), last)
	default:
		return nil, last
	}
}

// ownFree takes ownership of a thing that was free when it was last read. If there is no quorum or the lease ends, ownFree tries again
// until ctx ends.
func (s *Store) ownFree(ctx context.Context, kind, name, holder string) (*Ownership, error) {
	for {
		o, err := s.TryOwn(ctx, kind, name, holder)
		if err == nil || !errors.Is(err, ErrNoQuorum) && !errors.Is(err, ErrLost) && !errors.Is(err, ErrReplaced) || !Pause(ctx, followPause) {
			return o, err
		}
	}
}

// TryOwn takes ownership of the thing if it is free; otherwise it returns an *OwnedError. It returns this error even if the thing is
// already owned by the same holder.
func (s *Store) TryOwn(ctx context.Context, kind, name, holder string) (*Ownership, error) {
	for _, err := range []error{checkWord(kind), checkName(kind, name), checkName("holder", holder)} {
		if err != nil {
			return nil, err
		}
	}
	l, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	o := &Ownership{s: s, l: l, key: s.key("own/" + kind + "/" + name), kind: kind, name: name, lost: make(chan struct{})}
	// The outcome of the request must be known even if ctx ends before etcd answers. Otherwise the lease would keep the key alive although
	// nobody uses the ownership.
	answer := make(chan error)
	if !s.start(func() {
		err := o.take(s.life, holder)
		select {
		case answer <- err:
		case <-ctx.Done():
			if err == nil {
				_ = o.Release(s.life)
			}
		}
	}) {
		return nil, fmt.Errorf("own %s %q: %w", kind, name, ErrClosed)
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = s.failure(ctx, "own "+kind, ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// take creates the key of the ownership if the key does not exist.
func (o *Ownership) take(ctx context.Context, holder string) error {
	value, err := encode(ownerValue{Holder: holder, ID: nonce()})
	if err != nil {
		return fmt.Errorf("%w: holder %q: %w", ErrInvalid, holder, err)
	}
	rev, found, err := o.s.commit(ctx, change{
		op:      "own " + o.kind,
		gen:     o.l.gen,
		guards:  []clientv3.Cmp{unmoved(o.key, nil)},
		then:    []clientv3.Op{clientv3.OpPut(o.key, value, clientv3.WithLease(o.l.id))},
		witness: o.key, value: value,
	})
	switch {
	case errors.Is(err, errRefused):
		return ownedBy(o.kind, o.name, found[o.key])
	case errors.Is(err, ErrNoQuorum): // etcd may still execute the request, and the key would then exist although nobody uses the ownership
		o.l.over(fmt.Errorf("%w: %w", ErrLost, err))
		return err
	case errors.Is(err, rpctypes.ErrLeaseNotFound), errors.Is(err, ErrReplaced):
		o.l.over(fmt.Errorf("%w: %w", ErrLost, err))
		return o.errLost()
	case err != nil:
		return err
	}
	o.epoch = uint64(rev)
	if !o.l.add(o) {
		return o.errLost()
	}
	return nil
}

func (l *lease) add(o *Ownership) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.heldLocked() {
		return false
	}
	l.owned[o] = struct{}{}
	return true
}

func ownedBy(kind, name string, kv *mvccpb.KeyValue) error {
	var v ownerValue
	if err := json.Unmarshal(kv.GetValue(), &v); err != nil {
		v.Holder = "unknown"
	}
	return &OwnedError{Kind: kind, Name: name, Holder: v.Holder, Epoch: uint64(kv.GetCreateRevision())}
}

// Epoch returns the revision of etcd at which the ownership began. It is higher than the epoch of every earlier ownership of the same
// thing. It serves as the P4Runtime election id.
func (o *Ownership) Epoch() uint64 { return o.epoch }

// Lost returns a channel that is closed when the ownership was lost or released. Call Held before each write, because the channel may be
// closed late if the process was stopped.
func (o *Ownership) Lost() <-chan struct{} { return o.lost }

// Held reports whether the ownership is held now. Once Held has returned false, it always returns false.
func (o *Ownership) Held() bool {
	if !o.l.held() {
		return false
	}
	select {
	case <-o.lost:
		return false
	default:
		return true
	}
}

func (o *Ownership) lose() { o.once.Do(func() { close(o.lost) }) }

// Release gives up the ownership. The ownership ends when Release is called. If Release returns an error, the key is deleted as soon as
// etcd answers again. Releasing a lost ownership is not an error.
func (o *Ownership) Release(ctx context.Context) error {
	o.l.mu.Lock()
	delete(o.l.owned, o)
	o.l.mu.Unlock()
	o.lose()
	free := func(ctx context.Context) error {
		_, _, err := o.s.commit(ctx, change{
			op: "release " + o.kind, gen: o.l.gen, guards: []clientv3.Cmp{o.guard()}, then: []clientv3.Op{clientv3.OpDelete(o.key)},
		})
		if errors.Is(err, errRefused) || errors.Is(err, ErrReplaced) {
			return nil
		}
		return err
	}
	err := free(ctx)
	if err != nil {
		o.s.settle(o.l, free)
	}
	return err
}

// guard returns a guard that holds while the ownership's key still exists as the ownership created it.
func (o *Ownership) guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(o.key), "=", int64(o.epoch))
}

// fence makes a change conditional on all fences being held. It returns ErrLost if a fence is already lost.
func (c *change) fence(fences []*Ownership) error {
	for _, o := range fences {
		c.gen = o.l.gen
		if !o.Held() {
			return o.errLost()
		}
		c.guards = append(c.guards, o.guard())
		c.read = append(c.read, o.key)
	}
	return nil
}

// lostAmong returns ErrLost if a change was refused because one of its fences was lost. found contains the keys that commit has read.
func lostAmong(fences []*Ownership, found map[string]*mvccpb.KeyValue) error {
	for _, o := range fences {
		if found[o.key].GetCreateRevision() != int64(o.epoch) {
			o.lose()
			return o.errLost()
		}
	}
	return nil
}

func (o *Ownership) errLost() error {
	return fmt.Errorf("%w: %s %q, epoch %d", ErrLost, o.kind, o.name, o.epoch)
}
