package meaning

import (
	"cmp"
	"maps"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A judge determines the outcome of a compiled rule set for a segment. Segments and outcomes are expressed in names, so that rule sets with
// different numbers can be compared. A judge assumes a subscriber without an exemption, because the rules do not affect port 25 of exempt
// subscribers, and without a lease, unless the judge comes from holding.
//
// The judge of a nil Compiled represents a switch with empty tables, on which every line is unnamed.
type judge struct {
	groups   map[string]pipeline.LineGroup
	remotes  map[string]pipeline.Class
	leases   map[string]pipeline.Class
	services map[policy.TCPPort]pipeline.Service
	names    map[pipeline.Service]string
	rules    map[pipeline.RuleID]compile.Rule
	asked    map[asking]bool     // the services that the switch looks up
	rows     map[asking][]ruling // verdict entries by descending priority
	stopping map[string]bool     // cached results of stopsSMTP

	subscriber pipeline.Class // the class of the assumed subscriber: 0, or the class of a lease
}

// An asking is a service and the leg on which it is looked up.
type asking struct {
	leg     pipeline.Leg
	service pipeline.Service
}

// A ruling is a verdict entry.
type ruling struct {
	pipeline.VerdictKey
	pipeline.Verdict
}

// An outcome is the action that applies to a segment, and the name of the rule that decides. The zero value means that the segment passes
// without an evaluation of rules.
type outcome struct {
	action policy.Action
	rule   string
}

func newJudge(c *compile.Compiled) *judge {
	j := &judge{
		groups: make(map[string]pipeline.LineGroup), remotes: make(map[string]pipeline.Class), leases: make(map[string]pipeline.Class),
		services: make(map[policy.TCPPort]pipeline.Service), names: make(map[pipeline.Service]string),
		asked: make(map[asking]bool), rows: make(map[asking][]ruling), stopping: make(map[string]bool),
	}
	if c == nil {
		return j
	}
	j.rules = c.Rules
	for number, g := range c.LineGroups {
		j.groups[g.Name] = number
	}
	for number, r := range c.Remotes {
		j.remotes[r.Name] = number
	}
	for class, l := range c.Leases {
		j.leases[l.Name] = class
	}
	for number, s := range c.Services {
		j.names[number] = s.Name
		for _, port := range s.Ports {
			j.services[port] = number
		}
	}
	for _, v := range c.State.Services {
		j.asked[asking{v.Leg, v.Service}] = true
	}
	for _, s := range []pipeline.Service{pipeline.ServiceUndetermined, pipeline.ServiceLaterFragment} {
		j.asked[asking{pipeline.UpDst, s}] = true
	}
	for a := range j.asked {
		for key, verdict := range c.State.Verdicts {
			if (!key.Leg.Set || key.Leg.Value == a.leg) && (!key.Service.Set || key.Service.Value == a.service) {
				j.rows[a] = append(j.rows[a], ruling{key, verdict})
			}
		}
		slices.SortFunc(j.rows[a], func(x, y ruling) int { return cmp.Compare(y.Priority, x.Priority) })
	}
	return j
}

// holding returns a judge for subscribers with a lease. If the judge does not know the lease, they are subscribers without a lease.
func (j *judge) holding(lease string) *judge {
	with := *j
	with.subscriber = j.leases[lease]
	return &with
}

// sameClasses reports whether both judges have the same remote classes with the same numbers.
func (j *judge) sameClasses(x *judge) bool { return maps.Equal(j.remotes, x.remotes) }

// service returns the name of the service to which a port belongs, or "" if there is none.
func (j *judge) service(port policy.TCPPort) string { return j.names[j.services[port]] }

// port returns the outcome for a segment between a line of a group and a server of a class. An empty group means unnamed lines, and an empty
// class means servers in no class.
func (j *judge) port(port policy.TCPPort, leg policy.Leg, group, class string) outcome {
	code, _ := leg.Code()
	service, known := j.services[port]
	if known && j.asked[asking{code, service}] {
		if r, ok := j.ruling(asking{code, service}, group, class); ok {
			return j.outcome(r)
		}
	}
	if port.IsSMTP() && (leg == policy.UpDst || leg == policy.DownSrc) {
		return outcome{policy.Drop, policy.RuleFailClosed}
	}
	return outcome{}
}

// knob returns the action on frames without ports from lines of a group. service identifies the kind of frame.
func (j *judge) knob(service pipeline.Service, byDefault policy.Action, group string) policy.Action {
	if r, ok := j.ruling(asking{pipeline.UpDst, service}, group, ""); ok {
		return j.outcome(r).action
	}
	return byDefault
}

func (j *judge) ruling(a asking, group, class string) (ruling, bool) {
	g, c := j.groups[group], j.remotes[class]
	for _, r := range j.rows[a] {
		if (!r.Group.Set || r.Group.Value == g) && (!r.RemoteClass.Set || r.RemoteClass.Value == c) &&
			(!r.SubscriberClass.Set || r.SubscriberClass.Value == j.subscriber) {
			return r, true
		}
	}
	return ruling{}, false
}

func (j *judge) outcome(r ruling) outcome {
	for _, action := range []policy.Action{policy.Permit, policy.Monitor, policy.Limit, policy.Reject, policy.Drop} {
		if verdict, _ := action.Code(); verdict == r.Action {
			return outcome{action, j.rules[r.Rule].Name}
		}
	}
	return outcome{} // unreachable: policies have no other actions
}

// stopsSMTP reports whether the rules stop some mail of a group's lines, to or from port 25 of either the servers or the lines.
func (j *judge) stopsSMTP(group string) bool {
	if stops, known := j.stopping[group]; known {
		return stops
	}
	stops := false
	for _, class := range append(slices.Collect(maps.Keys(j.remotes)), "") {
		for _, leg := range policy.Legs() {
			stops = stops || stoppage(j.port(policy.PortSMTP, leg, group, class).action) > 0
		}
	}
	j.stopping[group] = stops
	return stops
}

// stoppage ranks an action by how much it stops: nothing (0), the excess over a rate (1), or everything (2).
func stoppage(a policy.Action) int {
	switch a {
	case policy.Limit:
		return 1
	case policy.Reject, policy.Drop:
		return 2
	}
	return 0
}
