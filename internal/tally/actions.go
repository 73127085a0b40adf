package tally

import (
	"op25b/internal/policy"
)

// A RuleAction is what a switch does with the packets that a rule matches.
type RuleAction struct {
	Rule   string
	Action policy.Action
}

// acting keeps the actions of a switch's rules while neither the intent nor the phases change.
type acting struct {
	of      *names
	phases  string
	actions []RuleAction
}

// actionsLocked returns the action of each rule in the phases in force, in the order of the rules' numbers. It returns nil while it is not
// known which phases are in force. If a rule has different actions for different line groups, the strictest counts.
func (t *Tally) actionsLocked(name string, d *device) []RuleAction {
	if d.acting.of == t.names && d.acting.phases == d.phase {
		return d.acting.actions
	}
	d.acting = acting{of: t.names, phases: d.phase}
	if d.phase == "" {
		return nil
	}
	in, err := policy.ParseInForce(d.phase)
	if err != nil {
		return nil
	}
	rules, err := t.names.intent.Meanings(name, in)
	if err != nil {
		return nil // the documents no longer have the phase, and the switch is about to leave it
	}
	for _, r := range rules {
		d.acting.actions = append(d.acting.actions, RuleAction{r.Name, r.Action})
	}
	return d.acting.actions
}
