package store

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// makeRoom makes room for the given number of bytes in an embedded etcd. It deletes old versions of keys, shrinks the file if enough of it
// is free, and clears etcd's alarm when there is room again. It does nothing for an external cluster. It also does nothing if nothing has
// changed since the last call and etcd has raised no alarm.
//
// The file is shrunk only when its size is close to etcd's limit, because etcd reuses free pages. Shrinking copies the database, and etcd
// does not answer during the copy. If the copy takes longer than the lease, the ownerships are lost and are taken again afterwards. After
// makeRoom has begun, it continues even if ctx ends.
func (s *Store) makeRoom(ctx context.Context, bytes int64) {
	if s.server == nil {
		return
	}
	select {
	case s.keeper.making <- struct{}{}:
		defer func() { <-s.keeper.making }()
	case <-ctx.Done():
		return
	}
	ctx, cancel := s.within(context.WithoutCancel(ctx))
	defer cancel()
	again, err := s.compact(ctx)
	sp := s.Space(ctx)
	if err != nil || !again && !sp.ReadOnly { // a write that was in progress may have raised the alarm after room was made
		s.log.Debug("no room made", zap.Error(err))
		return
	}
	if tight := sp.Used+bytes > sp.Hard-sp.reserve()/2 || sp.ReadOnly; tight && sp.Used-sp.InUse >= sp.reserve()/4 {
		began := time.Now()
		if _, err := s.client.Defragment(ctx, s.endpoints[0]); err != nil {
			s.log.Warn("the store could not be defragmented", zap.Error(err))
			return
		}
		sp = s.Space(ctx)
		s.log.Info("the store was defragmented", zap.Duration("took", time.Since(began)), zap.Stringer("space", sp))
	}
	if sp.ReadOnly && sp.Used <= sp.Changes() {
		if _, err := s.client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
			s.log.Warn("etcd's alarm of a full database could not be ended", zap.Error(err))
		}
	}
}

// compact deletes old versions of all keys and waits until their pages are free. It returns false if nothing has changed since the last
// call.
func (s *Store) compact(ctx context.Context) (bool, error) {
	status, err := ask(ctx, s, "read size", func(ctx context.Context) (*clientv3.StatusResponse, error) {
		return s.client.Status(ctx, s.endpoints[0])
	})
	if err != nil {
		return false, err
	}
	if status.Header.Revision == s.keeper.compacted {
		s.countFree(ctx) // during the last call, a reader may still have used the pages
		return false, nil
	}
	if _, err := s.client.Compact(ctx, status.Header.Revision, clientv3.WithCompactPhysical()); err != nil && !compacted(err) {
		return false, err
	}
	s.keeper.compacted = status.Header.Revision // needs no lock, because only the holder of the token accesses it
	s.countFree(ctx)
	return true, nil
}

func (s *Store) countFree(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	s.server.settle(ctx)
}

// settleWithin is how long compact waits for readers of the database. settleRetry is the pause between two checks in settle.
const settleWithin, settleRetry = time.Second, 10 * time.Millisecond

// settle waits until the pages that were freed before the call are counted as free.
//
// A page counts as free two commits after the transaction that freed it, provided that all read transactions that began earlier have ended.
// etcd ends its own read transactions in the background, which takes longer on a busy host. So settle commits until the backend's current
// reader is the only one left, and then twice more. If ctx ends during a long read, such as a backup, the pages of that read still count as
// in use.
func (e *embedded) settle(ctx context.Context) {
	for e.commit(); e.etcd.Server.Backend().OpenReadTxN() > 1 && Pause(ctx, settleRetry); {
		e.commit()
	}
	e.commit()
	e.commit()
}

// commit commits the backend's pending transaction, so that the sizes are up to date. Without commit, the sizes may be 100 ms old. It calls
// etcd in a separate goroutine, because a failing etcd ends the calling goroutine: see mishap.
func (e *embedded) commit() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.etcd.Server.Backend().ForceCommit()
	}()
	select {
	case <-done:
	case <-e.mishap.happens:
	}
}

// space returns the sizes of an embedded etcd. It reads them directly, not through the socket.
func (e *embedded) space(quota int64) Space {
	backend := e.etcd.Server.Backend()
	sp := Space{Used: backend.Size(), InUse: backend.SizeInUse(), Quota: quota, Hard: e.hard}
	for _, alarm := range e.etcd.Server.Alarms() {
		sp.ReadOnly = sp.ReadOnly || alarm.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	return sp
}
