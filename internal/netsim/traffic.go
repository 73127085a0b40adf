package netsim

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"
)

// A Flow is one direction of the TCP traffic between two addresses. A port of FirstEphemeralPort or more is 0, so that all
// connections to one service are one flow.
type Flow struct {
	Local, Remote         netip.Addr
	LocalPort, RemotePort uint16
}

// A Count is TCP frames and their bytes, Ethernet header and tag included, without frame check sequence.
type Count struct {
	Packets, Bytes uint64
}

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count { return Count{c.Packets + d.Packets, c.Bytes + d.Bytes} }

// Minus returns what c has more than an earlier d.
func (c Count) Minus(d Count) Count { return Count{c.Packets - d.Packets, c.Bytes - d.Bytes} }

type traffic struct {
	sent, received tally
}

// A tally counts the TCP frames of one direction of a host.
type tally struct {
	mu    sync.Mutex // guards flows
	flows map[Flow]Count
}

const (
	ipv4Type, ipv6Type = 0x0800, 0x86dd
	tcpProtocol        = 6
	ipv4Minimum        = 20
	ipv6Header         = 40
)

// count changes the count of a frame whose IP packet begins at offset, if it is an unfragmented TCP segment. sent tells whose
// end the source is. Hosts send neither IPv6 extension headers on TCP nor fragments of it.
func (t *tally) count(frame []byte, offset int, sent bool, change func(Count, Count) Count) {
	packet := frame[offset:]
	var source, destination netip.Addr
	var ports []byte
	switch binary.BigEndian.Uint16(frame[offset-2:]) {
	case ipv4Type:
		if len(packet) < ipv4Minimum || packet[9] != tcpProtocol {
			return
		}
		options := int(packet[0]&0xf) * 4
		if options < ipv4Minimum || len(packet) < options+4 || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
			return
		}
		source, destination = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
		ports = packet[options:]
	case ipv6Type:
		if len(packet) < ipv6Header+4 || packet[6] != tcpProtocol {
			return
		}
		source, destination = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
		ports = packet[ipv6Header:]
	default:
		return
	}
	f := Flow{source, destination, known(binary.BigEndian.Uint16(ports)), known(binary.BigEndian.Uint16(ports[2:]))}
	if !sent {
		f = Flow{f.Remote, f.Local, f.RemotePort, f.LocalPort}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flows == nil {
		t.flows = map[Flow]Count{}
	}
	t.flows[f] = change(t.flows[f], Count{1, uint64(len(frame))})
}

func (t *tally) snapshot() map[Flow]Count {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.flows)
}

func known(port uint16) uint16 {
	if port >= FirstEphemeralPort {
		return 0
	}
	return port
}

// SentFlows returns what the host has put on its link since it started, retransmissions and resets included.
func (h *Host) SentFlows() map[Flow]Count { return h.nic.traffic.sent.snapshot() }

// ReceivedFlows returns what its link has brought to the host since it started.
func (h *Host) ReceivedFlows() map[Flow]Count { return h.nic.traffic.received.snapshot() }

// Sent returns the sum of the sent flows that match, all of them if match is nil.
func (h *Host) Sent(match func(Flow) bool) Count { return sum(h.SentFlows(), match) }

// Received returns the sum of the received flows that match, all of them if match is nil.
func (h *Host) Received(match func(Flow) bool) Count { return sum(h.ReceivedFlows(), match) }

func sum(flows map[Flow]Count, match func(Flow) bool) Count {
	var total Count
	for f, c := range flows {
		if match == nil || match(f) {
			total = total.Plus(c)
		}
	}
	return total
}
