package tally

import (
	"cmp"
	"fmt"
	"slices"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/telemetry"
)

// names has the names of one revision of the intent.
type names struct {
	intent   *intent.Intent
	switches map[string]*policy.Switch
	order    []string          // the names of the switches in the order of the inventory
	rules    map[uint32]string // by id
	numbers  map[string]uint32
}

func newNames(in *intent.Intent) *names {
	n := &names{
		intent: in, switches: make(map[string]*policy.Switch), rules: make(map[uint32]string), numbers: make(map[string]uint32),
	}
	for _, sw := range in.Switches() {
		n.switches[sw.Name] = sw
		n.order = append(n.order, sw.Name)
	}
	contents := in.Contents()
	slices.Reverse(contents) // a number means the same in the next documents, unless they needed one that is no longer used
	for _, of := range contents {
		for name, id := range of.Numbers.RuleIDs() {
			n.rules[uint32(id)], n.numbers[name] = name, uint32(id)
		}
	}
	return n
}

// rule returns the name of a rule. Only a foreign entry can have a rule without a name; rule returns the number of such
// a rule.
func (n *names) rule(id uint32) string {
	if name, known := n.rules[id]; known {
		return name
	}
	return fmt.Sprintf("rule %d", id)
}

// number returns the id of a rule. An unknown rule gets a number that sorts last.
func (n *names) number(rule string) uint32 {
	if id, known := n.numbers[rule]; known {
		return id
	}
	return ^uint32(0)
}

// compare orders totals by the numbers of their rules, and then by leg and phase.
func (n *names) compare(a, b Key) int {
	if a.Rule != b.Rule {
		return cmp.Or(cmp.Compare(n.number(a.Rule), n.number(b.Rule)), cmp.Compare(a.Rule, b.Rule))
	}
	return cmp.Or(cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.Phase, b.Phase))
}

// scheduled returns the status of a switch that is in the inventory but that the collector has not taken over yet.
func (n *names) scheduled(name string) telemetry.Status {
	return telemetry.Status{Switch: name, Addr: n.switches[name].GNMI, State: telemetry.Disconnected, Reason: telemetry.ReasonScheduled}
}
