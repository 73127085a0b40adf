// Package netsim is virtual hosts on wires: each has a whole TCP/IP stack of its own (gVisor's netstack) with IPv4, IPv6, ARP
// and neighbour discovery, and real SMTP servers and clients run on them. No privilege is needed, and the machine's own
// network is not touched.
//
// It simulates neither a network's delay nor its loss: what the wires do is what happens.
package netsim

import (
	"context"
	"fmt"
	"net"
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
	// MTU is the largest IP packet that a host sends, in bytes.
	MTU = 1500
	// FirstEphemeralPort is the first of the ports that a host dials from, to 65535: the dynamic ports of RFC 6335 section 6.
	FirstEphemeralPort = 49152

	nicID = tcpip.NICID(1)
	// timeWait is how long an ended connection keeps its pair of ports. Short, since the wires have no delay in which
	// an old segment could lurk.
	timeWait = time.Second
	// finWait2 is how long a closed connection waits for the peer to close too. netstack puts a connection that retransmits
	// its FIN in LAST-ACK here, where no FIN is to come; the default of 60 s would hold up Quiesce as long.
	finWait2 = time.Second
	// minRTO is the least time before a retransmission, as RFC 6298 section 2.4 has it; netstack's 200 ms can pass on a busy
	// machine with nothing lost.
	minRTO = time.Second
)

// A HostConfig says who a host is. Name, MAC and at least one address are required.
type HostConfig struct {
	Name string
	MAC  net.HardwareAddr // 6 bytes, unicast
	IPv4 []netip.Prefix   // addresses with their prefix lengths; the first is the source of what the host dials
	IPv6 []netip.Prefix
	VLAN uint16 // 802.1Q VLAN id that the host's frames carry and that it listens to, 1 to 4094; 0 for untagged
}

// A Host is one host on one link. Every address is on-link for it: it resolves any peer by ARP or neighbour discovery, as
// behind the bridge that an ISP's edge is here.
type Host struct {
	config HostConfig
	link   wire.Link
	stack  *stack.Stack
	nic    *nic
	serve  sync.WaitGroup
	stop   context.CancelFunc

	mu        sync.Mutex // guards everything that follows
	conns     map[*track]struct{}
	listeners map[*listener]struct{}
	changed   chan struct{} // closed and replaced when conns shrinks or a neighbour's state changes
	closed    bool
	failed    error // why the link stopped serving
}

// NewHost starts a host on a link, which the host closes when it is closed.
func NewHost(link wire.Link, config HostConfig) (*Host, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	h := &Host{config: config, link: link, conns: map[*track]struct{}{}, listeners: map[*listener]struct{}{}, changed: make(chan struct{})}
	h.nic = newNIC(link, config.MAC, config.VLAN)
	h.stack = stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{
			arp.NewProtocol, ipv4.NewProtocol,
			// No duplicate address detection: the addresses are given, and the host has them at once.
			ipv6.NewProtocolWithOptions(ipv6.Options{DADConfigs: stack.DADConfigurations{DupAddrDetectTransmits: 0}}),
		},
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

func (c *HostConfig) validate() error {
	refuse := func(field string, value any, valid string) error {
		return fmt.Errorf("%w %q: %s %v, want %s", ErrConfig, c.Name, field, value, valid)
	}
	switch {
	case c.Name == "":
		return refuse("Name", `""`, "a name")
	case len(c.MAC) != 6 || c.MAC[0]&1 != 0:
		return refuse("MAC", c.MAC, "a unicast address of 6 bytes")
	case c.VLAN > 4094:
		return refuse("VLAN", c.VLAN, "0 for untagged or 1 to 4094")
	case len(c.IPv4)+len(c.IPv6) == 0:
		return refuse("IPv4 and IPv6", "[]", "an address")
	}
	for _, p := range c.IPv4 {
		if !p.IsValid() || !p.Addr().Is4() {
			return refuse("IPv4", p, "addresses such as 192.0.2.1/24")
		}
	}
	for _, p := range c.IPv6 {
		if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() {
			return refuse("IPv6", p, "addresses such as 2001:db8::1/64")
		}
	}
	return nil
}

// configure gives the stack its interface, addresses, routes and TCP parameters.
func (h *Host) configure() error {
	if err := h.stack.CreateNICWithOptions(nicID, h.nic, stack.NICOptions{Name: h.config.Name}); err != nil {
		return fmt.Errorf("interface: %s", err)
	}
	for _, p := range append(append([]netip.Prefix{}, h.config.IPv4...), h.config.IPv6...) {
		address := tcpip.ProtocolAddress{
			Protocol:          protocolOf(p.Addr()),
			AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFromSlice(p.Addr().AsSlice()), PrefixLen: p.Bits()},
		}
		if err := h.stack.AddProtocolAddress(nicID, address, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("address %v: %s", p, err)
		}
	}
	h.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	if err := h.stack.SetPortRange(FirstEphemeralPort, 65535); err != nil {
		return fmt.Errorf("ephemeral ports: %s", err)
	}
	return h.tune()
}

// tune sets TCP's parameters for wires without delay.
func (h *Host) tune() error {
	var (
		wait = tcpip.TCPTimeWaitTimeoutOption(timeWait)
		fin  = tcpip.TCPLingerTimeoutOption(finWait2)
		rto  = tcpip.TCPMinRTOOption(minRTO)
		// No tail loss probes (RFC 8985 section 7): they come after two round trips, which here is at once, so that how often a
		// host sends would depend on how busy the machine is.
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

// Addr returns the host's first address of a family, false if it has none.
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

// Err returns why the host's link failed, nil while it works.
func (h *Host) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// Close takes the host off its link, which it closes, and ends its connections, listeners and goroutines. Nothing is sent any
// more, not even a reset: a host that was switched off. It may be called more than once.
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
