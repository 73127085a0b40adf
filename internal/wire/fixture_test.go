package wire

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience limits waits that should end at once, so that a test fails with a message instead of
// hanging.
const patience = 30 * time.Second

// collect serves a link until the test ends. It returns a channel that receives a copy of each
// frame.
func collect(t *testing.T, l Link) <-chan []byte {
	t.Helper()
	frames, done := make(chan []byte, 1<<14), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- l.Serve(ctx, func(frame []byte) { frames <- append([]byte(nil), frame...) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve of %s: %v", l.Name(), err)
		}
	})
	return frames
}

// next returns the next frame.
func next(t *testing.T, frames <-chan []byte) []byte {
	t.Helper()
	select {
	case f := <-frames:
		return f
	case <-time.After(patience):
		t.Fatal("no frame came")
		return nil
	}
}

// shut closes a link at the end of the test.
func shut(t testing.TB, l Link) {
	t.Helper()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing %s: %v", l.Name(), err)
		}
	})
}
