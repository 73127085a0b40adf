package compile

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A token identifies the documents of a Compiler without keeping them. Two Compilers that were derived from the same one by the same change have the same
// token: the Book that stores a change derives one, and the watch of the store another if it is faster.
type token [sha256.Size]byte

// newToken returns the token of a Compiler that is not derived.
func newToken() (t token) {
	_, _ = rand.Read(t[:]) // it never fails
	return t
}

// derived returns the token after a change of an exemption to next, which is nil if there is none any more.
func (t token) derived(subject policy.Exemption, next *policy.Exemption) token {
	h := sha256.New()
	h.Write(t[:])
	fmt.Fprintf(h, "%q %v ", subject.Line, subject.Prefix)
	if next != nil {
		fmt.Fprintf(h, "%q %q %q %v %v", next.Owner, next.Reason, next.Ticket, next.Expires, next.Review)
	}
	return token(h.Sum(nil))
}

// maxLineage is the number of changes of one exemption that a Compiler remembers. A switch that has missed more of them is compared as a whole.
const maxLineage = 64

// A lineage lists the changes of one exemption each by which a Compiler was derived from others, the last one last.
type lineage struct {
	self  token
	steps []lineageStep
}

type lineageStep struct {
	from    token
	subject policy.Exemption // only its line or prefix counts
}

// exemptLines has the exemption of each exempt line. Compilers that differ in a few exemptions share the map all.
type exemptLines struct {
	all  map[string]*policy.Exemption
	over map[string]*policy.Exemption // takes precedence over all; nil means that the line has no exemption
}

func (l exemptLines) of(line string) (*policy.Exemption, bool) {
	e, there := l.over[line]
	if !there {
		e, there = l.all[line]
	}
	return e, there && e != nil
}

// maxOver is the largest size of exemptLines.over. Beyond it, the two maps are joined.
const maxOver = 1000

func (l exemptLines) with(line string, e *policy.Exemption) exemptLines {
	over := maps.Clone(l.over)
	if over == nil {
		over = make(map[string]*policy.Exemption)
	}
	over[line] = e
	if len(over) <= maxOver {
		return exemptLines{l.all, over}
	}
	all := maps.Clone(l.all)
	maps.Copy(all, over)
	maps.DeleteFunc(all, func(_ string, e *policy.Exemption) bool { return e == nil })
	return exemptLines{all: all}
}

// Derive returns a Compiler for documents that differ from those of c only in the exemption of one line or prefix, that of the exemption subject. It
// costs little, and shares with c all that does not depend on this exemption. The documents must be valid, and their exemptions in order.
func (c *Compiler) Derive(b *policy.Bundle, subject policy.Exemption, now time.Time) *Compiler {
	d := &Compiler{
		bundle: b, numbers: c.numbers, given: c.given,
		lineGroups: c.lineGroups, services: c.services, remotes: c.remotes, leases: c.leases, serviceEntries: c.serviceEntries,
		remoteEntries: c.remoteEntries, sourceChecks: c.sourceChecks, index: c.index, rulesOf: c.rulesOf, exemptLines: c.exemptLines,
	}
	steps := append(slices.Clone(c.lineage.steps), lineageStep{c.lineage.self, policy.Exemption{Line: subject.Line, Prefix: subject.Prefix}})
	var was, is *policy.Exemption
	if at, there := c.bundle.Policy.Exemption(subject); there {
		was = &c.bundle.Policy.Exemptions[at]
	}
	if at, there := b.Policy.Exemption(subject); there {
		is = &b.Policy.Exemptions[at]
	}
	d.lineage = lineage{c.lineage.self.derived(subject, is), steps[max(0, len(steps)-maxLineage):]}
	d.ends = slices.Clone(c.ends)
	if was != nil {
		if at, there := slices.BinarySearchFunc(d.ends, b.Policy.Ends(was), time.Time.Compare); there {
			d.ends = slices.Delete(d.ends, at, at+1)
		}
	}
	if is != nil {
		end := b.Policy.Ends(is)
		at, _ := slices.BinarySearchFunc(d.ends, end, time.Time.Compare)
		d.ends = slices.Insert(d.ends, at, end)
	}
	if subject.Line != "" {
		own := is
		if is != nil {
			copied := *is // not to keep the list
			own = &copied
		}
		d.exemptLines = c.exemptLines.with(subject.Line, own)
		d.deriveStanding(c, subject, now)
	}
	d.deriveNeeds(c, subject, now)
	return d
}

// deriveStanding takes over what the exemptions of prefixes are, which an exemption of a line does not change.
func (d *Compiler) deriveStanding(c *Compiler, subject policy.Exemption, now time.Time) {
	s := *c.standingAt(now)
	s.ended = d.endedAt(now)
	s.expired = slices.DeleteFunc(slices.Clone(s.expired), func(e policy.Exemption) bool { return e.Line == subject.Line })
	if e, there := d.exemptLines.of(subject.Line); there && d.bundle.Policy.Ended(e, now) {
		s.expired = append(s.expired, *e)
	}
	d.standing = &s
}

// Changed returns the lines and prefixes whose exemption may differ from that in from. ok is false if the documents differ in more, or in exemptions that
// are not known one by one. Neither of the two need be derived from the other: a revision may have the documents of an earlier one.
func (c *Compiler) Changed(from *Compiler) (subjects []policy.Exemption, ok bool) {
	if c == nil || from == nil {
		return nil, c == from
	}
	mine, theirs, ok := c.lineage.since(from.lineage)
	for _, s := range slices.Concat(mine, theirs) {
		if !slices.ContainsFunc(subjects, func(e policy.Exemption) bool { return e == s.subject }) {
			subjects = append(subjects, s.subject)
		}
	}
	return subjects, ok
}

// since returns the changes of two lineages since the last Compiler that both have. ok is false if none is known.
func (l lineage) since(o lineage) (mine, theirs []lineageStep, ok bool) {
	at := make(map[token]int, len(o.steps)+1) // the number of steps of o that lead to a token
	for i, s := range o.steps {
		at[s.from] = i
	}
	at[o.self] = len(o.steps)
	if i, both := at[l.self]; both {
		return nil, o.steps[i:], true
	}
	for n, s := range slices.Backward(l.steps) {
		if i, both := at[s.from]; both {
			return l.steps[n:], o.steps[i:], true
		}
	}
	return nil, nil, false
}

// A Touched is a prefix in the table of subscribers whose entry may differ between two Compilers. Was and Is are its entries, with the times at which
// they end. A class of 0 means that there is none.
type Touched struct {
	Prefix       netip.Prefix
	Was, Is      pipeline.Subscriber
	WasEnd, Ends time.Time
}

// Delta returns the entries of State.Subscribers of a switch that differ from those by from, given what Changed returned. It is what a comparison of
// the two compiled states would find.
func (c *Compiler) Delta(from *Compiler, switchName string, subjects []policy.Exemption, now time.Time) ([]Touched, error) {
	sw, err := c.switchOf(switchName)
	if err != nil {
		return nil, err
	}
	was, is := from.standingAt(now), c.standingAt(now)
	touched := make(map[netip.Prefix]struct{})
	touch := func(all ...netip.Prefix) {
		for _, p := range all {
			touched[p] = struct{}{}
		}
	}
	for _, e := range subjects {
		if e.Line == "" {
			touch(e.Prefix)
			touch(was.inside(e.Prefix)...)
			touch(is.inside(e.Prefix)...)
			for i := range sw.Lines {
				if _, exempt := c.exemptLines.of(sw.Lines[i].Name); !exempt {
					continue
				}
				for _, p := range sw.Lines[i].Prefixes {
					if p.Bits() >= e.Prefix.Bits() && e.Prefix.Contains(p.Addr()) {
						touch(p)
					}
				}
			}
			continue
		}
		on, line, ok := c.index().Line(e.Line)
		if !ok || on.Name != sw.Name {
			continue
		}
		for _, p := range line.Prefixes {
			touch(p)
			touch(was.inside(p)...)
			touch(is.inside(p)...)
		}
	}
	var all []Touched
	for p := range touched {
		x := Touched{Prefix: p}
		if x.Was, x.WasEnd, err = from.subscriberAt(was, sw, p, now); err != nil {
			return nil, err
		}
		if x.Is, x.Ends, err = c.subscriberAt(is, sw, p, now); err != nil {
			return nil, err
		}
		if x.Was != x.Is || !x.WasEnd.Equal(x.Ends) {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b Touched) int { return byAddress(a.Prefix, b.Prefix) })
	return all, nil
}

// subscriberAt returns the entry of one prefix in State.Subscribers of a switch, and its end: what exemptions sets for the whole switch.
func (c *Compiler) subscriberAt(s *standingExemptions, sw *policy.Switch, p netip.Prefix, now time.Time) (x pipeline.Subscriber, end time.Time, err error) {
	_, standing := s.entries[p]
	exempt := func(on *policy.Switch, line *policy.Line, ok bool) (*policy.Exemption, bool) {
		if !ok || on.Name != sw.Name {
			return nil, false
		}
		e, ok := c.exemptLines.of(line.Name)
		return e, ok && !c.bundle.Policy.Ended(e, now)
	}
	on, line, ok := c.index().Prefix(p)
	own, has := exempt(on, line, ok)
	if !standing && !has {
		return x, end, nil
	}
	x.Class = SubscriberExempt
	end = s.ends[p]
	if has {
		around, _, within := s.index.Around(p)
		if end = later(end, later(c.bundle.Policy.Ends(own), s.ends[around])); !within && !standing {
			x.Line, err = c.lineNumber(sw, line.Name)
		}
	}
	if around, has := exempt(c.index().Around(p)); has && standing {
		end = later(end, c.bundle.Policy.Ends(around))
	}
	return x, end, err
}

// lineNumber returns the index of one line.
func (c *Compiler) lineNumber(sw *policy.Switch, line string) (pipeline.LineIndex, error) {
	if c.given {
		if x, ok := c.numbers.Lines[sw.Name][line]; ok {
			return pipeline.LineIndex(x.Number), nil
		}
		return 0, lineSpan.knows(c.numbers.Lines[sw.Name], []string{line})
	}
	all, err := c.lineNumbers(sw)
	return all[line], err
}

// A need is the number of entries of subscribers of IPv4 and IPv6 that a switch needs.
type need [2]int

// A SubscriberNeed is the number of entries of IPv4 and IPv6 that State.Subscribers of a switch has, and the room for its sessions and leases.
type SubscriberNeed struct {
	V4, V6   int
	Sessions pipeline.SessionRoom
}

// SubscriberNeed returns the need of a switch. Only the first call for a switch counts its entries. Entries that have ended since still count.
func (c *Compiler) SubscriberNeed(switchName string, in policy.InForce, now time.Time) (of SubscriberNeed, err error) {
	sw, err := c.switchOf(switchName)
	if err != nil {
		return of, err
	}
	lines, err := c.SessionLines(switchName, now)
	if err != nil {
		return of, err
	}
	of.Sessions = lines.room()
	of.Sessions.Leases = c.leaseRoom(sw, lines)
	c.mu.Lock()
	n, known := c.needs[switchName]
	c.mu.Unlock()
	if !known {
		compiled, err := c.Compile(switchName, in, now)
		if err != nil {
			return of, err
		}
		for p := range compiled.State.Subscribers {
			n[family(p)]++
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.needs == nil {
			c.needs = make(map[string]need)
		}
		c.needs[switchName] = n
	}
	of.V4, of.V6 = n[0], n[1]
	return of, nil
}

// deriveNeeds takes over the needs of switches that are known.
func (d *Compiler) deriveNeeds(c *Compiler, subject policy.Exemption, now time.Time) {
	c.mu.Lock()
	needs := maps.Clone(c.needs)
	c.mu.Unlock()
	for name, n := range needs {
		if subject.Line != "" {
			if on, _, ok := d.index().Line(subject.Line); ok && on.Name != name {
				continue
			}
		}
		delta, err := d.Delta(c, name, []policy.Exemption{subject}, now)
		if err != nil {
			delete(needs, name)
			continue
		}
		for _, x := range delta {
			n[family(x.Prefix)] += int(x.Is.Class) - int(x.Was.Class) // the class of an exempt subscriber is 1
		}
		needs[name] = n
	}
	d.needs = needs
}

// Part returns a Compiler for a part of the documents: the same policy with fewer exemptions, and an inventory with fewer lines. Its switches have those
// entries of the whole that belong to the part.
func (c *Compiler) Part(b *policy.Bundle) *Compiler {
	d := &Compiler{
		bundle: b, numbers: c.numbers, given: c.given,
		lineGroups: c.lineGroups, services: c.services, remotes: c.remotes, leases: c.leases, serviceEntries: c.serviceEntries,
		remoteEntries: c.remoteEntries, sourceChecks: c.sourceChecks, rulesOf: c.rulesOf, lineage: lineage{self: newToken()},
	}
	d.index = sync.OnceValue(func() *policy.LineIndex { return policy.NewLineIndex(b.Inventory) })
	d.exempt(b.Policy)
	return d
}
