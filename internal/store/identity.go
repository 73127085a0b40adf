package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// An Identity identifies a store for as long as its history continues. The identity is a record in the store. A process creates it at the
// first use, and creates a new one when it finds that the store was replaced. The identity distinguishes stores whose revisions have the
// same numbers.
type Identity struct {
	ID string `json:"id"`
	// Made is when the identity was created, by the clock of the controller that created it.
	Made time.Time `json:"made"`
	// Was is the previous identity of the store; empty if the store was empty before.
	Was string `json:"was,omitempty"`
	// Restoring is set while a backup is being restored: the content is incomplete.
	Restoring bool `json:"restoring,omitempty"`
}

func (s *Store) identityKey() string { return s.key("store/id") }

// A Generation is the period during which this process uses the same store. A generation ends when etcd is found to be another cluster, to
// have gone back to an older revision, or to have another identity. Data read in a generation must not be used after its end.
type Generation struct {
	s      *Store
	number uint64
	why    string // reason why the previous generation ended; empty in the first one
	began  time.Time

	ctx context.Context // canceled when the generation ends, with cause ErrReplaced, or the store is closed
	end context.CancelCauseFunc

	known chan struct{} // closed when the fields below are known
	id    Identity
	rev   int64 // version of the identity record; 0 if the store was too full to store one
}

// Number counts the generations of this process from 1.
func (g *Generation) Number() uint64 { return g.number }

// Why returns the reason why the previous generation ended, or an empty string for the first generation.
func (g *Generation) Why() string { return g.why }

// Began returns when this process noticed the generation, by the store's clock.
func (g *Generation) Began() time.Time { return g.began }

// Known returns a channel that is closed once the identity is known.
func (g *Generation) Known() <-chan struct{} { return g.known }

// Done returns a channel that is closed when the generation ends.
func (g *Generation) Done() <-chan struct{} { return g.ctx.Done() }

// Err returns nil while the generation lasts, and then ErrReplaced with the reason, or ErrClosed.
func (g *Generation) Err() error {
	cause := context.Cause(g.ctx)
	if cause != nil && !errors.Is(cause, ErrReplaced) {
		return ErrClosed
	}
	return cause
}

// ID returns the identity of the store without waiting; ok is false while it is unknown.
func (g *Generation) ID() (id string, ok bool) {
	select {
	case <-g.known:
		return g.id.ID, true
	default:
		return "", false
	}
}

// Identity waits for the identity of the store. It returns ErrReplaced or ErrClosed if the generation ends, ErrRestoring during a restore,
// and ErrNoQuorum if etcd does not answer within the store's timeout.
func (g *Generation) Identity(ctx context.Context) (Identity, error) {
	return g.identity(ctx, "read the store's identity")
}

func (g *Generation) identity(ctx context.Context, op string) (Identity, error) {
	select {
	case <-g.known:
		return g.id, nil
	default:
	}
	timer := time.NewTimer(g.s.patience())
	defer timer.Stop()
	g.s.sentinel.kick()
	select {
	case <-g.known:
		return g.id, nil
	case <-g.ctx.Done():
		return Identity{}, fmt.Errorf("%s: %w", op, g.Err())
	case <-ctx.Done():
		return Identity{}, g.s.failure(ctx, op, ctx.Err())
	case <-timer.C:
		if err := g.s.sentinel.unfit(); err != nil {
			return Identity{}, err
		}
		return Identity{}, g.s.failure(ctx, op, context.DeadlineExceeded)
	}
}

// Generation returns the present generation.
func (s *Store) Generation() *Generation {
	s.etcdState.mu.Lock()
	defer s.etcdState.mu.Unlock()
	return s.etcdState.gen
}

// An etcdState is the known state of the etcd cluster of the store.
type etcdState struct {
	mu      sync.Mutex // guards everything that follows
	gen     *Generation
	cluster uint64 // cluster id from the headers of etcd's answers; 0 before the first answer
	high    int64  // the highest revision in any answer
	before  Identity
	seen    Revision // the newest revision of intent that was read in this generation
}

// beginLocked starts the first or the next generation. The caller holds mu, or no other goroutine uses the store yet.
func (s *Store) beginLocked(why string) {
	st := &s.etcdState
	g := &Generation{s: s, number: 1, why: why, began: s.cfg.Now().UTC(), known: make(chan struct{})}
	if st.gen != nil {
		g.number = st.gen.number + 1
		if id, ok := st.gen.ID(); ok && id != "" {
			st.before = st.gen.id
		}
	}
	g.ctx, g.end = context.WithCancelCause(s.life)
	st.gen, st.cluster, st.high, st.seen = g, 0, 0, Revision{}
}

// replaced ends a generation, unless it has ended already. The lease and all ownerships are lost, caches are dropped, and watches begin
// again.
func (s *Store) replaced(g *Generation, format string, args ...any) {
	st := &s.etcdState
	st.mu.Lock()
	defer st.mu.Unlock()
	s.replacedLocked(g, fmt.Sprintf(format, args...))
}

func (s *Store) replacedLocked(g *Generation, why string) {
	if s.etcdState.gen != g || s.life.Err() != nil {
		return
	}
	s.beginLocked(why)
	s.recent.forget()
	g.end(fmt.Errorf("%w: %s", ErrReplaced, why))
	s.log.Warn("the store was replaced: reading everything again", zap.String("found", why),
		zap.Strings("store", s.endpoints), zap.Uint64("generation", s.etcdState.gen.number))
	s.sentinel.kick()
}

// identify sets the identity of the store.
func (s *Store) identify(g *Generation, id Identity, rev int64) {
	st := &s.etcdState
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, known := g.ID(); known || st.gen != g {
		return
	}
	g.id, g.rev = id, rev
	close(g.known)
	s.log.Info("store", zap.String("id", id.ID), zap.Time("made", id.Made))
}

// sighted records r as the newest known revision of the intent, unless a revision with a higher number is known.
func (s *Store) sighted(g *Generation, r Revision) {
	st := &s.etcdState
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gen == g && r.Number > st.seen.Number {
		st.seen = r
	}
}

// guard returns a guard that holds while the store has the identity of the generation. Every change includes it, so that a change computed
// from one store is never written to another.
func (g *Generation) guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(g.s.identityKey()), "=", g.rev)
}

// refused reports whether a change was refused because the store was replaced, and ends the generation if so.
func (g *Generation) refused(found map[string]*mvccpb.KeyValue) bool {
	kv := found[g.s.identityKey()]
	if kv.GetModRevision() == g.rev {
		return false
	}
	g.s.replaced(g, "%s", otherIdentity(g.id, kv))
	return true
}

// otherIdentity describes how the stored identity differs from the known one.
func otherIdentity(was Identity, kv *mvccpb.KeyValue) string {
	is, err := decodeIdentity(kv)
	switch {
	case err != nil:
		return err.Error()
	case kv == nil:
		return fmt.Sprintf("it has lost its identity %.8s", was.ID)
	case is.Restoring:
		return "a backup is being restored into it"
	}
	return fmt.Sprintf("its identity is %.8s, and was %.8s", is.ID, was.ID)
}

// decodeIdentity decodes a record; nil means a store without an identity.
func decodeIdentity(kv *mvccpb.KeyValue) (Identity, error) {
	var id Identity
	if kv == nil {
		return id, nil
	}
	if err := json.Unmarshal(kv.Value, &id); err != nil {
		return id, fmt.Errorf("%w: %s: %w", ErrCorrupt, kv.Key, err)
	}
	return id, nil
}
