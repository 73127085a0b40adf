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

// Intervals and timeouts of the sentinel.
const (
	// lookEvery is the interval of the sentinel's checks. A watch alone would not detect that the store was replaced, because a watch
	// reports nothing until the new store reaches the watched revision.
	lookEvery = time.Second
	// lookWithin is the timeout of the sentinel's own requests.
	lookWithin = 500 * time.Millisecond
	// awayTimeout is the timeout of requests if no majority has answered for at least the configured timeout.
	awayTimeout = time.Second
)

// A sentinel checks at intervals whether a majority of the cluster answers, and whether the store was replaced.
type sentinel struct {
	wake chan struct{} // holds a token if the sentinel should check immediately

	mu      sync.Mutex // guards all following fields
	since   time.Time  // time of the first failed check, by the monotonic clock; zero while checks succeed
	members string     // state of each member at the last check, if no majority answered
	why     error      // reason why the store cannot be used although a majority answers, such as ErrRestoring
	warned  bool
	met     bool // whether a majority has answered since the store was opened
}

// kick makes the sentinel check the store immediately.
func (w *sentinel) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// unfit returns the reason why the store cannot be used although a majority answers. It returns nil if there is no such reason.
func (w *sentinel) unfit() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// away returns the state of each member, and the time since which no majority has answered. Both are zero if a majority answered at the
// last check.
func (w *sentinel) away() (members string, since time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil {
		return "", time.Time{}
	}
	return w.members, w.since
}

// patience returns the timeout for a request. The timeout is shorter than configured if no majority has answered for some time, or if no
// majority has ever answered.
func (s *Store) patience() time.Duration {
	w := &s.sentinel
	w.mu.Lock()
	defer w.mu.Unlock()
	if away := !w.since.IsZero() && w.why == nil; away && (!w.met || time.Since(w.since) >= s.cfg.Timeout) {
		return min(s.cfg.Timeout, awayTimeout)
	}
	return s.cfg.Timeout
}

// watchOver checks the store repeatedly until the store is closed.
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

// found records the result of a check, and logs when the store becomes unavailable and available again.
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
	// A single failed check is not logged, because a slow disk can cause it. A store that has never answered is logged immediately.
	if !w.warned && (!w.met || time.Since(w.since) >= lookEvery) {
		w.warned = true
		s.log.Warn("the store is unavailable; nothing is changed until it answers", zap.Strings("store", s.endpoints), zap.String("reason", reason))
	}
}

// lookOnce checks the store once. If the store has no identity, lookOnce gives it one.
func (s *Store) lookOnce() error {
	for {
		g := s.Generation()
		err := s.recognize(g)
		switch {
		case s.life.Err() != nil:
			return nil
		case s.Generation() != g: // recognize found that the store was replaced
			continue
		case errors.Is(err, errRefused): // another controller wrote an identity first
			continue
		}
		return err
	}
}

// recognize compares the identity and the intent of the store with the identity and the intent that are known in the generation.
func (s *Store) recognize(g *Generation) error {
	ctx, cancel := context.WithTimeout(s.life, lookWithin)
	defer cancel()
	s.etcdState.mu.Lock()
	before, seen := s.etcdState.before, s.etcdState.seen
	s.etcdState.mu.Unlock()
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
		return &Error{Endpoints: s.endpoints, Op: "check the store", Kind: ErrRestoring, Err: errors.New("run op25b store restore --replace again if none is in progress")}
	case kv != nil && id.ID != before.ID:
		s.identify(g, id, kv.ModRevision)
		return s.compareIntent(g, found, seen)
	}
	return s.name(ctx, g, kv, id)
}

// name gives the store a new identity. This is necessary if the store has no identity, or if it still has the identity from before it was
// replaced.
func (s *Store) name(ctx context.Context, g *Generation, kv *mvccpb.KeyValue, was Identity) error {
	s.etcdState.mu.Lock()
	before := s.etcdState.before
	s.etcdState.mu.Unlock()
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
	case errors.Is(err, rpctypes.ErrNoSpace): // the store is full and stays without an identity
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

// compareIntent ends the generation if the newest revision that was seen is not in the store's history.
func (s *Store) compareIntent(g *Generation, found map[string]*mvccpb.KeyValue, seen Revision) error {
	head, err := decodeRevision(found[s.Revisions().headKey()])
	if err != nil {
		return nil // not reported here, because readers of the intent get the error
	}
	if seen.Number > 0 {
		rec, err := decodeRevision(found[s.Revisions().revisionKey(seen.Number)])
		switch {
		case err != nil:
			return nil
		case head.Number < seen.Number:
			s.replaced(g, "the newest revision of the intent is %d, and was %d", head.Number, seen.Number)
			return nil
		case rec.Number == seen.Number && rec.ID != seen.ID:
			s.replaced(g, "revision %d of the intent is not the one that was read", seen.Number)
			return nil
		}
	}
	s.sighted(g, head.Revision)
	return nil
}

// unanswered returns an error that explains why no majority answers. It contains the state of each member and the original error.
func (s *Store) unanswered(err error) error {
	members, _ := s.sentinel.away()
	if members == "" {
		members = s.look()
	}
	switch {
	case strings.Contains(err.Error(), members):
		return err
	case codeOf(err) == codes.DeadlineExceeded: // a timeout adds no information to the state of the members
		return errors.New(members)
	}
	return fmt.Errorf("%s (%w)", members, err)
}
