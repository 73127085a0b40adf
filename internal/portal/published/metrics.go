package published

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the metrics of a Follower. A nil *Metrics measures nothing.
type Metrics struct {
	connected, revision, confirmed prometheus.Gauge
	failures, saveFailures         prometheus.Counter
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &Metrics{
		connected:    gauge("op25b_portal_controller_connected", "1 if a controller confirms the publication at present, 0 otherwise."),
		revision:     gauge("op25b_portal_publication_revision", "The revision of the intent of which the portal serves the publication; 0 if there is none."),
		confirmed:    gauge("op25b_portal_publication_confirmed_timestamp_seconds", "The time at which the controller last confirmed the publication, by its clock."),
		failures:     counter("op25b_portal_controller_failures_total", "The connections to the controller that failed or ended."),
		saveFailures: counter("op25b_portal_state_failures_total", "The attempts to write the state file that failed."),
	}
	r.MustRegister(m.connected, m.revision, m.confirmed, m.failures, m.saveFailures)
	return m
}

// of sets the gauges to a view.
func (m *Metrics) of(v *View) {
	if m == nil {
		return
	}
	connected := 0.0
	if v.Connected {
		connected = 1
	}
	m.connected.Set(connected)
	if v.Publication != nil {
		m.revision.Set(float64(v.Publication.Revision))
		m.confirmed.Set(float64(v.Confirmed.UnixMilli()) / 1000)
	}
}

func (m *Metrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}

func (m *Metrics) unsaved() {
	if m != nil {
		m.saveFailures.Inc()
	}
}
