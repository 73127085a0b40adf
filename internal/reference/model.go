package reference

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/policy"
)

// A Model predicts how a switch handles frames in one phase of a policy.
type Model struct {
	network map[uint16]bool    // whether a port is a network port; ports that are not in the map are access ports
	ports   []uint16           // the ports in the order of the inventory
	bridge  map[[6]byte]uint16 // the port of each station

	lines    []line                 // lines[0] is the unnamed line
	at       map[place]int          // the index of the line at a place
	behind   map[[2]uint16][]uint16 // the access ports on which lines have a pair of VLANs
	services []service
	remotes  within[remote]
	nat64    []netip.Prefix
	exempt   within[[]exemption] // the exemptions that are in force
	leases   []lease             // what logins can open
	granted  within[[]grant]     // the leases that subscribers have
	phases   map[string]*phase   // the phase of each line group that is not in the default phase
	phase    *phase              // the default phase
	synOnly  bool

	// upSrc and downDst state whether any rule of any phase has that leg.
	upSrc, downDst bool

	rejectFrom4, rejectFrom6 netip.Addr // the source addresses of ICMP errors; invalid if not configured

	rejects rejects
	syns    map[connection]sent
}

// A line contains the filter's configuration for a subscriber's line.
type line struct {
	name         string
	port         uint16
	outer, inner uint16
	session      uint16 // the PPPoE session; 0 means any frame with the VLAN tags
	group        string // empty for the unnamed line
	bucket       bool   // whether the line's group has a rate
	prefixes     []netip.Prefix

	undetermined, laterFragments Verdict
	sourceCheck                  Verdict // Permit means that sources are not checked
}

// A place identifies a line on its switch.
type place struct{ port, outer, inner, session uint16 }

// A phase contains the rules for the lines of some groups.
type phase struct {
	rules []rule
	reach []string // the services that reach own servers; nil means every service
}

// of returns the phase of a line group. The group is empty for the unnamed line.
func (m *Model) of(group string) *phase {
	if ph, apart := m.phases[group]; apart {
		return ph
	}
	return m.phase
}

// within holds values by prefix, to find those of the prefixes that contain an address.
type within[T any] struct {
	of      map[netip.Prefix]T
	lengths [2][]int // the prefix lengths of each family, the longest first
}

func (w *within[T]) put(p netip.Prefix, v T) {
	if w.of == nil {
		w.of = map[netip.Prefix]T{}
	}
	w.of[p] = v
	lengths := &w.lengths[family(p.Addr())]
	i, known := slices.BinarySearchFunc(*lengths, p.Bits(), func(have, want int) int { return want - have })
	if !known {
		*lengths = slices.Insert(*lengths, i, p.Bits())
	}
}

// around yields the values of the prefixes that contain an address, the longest prefix first.
func (w *within[T]) around(addr netip.Addr) iter.Seq2[netip.Prefix, T] {
	return func(yield func(netip.Prefix, T) bool) {
		for _, bits := range w.lengths[family(addr)] {
			p, _ := addr.Prefix(bits)
			if v, there := w.of[p]; there && !yield(p, v) {
				return
			}
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// A service is a named list of TCP ports.
type service struct {
	name  string
	ports []uint16
}

func (s service) has(ports ...uint16) bool {
	return slices.ContainsFunc(ports, func(port uint16) bool { return slices.Contains(s.ports, port) })
}

// A remote is a class of servers.
type remote struct {
	name  string
	relay bool // whether mail to the class passes unless a rule for own servers decides
	own   bool // whether the phase can have rules for own servers of the class
}

// An exemption exempts a prefix on one line or on all lines.
type exemption struct {
	line  string // empty means all lines
	until int64  // the clock second from which on the prefix is not exempt; 0 means no end
}

// A lease opens classes of servers for subscribers of some line groups.
type lease struct {
	name   string
	opens  []string
	groups []string // nil means every line
	// outside is true if the lease is also for addresses outside all lines.
	outside bool
}

// opensFor reports whether the lease opens a class of servers for the lines of a group, which is empty for the unnamed line.
func (l lease) opensFor(class, group string) bool {
	return slices.Contains(l.opens, class) && (l.groups == nil || slices.Contains(l.groups, group) || group == "" && l.outside)
}

// A grant is the lease of a prefix.
type grant struct {
	exemption // where the lease applies, and until when
	lease     lease
}

// A rule is one rule of a phase.
type rule struct {
	id      uint8
	name    string
	service string
	legs    []Leg
	groups  []string // nil means every line
	remote  string   // empty means any remote
	leased  bool     // whether the rule is only for subscribers with a lease that opens the remote, and for exempt subscribers
	verdict Verdict
}

// New returns the model of a switch in a phase, with the exemptions that are in force at the time now. It panics if the documents do not
// contain the switch or the phase, because that is a mistake of the caller.
func New(p *policy.Policy, inv *policy.Inventory, switchName, phaseName string, now time.Time) *Model {
	return NewInForce(p, inv, switchName, policy.Everywhere(phaseName), now)
}

// NewInForce is like New, for a switch on which line groups may be in different phases. Such a switch drains if the default phase and the phases
// of the groups of all its lines have synOnly.
func NewInForce(p *policy.Policy, inv *policy.Inventory, switchName string, in policy.InForce, now time.Time) *Model {
	i := slices.IndexFunc(inv.Switches, func(s policy.Switch) bool { return s.Name == switchName })
	if i < 0 {
		panic(fmt.Sprintf("reference: switch %q is not in the documents", switchName))
	}
	sw := &inv.Switches[i]
	m := &Model{
		network: map[uint16]bool{}, bridge: map[[6]byte]uint16{}, at: map[place]int{}, behind: map[[2]uint16][]uint16{},
		rejects: rejects{line: map[int]int{}}, syns: map[connection]sent{}, phases: map[string]*phase{},
	}
	m.readSwitch(sw, p)
	for _, s := range p.Services {
		var ports []uint16
		for _, port := range s.Ports {
			ports = append(ports, uint16(port))
		}
		m.services = append(m.services, service{s.Name, ports})
	}
	for _, r := range p.Remotes {
		for _, prefix := range r.Prefixes {
			if _, taken := m.remotes.of[prefix]; !taken {
				m.remotes.put(prefix, remote{r.Name, r.Relay || r.Own, r.Own})
			}
		}
	}
	for _, n := range p.NAT64 {
		m.nat64 = append(m.nat64, n.Prefix)
	}
	m.readExemptions(p, sw, now)
	for _, l := range p.Leases {
		m.leases = append(m.leases, lease{l.Name, l.Opens, l.Groups, l.Addresses})
	}
	m.readPhases(p, sw, in)
	return m
}

// readSwitch reads the switch's ports, stations and lines.
func (m *Model) readSwitch(sw *policy.Switch, p *policy.Policy) {
	numbers := map[string]uint16{}
	for _, port := range sw.Ports {
		number := uint16(port.Number)
		numbers[port.Name] = number
		m.ports = append(m.ports, number)
		m.network[number] = port.Role == networkRole
		for _, mac := range port.MACs {
			m.bridge[mac] = number
		}
	}
	groups := map[string]*policy.LineGroup{}
	for i := range p.LineGroups {
		groups[p.LineGroups[i].Name] = &p.LineGroups[i]
	}
	m.lines = []line{{undetermined: Drop, laterFragments: Permit, sourceCheck: Permit}}
	for _, l := range sw.Lines {
		group := groups[l.Group]
		read := line{
			name: l.Name, port: numbers[l.Port], outer: uint16(l.VLAN), inner: uint16(l.InnerVLAN), session: uint16(l.PPPoE),
			group: l.Group, bucket: group.Limit != (policy.Rate{}), prefixes: l.Prefixes,
			undetermined:   Verdict(or(string(group.Undetermined), string(Drop))),
			laterFragments: Verdict(or(string(group.LaterFragments), string(Permit))),
			sourceCheck:    Verdict(or(string(group.SourceCheck), "off")),
		}
		if read.sourceCheck == "off" {
			read.sourceCheck = Permit
		}
		m.at[place{read.port, read.outer, read.inner, read.session}] = len(m.lines)
		m.lines = append(m.lines, read)
		vlans := [2]uint16{read.outer, read.inner}
		if !slices.Contains(m.behind[vlans], read.port) {
			m.behind[vlans] = append(m.behind[vlans], read.port)
		}
		for _, mac := range l.MACs {
			m.bridge[mac] = read.port
		}
	}
	for _, addr := range sw.RejectFrom {
		if addr.Is4() {
			m.rejectFrom4 = addr
		} else {
			m.rejectFrom6 = addr
		}
	}
}

// readExemptions reads the switch's exempt prefixes. An exemption is in force until the end of its last day, in the policy's time zone.
func (m *Model) readExemptions(p *policy.Policy, sw *policy.Switch, now time.Time) {
	zone := time.FixedZone("policy", int(p.UTCOffset)*60)
	lines := map[string]*policy.Line{}
	for i := range sw.Lines {
		lines[sw.Lines[i].Name] = &sw.Lines[i]
	}
	for _, e := range p.Exemptions {
		if !now.Before(time.Date(e.Expires.Year, e.Expires.Month, e.Expires.Day+1, 0, 0, 0, 0, zone)) {
			continue
		}
		if e.Prefix.IsValid() {
			m.Exempt(e.Prefix, "", 0)
		}
		if l := lines[e.Line]; e.Line != "" && l != nil {
			for _, prefix := range l.Prefixes {
				m.Exempt(prefix, l.Name, 0)
			}
		}
	}
}

// Exempt adds an entry that the documents do not contain. It exempts a prefix on a line, or on all lines if line is empty, until a second of
// the switch's clock. 0 means that it has no end. The prefix must not overlap a prefix that is exempt already, because the switch uses only
// the longest prefix.
func (m *Model) Exempt(prefix netip.Prefix, line string, until uint32) {
	m.exempt.put(prefix, append(m.exempt.of[prefix], exemption{line, int64(until)}))
}

// Lease gives a prefix a lease on a line, or on all lines if line is empty, until a second of the switch's clock. The prefix must overlap neither an
// exempt prefix nor one with a lease.
func (m *Model) Lease(name string, prefix netip.Prefix, line string, until uint32) {
	i := slices.IndexFunc(m.leases, func(l lease) bool { return l.name == name })
	m.granted.put(prefix, append(m.granted.of[prefix], grant{exemption{line, int64(until)}, m.leases[i]}))
}

// readPhases assigns ids to the rules of all phases, and keeps the phases in force.
func (m *Model) readPhases(p *policy.Policy, sw *policy.Switch, in policy.InForce) {
	ids := map[string]uint8{}
	for _, ph := range p.Phases {
		for _, r := range ph.Rules {
			if _, known := ids[r.Name]; !known {
				ids[r.Name] = uint8(FirstPolicyRule + len(ids))
			}
			m.upSrc = m.upSrc || slices.Contains(m.legs(r), UpSrc)
			m.downDst = m.downDst || slices.Contains(m.legs(r), DownDst)
		}
	}
	read := func(name string) (*phase, bool) {
		i := slices.IndexFunc(p.Phases, func(ph policy.Phase) bool { return ph.Name == name })
		if i < 0 {
			panic(fmt.Sprintf("reference: phase %q is not in the documents", name))
		}
		ph := &p.Phases[i]
		read := &phase{reach: ph.OwnServices}
		for _, r := range ph.Rules {
			x := rule{id: ids[r.Name], name: r.Name, service: r.Service, legs: m.legs(r), groups: r.Groups, remote: r.Remote, leased: r.Subscriber == "leased", verdict: Verdict(r.Action)}
			if x.remote == "any" {
				x.remote = ""
			}
			read.rules = append(read.rules, x)
		}
		return read, ph.SynOnly
	}
	m.phase, m.synOnly = read(in.Default)
	for group, name := range in.Groups {
		ph, synOnly := read(name)
		m.phases[group] = ph
		has := slices.ContainsFunc(sw.Lines, func(l policy.Line) bool { return l.Group == group })
		m.synOnly = m.synOnly && (synOnly || !has)
	}
}

// legs returns the legs of a rule. By default, a rule for port 25 has the legs up_dst and down_src, and a rule for another service has
// only up_dst.
func (m *Model) legs(r policy.PhaseRule) []Leg {
	if r.Legs == nil {
		if i := slices.IndexFunc(m.services, func(s service) bool { return s.name == r.Service }); i >= 0 && m.services[i].has(25) {
			return []Leg{UpDst, DownSrc}
		}
		return []Leg{UpDst}
	}
	var legs []Leg
	for _, l := range r.Legs {
		legs = append(legs, Leg(l))
	}
	return legs
}

// or returns value, or absent if value is empty.
func or(value, absent string) string {
	if value == "" {
		return absent
	}
	return value
}
