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

// An Identity identifies a store for as long as its history continues. The identity is a record in the store. The first process that uses
// the store creates the record. A process that detects that the store was replaced creates a new one. The identity distinguishes stores
// whose revisions have the same numbers.
type Identity struct {
	ID string `json:"id"`
	// Made is the time at which the identity was created, by the clock of the controller that created it.
	Made time.Time `json:"made"`
	// Was is the previous identity of the store; empty if the store was empty before.
	Was string `json:"was,omitempty"`
	// Restoring is true while a backup is being restored. The content is incomplete during that time.
	Restoring bool `json:"restoring,omitempty"`
}

func (s *Store) identityKey() string { return s.key("store/id") }

// A Generation is a period during which this process uses the same store. A generation ends when the process detects that etcd is another
// cluster, has returned to an older revision, or has another identity. Data that was read in a generation must not be used after its end.
type Generation struct {
	s      *Store
	number uint64
	why    string // reason why the previous generation ended; empty in the first generation
	began  time.Time

	ctx context.Context // cancelled with cause ErrReplaced when the generation ends, or when the store is closed
	end context.CancelCauseFunc

	known chan struct{} // closed when id and rev are known
	id    Identity
	rev   int64 // version of the identity record; 0 if the store was too full for the record
}

// Number returns the number of the generation. The first generation of a process has the number 1.
func (g *Generation) Number() uint64 { return g.number }

// Why returns the reason why the previous generation ended, or an empty string for the first generation.
func (g *Generation) Why() string { return g.why }

// Began returns the time at which this process detected the generation, by the store's clock.
func (g *Generation) Began() time.Time { return g.began }

// Known returns a channel that is closed when the identity of the store is known.
func (g *Generation) Known() <-chan struct{} { return g.known }

// Done returns a channel that is closed when the generation ends.
func (g *Generation) Done() <-chan struct{} { return g.ctx.Done() }

// Err returns nil while the generation lasts. After its end, Err returns ErrReplaced with the reason, or ErrClosed if the store was
// closed.
func (g *Generation) Err() error {
	cause := context.Cause(g.ctx)
	if cause != nil && !errors.Is(cause, ErrReplaced) {
		return ErrClosed
	}
	return cause
}

// ID returns the identity of the store without waiting. ok is false if the identity is not known yet.
func (g *Generation) ID() (id string, ok bool) {
	select {
	case <-g.known:
		return g.id.ID, true
	default:
		return "", false
	}
}

// Identity waits until the identity of the store is known. It returns ErrReplaced or ErrClosed if the generation ends, ErrRestoring during
// a restore, and ErrNoQuorum if etcd does not answer within the store's timeout.
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

// Generation returns the current generation.
func (s *Store) Generation() *Generation {
	s.etcdState.mu.Lock()
	defer s.etcdState.mu.Unlock()
	return s.etcdState.gen
}

// An etcdState is the known state of the store's etcd cluster.
type etcdState struct {
	mu      sync.Mutex // guards all following fields
	gen     *Generation
	cluster uint64 // cluster id in the headers of etcd's answers; 0 before the first answer
	high    int64  // the highest revision in the headers of etcd's answers
	before  Identity
	seen    Revision // the newest revision of the intent that was read in this generation
}

// beginLocked starts the first or the next generation. The caller must hold mu, unless no other goroutine uses the store yet.
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

// replaced ends a generation and begins the next one. It does nothing if the generation has ended already. The lease and all ownerships
// are lost, the cache is cleared, and watches start again.
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

// identify records the identity of the store.
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

// sighted records r as the newest known revision of the intent, unless a revision with a higher number is already known.
func (s *Store) sighted(g *Generation, r Revision) {
	st := &s.etcdState
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gen == g && r.Number > st.seen.Number {
		st.seen = r
	}
}

// guard returns a guard that holds while the store has the identity of the generation. Every change includes this guard, so that a change
// that was computed from one store is never written to another.
func (g *Generation) guard() clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(g.s.identityKey()), "=", g.rev)
}

// refused reports whether a change was refused because the store was replaced. If so, refused ends the generation.
func (g *Generation) refused(found map[string]*mvccpb.KeyValue) bool {
	kv := found[g.s.identityKey()]
	if kv.GetModRevision() == g.rev {
		return false
	}
	g.s.replaced(g, "%s", otherIdentity(g.id, kv))
	return true
}

// otherIdentity describes how the stored identity differs from the identity was.
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

// decodeIdentity decodes an identity record. A nil kv means that the store has no identity.
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
