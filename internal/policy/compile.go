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
	// Rules are the rules of the phase and those that stand in every phase, by the id under which the switch counts them.
	Rules map[pipeline.RuleID]Rule
	// Lines are the names of the switch's lines; the one with index i is at i-1.
	Lines []string
	// Expired are the exemptions of the policy that no longer hold.
	Expired []Exemption
}

// A Rule is the meaning of a rule id.
type Rule struct {
	ID     pipeline.RuleID
	Name   string
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
// ended is left out.
//
// The rules, of which the first that matches decides, are relay, submission, exempt, and then the phase's in their order. A rule over
// several line groups becomes several entries with one rule id.
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
	c.State = pipeline.State{Services: serviceEntries(p), Remotes: remoteEntries(p)}
	c.State.Lines, c.State.Bridge = lineEntries(p, sw)
	c.State.NetworkPorts, c.State.AllPorts = floodPorts(sw)
	c.State.Subscribers, c.Expired = subscriberEntries(p, sw, now)
	c.State.Verdicts, c.Rules = verdictEntries(p, ph)
	return c, nil
}

// serviceEntries are the services as a subscriber reaches them. The other legs have no rules yet, and so no entries.
func serviceEntries(p *Policy) map[pipeline.ServiceKey]pipeline.ServiceValue {
	entries := make(map[pipeline.ServiceKey]pipeline.ServiceValue)
	for i, s := range p.Services {
		for _, port := range s.Ports {
			key := pipeline.ServiceKey{Role: pipeline.Access, DstPort: pipeline.PortMatch{Port: uint16(port), Exact: true}}
			entries[key] = pipeline.ServiceValue{Leg: pipeline.UpDst, Service: pipeline.Service(i + 1), Priority: 1}
		}
	}
	return entries
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

// lineEntries are the lines of a switch, the network ports for every VLAN that a line uses, and the stations known behind both. An
// access port without lines gets no entry: the pipeline then takes what comes for a line of group 0.
func lineEntries(p *Policy, sw *Switch) (map[pipeline.LineKey]pipeline.Line, map[pipeline.MAC]pipeline.BridgePort) {
	lines := make(map[pipeline.LineKey]pipeline.Line)
	bridge := make(map[pipeline.MAC]pipeline.BridgePort)
	vids := map[pipeline.VID]struct{}{0: {}}
	ports := make(map[string]pipeline.Port, len(sw.Ports))
	for _, port := range sw.Ports {
		ports[port.Name] = port.Number
	}
	for i, line := range sw.Lines {
		number := ports[line.Port]
		lines[pipeline.LineKey{Port: number, OuterVID: line.VLAN}] = pipeline.Line{
			Role: pipeline.Access, Group: p.group(line.Group), Index: pipeline.LineIndex(i + 1),
		}
		vids[line.VLAN] = struct{}{}
		for _, mac := range line.MACs {
			bridge[mac] = pipeline.BridgePort{Port: number, Role: pipeline.Access}
		}
	}
	for _, port := range sw.Ports {
		if port.Role != pipeline.Network {
			continue
		}
		for vid := range vids {
			lines[pipeline.LineKey{Port: port.Number, OuterVID: vid}] = pipeline.Line{Role: pipeline.Network}
		}
		for _, mac := range port.MACs {
			bridge[mac] = pipeline.BridgePort{Port: port.Number, Role: pipeline.Network}
		}
	}
	return lines, bridge
}

// floodPorts are the network ports, and all ports, in ascending order.
func floodPorts(sw *Switch) (network, all []pipeline.Port) {
	for _, port := range sw.Ports {
		all = append(all, port.Number)
		if port.Role == pipeline.Network {
			network = append(network, port.Number)
		}
	}
	slices.Sort(network)
	slices.Sort(all)
	return network, all
}

// subscriberEntries are the prefixes exempt on a switch: those of its own lines, and those that are exempt everywhere.
func subscriberEntries(p *Policy, sw *Switch, now time.Time) (entries map[netip.Prefix]pipeline.Class, expired []Exemption) {
	entries = make(map[netip.Prefix]pipeline.Class)
	own := make(map[string][]netip.Prefix, len(sw.Lines))
	for _, line := range sw.Lines {
		own[line.Name] = line.Prefixes
	}
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if !now.Before(p.Ends(e)) {
			expired = append(expired, *e)
			continue
		}
		prefixes := own[e.Line]
		if e.Line == "" {
			prefixes = []netip.Prefix{e.Prefix}
		}
		for _, prefix := range prefixes {
			entries[prefix] = SubscriberExempt
		}
	}
	return entries, expired
}
