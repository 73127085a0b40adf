package tally

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/telemetry"
)

// maxSeries is the largest number of series of rules that a scrape exports for one switch. A policy of 12 phases with 20 rules on 4 legs
// has 960. The totals of the highest rule ids are left out, and counted as left out.
const maxSeries = 1024

// A collector exports the counters to Prometheus. No label has the name of a line, an address or a subscriber.
type collector struct {
	t *Tally

	packets, octets, leftOut      *prometheus.Desc
	action                        *prometheus.Desc
	frames, bytes, discards, errs *prometheus.Desc
	up, state, updated            *prometheus.Desc
	rejected, late                *prometheus.Desc
}

var _ prometheus.Collector = (*collector)(nil)

// Collector returns the metrics of the switches that this controller owns. A switch without an owner here has no series.
func (t *Tally) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"switch"}, labels...), nil)
	}
	return &collector{
		t:        t,
		packets:  desc("op25b_rule_packets_total", "Packets that a rule matched, by leg and by the phases in force.", "rule", "leg", "phase"),
		octets:   desc("op25b_rule_octets_total", "Octets of the packets that a rule matched, by leg and by the phases in force.", "rule", "leg", "phase"),
		leftOut:  desc("op25b_rule_series_left_out", "Series of rules that are not exported because the switch has too many."),
		action:   desc("op25b_rule_action", "1 for the action that a rule has in the phases in force.", "rule", "action"),
		frames:   desc("op25b_interface_packets_total", "Frames that entered or left an interface.", "interface", "direction"),
		bytes:    desc("op25b_interface_octets_total", "Octets of the frames that entered or left an interface.", "interface", "direction"),
		discards: desc("op25b_interface_discards_total", "Frames that an interface discarded.", "interface", "direction"),
		errs:     desc("op25b_interface_errors_total", "Frames with errors on an interface.", "interface", "direction"),
		up:       desc("op25b_telemetry_up", "1 while the counters of a switch are current, and 0 otherwise."),
		state:    desc("op25b_telemetry_state", "1 for the state of the gNMI subscription, and its reason.", "state", "reason"),
		updated:  desc("op25b_telemetry_last_update_timestamp_seconds", "When the newest values of a switch arrived, in seconds since 1970."),
		rejected: desc("op25b_telemetry_rejected_values_total", "Values of a switch that could not be read."),
		late:     desc("op25b_telemetry_late_values_total", "Values of a switch that were older than the values before them."),
	}
}

// Describe sends the descriptions of all metrics.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.packets, c.octets, c.leftOut, c.action, c.frames, c.bytes, c.discards, c.errs, c.up, c.state, c.updated, c.rejected, c.late,
	} {
		out <- d
	}
}

// Collect sends the metrics of every switch.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.t.Read() {
		name := s.Status.Switch
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(d, kind, v, append([]string{name}, labels...)...)
		}
		up := 0.0
		if s.Status.State == telemetry.Synced {
			up = 1
		}
		send(c.up, prometheus.GaugeValue, up)
		send(c.state, prometheus.GaugeValue, 1, s.Status.State.String(), s.Status.Reason.String())
		if !s.Status.Updated.IsZero() {
			send(c.updated, prometheus.GaugeValue, float64(s.Status.Updated.UnixNano())/float64(time.Second))
		}
		send(c.rejected, prometheus.CounterValue, float64(s.Status.Rejected))
		send(c.late, prometheus.CounterValue, float64(s.Status.Late))
		shown := s.Totals[:min(len(s.Totals), maxSeries)]
		for _, n := range shown {
			send(c.packets, prometheus.CounterValue, float64(n.Packets), n.Rule, n.Leg, n.Phase)
			send(c.octets, prometheus.CounterValue, float64(n.Octets), n.Rule, n.Leg, n.Phase)
		}
		send(c.leftOut, prometheus.GaugeValue, float64(len(s.Totals)-len(shown)))
		for _, a := range s.Actions {
			send(c.action, prometheus.GaugeValue, 1, a.Rule, string(a.Action))
		}
		for i := range s.Reading.Interfaces {
			in := &s.Reading.Interfaces[i]
			for _, m := range []struct {
				desc      *prometheus.Desc
				counter   int
				direction string
			}{
				{c.frames, telemetry.InPkts, "in"},
				{c.frames, telemetry.OutPkts, "out"},
				{c.bytes, telemetry.InOctets, "in"},
				{c.bytes, telemetry.OutOctets, "out"},
				{c.discards, telemetry.InDiscards, "in"},
				{c.discards, telemetry.OutDiscards, "out"},
				{c.errs, telemetry.InErrors, "in"},
				{c.errs, telemetry.OutErrors, "out"},
			} {
				if in.Reported[m.counter] {
					send(m.desc, prometheus.CounterValue, float64(in.Counters[m.counter]), in.Name, m.direction)
				}
			}
		}
	}
}
