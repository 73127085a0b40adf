package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"go.uber.org/zap"
)

// If etcd fails in a way that would normally end the process, the store ends instead. Waiting callers get the
// reason of the first failure, and Close succeeds.
func TestFailedEtcdEndsTheStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	put(t, s.Revisions(), 0, docs("a", "1"))
	own := must(s.TryOwn(within(t), "switch", "a", "noc"))(t)
	members := s.WatchMembers(t.Context())
	receive(t, "members", members)
	if err := s.Failure(); err != nil {
		t.Error(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		log := s.server.mishap.logger().Named("etcd")
		log.Fatal("failed to save Raft hard state and entries", zap.Error(fmt.Errorf("write db: %w", syscall.ENOSPC)))
		t.Error("etcd went on behind an entry that ends the process")
	}()
	<-ended
	err := s.Run(within(t))
	wantError(t, err, ErrFailed, "the store in "+dir+" has failed: failed to save Raft hard state and entries: write db: no space left on device. "+
		"A change in progress may or may not be stored: check op25b history once the controller runs again. Make room on the file system of that directory, and start op25b serve again")
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrClosed) {
		t.Errorf("%v is neither ENOSPC nor ErrClosed", err)
	}
	closed(t, "members", members)
	closed(t, "the ownership", own.Lost())
	_, err = s.Revisions().Put(within(t), Change{Base: 1, Author: "a", Reason: "r", Documents: docs("a", "2")})
	wantError(t, err, ErrFailed, "intent: the store in "+dir+" has failed: ")     // the read of Put may still succeed, so the error may come from its write
	go s.server.mishap.logger().Sugar().Panicf("tocommit(%d) is out of range", 7) // a second failure, which must not be reported
	wantError(t, s.Failure(), syscall.ENOSPC, "no space left")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestRunEnds(t *testing.T) {
	s := embeddedStore(t)
	for _, s := range []*Store{s, beside(t, s)} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil || s.Failure() != nil {
			t.Errorf("%v, %v", err, s.Failure())
		}
	}
}

func TestBreakdownSaysWhatToDo(t *testing.T) {
	err := &BreakdownError{Dir: "/var/lib/op25b", Err: errors.New("walpb: crc mismatch")}
	wantError(t, err, ErrFailed, "Start op25b serve again; if it fails again, check that disk, and restore a backup with op25b store restore")
}
