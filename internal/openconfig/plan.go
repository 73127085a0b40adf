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
	parts   Parts  // parts of the State that the subscriptions select
	shape   *shape // of the last reading; the selections are in it
}

// A watch is a subscription, or a part of a subscription whose leaves are delivered in the same way.
type watch struct {
	picker
	// told makes the watch due when the Source reports a change. sample is the interval after which the watch is due; 0 means never.
	// heartbeat is the interval after which all values are sent; 0 means never.
	told      bool
	sample    time.Duration
	heartbeat time.Duration
	// changesOnly restricts a sample to values that differ from the values sent before. A watch that a change makes due has it.
	changesOnly bool

	nextSample, nextBeat time.Time
	chosen               *selection // in the plan's shape
	sent                 memory     // what was sent of these leaves, if changesOnly
}

// A delta holds the changes that a reading causes for a subscriber.
type delta struct {
	deletes map[string][]*gpb.PathElem // by path
	updates [][]*node                  // never modified: some are the leaves of a selection
}

// newPlan checks the subscriptions of a STREAM list and returns their plan.
func newPlan(root *schema, list *gpb.SubscriptionList, opts Options) (*plan, error) {
	p := &plan{}
	wanted, err := modelsOf(list.GetUseModels())
	if err != nil {
		return nil, err
	}
	for _, sub := range list.GetSubscription() {
		pat, err := parsePath(root, list.GetPrefix(), sub.GetPath())
		if err != nil {
			return nil, err
		}
		ws, err := watchesOf(pat, sub, opts)
		if err != nil {
			return nil, err
		}
		for _, w := range ws {
			w.models = wanted
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
	state := &watch{picker: picker{pattern: pat, set: stateLeaves}, told: true, changesOnly: true, heartbeat: heartbeat}
	switch sub.GetMode() {
	case gpb.SubscriptionMode_SAMPLE:
		sample, err := interval("sample_interval", sub.GetSampleInterval(), pat, opts.MinSample)
		if err != nil {
			return nil, err
		}
		if sample == 0 {
			sample = opts.MinSample
		}
		return []*watch{{picker: picker{pattern: pat, set: allLeaves}, sample: sample, heartbeat: heartbeat, changesOnly: sub.GetSuppressRedundant()}}, nil
	case gpb.SubscriptionMode_ON_CHANGE:
		state.set |= clockLeaves // sent at the start and with a heartbeat
		counters := &watch{
			picker: picker{pattern: pat, set: counterLeaves}, told: true, changesOnly: true,
			sample: opts.CounterInterval, heartbeat: heartbeat,
		}
		return covering(state, counters), nil
	case gpb.SubscriptionMode_TARGET_DEFINED:
		if sub.GetSampleInterval() != 0 {
			return nil, status.Errorf(codes.InvalidArgument,
				"path %q: sample_interval with TARGET_DEFINED; leave it out, or use SAMPLE", pat.text)
		}
		counters := &watch{
			picker: picker{pattern: pat, set: counterLeaves | clockLeaves}, sample: opts.CounterInterval, heartbeat: heartbeat,
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

// leaves returns the number of leaves of all subscriptions.
func (p *plan) leaves() int {
	n := 0
	for _, w := range p.watches {
		n += len(w.chosen.leaves)
	}
	return n
}

// start processes the first reading. It returns all values or, with updatesOnly, only remembers them as sent.
//
// It returns an error if there are more than MaxLeaves values.
func (p *plan) start(r *reading, now time.Time, updatesOnly bool) (delta, error) {
	p.shape = r.shape
	for _, w := range p.watches {
		w.chosen = w.in(r.shape)
		w.nextSample, w.nextBeat = now.Add(w.sample), now.Add(w.heartbeat)
	}
	if p.leaves() > MaxLeaves {
		return delta{}, errLeaves()
	}
	var d delta
	for _, w := range p.watches {
		if w.changesOnly {
			w.sent = newMemory(w.chosen)
		}
		w.collect(r, true, true, &d)
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

// take returns the delta of a reading for the watches that are due at now, or that a change has made due. Deletes are found for all watches,
// so that none of them misses a node that comes back before it is due.
func (p *plan) take(r *reading, now time.Time, told bool) delta {
	var d delta
	if r.shape != p.shape {
		for _, w := range p.watches {
			w.follow(r.shape, &d)
		}
		p.shape = r.shape
	}
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
			w.collect(r, beat || sample && !w.changesOnly, beat || sample, &d)
		}
	}
	return d
}

// after returns the first tick later than now. Missed ticks are skipped, because their values can no longer be read.
func after(tick time.Time, every time.Duration, now time.Time) time.Time {
	return tick.Add((now.Sub(tick)/every + 1) * every)
}

// collect adds the changed values of w to d, or all its values if everything is set, and remembers them as sent. A running time counts as
// changed only if a sample is due.
func (w *watch) collect(r *reading, everything, due bool, d *delta) {
	leaves := w.chosen.leaves
	if !w.changesOnly {
		d.add(leaves)
		return
	}
	if everything {
		d.add(leaves)
		for i, l := range leaves {
			w.sent.set(i, l, r)
		}
		return
	}
	var changed []*node
	for i, l := range leaves {
		if !w.sent.known[i] || (due || l.schema.typ != typeClock) && !w.sent.equal(i, l, r) {
			changed = append(changed, l)
			w.sent.set(i, l, r)
		}
	}
	d.add(changed)
}

func (d *delta) add(leaves []*node) {
	if len(leaves) > 0 {
		d.updates = append(d.updates, leaves)
	}
}

// follow moves w to another shape: it adds to d the deletes of vanished nodes, and keeps what was sent of the others.
func (w *watch) follow(s *shape, d *delta) {
	was := w.chosen
	w.chosen = w.in(s)
	if w.changesOnly {
		w.sent = w.sent.moved(was, w.chosen)
	}
	for i, l := range was.leaves {
		if !s.has(l) {
			d.forget(s, l, int(was.depths[i]))
		}
	}
}

// forget adds the delete of a vanished leaf. For a vanished subtree, only the topmost node within the subscription is deleted: the first one
// that is missing, at or below depth.
func (d *delta) forget(s *shape, leaf *node, depth int) {
	path := leaf.path()
	for at := leaf.place; at.up != nil && len(at.path) >= depth && !s.holds(at); at = at.up {
		path = at.path
	}
	if d.deletes == nil {
		d.deletes = make(map[string][]*gpb.PathElem)
	}
	d.deletes[pathText(path)] = path
}
