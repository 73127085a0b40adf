package prove

import (
	"net/netip"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A shot is a packet on its way to the judges.
type shot struct {
	segment
	frame []byte
	up    bool
	line  string // the line that sends or receives it; empty for the unnamed line
	lease string // the lease that the subscriber's address has; empty for none
	// alien is true if the address is not the line's. While a change is under way, such a packet may be judged by neither policy: see
	// docs/limitations.md.
	alien bool
	kind  kind
}

// A kind says what a shot was made from.
type kind uint8

const (
	ofRules kind = iota
	ofLine
	ofRemote
	ofSubscriber
	ofStation
)

// Addresses outside all documents. They are of the ranges for benchmarks and documentation (RFC 2544, RFC 5180, RFC 5737, RFC 3849), which
// neither a subscriber nor a mail server has.
var (
	strangers4 = []netip.Addr{netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("198.18.200.9"), netip.MustParseAddr("203.0.113.201")}
	strangers6 = []netip.Addr{netip.MustParseAddr("2001:db8:ffff::9"), netip.MustParseAddr("2001:2:0:ffff::9"), netip.MustParseAddr("3fff:ffff::9")}
	nobody4    = netip.MustParseAddr("198.18.0.1")
	outside4   = netip.MustParseAddr("198.18.1.1") // and those after it: addresses outside all lines that have a lease on the twin
	nobody6    = netip.MustParseAddr("2001:2::1")

	madeUpLine    = pipeline.MAC{0x02, 0x25, 0, 0, 0, 1}
	madeUpStation = pipeline.MAC{0x02, 0x25, 0, 0, 0, 2}
	broadcast     = pipeline.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	spanningTree  = pipeline.MAC{0x01, 0x80, 0xc2, 0, 0, 0}
)

const (
	clientPort = 49152 // the first dynamic port, which no service has (RFC 6335)
	notMail    = 443
)

// A lineAt is a line of the inventory and where it is.
type lineAt struct {
	name, group string
	key         pipeline.LineKey
	macs        []pipeline.MAC
	prefixes    []netip.Prefix
	exempt      bool
}

// host returns the first address of the line in a family. A line without prefixes uses an address that nobody has.
func (l *lineAt) host(v6 bool) (netip.Addr, bool) {
	for _, p := range l.prefixes {
		if p.Addr().Is6() != v6 {
			continue
		}
		if next := p.Addr().Next(); !p.IsSingleIP() && p.Contains(next) {
			return next, true
		}
		return p.Addr(), true
	}
	if len(l.prefixes) > 0 {
		return netip.Addr{}, false
	}
	return nobody(v6), true
}

func nobody(v6 bool) netip.Addr {
	if v6 {
		return nobody6
	}
	return nobody4
}

func (l *lineAt) mac() pipeline.MAC {
	if len(l.macs) > 0 {
		return l.macs[0]
	}
	return madeUpLine
}

// A form is an access form: the number of tags and whether there is a PPPoE session.
type form struct {
	tags    int
	session bool
}

func (l *lineAt) form() form {
	f := form{session: l.key.Session != 0}
	for _, vid := range []pipeline.VID{l.key.OuterVID, l.key.InnerVID} {
		if vid != 0 {
			f.tags++
		}
	}
	return f
}

// A class is a class of servers with an address of each family, which may be invalid.
type class struct {
	name  string
	hosts [2]netip.Addr
}

// A maker makes the packets for one switch.
type maker struct {
	p   *policy.Policy
	sw  *policy.Switch
	c   *compile.Compiled
	now time.Time

	lines   []*lineAt
	byName  map[string]*lineAt
	groups  []string           // of the lines, and "" for unnamed lines, in order
	reps    map[string]*lineAt // a line of each group without an exemption
	exempts map[string]*lineAt // a line of each group with an exemption
	leased  []leasedLine       // lines to which the twin gives leases
	forms   []*lineAt          // a line of each access form of each group
	checked map[string]bool    // whether the sources of a group are checked
	network []pipeline.Port    // the ports that lead to the network
	far     pipeline.MAC       // a station of the network
	classes []class            // and the class of no server
	ports   []uint16           // of all services, and one that is no mail
	limits  []policy.PhaseRule // the rules in force with a limit
	bulk    int                // counts subscribers; see subscriber
	sparing bool               // whether some packets are made for a part of the subscribers only
	servers [2]netip.Addr      // servers in no class
	// The prefixes of the tables that are inside others; nil until they are needed.
	insideRemotes, insideSubscribers *nested

	yield   func(*shot) bool // receives the packets
	stopped bool             // whether yield has returned false
	s       shot             // the packet that yield sees
}

// A leasedLine is a line with an address that has a lease on the twin.
type leasedLine struct {
	*lineAt
	lease  string
	class  pipeline.Class
	prefix netip.Prefix
}

func newMaker(p *policy.Policy, sw *policy.Switch, c *compile.Compiled, now time.Time) *maker {
	m := &maker{
		p: p, sw: sw, c: c, now: now, byName: make(map[string]*lineAt, len(sw.Lines)), reps: make(map[string]*lineAt),
		exempts: make(map[string]*lineAt), checked: make(map[string]bool), far: madeUpStation,
	}
	numbers := make(map[string]pipeline.Port, len(sw.Ports))
	for _, port := range sw.Ports {
		numbers[port.Name] = port.Number
		if port.Role == pipeline.Network {
			m.network = append(m.network, port.Number)
			if m.far == madeUpStation && len(port.MACs) > 0 {
				m.far = port.MACs[0]
			}
		}
	}
	exempt := make(map[string]bool)
	for i := range p.Exemptions {
		if e := &p.Exemptions[i]; e.Line != "" && !p.Ended(e, now) {
			exempt[e.Line] = true
		}
	}
	for _, g := range p.LineGroups {
		_, m.checked[g.Name], _ = g.SourceCheck.Code()
	}
	type formOf struct {
		form
		group string
	}
	seen := make(map[formOf]bool)
	all := make([]lineAt, len(sw.Lines))
	for i := range sw.Lines {
		x := &sw.Lines[i]
		l := &all[i]
		*l = lineAt{
			name: x.Name, group: x.Group, macs: x.MACs, prefixes: x.Prefixes, exempt: exempt[x.Name],
			key: pipeline.LineKey{Port: numbers[x.Port], OuterVID: x.VLAN, InnerVID: x.InnerVLAN, Session: x.PPPoE},
		}
		m.lines = append(m.lines, l)
		m.byName[l.name] = l
		first := m.reps
		if l.exempt {
			first = m.exempts
		}
		if first[l.group] == nil {
			first[l.group] = l
		}
		if f := (formOf{l.form(), l.group}); !seen[f] {
			seen[f] = true
			m.forms = append(m.forms, l)
		}
		if !slices.Contains(m.groups, l.group) {
			m.groups = append(m.groups, l.group)
		}
	}
	if l := m.unnamed(); l != nil {
		m.groups, m.reps[""] = append(m.groups, ""), l
	}
	m.findServers()
	m.findLeased()
	for _, ph := range m.phases() {
		for _, r := range ph.Rules {
			if r.Action == policy.Limit {
				m.limits = append(m.limits, r)
			}
		}
	}
	return m
}

// unnamed returns a line on an access port with a tag that no line has, or nil if no port can have one.
func (m *maker) unnamed() *lineAt {
	taken := make(map[pipeline.VID]bool)
	for _, l := range m.lines {
		taken[l.key.OuterVID] = true
	}
	for _, port := range m.sw.Ports {
		for vid := pipeline.VID(1); port.Role == pipeline.Access && vid <= pipeline.MaxVID; vid++ {
			if !taken[vid] {
				return &lineAt{key: pipeline.LineKey{Port: port.Number, OuterVID: vid}}
			}
		}
	}
	return nil
}

// phases returns the phases in force.
func (m *maker) phases() []*policy.Phase {
	names := []string{m.c.InForce.Default}
	for _, name := range m.c.InForce.Groups {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var all []*policy.Phase
	for _, name := range names {
		if ph, ok := m.p.Phase(name); ok {
			all = append(all, ph)
		}
	}
	return all
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// send passes m.s on.
func (m *maker) send() {
	if m.stopped {
		return
	}
	m.s.frame = m.s.appendTo(m.s.frame[:0])
	m.stopped = !m.yield(&m.s)
}

// begin resets m.s to a packet of a line. from and to are the ends of the innermost packet.
func (m *maker) begin(k kind, l *lineAt, up bool, from, to netip.AddrPort, flags byte) {
	m.s = shot{
		segment: segment{
			vlans: pipeline.VLANKey{OuterVID: l.key.OuterVID, InnerVID: l.key.InnerVID}, session: l.key.Session, from: from, to: to, flags: flags,
		},
		frame: m.s.frame, up: up, line: l.name, kind: k,
	}
	if up {
		m.s.port, m.s.dst, m.s.src = l.key.Port, m.far, l.mac()
		return
	}
	m.s.dst, m.s.src = l.mac(), m.far
	if len(m.network) > 0 {
		m.s.port = m.network[0]
	}
}

// up sends a SYN of a line to a server's port, and down a server's SYN-ACK to a line.
func (m *maker) up(k kind, l *lineAt, from, to netip.Addr, port uint16) {
	m.begin(k, l, true, netip.AddrPortFrom(from, clientPort), netip.AddrPortFrom(to, port), flagSYN)
	m.send()
}

func (m *maker) down(k kind, l *lineAt, from, to netip.Addr, port uint16) {
	if len(m.network) == 0 {
		return
	}
	m.begin(k, l, false, netip.AddrPortFrom(from, port), netip.AddrPortFrom(to, clientPort), flagSYN|flagACK)
	m.send()
}

// edges returns the first and last address of a prefix, and the addresses before and after it.
func edges(p netip.Prefix) (first, last netip.Addr, outside []netip.Addr) {
	first, last = p.Addr(), lastOf(p)
	for _, a := range []netip.Addr{first.Prev(), last.Next()} {
		if a.IsValid() && !a.IsUnspecified() {
			outside = append(outside, a)
		}
	}
	return first, last, outside
}

// bounds returns the first and last address of a prefix, and the addresses before and after it.
func bounds(p netip.Prefix) []netip.Addr {
	first, last, all := edges(p)
	all = append(all, first)
	if last != first {
		all = append(all, last)
	}
	return all
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As16()
	for i := p.Bits() + 128 - p.Addr().BitLen(); i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	if p.Addr().Is4() {
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
