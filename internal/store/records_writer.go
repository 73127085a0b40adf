package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Limits of a RecordWriter.
const (
	// writing is the number of transactions that run at once. While one does, further records collect for the next. A second one would make
	// both smaller, and other writes to the store, such as a change of phase, slower.
	writing = 1
	// writeTimeout is how long a transaction may take. It does not end with the caller that runs it, because it has records of others.
	writeTimeout = 10 * time.Second
)

// A RecordWriter writes records. Records that are put while transactions are in progress share the next transaction, because each transaction
// costs a message between the members of the store and a write to their disks. Its method is safe for concurrent use.
type RecordWriter[T any] struct {
	records *Records[T]

	mu      sync.Mutex // guards all following fields
	pending []*pendingPut[T]
	running int
}

// Writer returns a RecordWriter for the records.
func (r *Records[T]) Writer() *RecordWriter[T] { return &RecordWriter[T]{records: r} }

// A pendingPut is a record that waits for a transaction.
type pendingPut[T any] struct {
	PutOf[T]
	done chan written  // has room for the result
	turn chan struct{} // has room for the value that makes the caller run the next transaction
}

// written is the result of writing a record: its new version, or an error.
type written struct {
	version int64
	err     error
}

// PutIf writes a record like Records.PutIf, and returns its new version. Two records of one name must not be put at once. After an error other
// than a *ConflictError, the record may have been written.
func (w *RecordWriter[T]) PutIf(ctx context.Context, name string, rev int64, v T) (int64, error) {
	p := &pendingPut[T]{PutOf[T]{Name: name, Rev: rev, Value: v}, make(chan written, 1), make(chan struct{}, 1)}
	w.mu.Lock()
	w.pending = append(w.pending, p)
	if w.running < writing {
		w.running++
		w.passLocked()
	}
	w.mu.Unlock()
	for {
		select {
		case done := <-p.done:
			w.leave(p) // another caller's transaction may have had the record
			return done.version, done.err
		case <-p.turn:
			w.transact(ctx)
		case <-ctx.Done():
			w.leave(p)
			return 0, context.Cause(ctx)
		}
	}
}

// passLocked lets the first caller in line run the next transaction.
func (w *RecordWriter[T]) passLocked() {
	if len(w.pending) == 0 {
		w.running--
		return
	}
	select {
	case w.pending[0].turn <- struct{}{}:
	default: // it has the turn of another transaction already, and one is enough for what is pending
		w.running--
	}
}

// leave removes a record whose caller does not wait any longer, and passes its turn on if it has one.
func (w *RecordWriter[T]) leave(p *pendingPut[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = slices.DeleteFunc(w.pending, func(o *pendingPut[T]) bool { return o == p })
	if len(p.turn) > 0 {
		<-p.turn
		w.passLocked()
	}
}

// transact writes the records that are pending, up to the size of a transaction, and passes the turn on. Changes of the intent go before it.
func (w *RecordWriter[T]) transact(ctx context.Context) {
	w.records.s.precedence.wait(ctx)
	w.mu.Lock()
	n := min(len(w.pending), MaxPuts)
	some := slices.Clone(w.pending[:n])
	w.pending = slices.Delete(w.pending, 0, n)
	w.mu.Unlock()
	if n > 0 {
		w.write(ctx, some)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passLocked()
}

// write writes records in one transaction. If a record has another version, write writes each record separately, so that only that one fails.
func (w *RecordWriter[T]) write(ctx context.Context, some []*pendingPut[T]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	puts := make([]PutOf[T], len(some))
	for i, p := range some {
		puts[i] = p.PutOf
	}
	version, err := w.records.PutAllIf(ctx, puts)
	conflict := (*ConflictError)(nil)
	if !errors.As(err, &conflict) || len(some) == 1 {
		for _, p := range some {
			p.done <- written{version, err}
		}
		return
	}
	for _, p := range some {
		version, err := w.records.PutIf(ctx, p.Name, p.Rev, p.Value)
		p.done <- written{version, err}
	}
}
