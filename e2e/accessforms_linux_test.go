package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An accessForm is a way to connect a line. Both ends are configured alike. Either the kernel or the test creates the outer headers. The
// kernel always creates the TCP and IP headers inside them.
type accessForm struct {
	name string
	// needs is the kind of network device that the kernel must support. It is "tun" if the test creates the outer headers, between a TUN or
	// TAP device and the wire.
	needs      string
	ipv4, ipv6 bool
	line       string // the keys of the line in the inventory, in YAML
	// around lists the outer headers in the notation of layersOf. A reply has the same headers without extension headers.
	around string
	// outer returns an end's addresses in the outer IP header. If outer is nil, the packets have no outer IP header.
	outer func(e *end) []netip.Addr
	lay   func(e *end) (carrier, error)
}

// An end is one end of an access line. Side 1 is the subscriber's end, and side 2 is the server's.
type end struct {
	*namespace
	t            *testing.T
	number, side int
}

// A carrier is an end's device that leads to the other end.
type carrier struct {
	device   string
	ethernet bool          // whether neighbours must be resolved
	encap    netlink.Encap // the encapsulation of the route through the device; nil means none
}

func (e *end) other() *end {
	return &end{number: e.number, side: 3 - e.side}
}

func (e *end) mac() net.HardwareAddr {
	return net.HardwareAddr{2, 0x25, 0, 0, byte(e.number), byte(e.side)}
}

// inner4 and inner6 return the addresses of the TCP packets. outer4 and outer6 return the addresses of the tunnel's ends.
func (e *end) inner4() netip.Addr {
	return netip.AddrFrom4([4]byte{100, 64, byte(e.number), byte(e.side)})
}

func (e *end) outer4() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 25, byte(e.number), byte(e.side)})
}
func (e *end) inner6() netip.Addr { return addr6("2001:db8:1::", byte(e.number), byte(e.side)) }
func (e *end) outer6() netip.Addr { return addr6("2001:db8:2::", byte(e.number), byte(e.side)) }

// segment6 returns the segment identifier at which an end decapsulates packets.
func (e *end) segment6() netip.Addr { return addr6("2001:db8:2::", byte(e.number), 0xd0+byte(e.side)) }

func outer4(e *end) []netip.Addr        { return []netip.Addr{e.outer4()} }
func outer6(e *end) []netip.Addr        { return []netip.Addr{e.outer6()} }
func outerSegments(e *end) []netip.Addr { return []netip.Addr{e.outer6(), e.segment6()} }

func addr6(prefix string, number, last byte) netip.Addr {
	b := netip.MustParseAddr(prefix).As16()
	b[7], b[15] = number, last
	return netip.AddrFrom16(b)
}

const (
	outerVLAN, innerVLAN = 100, 7
	pppoeSession         = 0x1234
)

// accessForms returns all forms. Each form except plain is listed once with headers that the kernel creates. Most are listed again with
// headers that the test creates.
func accessForms() []accessForm {
	oneTag, twoTags := fmt.Sprintf("vlan: %d", outerVLAN), fmt.Sprintf("vlan: %d, innerVLAN: %d", outerVLAN, innerVLAN)
	session := fmt.Sprintf("pppoe: %d", pppoeSession)
	c := vlanTag{netlink.VLAN_PROTOCOL_8021Q, outerVLAN}
	s, inner := vlanTag{netlink.VLAN_PROTOCOL_8021AD, outerVLAN}, vlanTag{netlink.VLAN_PROTOCOL_8021Q, innerVLAN}
	forms := []accessForm{
		{name: "plain", ipv4: true, ipv6: true, lay: func(*end) (carrier, error) { return carrier{device: wan, ethernet: true}, nil }},
		{name: "802.1Q", needs: "vlan", ipv4: true, ipv6: true, line: oneTag, around: "8100:100 ", lay: kernelTags(c)},
		{name: "QinQ", needs: "vlan", ipv4: true, ipv6: true, line: twoTags, around: "88a8:100 8100:7 ", lay: kernelTags(s, inner)},
		{name: "PPPoE", needs: "pppoe", ipv4: true, ipv6: true, line: session, around: "PPPoE:4660 ", lay: kernelPPPoE},
		{
			name: "DS-Lite with encapsulation limit", needs: "ip6tnl", ipv4: true, around: "IPv6 options ", outer: outer6,
			lay: kernelTunnel(6, func(e *end) netlink.Link {
				return &netlink.Ip6tnl{
					Local: e.outer6().AsSlice(), Remote: e.other().outer6().AsSlice(), Ttl: hops, Proto: unix.IPPROTO_IPIP, EncapLimit: encapsulationLimit,
				}
			}),
		},
		{name: "DS-Lite", needs: "ip6tnl", ipv4: true, around: "IPv6 ", outer: outer6, lay: kernelTunnel(6, func(e *end) netlink.Link {
			return &netlink.Ip6tnl{
				Local: e.outer6().AsSlice(), Remote: e.other().outer6().AsSlice(), Ttl: hops, Proto: unix.IPPROTO_IPIP, Flags: ignoreEncapsulationLimit,
			}
		})},
		{name: "6in4", needs: "sit", ipv6: true, around: "IPv4 ", outer: outer4, lay: kernelTunnel(4, func(e *end) netlink.Link {
			return &netlink.Sittun{Local: e.outer4().AsSlice(), Remote: e.other().outer4().AsSlice(), Ttl: hops, Proto: unix.IPPROTO_IPV6, PMtuDisc: 1}
		})},
		{name: "IPIP", needs: "ipip", ipv4: true, around: "IPv4 ", outer: outer4, lay: kernelTunnel(4, func(e *end) netlink.Link {
			return &netlink.Iptun{Local: e.outer4().AsSlice(), Remote: e.other().outer4().AsSlice(), Ttl: hops, Proto: unix.IPPROTO_IPIP, PMtuDisc: 1}
		})},
		{name: "IPv4 in IPv6", needs: "seg6", ipv4: true, around: "IPv6 ", outer: outerSegments, lay: kernelSegment(segmentReduced)},
		{
			name: "IPv4 in IPv6 with a routing header", needs: "seg6", ipv4: true, around: "IPv6 routing ", outer: outerSegments,
			lay: kernelSegment(nl.SEG6_IPTUN_MODE_ENCAP),
		},

		{name: "802.1Q", ipv4: true, ipv6: true, line: oneTag, around: "8100:100 ", lay: ownTags(c)},
		{name: "QinQ", ipv4: true, ipv6: true, line: twoTags, around: "88a8:100 8100:7 ", lay: ownTags(s, inner)},
		{name: "PPPoE", ipv4: true, ipv6: true, line: session, around: "PPPoE:4660 ", lay: ownPPPoE},
		{name: "DS-Lite with encapsulation limit", ipv4: true, around: "IPv6 options ", outer: outer6, lay: ownTunnel(6, unix.IPPROTO_IPIP, true)},
		{name: "DS-Lite", ipv4: true, around: "IPv6 ", outer: outer6, lay: ownTunnel(6, unix.IPPROTO_IPIP, false)},
		{name: "6in4", ipv6: true, around: "IPv4 ", outer: outer4, lay: ownTunnel(4, unix.IPPROTO_IPV6, false)},
		{name: "IPIP", ipv4: true, around: "IPv4 ", outer: outer4, lay: ownTunnel(4, unix.IPPROTO_IPIP, false)},
	}
	for i := range forms {
		switch {
		case forms[i].needs != "":
			forms[i].name += " of the kernel"
		case forms[i].name != "plain":
			forms[i].needs = "tun"
		}
	}
	return forms
}

// notOffered reports whether an error means that the kernel lacks a feature or its module is not loaded.
func notOffered(err error) bool {
	without := []error{unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.ENODEV, unix.ENXIO, os.ErrNotExist}
	return slices.ContainsFunc(without, func(e error) bool { return errors.Is(err, e) })
}

const (
	hops                     = 64
	encapsulationLimit       = 4    // RFC 2473 section 4.1.1
	ignoreEncapsulationLimit = 1    // IP6_TNL_F_IGN_ENCAP_LIMIT: send no destination options
	segmentReduced           = 3    // SEG6_IPTUN_MODE_ENCAP_RED: send no routing header for a single segment
	tunnelMTU                = 1280 // small enough for all headers of the forms
	lineDevice               = "line"
)

type vlanTag struct {
	protocol netlink.VlanProtocol
	vid      int
}

// kernelTags creates a VLAN device for each tag, starting with the outermost tag on the wire.
func kernelTags(tags ...vlanTag) func(*end) (carrier, error) {
	return func(e *end) (carrier, error) {
		device := wan
		for i, tag := range tags {
			parent, err := e.links.LinkByName(device)
			if err != nil {
				return carrier{}, err
			}
			device = fmt.Sprint("tag", i)
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.ParentIndex = device, parent.Attrs().Index
			if err := e.links.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: tag.vid, VlanProtocol: tag.protocol}); err != nil {
				return carrier{}, fmt.Errorf("VLAN device: %w", err)
			}
			if err := e.up(device); err != nil {
				return carrier{}, err
			}
		}
		return carrier{device: device, ethernet: true}, nil
	}
}

// onWire assigns the tunnel end's address to the wire.
func (e *end) onWire(family int) error {
	if family == 4 {
		return e.address(wan, netip.PrefixFrom(e.outer4(), 24))
	}
	return e.address(wan, netip.PrefixFrom(e.outer6(), 64))
}

func kernelTunnel(outer int, device func(e *end) netlink.Link) func(*end) (carrier, error) {
	return func(e *end) (carrier, error) {
		link := device(e)
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = lineDevice, tunnelMTU
		*link.Attrs() = attrs
		if err := e.onWire(outer); err != nil {
			return carrier{}, err
		}
		if err := e.links.LinkAdd(link); err != nil {
			return carrier{}, fmt.Errorf("%s device: %w", link.Type(), err)
		}
		return carrier{device: lineDevice}, e.up(lineDevice)
	}
}

// kernelSegment creates IPv4 in IPv6 by segment routing (RFC 8986) with a single segment. If the kernel has no tunnel devices, this is its
// only way to build a softwire.
func kernelSegment(mode int) func(*end) (carrier, error) {
	return func(e *end) (carrier, error) {
		if err := e.onWire(6); err != nil {
			return carrier{}, err
		}
		// Set the source address, so that both directions use the same pair of outer addresses.
		err := e.do(func() error {
			const setSource, address = 3, 1 // SEG6_CMD_SET_TUNSRC, SEG6_ATTR_DST
			family, err := netlink.GenlFamilyGet("SEG6")
			if err != nil {
				return err
			}
			request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
			request.AddData(&nl.Genlmsg{Command: setSource, Version: 1})
			request.AddData(nl.NewRtAttr(address, e.segment6().AsSlice()))
			_, err = request.Execute(unix.NETLINK_GENERIC, 0)
			return err
		})
		if err != nil {
			return carrier{}, fmt.Errorf("segment routing: %w", err)
		}
		own, far := netip.PrefixFrom(e.segment6(), 128), netip.PrefixFrom(e.other().segment6(), 128)
		takeOut := &netlink.SEG6LocalEncap{Action: nl.SEG6_LOCAL_ACTION_END_DX4, InAddr: net.IPv4zero.To4()}
		takeOut.Flags[nl.SEG6_LOCAL_ACTION], takeOut.Flags[nl.SEG6_LOCAL_NH4] = true, true
		if err := errors.Join(e.route(wan, own, netip.Addr{}, takeOut), e.route(wan, far, e.other().outer6(), nil)); err != nil {
			return carrier{}, err
		}
		return carrier{device: wan, encap: &netlink.SEG6Encap{Mode: mode, Segments: []net.IP{far.Addr().AsSlice()}}}, nil
	}
}

// kernelPPPoE creates a session that is up on both ends from the start. PPPoE discovery and PPP's negotiation are skipped, because the kernel
// implements neither.
func kernelPPPoE(e *end) (carrier, error) {
	var files []int
	e.t.Cleanup(func() {
		for _, fd := range slices.Backward(files) {
			_ = unix.Close(fd)
		}
	})
	const (
		getChannel    = 0x80047437 // PPPIOCGCHAN
		attachChannel = 0x40047438 // PPPIOCATTCHAN
		newUnit       = 0xc004743e // PPPIOCNEWUNIT
		connectUnit   = 0x4004743a // PPPIOCCONNECT
		setProtocol   = 0x4008744b // PPPIOCSNPMODE
		pass          = 0          // NPMODE_PASS
	)
	err := e.do(func() error {
		session, err := unix.Socket(unix.AF_PPPOX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("PPPoE socket: %w", err)
		}
		files = append(files, session)
		if err := unix.Connect(session, &unix.SockaddrPPPoE{SID: pppoeSession, Remote: e.other().mac(), Dev: wan}); err != nil {
			return fmt.Errorf("PPPoE session: %w", err)
		}
		var ppp [2]int // the file descriptors of the channel and of the unit
		for i := range ppp {
			if ppp[i], err = unix.Open("/dev/ppp", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("/dev/ppp: %w", err)
			}
			files = append(files, ppp[i])
		}
		channel, unit := int32(0), int32(-1)
		ip, ip6 := [2]int32{0x0021, pass}, [2]int32{0x0057, pass}
		for _, step := range []struct {
			fd       int
			command  uint
			argument unsafe.Pointer
		}{
			{session, getChannel, unsafe.Pointer(&channel)},
			{ppp[0], attachChannel, unsafe.Pointer(&channel)},
			{ppp[1], newUnit, unsafe.Pointer(&unit)},
			{ppp[0], connectUnit, unsafe.Pointer(&unit)},
			{ppp[1], setProtocol, unsafe.Pointer(&ip)},
			{ppp[1], setProtocol, unsafe.Pointer(&ip6)},
		} {
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(step.fd), uintptr(step.command), uintptr(step.argument)); errno != 0 {
				return fmt.Errorf("PPP: ioctl %#x: %w", step.command, errno)
			}
		}
		return nil
	})
	if err != nil {
		return carrier{}, err
	}
	return carrier{device: "ppp0"}, e.up("ppp0")
}
