package compile

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// leased reports whether a line can have one of the policy's leases. An exempt line has none, because it reaches own servers anyway.
func (c *Compiler) leased(line *policy.Line, exempt bool) bool {
	return !exempt && slices.ContainsFunc(c.bundle.Policy.Leases, func(l policy.Lease) bool { return l.ForGroup(line.Group) })
}

// LeaseEntries returns the entries of a line that has a lease until a second of the switch's clock. They are in the layer like those of sessions, for
// all prefixes of the line: those of the inventory and those of its session. Inside a prefix that is exempt on every line there is no entry, because
// it would take the exemption away. The result is empty if the line cannot have the lease, and if until is 0: an entry with it would have no end.
func (s *SessionLines) LeaseEntries(line string, prefixes []netip.Prefix, lease string, until pipeline.ClockSecond) []pipeline.Entry {
	x, class := s.lines[line], s.leases[lease]
	if !x.leased || class == 0 || until == 0 {
		return nil
	}
	var all []pipeline.Entry
	for i, p := range slices.Concat(x.own, prefixes) {
		if i >= len(x.own) && slices.Contains(x.own, p) || s.exemptEverywhere(p) {
			continue
		}
		// The prefixes are valid. If one was not, the line would only lack its entry.
		if e, err := pipeline.SubscriberEntry(p, pipeline.Subscriber{Class: class, Line: x.index, Until: until}); err == nil {
			all = append(all, e)
		}
	}
	return all
}

// LeaseOf returns the line whose lease an entry is of. ok is false for other entries, such as those of exemptions.
func (s *SessionLines) LeaseOf(e pipeline.Entry) (line string, ok bool) {
	class, is := e.IsSubscriber()
	if !is || class == SubscriberExempt || !slices.Contains(s.classes, class) {
		return "", false
	}
	line, ok = s.indexes[e.Home()]
	return line, ok && e.Home() != 0
}

// UsesLeases reports whether any line of the switch, or any address outside all lines, can have a lease.
func (s *SessionLines) UsesLeases() bool { return s.leasable > 0 || s.addresses != nil }

// Leased reports whether a line can have a lease.
func (s *SessionLines) Leased(line string) bool { return s.lines[line].leased }

// HasSessions reports whether a line can have a session.
func (s *SessionLines) HasSessions(line string) bool { return s.lines[line].sessions }

// Covers reports whether a line has the prefix of an entry, by the inventory or by its session with the given prefixes.
func (s *SessionLines) Covers(line string, prefixes []netip.Prefix, e pipeline.Entry) bool {
	p, ok := e.Prefix()
	return ok && (slices.Contains(s.lines[line].own, p) || slices.Contains(prefixes, p))
}
