package openconfig

import (
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A plan holds a STREAM subscriber's subscriptions and the values sent to it. It does not wait or read: it returns when the next reading is
// due, and what to send after a reading. A plan belongs to one goroutine.
//
// A plan is level-based: after any number of changes or intervals, the subscriber gets the difference between the values that were sent
// last and the current values.
type plan struct {
	watches []*watch
	parts   Parts // parts of the State that the subscriptions select
}

// A watch is a subscription, or a part of a subscription whose leaves are delivered in the same way.
type watch struct {
	pattern *pattern
	set     leafSet
	// told makes the watch due when the Source reports a change. sample is the interval after which the watch is due; 0 means never.
	// heartbeat is the interval after which all values are sent; 0 means never.
	told      bool
	sample    time.Duration
	heartbeat time.Duration
	// changesOnly restricts a sample to values that differ from the values sent before.
	changesOnly bool

	nextSample, nextBeat time.Time
	sent                 map[string]sentLeaf // by node id
	round                uint64              // number of the last reading; a sent leaf with a lower round has vanished
}

type sentLeaf struct {
	value value
	path  []*gpb.PathElem
	depth int // depth of the selected node; deletes of this subscription name no node above it
	round uint64
}

// A delta holds the changes that a reading causes for a subscriber.
type delta struct {
	deletes map[string][]*gpb.PathElem // by node id
	updates []*node
}

// newPlan checks the subscriptions of a STREAM list and returns their plan.
func newPlan(root *schema, list *gpb.SubscriptionList, opts Options) (*plan, error) {
	p := &plan{}
	for _, sub := range list.GetSubscription() {
		pat, err := parsePath(root, list.GetPrefix(), sub.GetPath())
		if err != nil {
			return nil, err
		}
		ws, err := watchesOf(pat, sub, opts)
		if err != nil {
			return nil, err
		}
		p.watches = append(p.watches, ws...)
		p.parts |= pat.parts
	}
	return p, nil
}

// watchesOf splits one subscription into watches, by gNMI specification 3.5.1.5.2. The Source does not report changes of counters. So for
// counters, ON_CHANGE is a sample that sends only changed values. ON_CHANGE and TARGET_DEFINED have a watch for state leaves and another
// one for counters. A running time changes all the time, and is never a change.
func watchesOf(pat *pattern, sub *gpb.Subscription, opts Options) ([]*watch, error) {
	heartbeat, err := interval("heartbeat_interval", sub.GetHeartbeatInterval(), pat, opts.MinSample)
	if err != nil {
		return nil, err
	}
	state := &watch{pattern: pat, set: stateLeaves, told: true, changesOnly: true, heartbeat: heartbeat}
	switch sub.GetMode() {
	case gpb.SubscriptionMode_SAMPLE:
		sample, err := interval("sample_interval", sub.GetSampleInterval(), pat, opts.MinSample)
		if err != nil {
			return nil, err
		}
		if sample == 0 {
			sample = opts.MinSample
		}
		return []*watch{{pattern: pat, set: allLeaves, sample: sample, heartbeat: heartbeat, changesOnly: sub.GetSuppressRedundant()}}, nil
	case gpb.SubscriptionMode_ON_CHANGE:
		state.set |= clockLeaves // sent at the start and with a heartbeat
		counters := &watch{
			pattern: pat, set: counterLeaves, told: true, changesOnly: true,
			sample: opts.CounterInterval, heartbeat: heartbeat,
		}
		return covering(state, counters), nil
	case gpb.SubscriptionMode_TARGET_DEFINED:
		if sub.GetSampleInterval() != 0 {
			return nil, status.Errorf(codes.InvalidArgument,
				"path %q: sample_interval with TARGET_DEFINED; leave it out, or use SAMPLE", pat.text)
		}
		counters := &watch{
			pattern: pat, set: counterLeaves | clockLeaves, told: true, sample: opts.CounterInterval, heartbeat: heartbeat,
			changesOnly: sub.GetSuppressRedundant(),
		}
		return covering(state, counters), nil
	default:
		return nil, status.Errorf(codes.InvalidArgument, "path %q: subscription mode %v; valid: TARGET_DEFINED, ON_CHANGE, SAMPLE",
			pat.text, sub.GetMode())
	}
}

// covering omits the watches whose leaves the pattern never selects.
func covering(all ...*watch) []*watch {
	var kept []*watch
	for _, w := range all {
		if w.pattern.leaves&w.set != 0 {
			kept = append(kept, w)
		}
	}
	return kept
}

// interval checks an interval of a request, in nanoseconds. 0 stays 0. Intervals that are too small or longer than 292 years are refused.
func interval(name string, ns uint64, pat *pattern, least time.Duration) (time.Duration, error) {
	d := time.Duration(ns)
	if ns != 0 && (d < least) {
		return 0, status.Errorf(codes.InvalidArgument, "path %q: %s of %d ns is not supported; the least is %d ns (%v), the most 2^63-1 ns",
			pat.text, name, ns, least.Nanoseconds(), least)
	}
	return d, nil
}

// told reports whether any watch is due after a change that the Source reports.
func (p *plan) told() bool {
	for _, w := range p.watches {
		if w.told {
			return true
		}
	}
	return false
}

// start processes the first reading. It returns all values or, with updatesOnly, only remembers them as sent.
//
// It returns an error if there are more than MaxLeaves values.
func (p *plan) start(tree *node, now time.Time, updatesOnly bool) (delta, error) {
	var d delta
	leaves := 0
	for _, w := range p.watches {
		w.sent = make(map[string]sentLeaf)
		w.nextSample, w.nextBeat = now.Add(w.sample), now.Add(w.heartbeat)
		w.collect(tree, true, true, &d)
		if leaves += len(w.sent); leaves > MaxLeaves {
			return delta{}, errLeaves()
		}
	}
	if updatesOnly {
		return delta{}, nil
	}
	return d, nil
}

// next returns when the next reading is due if no change is reported. It returns false if no reading is due.
func (p *plan) next() (time.Time, bool) {
	var at time.Time
	some := false
	earlier := func(t time.Time) {
		if !some || t.Before(at) {
			at, some = t, true
		}
	}
	for _, w := range p.watches {
		if w.sample > 0 {
			earlier(w.nextSample)
		}
		if w.heartbeat > 0 {
			earlier(w.nextBeat)
		}
	}
	return at, some
}

// take returns the delta of a reading for the watches that are due at now, or that a change has made due.
func (p *plan) take(tree *node, now time.Time, told bool) delta {
	var d delta
	for _, w := range p.watches {
		beat := w.heartbeat > 0 && !now.Before(w.nextBeat)
		sample := w.sample > 0 && !now.Before(w.nextSample)
		if beat {
			w.nextBeat = after(w.nextBeat, w.heartbeat, now)
		}
		if sample {
			w.nextSample = after(w.nextSample, w.sample, now)
		}
		if beat || sample || told && w.told {
			w.collect(tree, beat || sample && !w.changesOnly, beat || sample, &d)
		}
	}
	for _, w := range p.watches {
		w.drop(d.deletes)
	}
	return d
}

// after returns the first tick later than now. Missed ticks are skipped, because their values can no longer be read.
func after(tick time.Time, every time.Duration, now time.Time) time.Time {
	return tick.Add((now.Sub(tick)/every + 1) * every)
}

// collect adds the changed values of w to d, or all its values if everything is set, and remembers them as sent. A running time counts as
// changed only if a sample is due.
func (w *watch) collect(tree *node, everything, due bool, d *delta) {
	w.round++
	for _, selected := range w.pattern.find(tree) {
		selected.eachLeaf(w.set, func(l *node) {
			was, known := w.sent[l.id]
			if everything || !known || was.value != l.value && (due || l.schema.typ != typeClock) {
				d.updates = append(d.updates, l)
			}
			if !known {
				was = sentLeaf{path: l.path, depth: len(selected.path)}
			}
			was.value, was.round = l.value, w.round
			w.sent[l.id] = was
		})
	}
	w.forget(tree, d)
}

// forget adds to d the deletes of vanished nodes. For a vanished subtree, only the topmost node within the subscription is deleted.
func (w *watch) forget(tree *node, d *delta) {
	var gone []sentLeaf
	for id, l := range w.sent {
		if l.round != w.round {
			gone = append(gone, l)
			delete(w.sent, id)
		}
	}
	if len(gone) == 0 {
		return
	}
	present := make(map[string]bool)
	tree.walk(func(n *node) bool {
		present[n.id] = true
		return true
	})
	if d.deletes == nil {
		d.deletes = make(map[string][]*gpb.PathElem)
	}
	for _, l := range gone {
		// Below the selected node, descend to the first missing one. The leaf itself is missing.
		for depth := max(l.depth, 1); depth <= len(l.path); depth++ {
			if id := pathText(l.path[:depth]); !present[id] {
				d.deletes[id] = l.path[:depth:depth]
				break
			}
		}
	}
}

// drop forgets the values below deleted nodes, including nodes that another watch has found deleted. If a node reappears before w is due, w
// must send its values again.
func (w *watch) drop(deletes map[string][]*gpb.PathElem) {
	if len(deletes) == 0 {
		return
	}
	for id, l := range w.sent {
		for depth := 1; depth <= len(l.path); depth++ {
			if _, ok := deletes[pathText(l.path[:depth])]; ok {
				delete(w.sent, id)
				break
			}
		}
	}
}
