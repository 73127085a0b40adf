package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/pipeline"
)

// Classes of a subscriber's address.
const (
	SubscriberOrdinary pipeline.Class = 0
	SubscriberExempt   pipeline.Class = 1
)

// Compiled is what one switch should hold in one phase, and what its numbers mean.
type Compiled struct {
	Policy, Phase, Switch string

	State pipeline.State
	// Rules are the rules of the phase, those that stand in every phase, and those of the pipeline itself, by the id under which the switch
	// counts them.
	Rules map[pipeline.RuleID]Rule
	// Lines are the names of the switch's lines; the one with index i is at i-1.
	Lines []string
	// Expired are the exemptions of the policy that no longer hold.
	Expired []Exemption
}

// A Rule is the meaning of a rule id.
type Rule struct {
	ID   pipeline.RuleID
	Name string
	// Action is what the rule does. The rules later-fragment, undetermined and spoofed do what each line group says, and this is the
	// strictest of it.
	Action Action
	// Text is the meaning as a sentence, for operators and counters' descriptions.
	Text string
}

// RuleByName returns the rule of a name.
func (c *Compiled) RuleByName(name string) (r Rule, ok bool) {
	for _, r := range c.Rules {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Compile returns what a switch should hold in a phase of the policy at a moment. Only exemptions look at the moment: one that has
// ended is left out. Phases differ in the verdicts and in SynOnly, and in nothing else.
//
// The rules, of which the first that matches decides, are relay, submission, exempt, and then the phase's in their order. A rule over
// several legs or line groups becomes several entries with one rule id.
//
// It expects documents that Load or Validate accepted. The policy and the switch itself are checked again (ErrInvalid), so that no
// caller can compile a rule set that blocks submission; other switches are not looked at. ErrUnknownSwitch and ErrUnknownPhase name what
// there is.
func Compile(p *Policy, inv *Inventory, switchName, phaseName string, now time.Time) (*Compiled, error) {
	sw, ok := inv.Switch(switchName)
	if !ok {
		return nil, fmt.Errorf("%w %q; %s", ErrUnknownSwitch, switchName, nearest(switchName, names(inv.Switches, Switch.name), "switches"))
	}
	ph, ok := p.Phase(phaseName)
	if !ok {
		return nil, fmt.Errorf("%w %q; %s", ErrUnknownPhase, phaseName, nearest(phaseName, names(p.Phases, Phase.name), "phases"))
	}
	if err := validateFor(p, inv, sw); err != nil {
		return nil, fmt.Errorf("compile switch %q: %w", switchName, err)
	}

	c := &Compiled{Policy: p.Name, Phase: ph.Name, Switch: sw.Name, Lines: names(sw.Lines, Line.name)}
	c.State = pipeline.State{Services: serviceEntries(p), Remotes: remoteEntries(p), SynOnly: ph.SynOnly}
	c.State.Ports, c.State.NetworkPorts, c.State.AllPorts = portEntries(sw)
	c.State.Lines, c.State.LinePorts = lineEntries(p, sw)
	c.State.Bridge = bridgeEntries(sw)
	c.State.SourceChecks, c.State.Sources = sourceEntries(p, sw)
	c.State.Limits = limitEntries(p, sw)
	c.State.RejectFrom = rejectFrom(sw)
	c.State.Subscribers, c.Expired = subscriberEntries(p, sw, now)
	c.State.Verdicts, c.Rules = verdictEntries(p, ph)
	return c, nil
}

// remoteEntries are the prefixes of all classes.
func remoteEntries(p *Policy) map[netip.Prefix]pipeline.Class {
	entries := make(map[netip.Prefix]pipeline.Class)
	for i, r := range p.Remotes {
		for _, prefix := range r.Prefixes {
			entries[prefix] = pipeline.Class(i + 1)
		}
	}
	return entries
}

// subscriberEntries are the prefixes exempt on a switch: those of its own lines, each for that line alone, and those that are exempt
// everywhere.
func subscriberEntries(p *Policy, sw *Switch, now time.Time) (entries map[netip.Prefix]pipeline.Subscriber, expired []Exemption) {
	entries = make(map[netip.Prefix]pipeline.Subscriber)
	var everywhere []netip.Prefix
	lines := make(map[string]int, len(sw.Lines))
	for i, line := range sw.Lines {
		lines[line.Name] = i
	}
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if !now.Before(p.Ends(e)) {
			expired = append(expired, *e)
			continue
		}
		if e.Line == "" {
			everywhere = append(everywhere, e.Prefix)
			entries[e.Prefix] = pipeline.Subscriber{Class: SubscriberExempt}
			continue
		}
		at, here := lines[e.Line]
		if !here {
			continue
		}
		for _, prefix := range sw.Lines[at].Prefixes {
			entries[prefix] = pipeline.Subscriber{Class: SubscriberExempt, Line: lineIndex(at)}
		}
	}
	// The longest prefix decides, so within one that is exempt everywhere a line's own would take the exemption from all others.
	for prefix := range entries {
		if slices.ContainsFunc(everywhere, func(outer netip.Prefix) bool { return outer.Bits() <= prefix.Bits() && outer.Contains(prefix.Addr()) }) {
			entries[prefix] = pipeline.Subscriber{Class: SubscriberExempt}
		}
	}
	return entries, expired
}
