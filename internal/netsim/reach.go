package netsim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// reach returns nil if the host can reach the peer before it connects. The peer must be on-link, or be a destination of a session or of a
// softwire whose AFTR answers. For a host with an Edge, the peer must be a subscriber that has sent a packet.
func (h *Host) reach(ctx context.Context, peer netip.Addr) error {
	if h.nic.access.onLink(peer.Is6()) {
		return nil
	}
	p, err := h.nic.access.to(peer)
	if err != nil || p.peer != "" || !p.softwire.far.IsValid() {
		return err
	}
	found := make(chan tcpip.Error, 1)
	switch err := h.lookUp(p.softwire.own, p.softwire.far, func(r stack.LinkResolutionResult) { found <- r.Err }).(type) {
	case nil, *tcpip.ErrWouldBlock:
	default:
		return errors.New(err.String())
	}
	select {
	case err := <-found:
		if err != nil {
			return fmt.Errorf("%w: AFTR %v of the softwire to %v: %s", ErrNoNeighbour, p.softwire.far, peer, err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// resolve calls then with an AFTR's MAC address, either immediately or when the AFTR has answered. If the AFTR does not answer, resolve
// does not call then.
func (h *Host) resolve(own, far netip.Addr, then func(tcpip.LinkAddress)) tcpip.Error {
	err := h.lookUp(own, far, func(r stack.LinkResolutionResult) {
		if r.Err == nil {
			then(r.LinkAddress)
		}
	})
	if _, wait := err.(*tcpip.ErrWouldBlock); wait {
		return nil
	}
	return err
}

func (h *Host) lookUp(own, far netip.Addr, then func(stack.LinkResolutionResult)) tcpip.Error {
	return h.stack.GetLinkAddress(nicID, tcpip.AddrFromSlice(far.AsSlice()), tcpip.AddrFromSlice(own.AsSlice()), ipv6.ProtocolNumber, then)
}

func (h *Host) tunnelsTo(addr netip.Addr) bool {
	return slices.ContainsFunc(h.config.Softwires, func(w Softwire) bool { return w.AFTR == addr })
}
