package compile

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// standingExemptions contains the exemptions in force between one expiry and the next, as far as they are the same for all switches.
type standingExemptions struct {
	ended   int // the number of exemptions that have expired
	expired []policy.Exemption
	// The exemptions of prefixes, in three forms: table entries, a list, and an index for look-ups.
	entries map[netip.Prefix]pipeline.Subscriber
	list    []Exempt
	index   *policy.PrefixIndex[struct{}]
	ends    map[netip.Prefix]time.Time // when each of the prefixes is no longer exempt, by any exemption of a prefix
	sorted  []netip.Prefix             // the prefixes in the order of byAddress
	shared  *pipeline.Shared           // the entries that all switches share in this period
}

// endedAt returns the number of exemptions that have expired by time now.
func (c *Compiler) endedAt(now time.Time) int {
	ended, _ := slices.BinarySearchFunc(c.ends, now, func(end, now time.Time) int {
		if end.After(now) {
			return 1
		}
		return -1
	})
	return ended
}

// Ending returns the number of exemptions that end after a time and no later than another.
func (c *Compiler) Ending(after, by time.Time) int { return c.endedAt(by) - c.endedAt(after) }

// SameExemptions reports whether the same exemptions are in force at both times.
func (c *Compiler) SameExemptions(a, b time.Time) bool { return c.endedAt(a) == c.endedAt(b) }

func (c *Compiler) standingAt(now time.Time) *standingExemptions {
	ended := c.endedAt(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.standing != nil && c.standing.ended == ended {
		return c.standing
	}
	p := c.bundle.Policy
	prefixes := 0
	for i := range p.Exemptions {
		if p.Exemptions[i].Line == "" {
			prefixes++
		}
	}
	s := &standingExemptions{
		ended: ended, entries: make(map[netip.Prefix]pipeline.Subscriber, prefixes), index: policy.NewPrefixIndex[struct{}](),
		ends: make(map[netip.Prefix]time.Time, prefixes), list: make([]Exempt, 0, prefixes), sorted: make([]netip.Prefix, 0, prefixes),
	}
	ends := make(map[policy.Date]time.Time) // there are few days, and many exemptions end on each
	own := make([]netip.Prefix, 0, prefixes)
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		end, known := ends[e.Expires]
		if !known {
			end = p.Ends(e)
			ends[e.Expires] = end
		}
		switch {
		case !now.Before(end):
			s.expired = append(s.expired, *e)
		case e.Line == "":
			s.entries[e.Prefix] = pipeline.Subscriber{Class: SubscriberExempt}
			s.index.Add(e.Prefix, struct{}{})
			own = append(own, e.Prefix)
			s.list = append(s.list, Exempt{Exemption: *e, Prefixes: own[len(own)-1 : len(own) : len(own)]})
			s.ends[e.Prefix] = later(s.ends[e.Prefix], end)
			s.sorted = append(s.sorted, e.Prefix)
		}
	}
	s.outlast()
	s.shared = &pipeline.Shared{State: pipeline.State{
		Services: c.serviceEntries, Remotes: c.remoteEntries, SourceChecks: c.sourceChecks, Subscribers: s.entries,
	}}
	c.standing = s
	return s
}

// outlast gives each prefix the latest end of the prefixes around it. A switch looks up the longest prefix only, so an entry that has ended hides
// the prefixes around it until a controller removes it. Without this, an exemption that ends would end the longer ones around it as well.
func (s *standingExemptions) outlast() {
	slices.SortFunc(s.sorted, byAddress)
	s.sorted = slices.Compact(s.sorted)
	var around []netip.Prefix // the prefixes that contain the present one, the shortest first
	for _, p := range s.sorted {
		for len(around) > 0 && !around[len(around)-1].Contains(p.Addr()) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			s.ends[p] = later(s.ends[p], s.ends[around[len(around)-1]])
		}
		around = append(around, p)
	}
}

// inside returns the prefixes of s that a prefix contains. A prefix contains itself.
func (s *standingExemptions) inside(p netip.Prefix) []netip.Prefix {
	from, _ := slices.BinarySearchFunc(s.sorted, p, byAddress)
	to := from
	for to < len(s.sorted) && p.Contains(s.sorted[to].Addr()) {
		to++
	}
	return s.sorted[from:to]
}

// byAddress orders prefixes so that each is followed by the prefixes that it contains.
func byAddress(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// End returns when the exemption of a prefix in State.Subscribers ends. It is the latest end of all exemptions that contain the prefix, because the
// entries do not change meanwhile without a controller. Inside a prefix that is exempt on every line, this includes the exemptions of lines: see
// exemptions. ok is false if the prefix is not in State.Subscribers.
func (c *Compiled) End(p netip.Prefix) (end time.Time, ok bool) {
	if end, ok = c.ownEnds[p]; !ok {
		end, ok = c.ends[p]
	}
	return end, ok
}

// HasEnds reports whether State.Subscribers or Sessions has an exemption, all of which have ends.
func (c *Compiled) HasEnds() bool { return len(c.ends)+len(c.ownEnds) > 0 || c.Sessions.exempts > 0 }

// exemptions sets the exempt prefixes of a switch. The prefixes of an exempt line are exempt only on that line. The other prefixes are
// exempt on every switch.
//
// Inside a prefix that is exempt on every line, a line that is exempt for longer has an entry for every line until its own end. If no controller is
// there when the exemption of the prefix ends, the address of the line stays exempt on other lines too, until the end of the line's exemption. The
// alternative would be to end the line's exemption too early.
func (c *Compiler) exemptions(compiled *Compiled, sw *policy.Switch, lines lineNumbers, now time.Time) {
	p, s := c.bundle.Policy, c.standingAt(now)
	entries, list := s.entries, s.list
	var own map[netip.Prefix]pipeline.Subscriber
	ends := make(map[netip.Prefix]time.Time)
	for i := range sw.Lines {
		line := &sw.Lines[i]
		exemption, exempt := c.exemptLines.of(line.Name)
		if !exempt || p.Ended(exemption, now) {
			continue
		}
		if own == nil {
			own, entries, list = make(map[netip.Prefix]pipeline.Subscriber), maps.Clone(entries), slices.Clone(list)
		}
		list = append(list, Exempt{Exemption: *exemption, Prefixes: line.Prefixes})
		for _, prefix := range line.Prefixes {
			// The longest prefix decides. Inside a prefix that is exempt on every line, an entry for a single line would take the
			// exemption away from the other lines. The entry therefore applies to every line.
			_, same := s.index.At(prefix)
			subscriber, end := pipeline.Subscriber{Class: SubscriberExempt, Line: lines[line.Name]}, p.Ends(exemption)
			if around, _, within := s.index.Around(prefix); within || same {
				subscriber.Line = 0
				ends[prefix] = later(end, later(s.ends[around], s.ends[prefix]))
			} else {
				ends[prefix] = end
			}
			own[prefix], entries[prefix] = subscriber, subscriber
			for _, inner := range s.inside(prefix) {
				ends[inner] = later(ends[inner], later(end, s.ends[inner]))
			}
		}
	}
	compiled.State.Subscribers, compiled.Exempt, compiled.Expired = entries, list, s.expired
	compiled.shared, compiled.own = s.shared, own
	compiled.ends, compiled.ownEnds = s.ends, ends
}
