package netsim

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Ping sends an ICMP echo request. It returns when the reply arrives or ctx ends.
//
// Wires and a switch keep the order of frames between two hosts. If Ping is called after Quiesce, all earlier frames have therefore
// arrived, and the switch has counted them.
func (h *Host) Ping(ctx context.Context, peer netip.Addr) error {
	if err := h.ping(ctx, peer.Unmap()); err != nil {
		return fmt.Errorf("host %q: ping %v: %w", h.config.Name, peer, err)
	}
	return nil
}

func (h *Host) ping(ctx context.Context, peer netip.Addr) error {
	if err := h.reach(ctx, peer); err != nil {
		return err
	}
	// An echo request of either family consists of a type, 7 more header bytes (zero, or set by netstack), and the payload.
	request := append(make([]byte, header.ICMPv4MinimumSize), rand.Text()...)
	protocol := icmp.ProtocolNumber4
	request[0] = byte(header.ICMPv4Echo)
	if peer.Is6() {
		protocol = icmp.ProtocolNumber6
		request[0] = byte(header.ICMPv6EchoRequest)
	}
	var queue waiter.Queue
	ep, terr := h.stack.NewEndpoint(protocol, protocolOf(peer), &queue)
	if terr != nil {
		return errors.New(terr.String())
	}
	conn := gonet.NewUDPConn(&queue, ep)
	defer conn.Close()
	if terr := ep.Connect(tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(peer.AsSlice())}); terr != nil {
		return errors.New(terr.String())
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(request); err != nil {
		return err
	}
	answer := make([]byte, MTU)
	for {
		n, err := conn.Read(answer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case n >= header.ICMPv4MinimumSize && bytes.Equal(answer[header.ICMPv4MinimumSize:n], request[header.ICMPv4MinimumSize:]):
			return nil
		}
	}
}
