package telemetry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"op25b/internal/openconfig"
)

// A machine is a switch that counts packets. It can restart and load new programs. It also records the packets that were really sent,
// which no restart changes.
type machine struct {
	mu        sync.Mutex // guards everything below
	boot      time.Time  // zero if the switch reports no boot-time
	counts    map[string]uint64
	sent      map[string]uint64
	unplugged map[string]bool // interfaces that are not reported
	created   map[string]time.Time
	changed   func()
}

// octetsOf is the size of each packet that a machine counts. The name of an octet counter ends with octets.
const (
	octetsOf = 60
	octets   = " octets"
)

// machineCounters are the counters of a machine, with the names that readCounts uses.
var machineCounters = []string{"in-pkts a", "in-pkts b", "acl a 3", "acl a 4", "acl b 3", "leg 1 UP_DST 5", "leg 2 DOWN_SRC 5", "line 7 stopped", "line 8 passed"}

func newMachine(hasBoot bool) *machine {
	m := &machine{counts: map[string]uint64{}, sent: map[string]uint64{}, unplugged: map[string]bool{}, created: map[string]time.Time{}}
	if hasBoot {
		m.boot = time.Now().Add(-time.Hour)
	}
	return m
}

func (m *machine) count(counter string, packets uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[counter] += packets
	m.sent[counter] += packets
	m.sent[counter+octets] += packets * octetsOf
}

// restart sets the program's counters to 0, as a new program does. If interfaces is true, it also sets the interfaces' counters to 0, as
// a start of the switch does.
func (m *machine) restart(interfaces bool) {
	m.mu.Lock()
	maps.DeleteFunc(m.counts, func(counter string, _ uint64) bool { return interfaces || !ofInterface(counter) })
	if !m.boot.IsZero() {
		m.boot = time.Now()
	}
	changed := m.changed
	m.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// recreate replaces an interface by a new one of the same name.
func (m *machine) recreate(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts["in-pkts "+name], m.created[name] = 0, time.Now()
}

// ofInterface reports whether a counter belongs to an interface instead of the program.
func ofInterface(counter string) bool { return strings.HasPrefix(counter, "in-pkts") }

// plug makes an interface appear or disappear.
func (m *machine) plug(name string, there bool) {
	m.mu.Lock()
	m.unplugged[name] = !there
	changed := m.changed
	m.mu.Unlock()
	if changed != nil {
		changed()
	}
}

func (m *machine) reallySent() map[string]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.sent)
}

func (m *machine) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := &openconfig.State{ACLSet: "op25b", System: &openconfig.System{Hostname: "edge-1", BootTime: m.boot}}
	for i, name := range []string{"a", "b"} {
		if m.unplugged[name] {
			continue
		}
		in := linkOf(name, uint32(i+1), m.counts["in-pkts "+name])
		in.LastClear = m.created[name]
		in.Counters.InOctets = in.Counters.InPkts * octetsOf
		for rule := uint32(3); rule < 5; rule++ {
			if n := m.counts[fmt.Sprintf("acl %s %d", name, rule)]; n > 0 { // entries are served once they have counted
				in.ACL = append(in.ACL, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: n, MatchedOctets: n * octetsOf})
			}
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	tally := func(counter string) openconfig.Tally {
		return openconfig.Tally{Packets: m.counts[counter], Octets: m.counts[counter] * octetsOf}
	}
	st.Legs = []openconfig.LegEntry{
		{Epoch: 1, Leg: openconfig.LegUpDst, SequenceID: 5, Matched: tally("leg 1 UP_DST 5")},
		{Epoch: 2, Leg: openconfig.LegDownSrc, SequenceID: 5, Matched: tally("leg 2 DOWN_SRC 5")},
	}
	if n := tally("line 7 stopped"); n.Packets > 0 {
		st.Lines = append(st.Lines, openconfig.Line{ID: 7, Stopped: n})
	}
	if n := tally("line 8 passed"); n.Packets > 0 {
		st.Lines = append(st.Lines, openconfig.Line{ID: 8, Passed: n})
	}
	return st, nil
}

func (m *machine) Watch(ctx context.Context, changed func()) error {
	m.mu.Lock()
	m.changed = changed
	m.mu.Unlock()
	changed()
	<-ctx.Done()
	return nil
}

// readCounts returns the packets and octets of a reading, by the names of machineCounters.
func readCounts(r *Reading) map[string]uint64 {
	all := map[string]uint64{}
	take := func(counter string, n Count) { all[counter], all[counter+octets] = n.Packets, n.Octets }
	for _, in := range r.Interfaces {
		take("in-pkts "+in.Name, Count{in.Counters[InPkts], in.Counters[InOctets]})
		for _, e := range in.ACL {
			take(fmt.Sprintf("acl %s %d", in.Name, e.SequenceID), e.Count)
		}
	}
	for _, l := range r.Legs {
		take(fmt.Sprintf("leg %d %s %d", l.Epoch, l.Leg, l.Rule), l.Count)
	}
	for _, l := range r.Lines {
		for o, n := range l.Outcomes {
			if n != (Count{}) {
				take(fmt.Sprintf("line %d %s", l.Line, Outcome(o)), n)
			}
		}
	}
	return all
}

// compareCounts returns a counter in a for which ok returns false.
func compareCounts(a, b map[string]uint64, ok func(a, b uint64) bool) (counter string, found bool) {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if !ok(a[name], b[name]) {
			return name, true
		}
	}
	return "", false
}
