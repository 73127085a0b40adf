package compile

import (
	"fmt"
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Classes of subscriber addresses. Each lease has a class of its own, above these.
const (
	SubscriberOrdinary pipeline.Class = 0
	SubscriberExempt   pipeline.Class = 1
)

// Compiled is the desired state of one switch for the given phases in force, together with the meaning of the numbers in the state.
//
// The maps and slices of a Compiled are read-only, because the results of one Compiler share them.
type Compiled struct {
	Policy, Switch string
	// InForce records the phase in force for each line group. Groups with the default phase are not listed.
	InForce policy.InForce

	// State is the desired state. Its SynOnly, the drain, applies to the whole switch and must not pass segments that a phase without drain
	// stops. SynOnly is therefore true only if the default phase and all phases of the switch's lines drain.
	State pipeline.State
	// Staged lists the rule sets of the other phases, the most useful first. See Stage.
	Staged []Stage

	// Rules maps each rule id to its rule. It contains the rules of the phases in force, the standing rules, and the rules built into the
	// pipeline. The switch counts segments under these ids.
	Rules map[pipeline.RuleID]Rule
	// Lines maps the index of each line to its name.
	Lines map[pipeline.LineIndex]string
	// LineGroups, Services, Remotes and Leases map numbers to entries of the policy. The prefixes of Remotes include the prefixes through NAT64.
	// The numbers of Leases are subscriber classes.
	LineGroups map[pipeline.LineGroup]policy.LineGroup
	Services   map[pipeline.Service]policy.Service
	Remotes    map[pipeline.Class]policy.Remote
	Leases     map[pipeline.Class]policy.Lease

	// Exempt lists the exemptions in force on this switch. Exemptions of prefixes, which apply on every switch, precede exemptions of the
	// switch's lines.
	Exempt []Exempt
	// Expired lists the policy's expired exemptions.
	Expired []policy.Exemption

	// Sessions computes the entries that depend on sessions. They are not in State.
	Sessions *SessionLines

	shared *pipeline.Shared
	own    map[netip.Prefix]pipeline.Subscriber // entries that are not in shared

	ends, ownEnds map[netip.Prefix]time.Time // the ends of the entries in shared, and those of this switch, which take precedence
}

// Sharing returns a state with the same entries as State. The entries that all switches of the Compiler share are in the field Shared, so
// that they are encoded only once.
func (c *Compiled) Sharing() *pipeline.State {
	s := c.State
	s.Shared = c.shared
	s.Services, s.Remotes, s.SourceChecks, s.Subscribers = nil, nil, nil, c.own
	return &s
}

// An Exempt is an exemption in force and the prefixes that it exempts.
type Exempt struct {
	policy.Exemption
	Prefixes []netip.Prefix
}

// A Rule is the meaning of a rule id.
type Rule struct {
	ID   pipeline.RuleID
	Name string
	// Action is the rule's action. If the rule has different actions in the phases in force, Action is the strictest of them. For
	// later-fragment, undetermined and spoofed, Action is the strictest setting of any line group.
	Action policy.Action
	// Text describes the rule for operators and in the descriptions of counters. If the rule differs between the phases in force, Text has
	// one clause for each phase.
	Text string
}

// RuleByName returns the rule with the given name.
func (c *Compiled) RuleByName(name string) (r Rule, ok bool) {
	for _, r := range c.Rules {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Compile returns the desired state of a switch at time now, given the phase in force for each line group. The time determines only which
// exemptions have expired. The states of different phases differ only in Verdicts, SynOnly and Staged.
//
// The first matching rule decides: exempt for own servers, the phase's rules for own servers, relay, submission, exempt, and then the phase's other
// rules. The phase is the one in force for the line's group. A rule for several legs or line groups becomes several entries with one rule id, and
// so does a rule for leased subscribers, for each lease. If groups have different phases, entries match on the group where needed, so that no rule
// applies to the lines of a group in another phase.
//
// Compile returns ErrUnknownSwitch, policy.ErrUnknownPhase or policy.ErrUnknownGroup for an unknown name; the message lists the known names.
// It returns policy.ErrInvalid if the switch is not valid, or if the phases in force need more than policy.MaxVerdicts entries. It returns
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

// RulesOf returns the rules as they apply to lines in the given phase, whatever other phases are in force. The ids are the same as in
// Compiled.Rules; the actions and texts are those of the phase. drain is State.SynOnly. The map is read-only. RulesOf returns
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

// Meanings returns what Compile returns in Compiled.Rules, without the rest of the state. The map is read-only. Meanings does not validate
// the switch. Its errors are those of Rules.
func (c *Compiler) Meanings(switchName string, in policy.InForce) (map[pipeline.RuleID]Rule, error) {
	sw, err := c.find(switchName, in)
	if err != nil {
		return nil, err
	}
	in = in.Plain()
	rules, err := c.rules(in)
	if err != nil {
		return nil, fmt.Errorf("compile switch %q: %w", switchName, err)
	}
	return rules.meanings(c.numbers, Drains(c.bundle.Policy, sw, in)), nil
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
	drain := Drains(p, sw, in)
	compiled := &Compiled{
		Policy: p.Name, Switch: sw.Name, InForce: in,
		Rules: rules.meanings(c.numbers, drain), Lines: lines.names(),
		LineGroups: c.lineGroups, Services: c.services, Remotes: c.remotes, Leases: c.leases,
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
	compiled.Sessions = c.sessionLines(sw, lines, now)
	s.Sessions = compiled.Sessions.room()
	s.Sessions.Leases = c.leaseRoom(sw, compiled.Sessions)
	compiled.Staged = c.staged(sw, in)
	for _, stage := range compiled.Staged {
		s.Staged = append(s.Staged, stage.Verdicts)
	}
	return compiled, nil
}

// Drains reports whether SynOnly is set in the default phase and in the phase of every line of a switch.
func Drains(p *policy.Policy, sw *policy.Switch, in policy.InForce) bool {
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
