package wire

import (
	"context"
	"fmt"
	"sync/atomic"
)

// PipeQueue is the number of frames that can wait in each direction of a Pipe. It suffices for two connections that fill the initial TCP
// window of a virtual host at the same time: 1 MiB is 719 segments of 1,460 bytes.
const PipeQueue = 2048

// Pipe returns the two ends of an in-process wire. Serve at one end receives the frames sent at the other end, in order. If PipeQueue
// frames are waiting or the other end is closed, a sent frame is dropped and counted at the sending end.
func Pipe(nameA, nameB string) (Link, Link) {
	ab, ba := NewQueue[struct{}](PipeQueue), NewQueue[struct{}](PipeQueue)
	return &pipeEnd{name: nameA, out: ab, in: ba}, &pipeEnd{name: nameB, out: ba, in: ab}
}

type pipeEnd struct {
	name     string
	out, in  *Queue[struct{}]
	closed   atomic.Bool
	served   atomic.Bool
	counters Counters
}

var (
	_ Link    = (*pipeEnd)(nil)
	_ Counted = (*pipeEnd)(nil)
)

func (p *pipeEnd) Name() string { return p.name }

func (p *pipeEnd) Stats() Stats { return p.counters.Stats() }

func (p *pipeEnd) Serve(ctx context.Context, recv func(frame []byte)) error {
	if p.served.Swap(true) {
		return fmt.Errorf("link %q: %w", p.name, ErrServed)
	}
	return p.in.Serve(ctx, func(_ struct{}, frame []byte) error {
		p.counters.Received.Add(1)
		recv(frame)
		return nil
	})
}

func (p *pipeEnd) Send(frame []byte) error {
	if err := CheckSize(p.name, len(frame)); err != nil {
		return err
	}
	if p.closed.Load() {
		return fmt.Errorf("link %q: %w", p.name, ErrClosed)
	}
	if p.out.Push(struct{}{}, frame) {
		p.counters.Sent.Add(1)
	} else {
		p.counters.Dropped.Add(1)
	}
	return nil
}

// Close discards the frames that wait for this end. The other end stays open, like the far end of an unplugged cable.
func (p *pipeEnd) Close() error {
	p.closed.Store(true)
	p.in.Close()
	return nil
}
