package dataplane

import (
	"context"
	"fmt"
	"sync/atomic"

	"op25b/internal/wire"
)

// A port is a link to one port of the switch. All ports of a client share its stream.
type port struct {
	client   *Client
	number   uint32
	name     string
	in       *wire.Queue[struct{}]
	closed   atomic.Bool
	served   atomic.Bool
	counters wire.Counters
}

var (
	_ wire.Link    = (*port)(nil)
	_ wire.Counted = (*port)(nil)
)

func (p *port) Name() string { return p.name }

func (p *port) Stats() wire.Stats { return p.counters.Stats() }

// deliver queues a frame from the switch for Serve.
func (p *port) deliver(frame []byte) {
	if wire.CheckSize(p.name, len(frame)) != nil {
		p.counters.Invalid.Add(1)
		return
	}
	if !p.in.Push(struct{}{}, frame) {
		p.counters.Dropped.Add(1)
	}
}

func (p *port) Serve(ctx context.Context, recv func(frame []byte)) error {
	if p.served.Swap(true) {
		return fmt.Errorf("link %q: %w", p.name, wire.ErrServed)
	}
	err := p.in.Serve(ctx, func(_ struct{}, frame []byte) error {
		p.counters.Received.Add(1)
		recv(frame)
		return nil
	})
	if err != nil || ctx.Err() != nil || p.closed.Load() {
		return err
	}
	if err := p.client.failure(); err != nil {
		return fmt.Errorf("link %q: %w", p.name, err)
	}
	return nil
}

func (p *port) Send(frame []byte) error {
	if err := wire.CheckSize(p.name, len(frame)); err != nil {
		return err
	}
	if p.closed.Load() {
		return fmt.Errorf("link %q: %w", p.name, wire.ErrClosed)
	}
	if err := p.client.failure(); err != nil {
		return fmt.Errorf("link %q: %w", p.name, err)
	}
	if p.client.out.Push(p.number, frame) {
		p.counters.Sent.Add(1)
	} else {
		p.counters.Dropped.Add(1)
	}
	return nil
}

// Close closes this port. The stream and the client's other ports stay open.
func (p *port) Close() error {
	p.end()
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	if p.client.ports[p.number] == p {
		delete(p.client.ports, p.number)
	}
	return nil
}

func (p *port) end() {
	p.closed.Store(true)
	p.in.Close()
}
