package meaning

import (
	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// Outcomes states the outcome of single segments, from the same data as the sentences of Of. A proof compares it with the pipeline, so that a
// plan says in words what a switch does. Outcomes is not safe for concurrent use.
type Outcomes struct {
	plain, exempt *judge
	leases        map[string]*judge
}

// A Holder is what a subscriber has beside its line: nothing, an exemption, or a lease.
type Holder struct {
	Exempt bool
	Lease  string // empty for none
}

// NewOutcomes returns the outcomes of a compiled state.
func NewOutcomes(c *compile.Compiled) *Outcomes {
	o := &Outcomes{plain: newJudge(c), leases: make(map[string]*judge)}
	exempt := *o.plain
	exempt.subscriber = compile.SubscriberExempt
	o.exempt = &exempt
	return o
}

// Segment returns the action on segments between lines of a group and servers of a class, and the name of the rule that decides. Both are empty if
// no rule decides. An empty group means unnamed lines, and an empty class means servers in no class. The drain is not considered.
func (o *Outcomes) Segment(port policy.TCPPort, leg policy.Leg, group, class string, h Holder) (policy.Action, string) {
	j := o.plain
	switch {
	case h.Exempt:
		j = o.exempt
	case h.Lease != "":
		if j = o.leases[h.Lease]; j == nil {
			j = o.plain.holding(h.Lease)
			o.leases[h.Lease] = j
		}
	}
	out := j.port(port, leg, group, class)
	return out.action, out.rule
}

// Undetermined and LaterFragment return the actions on frames without ports from lines of a group.
func (o *Outcomes) Undetermined(group string) policy.Action {
	return o.plain.knob(pipeline.ServiceUndetermined, policy.DefaultUndetermined, group)
}

// LaterFragment: see Undetermined.
func (o *Outcomes) LaterFragment(group string) policy.Action {
	return o.plain.knob(pipeline.ServiceLaterFragment, policy.DefaultLaterFragments, group)
}
