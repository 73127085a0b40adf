package telemetry

import (
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// heartbeats is the number of line intervals between two reports of unchanged values. With a heartbeat every ten minutes, 65,536 line values
// are 109 values a second.
const heartbeats = 10

// subscriptions returns the subscriptions of a STREAM request to a target. Counters are sampled at interval, and states are reported on
// change. Line counters are sampled at their own interval, lines, and only changed values are sent. A change is sent once, so a lost update
// is repeated only with the heartbeat.
//
// The counters of ACL entries are listed individually, because a third of the leaves in their state never change.
func subscriptions(o offer, interval, lines time.Duration) []*gpb.Subscription {
	sample := func(p *gpb.Path) *gpb.Subscription {
		return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(interval)}
	}
	state := func(p *gpb.Path) *gpb.Subscription {
		if o.sampleOnly {
			return sample(p)
		}
		return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_ON_CHANGE, HeartbeatInterval: uint64(heartbeats * lines)}
	}
	in := func(names ...string) *gpb.Path {
		return steps(append([]string{"interfaces", "interface", "state"}, names...)...)
	}
	var list []*gpb.Subscription
	if o.lists("openconfig-system") {
		// The collector must learn of a restart before it receives the new counters. The boot-time is therefore part of each sample, and
		// comes first.
		list = append(list, sample(steps("system", "state", "boot-time")), state(steps("system", "state", "hostname")),
			state(steps("system", "state", "software-version")))
	}
	list = append(list, sample(in("counters")), state(in("oper-status")), state(in("ifindex")))
	for _, leaf := range []string{"admin-status", "last-change"} {
		list = append(list, state(in(leaf)))
	}
	if o.has("openconfig-p4rt") {
		list = append(list, state(in("id")))
	}
	if o.has("openconfig-acl") {
		for _, leaf := range []string{"matched-packets", "matched-octets"} {
			list = append(list, sample(steps(
				"acl", "interfaces", "interface", "ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry", "state", leaf)))
		}
	}
	if o.lists("op25b-filter") {
		for _, leaf := range []string{"matched-packets", "matched-octets"} {
			list = append(list, sample(steps("acl", "acl-sets", "acl-set", "leg-entries", "leg-entry", "state", leaf)))
		}
		list = append(list, &gpb.Subscription{
			Path: steps("acl", "acl-sets", "acl-set", "lines", "line", "state"), Mode: gpb.SubscriptionMode_SAMPLE,
			SampleInterval: uint64(lines), SuppressRedundant: true, HeartbeatInterval: uint64(heartbeats * lines),
		})
	}
	return list
}
