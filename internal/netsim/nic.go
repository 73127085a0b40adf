package netsim

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"op25b/internal/wire"
)

const (
	ethernetHeader = header.EthernetMinimumSize // 14 bytes
	tagLength      = 4                          // IEEE 802.1Q: tag protocol identifier and tag control information
	tagProtocol    = 0x8100
	vlanMask       = 0x0fff
)

// A nic is a host's network card: what netstack calls a link endpoint. It makes and strips the Ethernet header with the
// host's tag, and counts every TCP frame at the moment it goes to the link.
type nic struct {
	link    wire.Link
	mac     tcpip.LinkAddress
	vlan    uint16
	off     atomic.Bool
	traffic traffic

	mu         sync.RWMutex // guards everything that follows
	dispatcher stack.NetworkDispatcher
}

var _ stack.LinkEndpoint = (*nic)(nil)

func newNIC(link wire.Link, mac net.HardwareAddr, vlan uint16) *nic {
	return &nic{link: link, mac: tcpip.LinkAddress(mac), vlan: vlan}
}

// down stops sending for good.
func (n *nic) down() { n.off.Store(true) }

func (n *nic) headerLength() int {
	if n.vlan != 0 {
		return ethernetHeader + tagLength
	}
	return ethernetHeader
}

// AddHeader implements stack.LinkEndpoint.
func (n *nic) AddHeader(pkt *stack.PacketBuffer) {
	b := pkt.LinkHeader().Push(n.headerLength())
	copy(b[0:6], pkt.EgressRoute.RemoteLinkAddress)
	copy(b[6:12], n.mac)
	if n.vlan != 0 {
		binary.BigEndian.PutUint16(b[12:], tagProtocol)
		binary.BigEndian.PutUint16(b[14:], n.vlan)
	}
	binary.BigEndian.PutUint16(b[len(b)-2:], uint16(pkt.NetworkProtocolNumber))
}

// ParseHeader implements stack.LinkEndpoint.
func (n *nic) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(n.headerLength())
	return ok
}

// WritePackets implements stack.LinkEndpoint.
func (n *nic) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	written := 0
	for _, pkt := range pkts.AsSlice() {
		if n.off.Load() {
			return written, &tcpip.ErrClosedForSend{}
		}
		view := pkt.ToView()
		frame := view.AsSlice()
		// Counted first: the peer's answer, and whoever waits for that, may be faster than this goroutine.
		n.traffic.sent.count(frame, n.headerLength(), true, Count.Plus)
		err := n.link.Send(frame)
		if err != nil {
			n.traffic.sent.count(frame, n.headerLength(), true, Count.Minus)
		}
		view.Release()
		if err != nil {
			return written, &tcpip.ErrClosedForSend{}
		}
		written++
	}
	return written, nil
}

// receive takes a frame from the link, as the card's filter does: for this host or for many, in this host's VLAN.
func (n *nic) receive(frame []byte) {
	if len(frame) < ethernetHeader {
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
	length, vlan := ethernetHeader, uint16(0)
	protocol := binary.BigEndian.Uint16(frame[12:])
	if protocol == tagProtocol {
		if len(frame) < ethernetHeader+tagLength {
			return
		}
		length += tagLength
		vlan = binary.BigEndian.Uint16(frame[14:]) & vlanMask
		protocol = binary.BigEndian.Uint16(frame[16:])
	}
	// A tag with VLAN id 0 only carries a priority (IEEE 802.1Q section 9.6): the frame is untagged.
	if vlan != n.vlan {
		return
	}
	n.mu.RLock()
	dispatcher := n.dispatcher
	n.mu.RUnlock()
	if dispatcher == nil {
		return
	}
	n.traffic.received.count(frame, length, false, Count.Plus)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(asNoRoute(frame, length))})
	defer pkt.DecRef()
	if _, ok := pkt.LinkHeader().Consume(length); !ok {
		return
	}
	pkt.PktType = kind
	dispatcher.DeliverNetworkPacket(tcpip.NetworkProtocolNumber(protocol), pkt)
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
func (n *nic) MTU() uint32 { return MTU }

// SetMTU implements stack.LinkEndpoint. A host's MTU is fixed.
func (n *nic) SetMTU(uint32) {}

// MaxHeaderLength implements stack.LinkEndpoint.
func (n *nic) MaxHeaderLength() uint16 { return uint16(n.headerLength()) }

// LinkAddress implements stack.LinkEndpoint.
func (n *nic) LinkAddress() tcpip.LinkAddress { return n.mac }

// SetLinkAddress implements stack.LinkEndpoint. A host's MAC address is fixed.
func (n *nic) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.LinkEndpoint: nothing is offloaded, so checksums are made and verified by the host.
func (n *nic) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}

// ARPHardwareType implements stack.LinkEndpoint.
func (n *nic) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// Wait implements stack.LinkEndpoint. The goroutine that serves the link is the Host's.
func (n *nic) Wait() {}

// Close implements stack.LinkEndpoint. The link is the Host's.
func (n *nic) Close() {}

// SetOnCloseAction implements stack.LinkEndpoint.
func (n *nic) SetOnCloseAction(func()) {}
