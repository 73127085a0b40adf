package netsim

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A listener accepts connections and registers each with the host.
type listener struct {
	host  *Host
	addr  netip.AddrPort
	ep    tcpip.Endpoint
	queue *waiter.Queue
	once  sync.Once
	done  chan struct{}
}

// backlog is the maximum number of established connections that can wait for Accept.
const backlog = 1024

// Listen accepts connections to addr over the network tcp, tcp4 or tcp6. The address in addr must be one of the host's, or 0.0.0.0 or
// [::] for all addresses of the family.
func (h *Host) Listen(network, addr string) (net.Listener, error) {
	own, err := parseAddr(network, addr)
	if err != nil {
		return nil, fmt.Errorf("host %q: listen: %w", h.config.Name, err)
	}
	fail := func(err error) (net.Listener, error) {
		return nil, fmt.Errorf("host %q: %w", h.config.Name, &net.OpError{Op: "listen", Net: network, Addr: net.TCPAddrFromAddrPort(own), Err: err})
	}
	if err := h.speaks(own.Addr()); err != nil {
		return fail(err)
	}
	if !own.Addr().IsUnspecified() && !h.owns(own.Addr()) {
		return fail(fmt.Errorf("the host's addresses are %v and %v", h.config.IPv4, h.config.IPv6))
	}
	queue := &waiter.Queue{}
	ep, terr := h.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(own.Addr()), queue)
	if terr != nil {
		return fail(errors.New(terr.String()))
	}
	ep.SocketOptions().SetV6Only(true)
	if terr := ep.Bind(fullAddress(own)); terr != nil {
		ep.Close()
		return fail(errors.New(terr.String()))
	}
	if terr := ep.Listen(backlog); terr != nil {
		ep.Close()
		return fail(errors.New(terr.String()))
	}
	l := &listener{host: h, addr: own, ep: ep, queue: queue, done: make(chan struct{})}
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.listeners[l] = struct{}{}
	}
	h.mu.Unlock()
	if closed {
		ep.Close()
		return fail(ErrClosed)
	}
	return l, nil
}

func (h *Host) owns(addr netip.Addr) bool {
	is := func(p netip.Prefix) bool { return p.Addr() == addr }
	return slices.ContainsFunc(h.config.IPv4, is) || slices.ContainsFunc(h.config.IPv6, is)
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	l.queue.EventRegister(&entry)
	defer l.queue.EventUnregister(&entry)
	for {
		var peer tcpip.FullAddress
		ep, queue, terr := l.ep.Accept(&peer)
		if terr == nil {
			if !l.host.follow(ep, queue, addrPort(peer)) {
				ep.Abort()
				return nil, l.fail(net.ErrClosed)
			}
			return &Conn{TCPConn: gonet.NewTCPConn(queue, ep), ep: ep}, nil
		}
		if _, wait := terr.(*tcpip.ErrWouldBlock); !wait {
			select {
			case <-l.done:
				return nil, l.fail(net.ErrClosed)
			default:
				return nil, l.fail(errors.New(terr.String()))
			}
		}
		select {
		case <-l.done:
			return nil, l.fail(net.ErrClosed)
		case <-ready:
		}
	}
}

func (l *listener) fail(err error) error {
	return &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: err}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.host.mu.Lock()
		delete(l.host.listeners, l)
		l.host.mu.Unlock()
		l.ep.Close()
	})
	return nil
}
