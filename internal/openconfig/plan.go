package openconfig

import (
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A plan holds the subscriptions of a STREAM subscriber and the values that were sent. A plan neither waits nor reads. It computes when the
// next reading is due, and what to send after a reading. A plan belongs to one goroutine.
//
// A plan is level-based. After any number of changes or intervals, the subscriber gets the difference between the values that were last sent
// and the current values.
type plan struct {
	watches []*watch
	parts   Parts  // the parts of the State that the subscriptions select
	shape   *shape // the shape of the last reading, to which the selections belong
}

// A watch is a subscription, or the part of a subscription whose leaves are delivered in the same way.
type watch struct {
	picker
	// told makes the watch due when the Source reports a change. sample is the interval at which the watch is due; 0 means never. heartbeat
	// is the interval at which all values are sent; 0 means never.
	told      bool
	sample    time.Duration
	heartbeat time.Duration
	// changesOnly restricts a sample to values that differ from the values that were last sent. It is set for every watch that a change
	// makes due.
	changesOnly bool

	nextSample, nextBeat time.Time
	chosen               *selection // the selected leaves in the plan's shape
	sent                 memory     // the values that were last sent; only used if changesOnly is set
}

// A delta holds the changes that a subscriber must receive after a reading.
type delta struct {
	deletes map[string][]*gpb.PathElem // by path
	updates [][]*node                  // never modified, because some of the slices belong to a selection
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

// watchesOf splits one subscription into watches, according to gNMI specification 3.5.1.5.2. The Source does not report changes of counters,
// so ON_CHANGE for counters is a sample that sends only changed values. ON_CHANGE and TARGET_DEFINED have one watch for state leaves and
// another one for counters. A clock leaf changes all the time, so its changes are not reported.
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
		state.set |= clockLeaves // clock leaves are sent at the start and with each heartbeat
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

// interval checks an interval of a request, in nanoseconds. 0 stays 0. interval refuses values that are too small or longer than 292 years.
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

// leaves returns the number of leaves in all subscriptions.
func (p *plan) leaves() int {
	n := 0
	for _, w := range p.watches {
		n += len(w.chosen.leaves)
	}
	return n
}

// start processes the first reading. It returns all values. With updatesOnly, it returns none, and only remembers the values as sent.
//
// start returns an error if there are more than MaxLeaves values.
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

// next returns the time at which the next reading is due if no change is reported. It returns false if no reading is due.
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

// take returns the delta of a reading for the watches that are due at now or because of a change. Deletes are determined for all watches, so
// that no watch misses a node that vanishes and comes back before the watch is due.
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

// after returns the first tick later than now. It skips missed ticks, because their values can no longer be read.
func after(tick time.Time, every time.Duration, now time.Time) time.Time {
	return tick.Add((now.Sub(tick)/every + 1) * every)
}

// collect adds the changed values of w to d, or all its values if everything is set, and remembers them as sent. A clock leaf counts as
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

// follow moves w to another shape. It adds the deletes of vanished nodes to d, and keeps the sent values of the other nodes.
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

// forget adds the delete of a vanished leaf. For a vanished subtree, it adds only the topmost node within the subscription, which is the
// first missing node at or below depth.
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
