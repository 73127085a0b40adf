// Package netsim provides virtual hosts connected by wires. Each host has a complete TCP/IP stack (gVisor's netstack) with IPv4, IPv6, ARP
// and neighbour discovery, and can run real SMTP servers and clients. The package needs no privileges and does not use the machine's own
// network.
//
// A host is a subscriber or a server. A subscriber's packets are encapsulated as on a real access line: plain, in one or two VLAN tags, in
// a PPPoE session, with IPv4 in a DS-Lite softwire, or in a combination of these. A server with an Edge answers each subscriber in the
// subscriber's encapsulation. Sessions and softwires are configured. The PPPoE discovery stage, LCP and IPCP are not implemented.
//
// The package simulates neither delay nor loss. Frames arrive as the wires deliver them.
package netsim

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"op25b/internal/wire"
)

const (
	// MTU is the size in bytes of the largest IP packet on a link, without tags. PPPoE (8 bytes) and a softwire (40 bytes, or 48 with the
	// encapsulation limit) reduce it, and thereby also the maximum segment size that TCP announces.
	MTU = 1500
	// FirstEphemeralPort is the lowest source port of outgoing connections. The highest is 65535. These are the dynamic ports of RFC 6335
	// section 6.
	FirstEphemeralPort = 49152

	nicID = tcpip.NICID(1)
	// timeWait is how long a connection stays in TIME-WAIT. It can be short, because the wires have no delay and no old segment arrives
	// late.
	timeWait = time.Second
	// finWait2 is how long a closed connection waits for the peer's FIN. netstack also moves a connection to this state when it retransmits
	// its FIN in LAST-ACK. The peer sends no FIN then, so netstack's default would delay Quiesce by 60 s.
	finWait2 = time.Second
	// minRTO is the minimum retransmission timeout, as in RFC 6298 section 2.4. With netstack's default of 200 ms, a busy machine would
	// retransmit segments that are not lost.
	minRTO = time.Second
)

// A Host is one host on one link. It treats every address as on-link and resolves any peer by ARP or neighbour discovery, as if it were
// connected to the bridge of an ISP's edge. The exceptions are packets in a session or a softwire, and the replies of a host with an Edge.
type Host struct {
	config HostConfig
	link   wire.Link
	stack  *stack.Stack
	nic    *nic
	serve  sync.WaitGroup
	stop   context.CancelFunc

	mu        sync.Mutex // guards the fields below
	conns     map[*track]struct{}
	listeners map[*listener]struct{}
	changed   chan struct{} // closed and replaced when conns shrinks or a neighbour's state changes
	closed    bool
	failed    error // the reason why the host stopped serving the link
}

// NewHost starts a host on a link. The host takes ownership of the link, and Host.Close closes it.
func NewHost(link wire.Link, config HostConfig) (*Host, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	h := &Host{config: config, link: link, conns: map[*track]struct{}{}, listeners: map[*listener]struct{}{}, changed: make(chan struct{})}
	protocols := []stack.NetworkProtocolFactory{
		ipv4.NewProtocol,
		// Without duplicate address detection, the configured addresses can be used at once.
		ipv6.NewProtocolWithOptions(ipv6.Options{DADConfigs: stack.DADConfigurations{DupAddrDetectTransmits: 0}}),
	}
	if len(config.Softwires) == 0 { // with softwires there is no native IPv4, so the host needs no ARP
		protocols = append(protocols, arp.NewProtocol)
	}
	h.nic = &nic{link: link, mac: tcpip.LinkAddress(config.MAC), mtu: MTU, resolve: h.resolve}
	if config.Edge != nil {
		h.nic.access = newEdge(config.Edge)
	} else {
		l := newLine(&config)
		_, v6 := l.mtu()
		h.nic.access, h.nic.mtu = l, uint32(v6)
	}
	h.stack = stack.New(stack.Options{
		NetworkProtocols:   protocols,
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
		Clock:              lateTimers{tcpip.NewStdClock()},
		NUDDisp:            neighbourWatch{h},
	})
	if err := h.configure(); err != nil {
		h.stack.Destroy()
		return nil, fmt.Errorf("host %q: %w", config.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.serve.Go(func() {
		err := link.Serve(ctx, h.nic.receive)
		h.mu.Lock()
		h.failed = err
		h.mu.Unlock()
	})
	return h, nil
}

// configure sets the stack's interface, addresses, routes and TCP parameters.
func (h *Host) configure() error {
	if err := h.stack.CreateNICWithOptions(nicID, h.nic, stack.NICOptions{Name: h.config.Name}); err != nil {
		return fmt.Errorf("interface: %s", err)
	}
	own := append(append([]netip.Prefix{}, h.config.IPv4...), h.config.IPv6...)
	if e := h.config.Edge; e != nil && e.AFTR.IsValid() { // this makes netstack answer neighbour solicitations for the AFTR's address
		own = append(own, netip.PrefixFrom(e.AFTR, e.AFTR.BitLen()))
	}
	for _, p := range own {
		address := tcpip.ProtocolAddress{
			Protocol:          protocolOf(p.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(p.Addr().AsSlice()), PrefixLen: p.Bits()},
		}
		if err := h.stack.AddProtocolAddress(nicID, address, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("address %v: %s", p, err)
		}
	}
	var mtu uint32 // the MTU of the IPv4 route, less the IPv4 header; 0 means the interface's MTU
	if l, ok := h.nic.access.(*line); ok {
		v4, _ := l.mtu()
		mtu = uint32(v4) - header.IPv4MinimumSize
	}
	h.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID, MTU: mtu},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	if err := h.stack.SetPortRange(FirstEphemeralPort, 65535); err != nil {
		return fmt.Errorf("ephemeral ports: %s", err)
	}
	return h.tune()
}

// tune sets TCP parameters that suit wires without any delay.
func (h *Host) tune() error {
	var (
		wait = tcpip.TCPTimeWaitTimeoutOption(timeWait)
		fin  = tcpip.TCPLingerTimeoutOption(finWait2)
		rto  = tcpip.TCPMinRTOOption(minRTO)
		// Tail loss probes (RFC 8985 section 7) are disabled. They are sent after two round trips, which pass immediately on these wires,
		// so the number of frames would depend on the machine's load.
		recovery = tcpip.TCPRecovery(0)
	)
	for _, option := range []tcpip.SettableTransportProtocolOption{&wait, &fin, &rto, &recovery} {
		if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return fmt.Errorf("%T: %s", option, err)
		}
	}
	return nil
}

// Name returns the host's name.
func (h *Host) Name() string { return h.config.Name }

// Addr returns the host's first address of a family. It returns false if the host has no address of that family.
func (h *Host) Addr(v6 bool) (netip.Addr, bool) {
	prefixes := h.config.IPv4
	if v6 {
		prefixes = h.config.IPv6
	}
	if len(prefixes) == 0 {
		return netip.Addr{}, false
	}
	return prefixes[0].Addr(), true
}

// Err returns the error that made the host's link fail, or nil while the link works.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// Close detaches the host from its link, closes the link, and ends the host's connections, listeners and goroutines. Like a host that is
// switched off, it sends nothing, not even a reset. Close may be called more than once.
func (h *Host) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	listeners := make([]*listener, 0, len(h.listeners))
	for l := range h.listeners {
		listeners = append(listeners, l)
	}
	h.mu.Unlock()

	h.nic.down()
	h.stop()
	err := h.link.Close()
	h.serve.Wait()
	for _, l := range listeners {
		_ = l.Close()
	}
	h.stack.Close()
	h.stack.Wait()
	return err
}

func protocolOf(addr netip.Addr) tcpip.NetworkProtocolNumber {
	if addr.Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}
