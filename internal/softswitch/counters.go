package softswitch

import (
	"fmt"
	"slices"
	"sync"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/softswitch/engine"
)

// counters holds the counters that a program's P4Info marks. A nil part means that there is none.
type counters struct {
	layout     p4source.Layout
	acl, lines *engine.Counter
	probes     *engine.Counter
	legs       *legTable
}

func findCounters(e *engine.Engine, info *configv1.P4Info) (counters, error) {
	layout, err := p4source.Find(info)
	if err != nil {
		return counters{}, err
	}
	c := counters{layout: layout}
	if layout.ACL != nil {
		c.acl, _ = e.Counter(layout.ACL.CounterName) // the P4Runtime server has found it
	}
	if layout.Lines != nil {
		c.lines, _ = e.Counter(layout.Lines.CounterName)
	}
	if layout.Probes != nil {
		c.probes, _ = e.Counter(layout.Probes.CounterName)
	}
	if layout.Legs != nil {
		if c.legs, err = findLegs(e, layout.Legs); err != nil {
			return counters{}, err
		}
	}
	return c, nil
}

// entries returns the rules that have counted packets on a port.
func (c *counters) entries(port uint32) []openconfig.ACLEntry {
	if int64(port) >= c.layout.ACL.Ports() {
		return nil
	}
	var met []openconfig.ACLEntry
	for rule := range uint32(c.layout.ACL.Rules()) {
		if v := tally(c.acl, c.layout.ACL.Index(port, rule)); v.Packets > 0 {
			met = append(met, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: v.Packets, MatchedOctets: v.Octets})
		}
	}
	return met
}

// tally returns one cell of a counter.
func tally(c *engine.Counter, index int64) openconfig.Tally {
	v, err := c.Read(int(index))
	if err != nil { // the layout has cells of the counter only
		return openconfig.Tally{}
	}
	return openconfig.Tally{Packets: v.Packets, Octets: v.Bytes}
}

// A legTable is the table whose entries count by rule set, leg and rule.
type legTable struct {
	mu         sync.Mutex // guards unprobed, and is held while the counters are read, so that readings are in order
	unprobed   p4source.Unprobed
	table      *engine.Table
	epoch, leg int            // positions in the key
	rule       map[string]int // position of the parameter, by action
}

func findLegs(e *engine.Engine, l *p4source.LegLayout) (*legTable, error) {
	t, ok := e.Table(l.TableName)
	if !ok {
		return nil, fmt.Errorf("table %q with counter %q is not in the program", l.TableName, l.CounterName)
	}
	at := func(name string) int {
		return slices.IndexFunc(t.Key(), func(k engine.KeyField) bool { return k.Name == name })
	}
	found := &legTable{table: t, epoch: at(l.Epoch.Name), leg: at(l.Leg.Name), rule: map[string]int{}}
	if found.epoch < 0 || found.leg < 0 {
		return nil, fmt.Errorf("table %q with counter %q: the program has no match field %q or %q", l.TableName, l.CounterName, l.Epoch.Name, l.Leg.Name)
	}
	for _, p := range l.Rule {
		params, _ := t.ActionParams(p.Action)
		if i := slices.IndexFunc(params, func(q engine.ActionParam) bool { return q.Name == p.Name }); i >= 0 {
			found.rule[p.Action] = i
		}
	}
	return found, nil
}

// legEntries returns the sums of the entries' counters, without probes.
func (c *counters) legEntries() []openconfig.LegEntry {
	c.legs.mu.Lock()
	defer c.legs.mu.Unlock()
	all := c.legs.entries()
	if c.probes == nil {
		return all
	}
	return c.legs.unprobed.Take(all, c.layout.Probes, func(i int64) openconfig.Tally { return tally(c.probes, i) })
}

// entries returns the sums of the entries' counters.
func (l *legTable) entries() []openconfig.LegEntry {
	var sum p4source.LegSum
	l.table.RangeState(func(e engine.Entry, s engine.EntryState) bool {
		i, ok := l.rule[e.Action.Name]
		if !ok {
			return true
		}
		leg := e.Matches[l.leg]
		if leg.Wildcard {
			leg.Value = nil
		}
		sum.Add(e.Matches[l.epoch].Value, leg.Value, e.Action.Args[i], openconfig.Tally{Packets: s.Counter.Packets, Octets: s.Counter.Bytes})
		return true
	})
	return sum.Entries()
}
