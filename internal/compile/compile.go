package compile

import (
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Classes of a subscriber's address.
const (
	SubscriberOrdinary pipeline.Class = 0
	SubscriberExempt   pipeline.Class = 1
)

// Compiled is what one switch should hold with certain phases in force, and what its numbers mean.
//
// Maps and slices are shared between the results of one Compiler: they are read, and never changed.
type Compiled struct {
	Policy, Switch string
	// InForce is the phase of each line group. Groups with the default phase are not listed.
	InForce policy.InForce

	// State has SynOnly, the drain, where every phase that is in force by default or for lines of this switch has it: there is one for the
	// whole switch, and it must not let pass what a phase without drain stops.
	State pipeline.State
	// Staged are the rule sets that the other phases would bring, the most likely first. See Stage.
	Staged []Stage

	// Rules are the rules of the phases in force, those that stand in every phase, and those of the pipeline itself, by the id under which
	// the switch counts them.
	Rules map[pipeline.RuleID]Rule
	// Lines are the names of the switch's lines.
	Lines map[pipeline.LineIndex]string
	// LineGroups, Services and Remotes are what the policy says of its numbers. The prefixes of Remotes are those in which their servers are
	// seen, through NAT64 too.
	LineGroups map[pipeline.LineGroup]policy.LineGroup
	Services   map[pipeline.Service]policy.Service
	Remotes    map[pipeline.Class]policy.Remote

	// Exempt are the exemptions that hold here: those of this switch's lines, behind those of prefixes, which hold on every switch.
	Exempt []Exempt
	// Expired are the exemptions of the policy that no longer hold.
	Expired []policy.Exemption

	shared *pipeline.Shared
	own    map[netip.Prefix]pipeline.Subscriber // that shared does not have
}

// Sharing returns the state with what all switches of the Compiler have in common in its Shared: it has the same entries as State, and the
// most of them are made once for all switches.
func (c *Compiled) Sharing() *pipeline.State {
	s := c.State
	s.Shared = c.shared
	s.Services, s.Remotes, s.SourceChecks, s.Subscribers = nil, nil, nil, c.own
	return &s
}

// An Exempt is an exemption that holds, and the addresses that it is for.
type Exempt struct {
	policy.Exemption
	Prefixes []netip.Prefix
}

// A Rule is the meaning of a rule id.
type Rule struct {
	ID   pipeline.RuleID
	Name string
	// Action is what the rule does. Where phases that are in force side by side differ, it is the strictest of theirs. The rules
	// later-fragment, undetermined and spoofed do what each line group says, and this is the strictest of it.
	Action policy.Action
	// Text is the meaning as a sentence, for operators and counters' descriptions. Where phases differ it has one for each.
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

// Compile compiles one switch. It is NewCompiler and Compiler.Compile, for who has no more switches to compile.
func Compile(b *policy.Bundle, n *Numbers, switchName string, in policy.InForce, now time.Time) (*Compiled, error) {
	c, err := NewCompiler(b, n)
	if err != nil {
		return nil, err
	}
	return c.Compile(switchName, in, now)
}

// Compile returns what a switch should hold at a moment, with a phase in force for each line group. Only exemptions look at the moment: one
// that has ended is left out. Phases differ in the verdicts and in SynOnly, and in nothing else.
//
// The rules, of which the first that matches decides, are relay, submission, exempt, and then those of the phase of the line's group in
// their order. A rule over several legs or line groups becomes several entries with one rule id. Where all groups have one phase, its
// rules stand once, for any group; where they have not, no group meets a rule of another's phase.
//
// ErrUnknownSwitch, ErrUnknownPhase and ErrUnknownGroup name what there is. ErrInvalid is a switch that could not be validated, and phases
// that side by side need more verdict entries than MaxVerdicts. ErrNumbers is a line that has no number.
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

// RulesOf returns what the rules mean to lines that are in a phase, whatever phases stand beside it: the same ids as in Compiled.Rules, with
// the phase's own action and sentence. drain is State.SynOnly. It is read, and never changed. The error is
// ErrUnknownPhase.
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

// drains reports whether every phase that lines of a switch meet stops new connections alone.
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
