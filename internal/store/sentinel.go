package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
)

// How the store is watched over.
const (
	// lookEvery is how often the sentinel looks: a watch that waits for a revision which a replaced store does not have stays silent.
	lookEvery = time.Second
	// lookWithin bounds the sentinel's own requests.
	lookWithin = 500 * time.Millisecond
	// awayTimeout bounds a request once no majority has answered for as long as a request is otherwise tried.
	awayTimeout = time.Second
)

// A sentinel looks at the store again and again: whether a majority answers, and whether it still is the same store.
type sentinel struct {
	wake chan struct{} // holds one token: look now

	mu      sync.Mutex // guards everything that follows
	since   time.Time  // when it was first found unfit, by the monotonic clock; zero while it is fit
	members string     // how each member was then
	why     error      // why the store is of no use although a majority answers, such as ErrRestoring
	warned  bool
	met     bool // a majority has answered since the store was opened
}

// kick makes the sentinel look now.
func (w *sentinel) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// unfit returns why the store is of no use although a majority answers, or nil.
func (w *sentinel) unfit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// away returns how each member was when a majority last did not answer, and since when that is so; it is empty if one answered last.
func (w *sentinel) away() (members string, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil {
		return "", time.Time{}
	}
	return w.members, w.since
}

// patience is how long a request is tried: less where it is known that nobody will answer, or where nobody ever has.
func (s *Store) patience() time.Duration {
	w := &s.sentinel
	w.mu.Lock()
	defer w.mu.Unlock()
	if away := !w.since.IsZero() && w.why == nil; away && (!w.met || time.Since(w.since) >= s.cfg.Timeout) {
		return min(s.cfg.Timeout, awayTimeout)
	}
	return s.cfg.Timeout
}

// watchOver looks until the store is closed.
func (s *Store) watchOver() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.sentinel.wake:
		case <-s.life.Done():
			return
		}
		err := s.lookOnce()
		if s.life.Err() != nil {
			return
		}
		s.found(err)
		timer.Reset(lookEvery)
	}
}

// found notes what a look has found, and tells when that has changed.
func (s *Store) found(err error) {
	w := &s.sentinel
	members := ""
	if err != nil && transient(err) {
		members = s.look()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		if w.warned {
			s.log.Info("the store answers again", zap.Strings("store", s.endpoints), zap.Duration("after", time.Since(w.since)))
		}
		w.since, w.members, w.why, w.warned, w.met = time.Time{}, "", nil, false, true
		return
	}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	w.members, w.why = members, nil
	reason := members
	if members == "" {
		w.why, reason = err, err.Error()
	}
	// One look that fails is a slow disk; a store that nobody has met yet is told of at once.
	if !w.warned && (!w.met || time.Since(w.since) >= lookEvery) {
		w.warned = true
		s.log.Warn("the store is of no use for now; nothing is changed until it is", zap.Strings("store", s.endpoints), zap.String("reason", reason))
	}
}

// lookOnce reads who the store is, and makes it somebody if it is nobody yet.
func (s *Store) lookOnce() error {
	for {
		g := s.Generation()
		err := s.recognize(g)
		switch {
		case s.life.Err() != nil:
			return nil
		case s.Generation() != g: // found out by the way
			continue
		case errors.Is(err, errRefused): // another controller was first
			continue
		}
		return err
	}
}

// recognize compares the store with what is known of it in a generation.
func (s *Store) recognize(g *Generation) error {
	ctx, cancel := context.WithTimeout(s.life, lookWithin)
	defer cancel()
	s.standing.mu.Lock()
	before, seen := s.standing.before, s.standing.seen
	s.standing.mu.Unlock()
	gets := []clientv3.Op{clientv3.OpGet(s.identityKey()), clientv3.OpGet(s.Revisions().headKey())}
	if seen.Number > 0 {
		gets = append(gets, clientv3.OpGet(s.Revisions().revisionKey(seen.Number)))
	}
	resp, err := s.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return err
	}
	found := keysOf(resp.Responses)
	kv := found[s.identityKey()]
	id, err := decodeIdentity(kv)
	if err != nil {
		return err
	}
	if _, known := g.ID(); known {
		if kv.GetModRevision() != g.rev || id.ID != g.id.ID {
			s.replaced(g, "%s", otherIdentity(g.id, kv))
			return nil
		}
		return s.compareIntent(g, found, seen)
	}
	switch {
	case id.Restoring:
		return &Error{Endpoints: s.endpoints, Op: "look", Kind: ErrRestoring, Err: errors.New("run op25b store restore --replace again if none is under way")}
	case kv != nil && id.ID != before.ID:
		s.identify(g, id, kv.ModRevision)
		return s.compareIntent(g, found, seen)
	}
	return s.name(ctx, g, kv, id)
}

// name gives the store a new identity: it has none, or the one that it had before it was replaced.
func (s *Store) name(ctx context.Context, g *Generation, kv *mvccpb.KeyValue, was Identity) error {
	s.standing.mu.Lock()
	before := s.standing.before
	s.standing.mu.Unlock()
	id := Identity{ID: nonce(), Made: s.cfg.Now().UTC().Round(0), Was: was.ID}
	if id.Was == "" {
		id.Was = before.ID
	}
	value, err := encode(id)
	if err != nil {
		return err
	}
	resp, err := s.client.Txn(ctx).If(unmoved(s.identityKey(), kv)).Then(clientv3.OpPut(s.identityKey(), value)).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace): // the store is full: it stays without one
		s.identify(g, was, kv.GetModRevision())
		return nil
	case err != nil:
		return err
	case !resp.Succeeded:
		return errRefused
	}
	s.identify(g, id, resp.Header.Revision)
	return nil
}

// compareIntent ends the generation if the newest revision of intent that was seen is not in the store's history.
func (s *Store) compareIntent(g *Generation, found map[string]*mvccpb.KeyValue, seen Revision) error {
	head, err := decodeRevision(found[s.Revisions().headKey()])
	if err != nil {
		return nil // damaged content is told to whoever reads it
	}
	if seen.Number > 0 {
		rec, err := decodeRevision(found[s.Revisions().revisionKey(seen.Number)])
		switch {
		case err != nil:
			return nil
		case head.Number < seen.Number:
			s.replaced(g, "the newest revision of intent is %d, and was %d", head.Number, seen.Number)
			return nil
		case rec.Number == seen.Number && rec.ID != seen.ID:
			s.replaced(g, "revision %d of intent is another than the one that was read", seen.Number)
			return nil
		}
	}
	s.sighted(g, head.Revision)
	return nil
}

// unanswered is the reason why nobody answers: how each member is, and the error at hand.
func (s *Store) unanswered(err error) error {
	members, _ := s.sentinel.away()
	if members == "" {
		members = s.look()
	}
	switch {
	case strings.Contains(err.Error(), members):
		return err
	case codeOf(err) == codes.DeadlineExceeded: // it says nothing more
		return errors.New(members)
	}
	return fmt.Errorf("%s (%w)", members, err)
}
