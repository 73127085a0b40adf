package compile

import (
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
	shared  *pipeline.Shared // the entries that all switches share in this period
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
	s := &standingExemptions{ended: ended, entries: make(map[netip.Prefix]pipeline.Subscriber), index: policy.NewPrefixIndex[struct{}]()}
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		switch {
		case p.Ended(e, now):
			s.expired = append(s.expired, *e)
		case e.Line == "":
			s.entries[e.Prefix] = pipeline.Subscriber{Class: SubscriberExempt}
			s.index.Add(e.Prefix, struct{}{})
			s.list = append(s.list, Exempt{Exemption: *e, Prefixes: []netip.Prefix{e.Prefix}})
		}
	}
	s.shared = &pipeline.Shared{State: pipeline.State{
		Services: c.serviceEntries, Remotes: c.remoteEntries, SourceChecks: c.sourceChecks, Subscribers: s.entries,
	}}
	c.standing = s
	return s
}

// exemptions sets the exempt prefixes of a switch. The prefixes of an exempt line are exempt only on that line. The other prefixes are
// exempt on every switch.
func (c *Compiler) exemptions(compiled *Compiled, sw *policy.Switch, lines lineNumbers, now time.Time) {
	p, s := c.bundle.Policy, c.standingAt(now)
	entries, list := s.entries, s.list
	var own map[netip.Prefix]pipeline.Subscriber
	for i := range sw.Lines {
		line := &sw.Lines[i]
		at, exempt := c.exemptLines[line.Name]
		if !exempt || p.Ended(&p.Exemptions[at], now) {
			continue
		}
		if own == nil {
			own, entries, list = make(map[netip.Prefix]pipeline.Subscriber), maps.Clone(entries), slices.Clone(list)
		}
		list = append(list, Exempt{Exemption: p.Exemptions[at], Prefixes: line.Prefixes})
		for _, prefix := range line.Prefixes {
			// The longest prefix decides. Inside a prefix that is exempt on every line, an entry for a single line would take the
			// exemption away from the other lines. The entry therefore applies to every line.
			_, same := s.index.At(prefix)
			subscriber := pipeline.Subscriber{Class: SubscriberExempt, Line: lines[line.Name]}
			if _, _, within := s.index.Around(prefix); within || same {
				subscriber.Line = 0
			}
			own[prefix], entries[prefix] = subscriber, subscriber
		}
	}
	compiled.State.Subscribers, compiled.Exempt, compiled.Expired = entries, list, s.expired
	compiled.shared, compiled.own = s.shared, own
}
