package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// A mishap records the failure of an embedded etcd. etcd reports a failure by a log entry that ends the process, such as `failed to save
// Raft hard state and entries`. In this package, such an entry ends the goroutine that logged it and makes the store fail, but the process
// continues.
type mishap struct {
	once    sync.Once
	happens chan struct{} // closed when etcd has failed
	why     error         // reason of the failure; set before happens is closed
}

func newMishap() *mishap { return &mishap{happens: make(chan struct{})} }

// fail records the reason of the failure. Only the first call has an effect.
func (m *mishap) fail(why error) {
	m.once.Do(func() {
		m.why = why
		close(m.happens)
	})
}

// err returns the reason of the failure, or nil.
func (m *mishap) err() error {
	select {
	case <-m.happens:
		return m.why
	default:
		return nil
	}
}

// logger returns the logger for etcd. It handles only entries that would end the process. Other entries are dropped, because the store
// reports etcd's errors itself.
func (m *mishap) logger() *zap.Logger {
	return zap.New(zapcore.NewNopCore(), zap.WithFatalHook(m), zap.WithPanicHook(m))
}

// OnWrite handles a log entry that would end the process. It ends the calling goroutine, because etcd does not expect OnWrite to return.
func (m *mishap) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	why := errors.New(e.Message)
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			why = fmt.Errorf("%s: %w", e.Message, err)
		}
	}
	m.fail(why)
	runtime.Goexit()
}

var _ zapcore.CheckWriteHook = (*mishap)(nil)

// A BreakdownError means that an embedded etcd stopped by itself or did not start.
type BreakdownError struct {
	Dir string
	Err error // the error that etcd reported
}

// Error names the directory and etcd's error. It states whether pending changes are stored, and tells the user what to do.
func (e *BreakdownError) Error() string {
	text := fmt.Sprintf("the store in %s has failed: %v. A change in progress may or may not be stored: check op25b history once the controller runs again. ", e.Dir, e.Err)
	if errors.Is(e.Err, syscall.ENOSPC) || errors.Is(e.Err, syscall.EDQUOT) {
		return text + "Make room on the file system of that directory, and start op25b serve again"
	}
	return text + "Start op25b serve again; if it fails again, check that disk, and restore a backup with op25b store restore"
}

// Unwrap returns ErrFailed, Err, and ErrClosed, because every later request fails.
func (e *BreakdownError) Unwrap() []error { return []error{ErrFailed, ErrClosed, e.Err} }

var _ error = (*BreakdownError)(nil)

// Run waits until ctx ends or an embedded etcd fails. It returns nil when ctx ends, and a *BreakdownError if etcd has failed. In the
// second case, every watch and request has ended, but the caller must still call Close.
func (s *Store) Run(ctx context.Context) error {
	if s.server == nil {
		<-ctx.Done()
		return nil
	}
	select {
	case <-s.server.mishap.happens:
		return s.Failure()
	case <-ctx.Done():
		return nil
	}
}

// Failure returns nil, or a *BreakdownError if the embedded etcd has failed.
func (s *Store) Failure() error {
	if s.server == nil || s.server.mishap.err() == nil {
		return nil
	}
	return &BreakdownError{Dir: s.cfg.Dir, Err: s.server.mishap.err()}
}

// endWithServer ends the store when the embedded etcd fails.
func (s *Store) endWithServer() {
	select {
	case <-s.server.mishap.happens:
		s.end()
	case <-s.life.Done():
	}
}
