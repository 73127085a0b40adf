package compile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// SessionLines computes the entries that depend on the sessions and leases of a switch's lines. They are a layer over the compiled state: Compile
// does not return them, and a change of a session or lease compiles nothing. SessionLines is read-only.
//
// The layer has three kinds of entries, and none of them has the key of an entry of the compiled state:
//
//   - If the line is exempt, its addresses have the exempt class, on this line only. Addresses inside a prefix that is exempt on every line need no
//     entry, unless the line is exempt for longer. The entry then applies to every line, because it would otherwise take the exemption of the prefix
//     away from the others. Its line cannot be told from the entry: see Outlasts.
//   - If the line's group checks sources, its addresses are bound to the line. If the session has no address of a family, or the line has no
//     session, all addresses of the family are bound to the line. A line whose addresses are unknown is therefore not checked, because a
//     check would drop all that it sends.
//   - If the line has a lease, all its addresses have the class of the lease, on this line only; see LeaseEntries.
//
// On a switch with policy.Switch.AddressLeases, the layer also has an entry for each address outside all lines that has a lease; see AddressEntries.
type SessionLines struct {
	lines   map[string]sessionLine
	indexes map[pipeline.LineIndex]string
	exempt  *policy.PrefixIndex[struct{}] // the prefixes that are exempt on every line
	ends    map[netip.Prefix]time.Time    // when each of them is no longer exempt
	static  map[netip.Prefix]struct{}     // the prefixes of exempt lines that the inventory lists, whose entries are in the compiled state
	exempts int                           // the number of exempt lines
	checked int                           // the number of lines with a source check

	leases   map[string]pipeline.Class // by the name of the lease
	classes  []pipeline.Class          // of all leases
	leasable int                       // the number of lines that can have a lease

	addresses map[pipeline.Class]struct{}   // the classes of leases that addresses outside all lines can have; nil if the switch has none of these
	own       *policy.PrefixIndex[struct{}] // the prefixes of the switch's lines; nil if addresses is
}

type sessionLine struct {
	index    pipeline.LineIndex
	own      []netip.Prefix // the prefixes that the inventory lists, whose entries are in the compiled state
	sessions bool           // the line can have sessions
	leased   bool           // the line can have leases
	// Whether the line's session has entries because the line is exempt, or because its sources are checked.
	exempt, checked bool
	end             time.Time // when the exemption of an exempt line ends
}

// SessionLines returns the SessionLines of a switch at time now. It returns ErrUnknownSwitch for an unknown name, and ErrNumbers if a line has
// no number.
func (c *Compiler) SessionLines(switchName string, now time.Time) (*SessionLines, error) {
	sw, err := c.switchOf(switchName)
	if err != nil {
		return nil, err
	}
	index, err := c.lineNumbers(sw)
	if err != nil {
		return nil, fmt.Errorf("compile switch %q: %w", switchName, err)
	}
	return c.sessionLines(sw, index, now), nil
}

func (c *Compiler) sessionLines(sw *policy.Switch, index lineNumbers, now time.Time) *SessionLines {
	p, standing := c.bundle.Policy, c.standingAt(now)
	s := &SessionLines{
		lines: make(map[string]sessionLine), indexes: make(map[pipeline.LineIndex]string), exempt: standing.index, ends: standing.ends,
		static: make(map[netip.Prefix]struct{}), leases: make(map[string]pipeline.Class),
	}
	for class, l := range c.leases {
		s.leases[l.Name], s.classes = class, append(s.classes, class)
	}
	if sw.Identify == "" && len(s.leases) == 0 {
		return s
	}
	if sw.AddressLeases {
		s.leaseAddresses(c, sw)
	}
	groups := make(map[string]*policy.LineGroup, len(p.LineGroups))
	for i := range p.LineGroups {
		groups[p.LineGroups[i].Name] = &p.LineGroups[i]
	}
	for i := range sw.Lines {
		line := &sw.Lines[i]
		group := groups[line.Group]
		exemption, exempt := c.exemptLines.of(line.Name)
		if exempt = exempt && !p.Ended(exemption, now); exempt {
			for _, prefix := range line.Prefixes {
				s.static[prefix] = struct{}{}
			}
		}
		x := sessionLine{index: index[line.Name], own: line.Prefixes, leased: c.leased(line, exempt)}
		if _, x.sessions = line.SessionIdentity(sw, group); !x.sessions && !x.leased {
			continue
		}
		if x.exempt = exempt && x.sessions; x.exempt {
			x.end = p.Ends(exemption)
		}
		if group != nil && x.sessions {
			_, x.checked, _ = group.SourceCheck.Code()
		}
		s.lines[line.Name] = x
		s.indexes[x.index] = line.Name
		if x.exempt {
			s.exempts++
		}
		if x.checked {
			s.checked++
		}
		if x.leased {
			s.leasable++
		}
	}
	return s
}

// room returns the room that the sessions need. A line with a source check has at most two entries of each family, with and without a session.
func (s *SessionLines) room() pipeline.SessionRoom {
	return pipeline.SessionRoom{Sources: max(policy.MaxSessionPrefixes, len(everyIPv4)) * s.checked, Subscribers: policy.MaxSessionPrefixes * s.exempts}
}

// Names returns the names of the lines that can have a session or a lease.
func (s *SessionLines) Names() []string {
	return slices.Collect(maps.Keys(s.lines))
}

// Has reports whether the switch has a line that can have a session or a lease.
func (s *SessionLines) Has(line string) bool { _, has := s.lines[line]; return has }

// Uses reports whether a line's session has entries: whether the line is exempt or its sources are checked.
func (s *SessionLines) Uses(line string) bool {
	x := s.lines[line]
	return x.exempt || x.checked
}

// ExemptEnd returns when the exemption of a line ends whose session has entries because of it. It returns zero for other lines.
func (s *SessionLines) ExemptEnd(line string) time.Time { return s.lines[line].end }

// Exempt returns the names of the lines for which ExemptEnd returns an end.
func (s *SessionLines) Exempt() []string {
	var all []string
	for name, x := range s.lines {
		if x.exempt {
			all = append(all, name)
		}
	}
	return all
}

// Used reports whether any line's session has entries.
func (s *SessionLines) Used() bool { return s.exempts+s.checked > 0 }

// everyIPv4 and everyIPv6 contain all addresses of a family. The pipeline refuses prefixes of length 0.
var (
	everyIPv4 = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")}
	everyIPv6 = []netip.Prefix{netip.MustParsePrefix("::/1"), netip.MustParsePrefix("8000::/1")}
)

// Wide reports whether an entry binds half of all addresses to a line. The layer has such entries for lines whose addresses are unknown.
func Wide(e pipeline.Entry) bool { return e.IsSource() && e.SourcePrefix().Bits() == 1 }

// Entries returns the entries of a line whose session has the given prefixes. A line without a session has no prefixes. The result is empty if
// the switch has no such line.
func (s *SessionLines) Entries(line string, prefixes []netip.Prefix) []pipeline.Entry {
	x, ok := s.lines[line]
	if !ok {
		return nil
	}
	var all []pipeline.Entry
	var families [2]bool // whether the session has an address of IPv4 and IPv6
	for _, p := range prefixes {
		if families[family(p)] = true; slices.Contains(x.own, p) {
			continue
		}
		if x.checked {
			all = x.bind(all, p)
		}
		if line, has := s.exemptFor(x, p); x.exempt && has {
			// The prefixes of a session are valid. If one was not, the line would only lack its entry.
			if e, err := pipeline.SubscriberEntry(p, pipeline.Subscriber{Class: SubscriberExempt, Line: line}); err == nil {
				all = append(all, e)
			}
		}
	}
	return x.widen(all, families)
}

// widen appends the entries that bind all addresses to a line with a source check, for each family of which the line has no address.
func (x sessionLine) widen(all []pipeline.Entry, families [2]bool) []pipeline.Entry {
	if !x.checked {
		return all
	}
	for i, every := range [][]netip.Prefix{everyIPv4, everyIPv6} {
		if families[i] {
			continue
		}
		for _, p := range every {
			all = x.bind(all, p)
		}
	}
	return all
}

func (x sessionLine) bind(all []pipeline.Entry, p netip.Prefix) []pipeline.Entry {
	e, err := pipeline.SourceEntry(pipeline.SourceKey{Line: x.index, Prefix: p})
	if err != nil {
		return all
	}
	return append(all, e)
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// exemptFor returns the line for which an exempt line has the entry of a prefix, 0 for every line. It returns false if the line needs no entry.
func (s *SessionLines) exemptFor(x sessionLine, p netip.Prefix) (line pipeline.LineIndex, has bool) {
	if !s.exemptEverywhere(p) {
		return x.index, true
	}
	_, same := s.exempt.At(p)
	_, static := s.static[p]
	around, _, within := s.exempt.Around(p)
	return 0, within && !same && !static && x.end.After(s.ends[around])
}

// Outlasts reports whether an entry is of an exempt line, inside a prefix that is exempt on every line and ends earlier, or could be. It does not say
// of which line it is.
func (s *SessionLines) Outlasts(e pipeline.Entry) bool {
	class, is := e.IsSubscriber()
	if !is || class != SubscriberExempt || e.Home() != 0 || e.Until() == 0 || s.exempts == 0 {
		return false
	}
	p, _ := e.Prefix()
	_, same := s.exempt.At(p)
	_, static := s.static[p]
	_, _, within := s.exempt.Around(p)
	return within && !same && !static
}

func (s *SessionLines) exemptEverywhere(p netip.Prefix) bool {
	if _, same := s.exempt.At(p); same {
		return true
	}
	_, _, within := s.exempt.Around(p)
	return within
}

// Line returns the line to which an entry belongs that depends on a session or a lease, or could. ok is false for all other entries, also for
// entries of the prefixes that the inventory lists, unless they are of a lease.
func (s *SessionLines) Line(e pipeline.Entry) (line string, ok bool) {
	if line, ok = s.LeaseOf(e); ok {
		return line, true
	}
	index, p := e.SourceLine(), netip.Prefix{}
	if index != 0 {
		p = e.SourcePrefix()
	} else if class, is := e.IsSubscriber(); is && class == SubscriberExempt {
		index = e.Home()
		p, _ = e.Prefix()
	}
	line, ok = s.indexes[index]
	return line, ok && index != 0 && !slices.Contains(s.lines[line].own, p)
}

// Owns reports whether an entry depends on a session or a lease, or could: whether it belongs to a line by Line, to an address by Address, or to some
// line by Outlasts.
func (s *SessionLines) Owns(e pipeline.Entry) bool {
	_, line := s.Line(e)
	_, address := s.Address(e)
	return line || address || s.Outlasts(e)
}

// Text returns the text for an entry. The text for an entry of the layer contains no address (I8).
func (s *SessionLines) Text(e pipeline.Entry) string {
	if line, is := s.Line(e); is {
		return fmt.Sprintf("%s of line %s", e.Table(), line)
	}
	if _, is := s.Address(e); is {
		return e.Table() + " of an address outside all lines"
	}
	if s.Outlasts(e) {
		return e.Table() + " of an exempt line"
	}
	return e.String()
}

// Held returns the entries of the layer that a switch should keep, given its entries. The switch keeps the entries that it has by sessions, so
// that a change of the documents does not depend on the sessions. Lines with a source check whose addresses the switch does not have are
// not checked.
func (s *SessionLines) Held(have []pipeline.Entry) []pipeline.Entry {
	if len(s.lines) == 0 && s.addresses == nil {
		return nil
	}
	var all []pipeline.Entry
	families := make(map[string][2]bool) // as in Entries, by line
	wide := make(map[pipeline.Key]struct{})
	for _, e := range have {
		if s.keepsAddress(e) || s.Outlasts(e) {
			all = append(all, e)
			continue
		}
		name, is := s.Line(e)
		if !is || !s.keeps(name, e) {
			continue
		}
		all = append(all, e)
		switch {
		case !e.IsSource():
		case Wide(e):
			wide[e.Key] = struct{}{}
		default:
			known := families[name]
			known[family(e.SourcePrefix())] = true
			families[name] = known
		}
	}
	for name, x := range s.lines {
		for _, e := range x.widen(nil, families[name]) {
			if _, there := wide[e.Key]; !there {
				all = append(all, e)
			}
		}
	}
	return all
}

// keeps reports whether a line may still have an entry of the layer. Prefixes of length 0 come from a switch that does not enforce the program's
// restrictions.
func (s *SessionLines) keeps(line string, e pipeline.Entry) bool {
	x := s.lines[line]
	if e.IsSource() {
		return x.checked && e.SourcePrefix().Bits() > 0
	}
	p, _ := e.Prefix()
	if _, lease := s.LeaseOf(e); lease {
		return x.leased && e.Until() != 0 && p.Bits() > 0 && !s.exemptEverywhere(p) // only another hand writes an entry without an end
	}
	return x.exempt && p.Bits() > 0 && !s.exemptEverywhere(p)
}
