package policy

import (
	"iter"
	"slices"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// A segment is TCP between a line and a remote end, as the tables meet it.
type segment struct {
	from              pipeline.Role
	remote, own       uint16 // the TCP ports of the remote end and of the line's
	group             pipeline.LineGroup
	class, subscriber pipeline.Class
	handshake         pipeline.Handshake // 0: neither SYN nor SYN-ACK
}

// segments are all combinations that a policy can tell apart, and for each kind of number one that it does not have.
func segments(p *Policy) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		for _, from := range []pipeline.Role{pipeline.Access, pipeline.Network} {
			for _, remote := range []uint16{25, 587, 465, 110, 26, 2525, 80} {
				for _, own := range []uint16{25, 587, 40000} {
					for group := range len(p.LineGroups) + 1 {
						for class := range len(p.Remotes) + 2 {
							for _, subscriber := range []pipeline.Class{SubscriberOrdinary, SubscriberExempt} {
								for handshake := range pipeline.SYNACK + 1 {
									if !yield(segment{from, remote, own, pipeline.LineGroup(group), pipeline.Class(class), subscriber, handshake}) {
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

// Code is what the tables say, as P4Runtime defines it: of each, the matching entry with the largest priority. ok is false on a miss.
// Two matching entries with one priority would leave the answer to the target, and fail the test.
func verdict(t *rapid.T, s pipeline.State, x segment) (v pipeline.Verdict, ok bool) {
	src, dst := x.own, x.remote
	if x.from == pipeline.Network {
		src, dst = x.remote, x.own
	}
	var best pipeline.ServiceValue
	for key, entry := range s.Services {
		match := key.Role == x.from && (!key.SrcPort.Exact || key.SrcPort.Port == src) && (!key.DstPort.Exact || key.DstPort.Port == dst) &&
			(key.Handshake == 0 || key.Handshake == x.handshake)
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
	return lookup(t, s, x, best.Leg, best.Service)
}

// lookup is what the verdict table says.
func lookup(t *rapid.T, s pipeline.State, x segment, leg pipeline.Leg, service pipeline.Service) (v pipeline.Verdict, ok bool) {
	best := int32(0)
	for key, entry := range s.Verdicts {
		match := matches(key.Group, x.group) && matches(key.Leg, leg) && matches(key.Service, service) &&
			matches(key.RemoteClass, x.class) && matches(key.SubscriberClass, x.subscriber)
		if match && key.Priority == best {
			t.Fatalf("%+v matches two entries with priority %d", x, best)
		}
		if match && key.Priority > best {
			v, ok, best = entry, true, key.Priority
		}
	}
	return v, ok
}

func matches[T ~uint8](m pipeline.Match[T], v T) bool { return !m.Set || m.Value == v }

// classify reads from the documents which leg a segment is on, and of which service: empty where none is asked.
func classify(p *Policy, x segment) (Leg, string) {
	holder := func(port uint16) string {
		for _, s := range p.Services {
			if slices.Contains(s.Ports, TCPPort(port)) {
				return s.Name
			}
		}
		return ""
	}
	said := func(leg Leg) bool {
		for _, ph := range p.Phases {
			for _, r := range ph.Rules {
				if slices.Contains(r.Legs, leg) {
					return true
				}
			}
		}
		return false
	}
	service := holder(x.remote)
	switch {
	case x.from == pipeline.Access && x.remote != 25 && x.own == 25 && x.handshake == pipeline.SYNACK && said("up_src"):
		return "up_src", holder(25)
	case x.from == pipeline.Network && x.remote != 25 && x.own == 25 && x.handshake == pipeline.SYN && said("down_dst"):
		return "down_dst", holder(25)
	case x.from == pipeline.Access && service != "":
		return "up_dst", service
	case x.from == pipeline.Access && x.own == 25 && said("up_src"):
		return "up_src", holder(25)
	case x.from == pipeline.Network && x.remote == 25:
		return "down_src", service
	case x.from == pipeline.Network && service != "" && said("down_dst"):
		return "down_src", service
	case x.from == pipeline.Network && x.own == 25 && said("down_dst"):
		return "down_dst", holder(25)
	}
	return "", ""
}

// readAloud is the name of the rule that decides, by reading the documents and nothing else: empty where none does.
func readAloud(p *Policy, ph Phase, x segment) string {
	class, relay, group := AnyRemote, false, ""
	if i := int(x.class) - 1; i >= 0 && i < len(p.Remotes) {
		class, relay = p.Remotes[i].Name, p.Remotes[i].Relay
	}
	if x.group > 0 {
		group = p.LineGroups[x.group-1].Name
	}
	leg, service := classify(p, x)
	smtp, submission := service == "smtp", service == "submission" || service == "submissions"
	switch {
	case relay && (smtp || submission):
		return "relay"
	case submission:
		return "submission"
	case smtp && x.subscriber == SubscriberExempt:
		return "exempt"
	}
	for _, r := range ph.Rules {
		legs := r.Legs
		if legs == nil {
			legs = []Leg{"up_dst"}
			if r.Service == "smtp" {
				legs = []Leg{"up_dst", "down_src"}
			}
		}
		if r.Service == service && slices.Contains(legs, leg) && (r.Remote == "" || r.Remote == AnyRemote || r.Remote == class) &&
			(r.Groups == nil || slices.Contains(r.Groups, group)) {
			return r.Name
		}
	}
	return ""
}
