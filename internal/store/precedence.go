package store

import (
	"context"
	"sync"
	"time"
)

// waitForChanges is how long a transaction of a RecordWriter waits for changes of the intent, so that a stream of changes cannot stop it.
const waitForChanges = 250 * time.Millisecond

// A precedence lets changes of the intent go before the transactions of RecordWriters. A change takes several requests, one after the other, and
// each of them would otherwise wait for a transaction with dozens of records. It counts the changes of this process only.
type precedence struct {
	mu      sync.Mutex // guards the fields below
	changes int        // the changes in progress
	none    chan struct{}
}

// begin is called before a change. The caller calls end after it.
func (p *precedence) begin() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changes++; p.changes == 1 {
		p.none = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.changes--; p.changes == 0 {
			close(p.none)
		}
	})
}

// wait returns when no change is in progress, or after waitForChanges, or when ctx ends.
func (p *precedence) wait(ctx context.Context) {
	p.mu.Lock()
	changes, none := p.changes, p.none
	p.mu.Unlock()
	if changes == 0 {
		return
	}
	timer := time.NewTimer(waitForChanges)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Precede lets the requests that follow go before the transactions of RecordWriters, until the caller calls end. Put does it by itself; a caller
// that reads before it can begin earlier.
func (s *Store) Precede() (end func()) { return s.precedence.begin() }
