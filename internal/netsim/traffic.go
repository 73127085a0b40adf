package netsim

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"sync"
)

// A Flow is one direction of the TCP traffic between two addresses. For encapsulated traffic, these are the inner addresses. A port of
// FirstEphemeralPort or above is recorded as 0, so all connections to one service belong to one flow.
type Flow struct {
	Local, Remote         netip.Addr
	LocalPort, RemotePort uint16
}

// A Count is a number of TCP frames on the host's link and the number of their bytes. The bytes include the Ethernet header and all
// encapsulation, but not the frame check sequence.
type Count struct {
	Packets, Bytes uint64
}

// Plus returns the sum of two counts.
func (c Count) Plus(d Count) Count { return Count{c.Packets + d.Packets, c.Bytes + d.Bytes} }

// Minus returns how much the count has grown since an earlier count.
func (c Count) Minus(d Count) Count { return Count{c.Packets - d.Packets, c.Bytes - d.Bytes} }

type traffic struct {
	sent, received tally
}

// A tally counts the TCP frames that a host has sent, or those that it has received.
type tally struct {
	mu    sync.Mutex // guards flows
	flows map[Flow]Count
}

const tcpProtocol = 6

// count changes the count of a datagram's flow if the datagram is an unfragmented TCP segment. size is the length of its frame in bytes.
// sent states whether this host is the source. count does not look behind IPv6 extension headers, because hosts send TCP neither behind
// them nor in IPv6 fragments.
func (t *tally) count(d datagram, size int, sent bool, change func(Count, Count) Count) {
	source, destination, ok := d.addrs()
	if !ok {
		return
	}
	packet := d.bytes
	ports := ipv6Header
	switch d.protocol {
	case ipv4Type:
		ports = int(packet[0]&0xf) * 4
		if packet[9] != tcpProtocol || ports < ipv4Minimum || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
			return
		}
	case ipv6Type:
		if packet[6] != tcpProtocol {
			return
		}
	default:
		return
	}
	if len(packet) < ports+4 {
		return
	}
	f := Flow{source, destination, known(binary.BigEndian.Uint16(packet[ports:])), known(binary.BigEndian.Uint16(packet[ports+2:]))}
	if !sent {
		f = Flow{f.Remote, f.Local, f.RemotePort, f.LocalPort}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flows == nil {
		t.flows = map[Flow]Count{}
	}
	t.flows[f] = change(t.flows[f], Count{1, uint64(size)})
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

// SentFlows returns the counts of the frames that the host has sent since it started, including retransmissions and resets.
func (h *Host) SentFlows() map[Flow]Count { return h.nic.traffic.sent.snapshot() }

// ReceivedFlows returns the counts of the frames that the host has received since it started.
func (h *Host) ReceivedFlows() map[Flow]Count { return h.nic.traffic.received.snapshot() }

// Sent returns the sum of the sent flows for which match returns true. If match is nil, Sent includes all flows.
func (h *Host) Sent(match func(Flow) bool) Count { return sum(h.SentFlows(), match) }

// Received returns the sum of the received flows for which match returns true. If match is nil, Received includes all flows.
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
