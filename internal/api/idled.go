package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Limits on streams of reports.
const (
	// reportHeld is the memory that a stream may use: a request as received, inflated and decoded, and its events.
	reportHeld = 4 << 20
	// reportIdle is the time in which the next request must arrive.
	reportIdle = 5 * time.Minute
)

// An idled is the body of a stream. Its reads fail if nothing arrives for some time.
type idled struct {
	io.ReadCloser
	within  time.Duration
	control *http.ResponseController

	mu    sync.Mutex // guards the fields below
	over  bool       // the reads fail from now on
	late  bool       // nothing arrived for some time
	ended bool       // the handler returns, after which control must not be used
}

type idledKey struct{}

func newIdled(w http.ResponseWriter, body io.ReadCloser, within time.Duration) *idled {
	return &idled{ReadCloser: body, within: within, control: http.NewResponseController(w)}
}

// Read reads from the body.
func (b *idled) Read(p []byte) (int, error) {
	b.wait()
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.late = !b.over
	}
	return n, err
}

func (b *idled) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over && !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(b.within))
	}
}

// cut makes the reads fail from now on.
func (b *idled) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// end must be called before the handler returns. cut may run in another goroutine when the caller disconnects, and net/http panics if the deadline of
// a request is set after its handler.
func (b *idled) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}

// expired reports whether a read failed because nothing arrived for some time.
func (b *idled) expired() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late
}
