package reference

import (
	"net/netip"
	"slices"
	"time"
)

// networkRole is the role of a port that leads to the network; every other port leads to subscribers.
const networkRole = 1

// A path describes the bridge's decision about a frame.
type path struct {
	way        Way
	asked      bool
	line       uint16   // the line's access port
	known      bool     // whether line is valid
	pass, drop []uint16 // the output ports if the filter passes the frame, and if it drops the frame
}

// Decide returns how the switch handles a frame that enters at a port. at is the time of the switch's clock, which must not decrease from
// call to call.
func (m *Model) Decide(at time.Duration, port uint16, frame []byte) Decision {
	if port == cpuPort {
		return m.packetOut(at, frame)
	}
	return m.decide(at, port, frame, false)
}

// decide returns how the switch handles a frame, or what a probe for the frame answers.
func (m *Model) decide(at time.Duration, port uint16, frame []byte, probe bool) Decision {
	p := parse(frame)
	way := m.forward(port, p)
	d := Decision{Shape: p.shape, Why: p.why, Way: way.way, Asked: way.asked, Passes: true, Outcome: NoOutcome}
	if !way.asked {
		d.Passes = way.way != Reserved
		d.Out = outputs(way.pass, frame)
		return d
	}
	up := !m.network[port]
	d.LineIndex = m.findLine(way, p)
	d.Line, d.Group = m.lines[d.LineIndex].name, m.lines[d.LineIndex].group
	m.judge(&d, p, up, second(at))
	if probe {
		m.foresee(&d, p, up, way, port)
		return d
	}
	m.apply(&d, p, up, way, port, second(at))
	m.follow(&d, p, up, second(at))
	return d
}

// forward returns the bridge's decision about a packet (section 3).
func (m *Model) forward(port uint16, p *packet) path {
	var network, others []uint16
	for _, other := range m.ports {
		if other == port {
			continue
		}
		others = append(others, other)
		if m.network[other] {
			network = append(network, other)
		}
	}
	if p.ethernet && [5]byte(p.frame) == [5]byte{0x01, 0x80, 0xc2, 0x00, 0x00} && p.frame[5] < 0x10 {
		return path{way: Reserved}
	}
	to, known := uint16(0), false
	unicast := false
	if p.ethernet {
		to, known = m.bridge[[6]byte(p.frame)]
		unicast = p.frame[0]&1 == 0
	}
	if !m.network[port] {
		up := path{asked: true, line: port, known: true}
		switch {
		case !known:
			up.way, up.pass = UpFlood, network
		case m.network[to]:
			up.way, up.pass = Up, []uint16{to}
		default:
			up.way = SplitHorizon
		}
		return up
	}
	switch {
	case known && to == port:
		return path{way: Back}
	case known && m.network[to]:
		return path{way: Across, pass: []uint16{to}}
	case known:
		return path{way: Down, asked: true, line: to, known: true, pass: []uint16{to}}
	}
	if unicast && (p.outerVID != 0 || p.innerVID != 0) {
		of := m.behind[[2]uint16{p.outerVID, p.innerVID}]
		if len(of) == 1 {
			return path{way: DownVLAN, asked: true, line: of[0], known: true, pass: of}
		}
	}
	return path{way: DownFlood, asked: true, pass: others, drop: network}
}

// findLine returns the index of the line that a packet belongs to (section 4). It returns 0 for the unnamed line.
func (m *Model) findLine(way path, p *packet) int {
	if !way.known {
		return 0
	}
	if p.pppoe {
		if i, known := m.at[place{way.line, p.outerVID, p.innerVID, p.session}]; known {
			return i
		}
	}
	return m.at[place{way.line, p.outerVID, p.innerVID, 0}]
}

// judge determines the deciding rule and its verdict (sections 5 to 8).
func (m *Model) judge(d *Decision, p *packet, up bool, now int64) {
	spoofed := up && m.spoofed(d.LineIndex, p)
	if p.shape == TCP {
		d.Leg, d.Service = m.serviceOf(p, up)
	}
	if spoofed && m.lines[d.LineIndex].sourceCheck == Drop {
		d.decide(SpoofedRule, "spoofed", Drop)
		return
	}
	if up || p.shape == TCP {
		m.firstMatch(d, p, up, now)
	}
	if d.Rule == 0 && spoofed && m.lines[d.LineIndex].sourceCheck == Monitor {
		d.decide(SpoofedRule, "spoofed", Monitor)
	}
}

// decide records the deciding rule.
func (d *Decision) decide(id uint8, name string, v Verdict) {
	d.Rule, d.RuleName, d.Verdict = id, name, v
}

// spoofed reports whether a packet's source address is outside the prefixes of the line with the given index (section 5).
func (m *Model) spoofed(index int, p *packet) bool {
	if p.outer == nil {
		return false
	}
	src := p.outer.src
	if src.IsUnspecified() || netip.MustParsePrefix("fe80::/10").Contains(src) {
		return false
	}
	return !slices.ContainsFunc(m.lines[index].prefixes, func(own netip.Prefix) bool { return own.Contains(src) })
}

// serviceOf returns a TCP segment's leg and service (section 6).
func (m *Model) serviceOf(p *packet, up bool) (Leg, string) {
	of := func(port uint16) (s service, ok bool) {
		for _, s := range m.services {
			if s.has(port) {
				return s, true
			}
		}
		return service{}, false
	}
	if up {
		remote, ok := of(p.dstPort)
		own, ownOK := of(p.srcPort)
		server := m.upSrc && ownOK && own.has(25)
		switch {
		case ok && remote.has(25):
			return UpDst, remote.name
		case server && p.flags && p.syn && p.ack: // the remote end opened the connection
			return UpSrc, own.name
		case ok:
			return UpDst, remote.name
		case server:
			return UpSrc, own.name
		}
		return NoLeg, ""
	}
	remote, ok := of(p.srcPort)
	own, ownOK := of(p.dstPort)
	server := ownOK && own.has(25)
	switch {
	case ok && remote.has(25):
		return DownSrc, remote.name
	case !m.downDst:
		return NoLeg, ""
	case server && p.flags && p.syn && !p.ack: // the remote end opens the connection
		return DownDst, own.name
	case ok:
		return DownSrc, remote.name
	case server:
		return DownDst, own.name
	}
	return NoLeg, ""
}

// firstMatch determines the first matching rule (section 8).
func (m *Model) firstMatch(d *Decision, p *packet, up bool, now int64) {
	l := m.lines[d.LineIndex]
	switch p.shape {
	case Other:
		return
	case TinyFragment:
		d.decide(TinyFragmentRule, "tiny-fragment", Drop)
		return
	case Undetermined:
		d.Leg, d.Service = UpDst, UndeterminedService
		d.decide(UndeterminedRule, "undetermined", l.undetermined)
		return
	case LaterFragment:
		d.Leg, d.Service = UpDst, LaterFragmentService
		if l.laterFragments != Permit {
			d.decide(LaterFragmentRule, "later-fragment", l.laterFragments)
		}
		return
	}
	remoteAddr, subscriber := p.inner.src, p.outer.dst
	if up {
		remoteAddr, subscriber = p.inner.dst, p.outer.src
	}
	if d.Service != "" {
		s := m.services[slices.IndexFunc(m.services, func(s service) bool { return s.name == d.Service })]
		class := m.classOf(remoteAddr)
		d.Remote = class.name
		exemptHere := m.isExempt(subscriber, d.LineIndex, up, now)
		exempt := s.has(25) && exemptHere
		leased := m.isLeased(subscriber, d.LineIndex, up, now, class) || exemptHere && m.canLease(l, class)
		if class.own {
			if exempt {
				d.decide(ExemptRule, "exempt", Permit)
				return
			}
			if reach := m.of(l.group).reach; reach != nil && !slices.Contains(reach, s.name) && m.phaseRule(d, p, s, l, leased, func(r rule) bool { return r.remote == class.name }) {
				return
			}
		}
		switch {
		case class.relay && s.has(25, 587, 465):
			d.decide(RelayRule, "relay", Permit)
			return
		case s.has(587, 465):
			d.decide(SubmissionRule, "submission", Permit)
			return
		case exempt:
			d.decide(ExemptRule, "exempt", Permit)
			return
		}
		if m.phaseRule(d, p, s, l, leased, func(r rule) bool { return r.remote == "" || !class.own && r.remote == class.name }) {
			return
		}
	}
	if up && p.dstPort == 25 || !up && p.srcPort == 25 {
		d.decide(FailClosedRule, "fail-closed", Drop)
	}
}

// phaseRule determines the first rule of the phase that matches a segment, among the rules for its servers. It reports whether there is one. leased
// states whether the subscriber matches rules for leased subscribers.
func (m *Model) phaseRule(d *Decision, p *packet, s service, l line, leased bool, servers func(rule) bool) bool {
	for _, r := range m.of(l.group).rules {
		ofGroup := r.groups == nil || l.group != "" && slices.Contains(r.groups, l.group)
		if r.service == s.name && slices.Contains(r.legs, d.Leg) && ofGroup && servers(r) && (leased || !r.leased) {
			d.decide(r.id, r.name, r.verdict)
			if m.synOnly && (r.verdict == Drop || r.verdict == Reject) && p.flags && !p.syn {
				d.Verdict = Monitor
			}
			return true
		}
	}
	return false
}

// isExempt reports whether an exemption covers a subscriber's address on a line (section 7). An exemption of a line does not apply to other
// lines, so another line cannot benefit by using its address. If the line of a frame from the network is not known, only the address is
// compared. An exemption that has an end does not apply from that clock second on.
func (m *Model) isExempt(subscriber netip.Addr, index int, up bool, now int64) bool {
	for _, all := range m.exempt.around(subscriber) {
		if slices.ContainsFunc(all, func(e exemption) bool { return m.applies(e, index, up, now) }) {
			return true
		}
	}
	return false
}

// isLeased reports whether a subscriber has a lease that opens a class of servers for the group of its line. A lease applies where and as long as an
// exemption would (section 7).
func (m *Model) isLeased(subscriber netip.Addr, index int, up bool, now int64, class remote) bool {
	for _, all := range m.granted.around(subscriber) {
		if slices.ContainsFunc(all, func(g grant) bool {
			return m.applies(g.exemption, index, up, now) && g.lease.opensFor(class.name, m.lines[index].group)
		}) {
			return true
		}
	}
	return false
}

// canLease reports whether any lease opens a class of servers for a line. Exempt subscribers of such lines need none.
func (m *Model) canLease(l line, class remote) bool {
	return slices.ContainsFunc(m.leases, func(x lease) bool { return x.opensFor(class.name, l.group) })
}

func (m *Model) applies(e exemption, index int, up bool, now int64) bool {
	return (e.until == 0 || !ended(e.until, now)) && (e.line == "" || e.line == m.lines[index].name || !up && index == 0)
}

// classOf returns the remote class that has the longest prefix for an address (section 7). It returns a class without a name if there is none. An
// IPv4 prefix also contains the IPv6 addresses that embed its addresses for NAT64; its length then counts all bits of the address in the
// frame that match.
func (m *Model) classOf(addr netip.Addr) (class remote) {
	longest := -1
	for prefix, r := range m.remotes.around(addr) {
		class, longest = r, prefix.Bits()
		break
	}
	for _, n := range m.nat64 {
		v4, ok := embedded(n, addr)
		if !ok {
			continue
		}
		for prefix, r := range m.remotes.around(v4) {
			bits := n.Bits() + prefix.Bits()
			if n.Bits() <= 64 && bits > 64 { // bits 64 to 71 are zero (RFC 6052)
				if addr.As16()[8] != 0 {
					continue
				}
				bits += 8
			}
			if bits > longest {
				class, longest = r, bits
			}
			break
		}
	}
	return class
}

// embedded returns the IPv4 address that an address embeds under a NAT64 prefix (RFC 6052 section 2.2).
func embedded(n netip.Prefix, addr netip.Addr) (netip.Addr, bool) {
	if !n.Contains(addr) {
		return netip.Addr{}, false
	}
	octets := addr.As16()
	var v4 []byte
	for i := n.Bits() / 8; len(v4) < 4; i++ {
		if i != 8 { // bits 64 to 71 are not part of it
			v4 = append(v4, octets[i])
		}
	}
	return netip.AddrFrom4([4]byte(v4)), true
}

// apply applies the verdict to a packet (section 9).
func (m *Model) apply(d *Decision, p *packet, up bool, way path, port uint16, now int64) {
	pass := func() { d.Passes, d.Out = true, outputs(way.pass, p.frame) }
	stop := func() { d.Passes, d.Out, d.Outcome = false, outputs(way.drop, p.frame), Stopped }
	switch d.Verdict {
	case NoVerdict:
		pass()
	case Permit:
		pass()
		d.Outcome = Passed
	case Monitor:
		pass()
		d.Outcome = Monitored
	case Drop:
		stop()
	case Reject:
		stop()
		from, ok := m.answerable(p)
		if ok && opens(d, p, up) && m.rejects.take(now, d.LineIndex) {
			d.Rejected, d.Out = true, []Output{{port, answer(p, from)}}
		}
	case Limit:
		switch {
		case p.flags && !p.syn:
			pass()
			d.Outcome = Passed
		case !m.lines[d.LineIndex].bucket:
			stop()
		default:
			stop()
			without := *d
			m.report(&without, p, up)
			pass()
			d.Outcome, d.Timed, d.Else = Passed, true, &without
		}
	}
	m.report(d, p, up)
}

// report determines whether the frame must be reported as a mail flow (section 10).
func (m *Model) report(d *Decision, p *packet, up bool) {
	stopped := d.Outcome == Monitored || d.Outcome == Stopped
	if p.shape != TCP || !p.flags || !p.syn || d.Service == "" || !stopped {
		return
	}
	subscriber, remote := p.outer.dst, p.inner.src
	if up {
		subscriber, remote = p.outer.src, p.inner.dst
	}
	if d.Rule == SpoofedRule && d.Verdict == Drop && p.dstPort != 25 {
		return // the filter looks up no service for a spoofed source, so only port 25 identifies mail
	}
	d.Flow = &Flow{
		LineIndex: d.LineIndex, Leg: d.Leg, Subscriber: subscriber, Remote: remote, Service: d.Service, Rule: d.Rule,
		SYNACK: p.ack, SrcPort: p.srcPort, DstPort: p.dstPort,
	}
}
