package check

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// Source addresses for lines without prefixes in the inventory. They are in the benchmarking ranges (RFC 2544 and RFC 5180), which
// neither a customer nor an exemption uses.
var (
	strangerV4 = netip.MustParseAddr("198.18.0.1")
	strangerV6 = netip.MustParseAddr("2001:2::1")
)

// shared is the shared address space (RFC 6598), in which many customers use the same address.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// MAC addresses of stations that are not in the inventory. The addresses are locally administered, and the switch floods frames to them.
var (
	madeUpLine   = pipeline.MAC{0x02, 0x25, 0, 0, 0, 1}
	madeUpServer = pipeline.MAC{0x02, 0x25, 0, 0, 0, 2}
)

// A subscriber is the source of a connection.
type subscriber struct {
	sw     *policy.Switch
	line   *policy.Line // nil for an unnamed line
	named  bool         // true if the question names the line
	from   netip.Addr   // the address in the question, or the zero value
	access access
	server pipeline.Port // the network port on which the replies arrive
	notes  []string
}

// Subject returns the names of the line and the switch that a question is about. line is empty for an unnamed line. Subject returns the same
// errors about the line as Ask, and does not answer the question.
func (c *Checker) Subject(q Question) (line, sw string, err error) {
	s, err := c.subscriber(&q)
	if err != nil {
		return "", "", err
	}
	if s.line != nil {
		line = s.line.Name
	}
	return line, s.sw.Name, nil
}

// subscriber finds the line and the ports for a question.
func (c *Checker) subscriber(q *Question) (*subscriber, error) {
	from := q.From.Unmap()
	if q.Line == "" && !from.IsValid() && q.Switch == "" {
		return nil, fmt.Errorf("%w: neither a line nor an address: give the line's name, or an address that it has", ErrQuestion)
	}
	if from.IsValid() && !ofHost(from) {
		return nil, fmt.Errorf("%w: from %v: no subscriber has this address", ErrQuestion, q.From)
	}
	s := &subscriber{from: from}
	var err error
	switch {
	case q.Line != "":
		err = c.named(s, q.Line)
	case from.IsValid():
		err = c.addressed(s)
	}
	if err != nil {
		return nil, err
	}
	if s.line == nil {
		if err := c.unnamed(s, q.Switch); err != nil {
			return nil, err
		}
	} else {
		s.access = accessOf(s.sw, s.line)
	}
	return s, s.findServer()
}

// named sets the subscriber's line to the line with the given name.
func (c *Checker) named(s *subscriber, name string) error {
	sw, line, known := c.lines().Line(name)
	if !known {
		return UnknownLine(c.inventory, name)
	}
	s.sw, s.line, s.named = sw, line, true
	return nil
}

// UnknownLine returns an ErrUnknownLine that names the lines of an inventory that are probably meant.
func UnknownLine(inventory *policy.Inventory, name string) error {
	var all []string
	for i := range inventory.Switches {
		all = append(all, policy.Names(inventory.Switches[i].Lines)...)
	}
	return fmt.Errorf("%w %.80q; %s", ErrUnknownLine, name, similarLines(name, all))
}

// maxLines is the maximum number of lines that the error about an unknown line names. The caller asked for one line, and has no use for the
// names of other subscribers' lines beyond those that are probably meant.
const maxLines = 5

// similarLines returns a text with the lines that an unknown name may mean, or with all lines if there are at most maxLines.
func similarLines(name string, all []string) string {
	if len(all) <= maxLines {
		return strict.Nearest(name, all, "lines")
	}
	similar := strict.Similar(name, all, maxLines)
	for i, s := range similar {
		similar[i] = strconv.Quote(s)
	}
	switch n := len(similar); n {
	case 0:
		return fmt.Sprintf("none of the inventory's %d lines has a similar name", len(all))
	case 1:
		return fmt.Sprintf("did you mean %s?", similar[0])
	default:
		return fmt.Sprintf("did you mean %s or %s?", strings.Join(similar[:n-1], ", "), similar[n-1])
	}
}

// addressed sets the subscriber's line to the line with the longest prefix that contains the subscriber's address. If no prefix contains
// the address, the line stays nil.
func (c *Checker) addressed(s *subscriber) error {
	bits, also := -1, ""
	for i := range c.inventory.Switches {
		sw := &c.inventory.Switches[i]
		for j := range sw.Lines {
			for _, p := range sw.Lines[j].Prefixes {
				switch {
				case !p.Contains(s.from) || p.Bits() < bits:
				case p.Bits() == bits && s.line != &sw.Lines[j]:
					also = sw.Lines[j].Name
				default:
					s.sw, s.line, bits, also = sw, &sw.Lines[j], p.Bits(), ""
				}
			}
		}
	}
	switch {
	case also != "":
		return fmt.Errorf("%w: %v is of %q and of %q: ask by the line's name", ErrShared, s.from, s.line.Name, also)
	case s.line == nil && shared.Contains(s.from):
		return fmt.Errorf("%w: %v is of the shared address space %v (RFC 6598), and no line of the inventory has it: ask by the line's name", ErrShared, s.from, shared)
	}
	return nil
}

// unnamed places a subscriber without a line on an access port of the given switch, with VLAN tags that no line uses.
func (c *Checker) unnamed(s *subscriber, name string) error {
	switch sw, ok := c.inventory.Switch(name); {
	case ok:
		s.sw = sw
	case name == "" && len(c.inventory.Switches) == 1:
		s.sw = &c.inventory.Switches[0]
	default:
		names := make([]string, len(c.inventory.Switches))
		for i, sw := range c.inventory.Switches {
			names[i] = sw.Name
		}
		if name == "" {
			return fmt.Errorf("%w: no line of the inventory has %v, and it does not say on which switch it is: name the switch; %s", ErrQuestion, s.from, strict.Nearest("", names, "switches"))
		}
		return fmt.Errorf("%w %q; %s", compile.ErrUnknownSwitch, name, strict.Nearest(name, names, "switches"))
	}
	taken := map[pipeline.VLANKey]bool{}
	for _, l := range s.sw.Lines {
		taken[pipeline.VLANKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN}] = true
	}
	for _, p := range s.sw.Ports {
		if p.Role != pipeline.Access {
			continue
		}
		s.access = access{port: p.Number, own: madeUpLine}
		for taken[s.access.vlans] && s.access.vlans.OuterVID < pipeline.MaxVID {
			s.access.vlans.OuterVID++
		}
		note := fmt.Sprintf("it is an unnamed line on switch %q, and only rules for every line match it", s.sw.Name)
		if s.from.IsValid() {
			note = fmt.Sprintf("no line of the inventory has %v: %s", s.from, note)
		}
		s.notes = append(s.notes, note)
		return nil
	}
	return fmt.Errorf("%w: switch %q has no access port that %s could be behind", ErrQuestion, s.sw.Name, s)
}

func accessOf(sw *policy.Switch, l *policy.Line) access {
	a := access{vlans: pipeline.VLANKey{OuterVID: l.VLAN, InnerVID: l.InnerVLAN}, session: l.PPPoE, own: madeUpLine}
	if p, ok := sw.Port(l.Port); ok {
		a.port = p.Number
	}
	if len(l.MACs) > 0 {
		a.own = l.MACs[0]
	}
	return a
}

// findServer chooses the network port of the server. It prefers a port with a known station.
func (s *subscriber) findServer() error {
	found := false
	for _, p := range s.sw.Ports {
		if p.Role != pipeline.Network {
			continue
		}
		if len(p.MACs) > 0 {
			s.server, s.access.far = p.Number, p.MACs[0]
			return nil
		}
		if !found {
			s.server, s.access.far, found = p.Number, madeUpServer, true
		}
	}
	if !found {
		return fmt.Errorf("%w: switch %q has no network port: nothing gets anywhere", ErrQuestion, s.sw.Name)
	}
	return nil
}

// source returns the address from which the line connects to a server. The address has the same family as the server's address.
func (s *subscriber) source(to netip.Addr) (netip.Addr, bool) {
	if s.from.IsValid() && (s.from.Is4() == to.Is4() || !s.named) {
		return s.from, s.from.Is4() == to.Is4()
	}
	var prefixes []netip.Prefix // an unnamed line has none
	if s.line != nil {
		prefixes = s.line.Prefixes
	}
	for _, p := range prefixes {
		if p.Addr().Is4() != to.Is4() {
			continue
		}
		if first := p.Addr().Next(); !p.IsSingleIP() && p.Contains(first) {
			return first, true // a network's own address is rarely a host's address
		}
		return p.Addr(), true
	}
	if len(prefixes) > 0 {
		return netip.Addr{}, false
	}
	if to.Is4() {
		return strangerV4, true
	}
	return strangerV6, true
}

// ofHost reports whether an address can belong to a single host.
func ofHost(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() && a.Zone() == "" &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
