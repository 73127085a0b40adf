package netsim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A track follows one connection until the connection can send no more segments. After the application's Close, the end of a connection
// still takes two segments in each direction, and their retransmissions.
type track struct {
	host   *Host
	ep     tcpip.Endpoint
	remote netip.AddrPort
	entry  waiter.Entry
}

// follow adds a connection to the connections that Quiesce waits for. It returns false if the host is closed.
func (h *Host) follow(ep tcpip.Endpoint, queue *waiter.Queue, remote netip.AddrPort) bool {
	t := &track{host: h, ep: ep, remote: remote}
	t.entry = waiter.NewFunctionEntry(waiter.EventHUp, func(waiter.EventMask) { t.look() })
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return false
	}
	h.conns[t] = struct{}{}
	h.mu.Unlock()
	queue.EventRegister(&t.entry)
	// The connection may have ended before the event was registered.
	t.look()
	return true
}

// look removes the connection from the host if the connection has ended. netstack reports EventHUp whenever a connection enters one of the
// states that look checks.
func (t *track) look() {
	switch tcp.EndpointState(t.ep.State()) {
	case tcp.StateClose, tcp.StateError, tcp.StateTimeWait:
		t.host.mu.Lock()
		defer t.host.mu.Unlock()
		if _, ok := t.host.conns[t]; ok {
			delete(t.host.conns, t)
			t.host.tellLocked()
		}
	}
}

// tellLocked wakes all goroutines that wait for h.changed.
func (h *Host) tellLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// DialContext connects to addr over the network tcp, tcp4 or tcp6. addr is an IP address and a port. If ctx ends first, DialContext aborts
// the attempt, and the host sends no further segment for it.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	peer, err := parseAddr(network, addr)
	if err != nil {
		return nil, fmt.Errorf("host %q: dial: %w", h.config.Name, err)
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(peer), Err: err}
	}
	if ctx.Err() != nil {
		return fail(context.Cause(ctx))
	}
	if err := h.speaks(peer.Addr()); err != nil {
		return fail(err)
	}
	if err := h.reach(ctx, peer.Addr()); err != nil {
		return fail(err)
	}
	var queue waiter.Queue
	ep, terr := h.stack.NewEndpoint(tcp.ProtocolNumber, protocolOf(peer.Addr()), &queue)
	if terr != nil {
		return fail(errors.New(terr.String()))
	}
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	terr = ep.Connect(fullAddress(peer))
	if !h.follow(ep, &queue, peer) {
		ep.Abort()
		return fail(ErrClosed)
	}
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			ep.Abort()
			return fail(context.Cause(ctx))
		case <-ready:
		}
		terr = ep.LastError()
	}
	if terr != nil {
		ep.Close()
		return fail(h.dialError(peer.Addr(), terr))
	}
	return &Conn{TCPConn: gonet.NewTCPConn(&queue, ep), ep: ep}, nil
}

// A Conn is one end of a TCP connection.
type Conn struct {
	*gonet.TCPConn
	ep tcpip.Endpoint
}

// Abort ends the connection with a reset. Afterwards, the host sends neither queued data nor retransmissions for the connection. A later
// Close does nothing.
func (c *Conn) Abort() { c.ep.Abort() }

// Abort aborts every open connection of the host.
func (h *Host) Abort() {
	h.mu.Lock()
	open := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, t := range open {
		t.ep.Abort()
	}
}

// dialError converts netstack's errors to the errors of this package. netstack reports a host as unreachable either if its link address
// cannot be resolved or if an ICMP error arrives. Only the first case becomes ErrNoNeighbour.
func (h *Host) dialError(peer netip.Addr, err tcpip.Error) error {
	switch err.(type) {
	case *tcpip.ErrConnectionRefused:
		return ErrRefused
	case *tcpip.ErrHostUnreachable, *tcpip.ErrNetworkUnreachable:
		if h.resolved(peer) {
			return fmt.Errorf("%w: %s", ErrProhibited, err)
		}
		return ErrNoNeighbour
	}
	return errors.New(err.String())
}

// resolved reports whether a neighbour has answered for the address. If the stack does not resolve addresses of this family, resolved
// returns true, because reach has already checked the path.
func (h *Host) resolved(peer netip.Addr) bool {
	if !h.nic.access.onLink(peer.Is6()) {
		return true
	}
	neighbours, err := h.stack.Neighbors(nicID, protocolOf(peer))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(neighbours, func(n stack.NeighborEntry) bool {
		return n.Addr == tcpip.AddrFromSlice(peer.AsSlice()) && n.State != stack.Incomplete && n.State != stack.Unreachable && n.State != stack.Unknown
	})
}

// speaks returns an error if the host has no address of addr's family.
func (h *Host) speaks(addr netip.Addr) error {
	if _, ok := h.Addr(addr.Is6()); ok {
		return nil
	}
	if addr.Is6() {
		return errors.New("the host has no IPv6 address")
	}
	return errors.New("the host has no IPv4 address")
}

func parseAddr(network, addr string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: want an IP address and a port: %w", addr, err)
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	switch {
	case network == "tcp", network == "tcp4" && ap.Addr().Is4(), network == "tcp6" && ap.Addr().Is6():
		return ap, nil
	}
	return netip.AddrPort{}, fmt.Errorf("network %q does not fit address %q: want tcp, tcp4 for IPv4 or tcp6 for IPv6", network, addr)
}

func fullAddress(ap netip.AddrPort) tcpip.FullAddress {
	full := tcpip.FullAddress{NIC: nicID, Port: ap.Port()}
	if !ap.Addr().IsUnspecified() {
		full.Addr = tcpip.AddrFromSlice(ap.Addr().AsSlice())
	}
	return full
}

func addrPort(full tcpip.FullAddress) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(full.Addr.AsSlice())
	return netip.AddrPortFrom(addr, full.Port)
}
