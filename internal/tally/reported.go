package tally

import (
	"fmt"
	"strings"
	"time"

	"op25b/internal/telemetry"
)

// A Reported is a rule's counter as a switch reports it. It starts from 0 again when the switch restarts.
type Reported struct {
	// Key is the name under which packets are counted now. Counter identifies the counter on the switch; its phase may change.
	Key
	Counter string
	telemetry.Count
}

// Reported returns the rule counters and the interfaces that a switch last reported, the time at which the switch began to count, and whether the
// values are current. The counters of interfaces may have begun earlier. Reported returns nothing for a switch that this controller does not own.
func (t *Tally) Reported(name string) (all []Reported, links []telemetry.Interface, boot time.Time, current bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.switches[name]
	if d == nil || t.names == nil {
		return nil, nil, time.Time{}, false
	}
	r, st, there := t.collector.Raw(name)
	if !there {
		return nil, nil, time.Time{}, false
	}
	onLegs := make(map[uint32]bool)
	for _, l := range r.Legs {
		onLegs[l.Rule] = true
		all = append(all, Reported{Key{t.names.rule(l.Rule), strings.ToLower(l.Leg), d.phases[l.Epoch]}, fmt.Sprint("leg ", l.Epoch, l.Leg, l.Rule), l.Count})
	}
	whole := false // While the leg counts of a rule are still arriving, the rule must not be taken for one without legs.
	t.collector.View(name, func(v telemetry.View) { whole = v.Whole() })
	if !whole {
		return all, r.Interfaces, r.Boot, st.State == telemetry.Synced
	}
	sums := make(map[uint32]telemetry.Count)
	for i := range r.Interfaces {
		for _, e := range r.Interfaces[i].ACL {
			sums[e.SequenceID] = sums[e.SequenceID].Plus(e.Count)
		}
	}
	for rule, n := range sums {
		if !onLegs[rule] {
			all = append(all, Reported{Key{Rule: t.names.rule(rule), Phase: d.phase}, fmt.Sprint("rule ", rule), n})
		}
	}
	return all, r.Interfaces, r.Boot, st.State == telemetry.Synced
}

// Owned returns the names of the switches of the inventory that this controller owns.
func (t *Tally) Owned() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		return nil
	}
	var all []string
	for _, name := range t.names.order {
		if t.switches[name] != nil {
			all = append(all, name)
		}
	}
	return all
}
