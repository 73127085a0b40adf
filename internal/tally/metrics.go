package tally

import (
	"io"
	"time"

	"op25b/internal/exposition"
	"op25b/internal/telemetry"
)

// maxSeries is the largest number of rule series that a scrape exports for one switch. A policy of 12 phases with 20 rules on 4 legs has
// 960. Above the limit, the totals with the highest rule ids are left out, and their number is exported.
const maxSeries = 1024

// families are the exported metrics. No label has the name of a line, an address or a subscriber.
type families struct {
	packets, octets, leftOut, action  exposition.Family
	up, state, updated, rejected, old exposition.Family
	interfaces                        [4]interfaceFamily
}

// An interfaceFamily has the values of two interface counters.
type interfaceFamily struct {
	exposition.Family
	in, out int
}

func newFamilies() *families {
	counter := func(name, help string, labels ...string) exposition.Family {
		return exposition.Family{Name: name, Help: help, Labels: append([]string{"switch"}, labels...)}
	}
	gauge := func(name, help string, labels ...string) exposition.Family {
		f := counter(name, help, labels...)
		f.Gauge = true
		return f
	}
	each := func(name, help string, in, out int) interfaceFamily {
		return interfaceFamily{counter(name, help, "interface", "direction"), in, out}
	}
	return &families{
		packets: counter("op25b_rule_packets_total", "Packets that a rule matched, by leg and by the phases in force.", "rule", "leg", "phase"),
		octets:  counter("op25b_rule_octets_total", "Octets of the packets that a rule matched, by leg and by the phases in force.", "rule", "leg", "phase"),
		leftOut: gauge("op25b_rule_series_left_out", "Series of rules that are not exported because the switch has too many."),
		action:  gauge("op25b_rule_action", "1 for the action that a rule has in the phases in force.", "rule", "action"),
		interfaces: [4]interfaceFamily{
			each("op25b_interface_packets_total", "Frames that entered or left an interface.", telemetry.InPkts, telemetry.OutPkts),
			each("op25b_interface_octets_total", "Octets of the frames that entered or left an interface.", telemetry.InOctets, telemetry.OutOctets),
			each("op25b_interface_discards_total", "Frames that an interface discarded.", telemetry.InDiscards, telemetry.OutDiscards),
			each("op25b_interface_errors_total", "Frames with errors on an interface.", telemetry.InErrors, telemetry.OutErrors),
		},
		up:       gauge("op25b_telemetry_up", "1 while the counters of a switch are current, and 0 otherwise."),
		state:    gauge("op25b_telemetry_state", "1 for the state of the gNMI subscription, and its reason.", "state", "reason"),
		updated:  gauge("op25b_telemetry_last_update_timestamp_seconds", "When the newest values of a switch arrived, in seconds since 1970."),
		rejected: counter("op25b_telemetry_rejected_values_total", "Values of a switch that could not be read."),
		old:      counter("op25b_telemetry_late_values_total", "Values of a switch that were older than the values before them."),
	}
}

// WriteMetrics writes the metrics of the switches that this controller owns, in the text format of exposition.Writer. It writes no series
// for other switches. A scrape of a thousand switches has half a million series, so WriteMetrics copies no values and holds no lock while
// it writes.
func (t *Tally) WriteMetrics(w io.Writer) error {
	f, page := newFamilies(), exposition.NewPage(w)
	owned := t.fold()
	// A family contains the samples of all switches (text format, version 0.0.4).
	write := func(f *exposition.Family, sample func(s *telemetry.Status)) {
		page.Begin(f)
		for i := range owned {
			page.Group(owned[i].Switch)
			sample(&owned[i])
			if page.Flush() != nil {
				return
			}
		}
	}
	write(&f.up, func(s *telemetry.Status) {
		up := uint64(0)
		if s.State == telemetry.Synced {
			up = 1
		}
		page.Uint(up)
	})
	write(&f.state, func(s *telemetry.Status) { page.Uint(1, s.State.String(), s.Reason.String()) })
	write(&f.updated, func(s *telemetry.Status) {
		if !s.Updated.IsZero() {
			page.Float(float64(s.Updated.UnixNano()) / float64(time.Second))
		}
	})
	write(&f.rejected, func(s *telemetry.Status) { page.Uint(uint64(s.Rejected)) })
	write(&f.old, func(s *telemetry.Status) { page.Uint(uint64(s.Late)) })
	write(&f.packets, func(s *telemetry.Status) {
		t.eachTotal(s.Switch, func(k Key, n telemetry.Count) { page.Uint(n.Packets, k.Rule, k.Leg, k.Phase) })
	})
	write(&f.octets, func(s *telemetry.Status) {
		t.eachTotal(s.Switch, func(k Key, n telemetry.Count) { page.Uint(n.Octets, k.Rule, k.Leg, k.Phase) })
	})
	write(&f.leftOut, func(s *telemetry.Status) { page.Uint(uint64(t.eachTotal(s.Switch, func(Key, telemetry.Count) {}))) })
	write(&f.action, func(s *telemetry.Status) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if d := t.switches[s.Switch]; d != nil {
			for _, a := range t.actionsLocked(s.Switch, d) {
				page.Uint(1, a.Rule, string(a.Action))
			}
		}
	})
	for i := range f.interfaces {
		both := &f.interfaces[i]
		write(&both.Family, func(s *telemetry.Status) {
			t.collector.View(s.Switch, func(v telemetry.View) {
				for name, n := range v.Counter(both.in) {
					page.Uint(n, name, "in")
				}
				for name, n := range v.Counter(both.out) {
					page.Uint(n, name, "out")
				}
			})
		})
	}
	return page.End()
}

var _ exposition.Writer = (*Tally)(nil).WriteMetrics

// fold brings the totals of all owned switches up to date. It returns their statuses in the order of the inventory.
func (t *Tally) fold() []telemetry.Status {
	t.mu.Lock()
	names := t.names
	t.mu.Unlock()
	if names == nil {
		return nil
	}
	var owned []telemetry.Status
	for _, name := range names.order {
		t.mu.Lock() // The lock is taken for each switch separately, so that the followers of the fleet do not wait long.
		if d := t.switches[name]; d != nil {
			t.foldLocked(name, d, nil)
			owned = append(owned, t.statusLocked(name))
		}
		t.mu.Unlock()
	}
	return owned
}

// eachTotal calls visit for each total of a switch that is exported, and returns the number of totals that are left out.
func (t *Tally) eachTotal(name string, visit func(Key, telemetry.Count)) (leftOut int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.switches[name]
	if d == nil {
		return 0
	}
	all := t.totalsLocked(d)
	shown := all[:min(len(all), maxSeries)]
	for i := range shown {
		visit(shown[i].Key, shown[i].Count)
	}
	return len(all) - len(shown)
}
