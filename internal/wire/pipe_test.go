package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
)

func TestPipeCarriesBothWaysInOrder(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, a)
	shut(t, b)
	atA, atB := collect(t, a), collect(t, b)
	const frames = PipeQueue // fits into the queue even if nobody serves the other end
	for i := range uint32(frames) {
		frame := binary.BigEndian.AppendUint32(nil, i)
		if err := errors.Join(a.Send(frame), b.Send(append(frame, 'b'))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(frames) {
		want := binary.BigEndian.AppendUint32(nil, i)
		if got := next(t, atB); !bytes.Equal(got, want) {
			t.Fatalf("b received %x, want %x", got, want)
		}
		if got := next(t, atA); !bytes.Equal(got, append(want, 'b')) {
			t.Fatalf("a received %x, want %xb", got, want)
		}
	}
	want := Stats{Sent: frames, Received: frames}
	if got := a.(Counted).Stats(); got != want {
		t.Errorf("a counted %+v, want %+v", got, want)
	}
	if got := b.(Counted).Stats(); got != want {
		t.Errorf("b counted %+v, want %+v", got, want)
	}
}

func TestPipeSendsACopy(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, a)
	shut(t, b)
	frame := []byte("first")
	if err := a.Send(frame); err != nil {
		t.Fatal(err)
	}
	copy(frame, "wrong")
	if got := next(t, collect(t, b)); string(got) != "first" {
		t.Errorf("received %q, want first", got)
	}
}

func TestPipeDropsWhenFull(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, a)
	shut(t, b)
	for i := range uint32(PipeQueue + 3) {
		if err := a.Send(binary.BigEndian.AppendUint32(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := a.(Counted).Stats(), (Stats{Sent: PipeQueue, Dropped: 3}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	atB := collect(t, b)
	for i := range uint32(PipeQueue) {
		if got := binary.BigEndian.Uint32(next(t, atB)); got != i {
			t.Fatalf("received frame %d, want %d: the newest are dropped", got, i)
		}
	}
}

func TestPipeErrors(t *testing.T) {
	a, b := Pipe("access-2", "b")
	shut(t, b)
	for _, tc := range []struct {
		frame []byte
		is    error
		want  string
	}{
		{nil, ErrRunt, `link "access-2": frame too short: 0 bytes, a frame has at least 1`},
		{make([]byte, MaxFrame+1), ErrOversized, `link "access-2": frame too long: 9239 bytes, a frame has at most 9238`},
	} {
		if err := a.Send(tc.frame); !errors.Is(err, tc.is) || err.Error() != tc.want {
			t.Errorf("Send of %d bytes: %v\nwant: %s", len(tc.frame), err, tc.want)
		}
	}
	if err := a.Send(make([]byte, MaxFrame)); err != nil {
		t.Errorf("the largest frame: %v", err)
	}
	if got := next(t, collect(t, b)); len(got) != MaxFrame {
		t.Errorf("received %d bytes, want %d", len(got), MaxFrame)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := a.Send([]byte{1}); !errors.Is(err, ErrClosed) || err.Error() != `link "access-2": link closed` {
		t.Errorf("Send after Close: %v", err)
	}
	// The other end stays open, like a cable without a host.
	if err := b.Send([]byte{1}); err != nil {
		t.Errorf("Send to a closed end: %v", err)
	}
	if got := b.(Counted).Stats(); got.Dropped != 1 {
		t.Errorf("counted %+v, want 1 dropped", got)
	}
}

func TestPipeServeEnds(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, b)
	served := make(chan error, 1)
	go func() { served <- a.Serve(context.Background(), func([]byte) {}) }()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve after Close: %v, want nil", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := b.Send([]byte{1}); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := b.Serve(ctx, func([]byte) {}); err != nil {
		t.Errorf("Serve after its context ended: %v, want nil", err)
	}
	if err := b.Serve(ctx, func([]byte) {}); !errors.Is(err, ErrServed) {
		t.Errorf("a second Serve: %v, want %v", err, ErrServed)
	}
}

func TestPipeFromManySenders(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, a)
	shut(t, b)
	const senders, each = 8, PipeQueue / 8
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range each {
				if err := a.Send([]byte{1, 2, 3}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	frames := collect(t, b)
	for range senders * each {
		if got := next(t, frames); !bytes.Equal(got, []byte{1, 2, 3}) {
			t.Fatalf("received %x", got)
		}
	}
	all.Wait()
}

func TestQueueFinishHandsOutWhatWaits(t *testing.T) {
	q := NewQueue[int](4)
	q.Push(1, []byte("one"))
	q.Push(2, []byte("two"))
	q.Finish()
	if q.Push(3, []byte("three")) {
		t.Error("a finished queue took a frame")
	}
	var got []int
	if err := q.Serve(t.Context(), func(n int, _ []byte) error { got = append(got, n); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != 1 || got[1] != 2 || q.Len() != 0 {
		t.Errorf("served %v with %d left, want 1 and 2", got, q.Len())
	}
	stop := errors.New("stop")
	q = NewQueue[int](4)
	q.Push(1, nil)
	if err := q.Serve(t.Context(), func(int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Serve: %v, want the handler's error", err)
	}
}

// TestPipeAllocatesNothing verifies that a frame costs no allocation in the steady state.
func TestPipeAllocatesNothing(t *testing.T) {
	a, b := Pipe("a", "b")
	shut(t, a)
	shut(t, b)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	arrived, served := make(chan struct{}), make(chan error, 1)
	go func() { served <- b.Serve(ctx, func([]byte) { arrived <- struct{}{} }) }()
	frame := make([]byte, 1514)
	round := func() {
		if err := a.Send(frame); err != nil {
			t.Error(err)
		}
		<-arrived
	}
	for range 2 * PipeQueue { // fills the buffer of every slot
		round()
	}
	if got := testing.AllocsPerRun(1000, round); got != 0 {
		t.Errorf("%v allocations a frame, want 0", got)
	}
	stop()
	<-served
}

func BenchmarkPipe(b *testing.B) {
	x, y := Pipe("x", "y")
	frame := make([]byte, 64)
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = y.Serve(ctx, func([]byte) {})
	}()
	b.ReportAllocs()
	for b.Loop() {
		_ = x.Send(frame)
	}
	stop()
	<-served
	b.ReportMetric(float64(y.(Counted).Stats().Received)/float64(b.N), "received/sent")
	_, _ = x.Close(), y.Close()
}
