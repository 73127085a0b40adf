package compile

import (
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Classes of subscriber addresses.
const (
	SubscriberOrdinary pipeline.Class = 0
	SubscriberExempt   pipeline.Class = 1
)

// Compiled is the desired state of one switch with certain phases in force, and the meaning of its numbers.
//
// The maps and slices of a Compiled are shared between the results of one Compiler and are read-only.
type Compiled struct {
	Policy, Switch string
	// InForce is the phase of each line group. Groups with the default phase are not listed.
	InForce policy.InForce

	// State has SynOnly, the drain, only if every phase in force by default or for lines of this switch drains. The drain applies to the
	// whole switch, and must not pass segments that a phase without drain stops.
	State pipeline.State
	// Staged are the rule sets of the other phases, the most useful first. See Stage.
	Staged []Stage

	// Rules has the rules of the phases in force, the standing rules, and the rules of the pipeline itself, by the id under which the switch
	// counts them.
	Rules map[pipeline.RuleID]Rule
	// Lines has the names of the switch's lines by index.
	Lines map[pipeline.LineIndex]string
	// LineGroups, Services and Remotes map numbers to entries of the policy. The prefixes of Remotes include the prefixes through NAT64.
	LineGroups map[pipeline.LineGroup]policy.LineGroup
	Services   map[pipeline.Service]policy.Service
	Remotes    map[pipeline.Class]policy.Remote

	// Exempt has the exemptions in force on this switch: first exemptions of prefixes, which apply on every switch, then exemptions of its
	// lines.
	Exempt []Exempt
	// Expired has the exemptions of the policy that have ended.
	Expired []policy.Exemption

	shared *pipeline.Shared
	own    map[netip.Prefix]pipeline.Subscriber // entries that are not in shared
}

// Sharing returns the state with its entries divided between the field Shared, for entries that all switches of the Compiler share, and the
// other fields. The result has the same entries as State, but most of them are encoded once for all switches.
func (c *Compiled) Sharing() *pipeline.State {
	s := c.State
	s.Shared = c.shared
	s.Services, s.Remotes, s.SourceChecks, s.Subscribers = nil, nil, nil, c.own
	return &s
}

// An Exempt is an exemption in force, with its addresses.
type Exempt struct {
	policy.Exemption
	Prefixes []netip.Prefix
}

// A Rule is the meaning of a rule id.
type Rule struct {
	ID   pipeline.RuleID
	Name string
	// Action is the rule's action. If the phases in force have different actions, Action is the strictest. For later-fragment, undetermined
	// and spoofed, Action is the strictest setting of the line groups.
	Action policy.Action
	// Text is a sentence for operators and for the descriptions of counters. If the phases in force differ, Text has one clause for each
	// phase.
	Text string
}

// RuleByName returns the rule with a name.
func (c *Compiled) RuleByName(name string) (r Rule, ok bool) {
	for _, r := range c.Rules {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Compile returns the desired state of a switch at a moment, with a phase in force for each line group. Only exemptions depend on the
// moment: ended exemptions are left out. The states of different phases differ only in Verdicts and SynOnly.
//
// The first matching rule decides. The order is relay, submission, exempt, and then the rules of the phase of the line's group. A rule over
// several legs or line groups becomes several entries with one rule id. If groups have different phases, entries name groups where needed,
// so that no rule applies to lines of a group with another phase.
//
// Compile returns ErrUnknownSwitch, policy.ErrUnknownPhase or policy.ErrUnknownGroup for an unknown name; the message lists the valid
// names. It returns policy.ErrInvalid if the switch is not valid, or if the phases in force need more than policy.MaxVerdicts entries, and
// ErrNumbers if a line has no number.
func (c *Compiler) Compile(switchName string, in policy.InForce, now time.Time) (*Compiled, error) {
	sw, err := c.find(switchName, in)
	if err != nil {
		return nil, err
	}
	in = in.Plain()
	compiled, err := c.compile(sw, in, now)
	if err != nil {
		return nil, fmt.Errorf("compile switch %q: %w", switchName, err)
	}
	return compiled, nil
}

// RulesOf returns the rules as they apply to lines in one phase, regardless of the other phases in force. The ids are those of
// Compiled.Rules, with the phase's own action and text. drain is State.SynOnly. The map is read-only. RulesOf returns
// policy.ErrUnknownPhase if the policy does not have the phase.
func (c *Compiler) RulesOf(phase string, drain bool) (map[pipeline.RuleID]Rule, error) {
	in := policy.Everywhere(phase)
	if err := in.Check(c.bundle.Policy); err != nil {
		return nil, err
	}
	rules, err := c.rules(in)
	if err != nil {
		return nil, err
	}
	return rules.meanings(c.numbers, drain), nil
}

func (c *Compiler) compile(sw *policy.Switch, in policy.InForce, now time.Time) (*Compiled, error) {
	p := c.bundle.Policy
	if err := policy.ValidateSwitch(p, sw); err != nil {
		return nil, err
	}
	lines, err := c.lineNumbers(sw)
	if err != nil {
		return nil, err
	}
	rules, err := c.rules(in)
	if err != nil {
		return nil, err
	}
	drain := drains(p, sw, in)
	compiled := &Compiled{
		Policy: p.Name, Switch: sw.Name, InForce: in,
		Rules: rules.meanings(c.numbers, drain), Lines: lines.names(),
		LineGroups: c.lineGroups, Services: c.services, Remotes: c.remotes,
	}
	compiled.State = pipeline.State{
		Verdicts: rules.verdicts, SynOnly: drain, Services: c.serviceEntries, Remotes: c.remoteEntries, SourceChecks: c.sourceChecks,
		Bridge: bridgeEntries(sw), RejectFrom: rejectFrom(sw),
	}
	s := &compiled.State
	s.Ports, s.NetworkPorts, s.AllPorts = portEntries(sw)
	s.Lines, s.LinePorts = lineEntries(c.numbers, sw, lines)
	s.Sources = sourceEntries(p, sw, lines)
	s.Limits = limitEntries(p, sw, lines)
	c.exemptions(compiled, sw, lines, now)
	compiled.Staged = c.staged(sw, in)
	for _, stage := range compiled.Staged {
		s.Staged = append(s.Staged, stage.Verdicts)
	}
	return compiled, nil
}

// drains reports whether every phase that applies to lines of a switch stops only new connections.
func drains(p *policy.Policy, sw *policy.Switch, in policy.InForce) bool {
	drains := func(phase string) bool {
		ph, _ := p.Phase(phase)
		return ph.SynOnly
	}
	if !drains(in.Default) {
		return false
	}
	if len(in.Groups) == 0 {
		return true
	}
	for _, line := range sw.Lines {
		if phase, apart := in.Groups[line.Group]; apart && !drains(phase) {
			return false
		}
	}
	return true
}
