package tally

import (
	"op25b/internal/policy"
)

// A RuleAction is the action that a switch applies to the packets that a rule matches.
type RuleAction struct {
	Rule   string
	Action policy.Action
}

// acting caches the actions of a switch's rules. The cache is valid until the intent or the phases change.
type acting struct {
	of      *names
	phases  string
	actions []RuleAction
}

// actionsLocked returns the action of each rule in the phases in force, ordered by rule number. It returns nil while the phases in force
// are not known. If a rule has different actions for different line groups, actionsLocked returns the strictest one.
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
		return nil // the documents no longer contain the phase, and the switch will leave it soon
	}
	for _, r := range rules {
		d.acting.actions = append(d.acting.actions, RuleAction{r.Name, r.Action})
	}
	return d.acting.actions
}
