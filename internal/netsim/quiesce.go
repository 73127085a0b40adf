package netsim

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Quiesce returns when the host has nothing more to send on its own. Every connection has then ended on both sides, and no packet waits
// for a neighbour's address. To read counters, wait until the attempts have returned, and call Quiesce on each host first.
//
// If a peer began a handshake and did not finish it, Quiesce drops the handshake without sending a segment, because the peer has given
// up. If an application keeps a connection open, Quiesce waits until ctx ends, and its error names the connection. While an AFTR's link
// address is being resolved, the host is busy for every peer.
func (h *Host) Quiesce(ctx context.Context) error {
	return h.quiesce(ctx, func(netip.Addr) bool { return true })
}

// QuiesceWith is like Quiesce, but considers only the connections with one peer.
func (h *Host) QuiesceWith(ctx context.Context, peer netip.Addr) error {
	return h.quiesce(ctx, func(a netip.Addr) bool { return a == peer })
}

func (h *Host) quiesce(ctx context.Context, with func(netip.Addr) bool) error {
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		h.dropEmbryos(with)
		busy := h.busy(with)
		if busy == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("host %q still has %s: %w", h.config.Name, busy, ctx.Err())
		case <-changed:
		}
	}
}

// busy returns a reason why the host may still send, or "" if there is none. It queries the stack without holding mu, because the stack
// reports changes while it holds its own locks.
func (h *Host) busy(with func(netip.Addr) bool) string {
	h.mu.Lock()
	open := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, t := range open {
		if with(t.remote.Addr()) {
			local, _ := t.ep.GetLocalAddress()
			return fmt.Sprintf("the connection %v to %v in state %v", addrPort(local), t.remote, tcp.EndpointState(t.ep.State()))
		}
	}
	for _, protocol := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
		neighbours, err := h.stack.Neighbors(nicID, protocol)
		if err != nil {
			continue
		}
		for _, n := range neighbours {
			if addr, _ := netip.AddrFromSlice(n.Addr.AsSlice()); n.State == stack.Incomplete && (with(addr) || h.tunnelsTo(addr)) {
				return fmt.Sprintf("packets that wait for the link address of %s", n.Addr)
			}
		}
	}
	return ""
}

// dropEmbryos aborts connections whose handshake a peer has begun but not finished.
func (h *Host) dropEmbryos(with func(netip.Addr) bool) {
	for _, e := range h.stack.RegisteredEndpoints() {
		ep, ok := e.(*tcp.Endpoint)
		if !ok || ep.EndpointState() != tcp.StateSynRecv {
			continue
		}
		// Use ep.ID, because GetRemoteAddress returns the peer only after the connection is established.
		if addr, _ := netip.AddrFromSlice(ep.ID.RemoteAddress.AsSlice()); with(addr) {
			ep.Abort()
		}
	}
}

// A neighbourWatch notifies a host when a neighbour's state changes.
type neighbourWatch struct {
	host *Host
}

var _ stack.NUDDispatcher = neighbourWatch{}

// OnNeighborAdded implements stack.NUDDispatcher.
func (w neighbourWatch) OnNeighborAdded(tcpip.NICID, stack.NeighborEntry) {}

// OnNeighborChanged implements stack.NUDDispatcher.
func (w neighbourWatch) OnNeighborChanged(tcpip.NICID, stack.NeighborEntry) { w.tell() }

// OnNeighborRemoved implements stack.NUDDispatcher.
func (w neighbourWatch) OnNeighborRemoved(tcpip.NICID, stack.NeighborEntry) { w.tell() }

func (w neighbourWatch) tell() {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	w.host.tellLocked()
}
