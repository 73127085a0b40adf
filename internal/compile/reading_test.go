package compile

import (
	"iter"
	"slices"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// segments returns segments with all combinations of values that a policy can distinguish, and for each kind of number a value that
// the policy does not use.
func segments(p *policy.Policy) iter.Seq[policytest.Segment] {
	return func(yield func(policytest.Segment) bool) {
		for _, from := range []pipeline.PortRole{pipeline.Access, pipeline.Network} {
			for _, remote := range []uint16{25, 587, 465, 110, 26, 2525, 80} {
				for _, own := range []uint16{25, 587, 40000} {
					for group := range len(p.LineGroups) + 1 {
						for class := range len(p.Remotes) + 2 {
							for subscriber := range SubscriberExempt + 2 + pipeline.Class(len(p.Leases)) { // the last is a class that the policy does not use
								for handshake := range pipeline.SYNACK + 1 {
									if !yield(policytest.Segment{From: from, Remote: remote, Own: own, Group: pipeline.LineGroup(group), Class: pipeline.Class(class), Subscriber: subscriber, Handshake: handshake}) {
										return
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

// verdict looks up a segment in the tables as P4Runtime specifies: the matching entry with the highest priority decides. ok is false
// on a miss. The test fails if two matching entries have the same priority, because the result would depend on the target.
func verdict(t *rapid.T, s pipeline.State, x policytest.Segment) (v pipeline.Verdict, ok bool) {
	src, dst := x.Own, x.Remote
	if x.From == pipeline.Network {
		src, dst = x.Remote, x.Own
	}
	var best pipeline.ServiceValue
	for key, entry := range s.Services {
		match := key.Role == x.From && (!key.SrcPort.Exact || key.SrcPort.Port == src) && (!key.DstPort.Exact || key.DstPort.Port == dst) &&
			(key.Handshake == 0 || key.Handshake == x.Handshake)
		if match && entry.Priority == best.Priority {
			t.Fatalf("%+v matches two services with priority %d", x, best.Priority)
		}
		if match && entry.Priority > best.Priority {
			best = entry
		}
	}
	if best.Priority == 0 {
		return v, false
	}
	return policytest.Lookup(t, s, x, best.Leg, best.Service)
}

// classify determines a segment's leg and service from the documents. Both are empty if no service applies.
func classify(p *policy.Policy, x policytest.Segment) (policy.Leg, string) {
	holder := func(port uint16) string {
		for _, s := range p.Services {
			if slices.Contains(s.Ports, policy.TCPPort(port)) {
				return s.Name
			}
		}
		return ""
	}
	said := func(leg policy.Leg) bool {
		for _, ph := range p.Phases {
			for _, r := range ph.Rules {
				if slices.Contains(r.Legs, leg) {
					return true
				}
			}
		}
		return false
	}
	service := holder(x.Remote)
	switch {
	case x.From == pipeline.Access && x.Remote != 25 && x.Own == 25 && x.Handshake == pipeline.SYNACK && said("up_src"):
		return "up_src", holder(25)
	case x.From == pipeline.Network && x.Remote != 25 && x.Own == 25 && x.Handshake == pipeline.SYN && said("down_dst"):
		return "down_dst", holder(25)
	case x.From == pipeline.Access && service != "":
		return "up_dst", service
	case x.From == pipeline.Access && x.Own == 25 && said("up_src"):
		return "up_src", holder(25)
	case x.From == pipeline.Network && x.Remote == 25:
		return "down_src", service
	case x.From == pipeline.Network && service != "" && said("down_dst"):
		return "down_src", service
	case x.From == pipeline.Network && x.Own == 25 && said("down_dst"):
		return "down_dst", holder(25)
	}
	return "", ""
}

// readAloud determines from the documents alone which rule decides a segment. It returns the rule's name, or "" if no rule matches.
func readAloud(p *policy.Policy, ph policy.Phase, x policytest.Segment) string {
	class, relay, own, group := policy.AnyRemote, false, false, ""
	if i := int(x.Class) - 1; i >= 0 && i < len(p.Remotes) {
		class, own = p.Remotes[i].Name, p.Remotes[i].Own
		relay = own || p.Remotes[i].Relay
	}
	if x.Group > 0 {
		group = p.LineGroups[x.Group-1].Name
	}
	leg, service := classify(p, x)
	smtp, submission := service == "smtp", service == "submission" || service == "submissions"
	exempt := smtp && x.Subscriber == SubscriberExempt
	held := holds(p, x, class, group)
	if own {
		if exempt {
			return "exempt"
		}
		if name := firstOf(ph, service, class, leg, group, held); name != "" {
			if r, _ := ph.Rule(name); r.Remote == class {
				return name
			}
		}
	}
	switch {
	case relay && (smtp || submission):
		return "relay"
	case submission:
		return "submission"
	case exempt:
		return "exempt"
	}
	return firstOf(ph, service, class, leg, group, held)
}

// holds reports whether a subscriber has a lease that opens a class, or is exempt where such a lease can be had. Leases are numbered in order from
// the first class after SubscriberExempt.
func holds(p *policy.Policy, x policytest.Segment, class, group string) bool {
	for i, l := range p.Leases {
		inGroup := len(l.Groups) == 0 || slices.Contains(l.Groups, group) || l.Addresses && group == ""
		if slices.Contains(l.Opens, class) && inGroup && (x.Subscriber == SubscriberExempt || int(x.Subscriber) == 2+i) {
			return true
		}
	}
	return false
}

// firstOf returns the first rule of a phase for a segment, or "" if there is none. held is the result of holds.
func firstOf(ph policy.Phase, service, class string, leg policy.Leg, group string, held bool) string {
	for _, r := range ph.Rules {
		legs := r.Legs
		if legs == nil {
			legs = []policy.Leg{"up_dst"}
			if r.Service == "smtp" {
				legs = []policy.Leg{"up_dst", "down_src"}
			}
		}
		if r.Subscriber == "leased" && !held {
			continue
		}
		if r.Service == service && slices.Contains(legs, leg) && (r.Remote == "" || r.Remote == policy.AnyRemote || r.Remote == class) &&
			(r.Groups == nil || slices.Contains(r.Groups, group)) {
			return r.Name
		}
	}
	return ""
}
