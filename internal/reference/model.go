package reference

import (
	"fmt"
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

	lines    []line // lines[0] is the unnamed line
	services []service
	remotes  []remote
	nat64    []netip.Prefix
	exempt   []exemption // the exemptions that are in force
	leases   []lease     // what logins can open
	granted  []grant     // the leases that subscribers have
	rules    []rule      // the rules of the model's phase
	reach    []string    // the services that reach own servers in the phase; nil means every service
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
	name     string
	relay    bool // whether mail to the class passes unless a rule for own servers decides
	own      bool // whether the phase can have rules for own servers of the class
	prefixes []netip.Prefix
}

// An exemption is a prefix that is exempt on one line or on all lines.
type exemption struct {
	prefix netip.Prefix
	line   string // empty means all lines
	until  int64  // the clock second from which on the prefix is not exempt; 0 means no end
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
// contain the switch or the phase, because that is a mistake in the test.
func New(p *policy.Policy, inv *policy.Inventory, switchName, phaseName string, now time.Time) *Model {
	i := slices.IndexFunc(inv.Switches, func(s policy.Switch) bool { return s.Name == switchName })
	j := slices.IndexFunc(p.Phases, func(ph policy.Phase) bool { return ph.Name == phaseName })
	if i < 0 || j < 0 {
		panic(fmt.Sprintf("reference: switch %q or phase %q is not in the documents", switchName, phaseName))
	}
	sw, ph := &inv.Switches[i], &p.Phases[j]
	m := &Model{network: map[uint16]bool{}, bridge: map[[6]byte]uint16{}, synOnly: ph.SynOnly, reach: ph.OwnServices, rejects: rejects{line: map[int]int{}}, syns: map[connection]sent{}}
	m.readSwitch(sw, p)
	for _, s := range p.Services {
		var ports []uint16
		for _, port := range s.Ports {
			ports = append(ports, uint16(port))
		}
		m.services = append(m.services, service{s.Name, ports})
	}
	for _, r := range p.Remotes {
		m.remotes = append(m.remotes, remote{r.Name, r.Relay || r.Own, r.Own, r.Prefixes})
	}
	for _, n := range p.NAT64 {
		m.nat64 = append(m.nat64, n.Prefix)
	}
	m.readExemptions(p, sw, now)
	for _, l := range p.Leases {
		m.leases = append(m.leases, lease{l.Name, l.Opens, l.Groups, l.Addresses})
	}
	m.readRules(p, ph)
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
	m.lines = []line{{undetermined: Drop, laterFragments: Permit, sourceCheck: Permit}}
	for _, l := range sw.Lines {
		group := p.LineGroups[slices.IndexFunc(p.LineGroups, func(g policy.LineGroup) bool { return g.Name == l.Group })]
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
		m.lines = append(m.lines, read)
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
	for _, e := range p.Exemptions {
		if !now.Before(time.Date(e.Expires.Year, e.Expires.Month, e.Expires.Day+1, 0, 0, 0, 0, zone)) {
			continue
		}
		if e.Prefix.IsValid() {
			m.exempt = append(m.exempt, exemption{prefix: e.Prefix})
		}
		for _, l := range sw.Lines {
			for _, prefix := range l.Prefixes {
				if e.Line != "" && l.Name == e.Line {
					m.exempt = append(m.exempt, exemption{prefix: prefix, line: l.Name})
				}
			}
		}
	}
}

// Exempt adds an entry that the documents do not contain. It exempts a prefix on a line, or on all lines if line is empty, until a second of
// the switch's clock. 0 means that it has no end. The prefix must not overlap a prefix that is exempt already, because the switch uses only
// the longest prefix.
func (m *Model) Exempt(prefix netip.Prefix, line string, until uint32) {
	m.exempt = append(m.exempt, exemption{prefix, line, int64(until)})
}

// Lease gives a prefix a lease on a line, or on all lines if line is empty, until a second of the switch's clock. The prefix must overlap neither an
// exempt prefix nor one with a lease.
func (m *Model) Lease(name string, prefix netip.Prefix, line string, until uint32) {
	i := slices.IndexFunc(m.leases, func(l lease) bool { return l.name == name })
	m.granted = append(m.granted, grant{exemption{prefix, line, int64(until)}, m.leases[i]})
}

// readRules assigns ids to the rules of all phases, and keeps the rules of the phase ph.
func (m *Model) readRules(p *policy.Policy, ph *policy.Phase) {
	ids := map[string]uint8{}
	for _, phase := range p.Phases {
		for _, r := range phase.Rules {
			if _, known := ids[r.Name]; !known {
				ids[r.Name] = uint8(FirstPolicyRule + len(ids))
			}
			m.upSrc = m.upSrc || slices.Contains(m.legs(r), UpSrc)
			m.downDst = m.downDst || slices.Contains(m.legs(r), DownDst)
		}
	}
	for _, r := range ph.Rules {
		read := rule{id: ids[r.Name], name: r.Name, service: r.Service, legs: m.legs(r), groups: r.Groups, remote: r.Remote, leased: r.Subscriber == "leased", verdict: Verdict(r.Action)}
		if read.remote == "any" {
			read.remote = ""
		}
		m.rules = append(m.rules, read)
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
