package prove

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// maxRules bounds the packets that are made from the rules: the product of groups, ports, classes and kinds of subscribers and segments. A
// policy with 8 groups, 12 ports and 8 classes makes about 30,000.
const maxRules = 40_000

// A way is a kind of segment: which end has the service's port, and the flags.
type way struct {
	up, service bool // service is true if the server's end has the port, and false if the line's end has it
	flags       byte
}

var ways = []way{
	{true, true, flagSYN},
	{false, true, flagSYN | flagACK},
	{true, true, flagACK},
	{false, true, flagACK},
	{false, false, flagSYN},
	{true, false, flagSYN | flagACK},
	{false, false, flagACK},
	{true, false, flagACK},
}

// rules makes packets for each combination of line group, kind of subscriber, class of servers, port and kind of segment. If there are more than
// maxRules, it makes each n-th.
func (m *maker) rules() {
	type who struct {
		*lineAt
		lease string
		addr  netip.Addr // overrides the line's address of its family
	}
	var all []who
	for _, g := range m.groups {
		for _, l := range []*lineAt{m.reps[g], m.exempts[g]} {
			if l != nil {
				all = append(all, who{lineAt: l})
			}
		}
	}
	for _, l := range m.leased {
		all = append(all, who{l.lineAt, l.lease, l.prefix.Addr()})
	}
	step := len(all)*2*len(m.classes)*len(m.ports)*len(ways)/maxRules + 1
	n := 0
	for _, w := range all {
		for v6 := range 2 {
			host, ok := w.host(v6 == 1)
			if w.addr.IsValid() {
				host, ok = w.addr, v6 == 0
			}
			if !ok {
				continue
			}
			for _, c := range m.classes {
				for _, port := range m.ports {
					for _, way := range ways {
						if n++; n%step != 0 || !c.hosts[v6].IsValid() {
							continue
						}
						m.one(w.lineAt, w.lease, host, c.hosts[v6], port, way)
					}
				}
			}
		}
	}
	for _, g := range m.groups {
		if l := m.reps[g]; l != nil {
			m.shapes(l)
			m.tunnels(l)
		}
	}
}

// one makes a segment of a way.
func (m *maker) one(l *lineAt, lease string, host, server netip.Addr, port uint16, w way) {
	if !w.up && len(m.network) == 0 {
		return
	}
	ours, theirs := netip.AddrPortFrom(host, clientPort), netip.AddrPortFrom(server, port)
	if !w.service {
		ours, theirs = netip.AddrPortFrom(host, port), netip.AddrPortFrom(server, clientPort)
	}
	if w.up {
		m.begin(ofRules, l, true, ours, theirs, w.flags)
	} else {
		m.begin(ofRules, l, false, theirs, ours, w.flags)
	}
	m.s.lease = lease
	m.send()
}

// shapes makes frames without ports, and frames that the parser cannot read.
func (m *maker) shapes(l *lineAt) {
	for v6 := range 2 {
		host, ok := l.host(v6 == 1)
		if !ok {
			continue
		}
		for _, of := range []shape{ofLater, ofTiny, ofUnclear} {
			for _, up := range []bool{true, false} {
				ours, theirs := netip.AddrPortFrom(host, clientPort), netip.AddrPortFrom(m.servers[v6], 25)
				switch {
				case up:
					m.begin(ofRules, l, true, ours, theirs, flagSYN)
				case len(m.network) > 0:
					m.begin(ofRules, l, false, theirs, ours, flagSYN|flagACK)
				default:
					continue
				}
				m.s.shape = of
				m.send()
			}
		}
	}
}

// tunnels makes segments of a line in IP over IP, in all four pairs of families. The line is known by the outer address.
func (m *maker) tunnels(l *lineAt) {
	inner := [2]netip.Addr{netip.MustParseAddr("192.0.0.2"), netip.MustParseAddr("2001:db8:0:1::2")} // RFC 6333 has the first for DS-Lite
	for outer6 := range 2 {
		host, ok := l.host(outer6 == 1)
		if !ok {
			continue
		}
		for inner6 := range 2 {
			for _, c := range m.classes {
				for _, port := range []uint16{25, 587} {
					server := c.hosts[inner6]
					if !server.IsValid() {
						continue
					}
					ours, theirs := netip.AddrPortFrom(inner[inner6], clientPort), netip.AddrPortFrom(server, port)
					m.begin(ofRules, l, true, ours, theirs, flagSYN)
					m.s.outerFrom, m.s.outerTo = host, m.servers[outer6]
					m.send()
					if len(m.network) == 0 {
						continue
					}
					m.begin(ofRules, l, false, theirs, ours, flagSYN|flagACK)
					m.s.outerFrom, m.s.outerTo = m.servers[outer6], host
					m.send()
				}
			}
		}
	}
}

// ofLine makes the packets of one line: mail and submission in each family, answers to each station and to an unknown one, the bounds of the
// line's prefixes if its source is checked, and its limits.
func (m *maker) ofLine(l *lineAt) {
	for v6 := range 2 {
		host, ok := l.host(v6 == 1)
		if !ok {
			continue
		}
		server := m.servers[v6]
		m.up(ofLine, l, host, server, 25)
		m.up(ofLine, l, host, server, 587)
		if len(m.network) == 0 {
			continue
		}
		stations := l.macs
		if l.key.OuterVID != 0 {
			stations = append(slices.Clip(stations), madeUpLine) // found by its tags
		}
		for _, mac := range stations {
			m.begin(ofLine, l, false, netip.AddrPortFrom(server, 25), netip.AddrPortFrom(host, clientPort), flagSYN|flagACK)
			m.s.dst = mac
			m.send()
		}
		for _, r := range m.limits {
			m.limit(r, l, host, v6)
		}
	}
	if m.checked[l.group] {
		for _, p := range l.prefixes {
			server := m.servers[family(p.Addr())]
			for _, a := range bounds(p) {
				m.begin(ofLine, l, true, netip.AddrPortFrom(a, clientPort), netip.AddrPortFrom(server, notMail), flagSYN)
				m.s.alien = !p.Contains(a)
				m.send()
			}
		}
	}
}

// limit makes opening segments that a rule with a limit decides.
func (m *maker) limit(r policy.PhaseRule, l *lineAt, host netip.Addr, v6 int) {
	server := m.servers[v6]
	if !r.ForAnyRemote() {
		i := slices.IndexFunc(m.classes, func(c class) bool { return c.name == r.Remote })
		if i < 0 || !m.classes[i].hosts[v6].IsValid() {
			return
		}
		server = m.classes[i].hosts[v6]
	}
	port := uint16(m.p.Service(r.Service).Ports[0])
	for _, leg := range m.p.LegsOf(r) {
		for _, w := range ways[:6] {
			if w.flags&flagSYN != 0 && w.up == (leg == policy.UpDst || leg == policy.UpSrc) && w.service == (leg == policy.UpDst || leg == policy.DownSrc) {
				m.one(l, "", host, server, port, w)
			}
		}
	}
}

// ofRemote makes mail to the bounds of a prefix of servers, and to its first address that is in no longer prefix.
func (m *maker) ofRemote(p netip.Prefix) {
	l, host := m.sender(family(p.Addr()) == 1)
	if l == nil {
		return
	}
	for _, a := range bounds(p) {
		m.up(ofRemote, l, host, a, 25)
	}
	if m.insideRemotes == nil {
		m.insideRemotes = nest(m.c.State.Remotes)
	}
	if a, ok := m.insideRemotes.hole(p); ok {
		m.up(ofRemote, l, host, a, 25)
	}
}

// sender returns a line without an exemption that has an address of the family.
func (m *maker) sender(v6 bool) (*lineAt, netip.Addr) {
	for _, g := range m.groups {
		if l := m.reps[g]; l != nil {
			if host, ok := l.host(v6); ok {
				return l, host
			}
		}
	}
	return nil, netip.Addr{}
}

// ofSubscriber makes mail from and to the bounds of a prefix that is exempt, on its line (or on any, if home is nil) and on another line, and from its
// first address that is in no longer prefix. If the sources of the line are checked, mail from an address outside the prefix would be dropped as forged, so that mail to this address is made
// instead.
func (m *maker) ofSubscriber(p netip.Prefix, home *lineAt) {
	server := m.servers[family(p.Addr())]
	l := home
	if l == nil {
		if l, _ = m.sender(p.Addr().Is6()); l == nil {
			return
		}
	}
	m.bulk++
	first, last, outside := edges(p)
	m.up(ofSubscriber, l, first, server, 25)
	if m.insideSubscribers == nil {
		m.insideSubscribers = nest(m.c.State.Subscribers)
	}
	if a, ok := m.insideSubscribers.hole(p); ok {
		m.up(ofSubscriber, l, a, server, 25)
	}
	if !m.sparing || m.bulk%16 == 0 {
		m.down(ofSubscriber, l, server, last, 25)
	}
	try := func(l *lineAt, a netip.Addr) {
		if m.checked[l.group] {
			if len(m.network) == 0 {
				return
			}
			m.begin(ofSubscriber, l, false, netip.AddrPortFrom(server, 25), netip.AddrPortFrom(a, clientPort), flagSYN|flagACK)
		} else {
			m.begin(ofSubscriber, l, true, netip.AddrPortFrom(a, clientPort), netip.AddrPortFrom(server, 25), flagSYN)
		}
		m.s.alien = true
		m.send()
	}
	for _, a := range outside {
		try(l, a)
	}
	if home != nil {
		if other := m.beside(home); other != nil {
			try(other, last)
		}
	}
}

// beside returns another line.
func (m *maker) beside(l *lineAt) *lineAt {
	if len(m.lines) < 2 {
		return m.reps[""]
	}
	other := m.lines[m.bulk%len(m.lines)]
	if other == l {
		other = m.lines[(m.bulk+1)%len(m.lines)]
	}
	return other
}

// ofPorts makes frames from each port, to each station of the network, to unknown stations, and to addresses that are not forwarded.
func (m *maker) ofPorts() {
	l, host := m.sender(false)
	if l == nil {
		return
	}
	server := m.servers[0]
	ours, theirs := netip.AddrPortFrom(host, clientPort), netip.AddrPortFrom(server, 25)
	stations := []pipeline.MAC{madeUpStation, broadcast, spanningTree}
	for _, port := range m.sw.Ports {
		stations = append(stations, port.MACs...)
	}
	for _, dst := range stations {
		for _, to := range []uint16{25, 587} {
			m.begin(ofStation, l, true, ours, netip.AddrPortFrom(server, to), flagSYN)
			m.s.dst = dst
			m.send()
		}
	}
	for _, port := range m.sw.Ports {
		if port.Role == pipeline.Network {
			for _, dst := range []pipeline.MAC{l.mac(), madeUpLine, broadcast, m.far} {
				m.begin(ofStation, l, false, theirs, ours, flagSYN|flagACK)
				m.s.port, m.s.dst = port.Number, dst
				m.send()
			}
			m.begin(ofStation, &lineAt{}, false, theirs, ours, flagSYN|flagACK) // without tags
			m.s.port = port.Number
			m.send()
			continue
		}
		if x := m.reps[""]; x != nil {
			m.begin(ofStation, x, true, netip.AddrPortFrom(nobody4, clientPort), theirs, flagSYN)
			m.s.port = port.Number
			m.send()
		}
	}
	// A session that no line has.
	m.begin(ofStation, l, true, ours, theirs, flagSYN)
	m.s.session, m.s.line, m.s.alien = pipeline.MaxSession, "", true
	m.send()
}
