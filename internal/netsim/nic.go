package netsim

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"op25b/internal/wire"
)

const ethernetHeader = header.EthernetMinimumSize // 14 bytes

// A nic is a host's network card. It implements netstack's link endpoint. It adds and removes all headers around an IP packet on the link,
// and counts every TCP frame that it sends or receives.
type nic struct {
	link    wire.Link
	mac     tcpip.LinkAddress
	access  access
	mtu     uint32
	resolve func(own, far netip.Addr, then func(tcpip.LinkAddress)) tcpip.Error // resolves the MAC address of a softwire's far end, and then calls then
	off     atomic.Bool
	traffic traffic

	mu         sync.RWMutex // guards the fields below
	dispatcher stack.NetworkDispatcher
}

var _ stack.LinkEndpoint = (*nic)(nil)

// down stops sending for good.
func (n *nic) down() { n.off.Store(true) }

// AddHeader implements stack.LinkEndpoint. It does nothing, because the encapsulation depends on the packet's destination, so WritePackets
// builds the whole frame.
func (n *nic) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint.
func (n *nic) ParseHeader(*stack.PacketBuffer) bool { return true }

// WritePackets implements stack.LinkEndpoint.
func (n *nic) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for i, pkt := range pkts.AsSlice() {
		view := pkt.ToView()
		err := n.write(datagram{uint16(pkt.NetworkProtocolNumber), view.AsSlice()}, pkt.EgressRoute.RemoteLinkAddress)
		view.Release()
		if err != nil {
			return i, err
		}
	}
	return pkts.Len(), nil
}

// write sends a datagram along its path. If the far end of its softwire is not resolved yet, the datagram waits for the far end's answer,
// and is dropped if no answer comes.
func (n *nic) write(d datagram, neighbour tcpip.LinkAddress) tcpip.Error {
	p, err := n.access.out(d, neighbour)
	if err != nil {
		return &tcpip.ErrHostUnreachable{}
	}
	if len(d.bytes)+p.overhead() > MTU {
		return &tcpip.ErrMessageTooLong{}
	}
	frame := p.frame(n.mac, d)
	d.bytes = frame[len(frame)-len(d.bytes):]
	if p.peer != "" || !p.softwire.far.IsValid() {
		return n.transmit(frame, d)
	}
	return n.resolve(p.softwire.own, p.softwire.far, func(peer tcpip.LinkAddress) {
		copy(frame, peer)
		_ = n.transmit(frame, d) // ignore the error, because TCP retransmits lost segments
	})
}

// transmit sends a frame. d is the datagram in the frame and is used only for counting.
func (n *nic) transmit(frame []byte, d datagram) tcpip.Error {
	if n.off.Load() {
		return &tcpip.ErrClosedForSend{}
	}
	// Count before sending. Otherwise the peer's reply could release a waiting caller before this goroutine has counted the frame.
	n.traffic.sent.count(d, len(frame), true, Count.Plus)
	if err := n.link.Send(frame); err != nil {
		n.traffic.sent.count(d, len(frame), true, Count.Minus)
		return &tcpip.ErrClosedForSend{}
	}
	return nil
}

// receive filters a frame from the link, as a network card does, and passes it to the stack. It accepts a frame for this host, a multicast
// frame or a broadcast frame if the frame's encapsulation is this host's.
func (n *nic) receive(frame []byte) {
	p, d, ok := parse(frame)
	if !ok {
		return
	}
	to := tcpip.LinkAddress(frame[0:6])
	kind := tcpip.PacketHost
	switch {
	case to == header.EthernetBroadcastAddress:
		kind = tcpip.PacketBroadcast
	case frame[0]&1 != 0:
		kind = tcpip.PacketMulticast
	case to != n.mac:
		return
	}
	if p.session != 0 && kind != tcpip.PacketHost { // a PPPoE session is point-to-point (RFC 2516 section 4), so it has no broadcast frames
		return
	}
	if d, ok = n.access.in(p, d); !ok {
		return
	}
	n.mu.RLock()
	dispatcher := n.dispatcher
	n.mu.RUnlock()
	if dispatcher == nil {
		return
	}
	n.traffic.received.count(d, len(frame), false, Count.Plus)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(asNoRoute(d).bytes)})
	defer pkt.DecRef()
	pkt.PktType = kind
	dispatcher.DeliverNetworkPacket(tcpip.NetworkProtocolNumber(d.protocol), pkt)
}

// Attach implements stack.LinkEndpoint.
func (n *nic) Attach(dispatcher stack.NetworkDispatcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dispatcher = dispatcher
}

// IsAttached implements stack.LinkEndpoint.
func (n *nic) IsAttached() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.dispatcher != nil
}

// MTU implements stack.LinkEndpoint.
func (n *nic) MTU() uint32 { return n.mtu }

// SetMTU implements stack.LinkEndpoint. A host's MTU is fixed.
func (n *nic) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (n *nic) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (n *nic) LinkAddress() tcpip.LinkAddress { return n.mac }

// SetLinkAddress implements stack.LinkEndpoint. A host's MAC address is fixed.
func (n *nic) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint. The card offloads nothing, so the stack computes and verifies checksums.
func (n *nic) Capabilities() stack.LinkEndpointCapabilities {
	if n.access.onLink(false) || n.access.onLink(true) {
		return stack.CapabilityResolutionRequired
	}
	return 0
}

// ARPHardwareType implements stack.LinkEndpoint.
func (n *nic) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// Wait implements stack.LinkEndpoint. It does nothing, because the Host owns the goroutine that serves the link.
func (n *nic) Wait() {}

// Close implements stack.LinkEndpoint. It does nothing, because the Host owns the link.
func (n *nic) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (n *nic) SetOnCloseAction(func()) {}
