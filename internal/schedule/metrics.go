package schedule

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of scheduled activations. Methods of a nil *Metrics do nothing.
type Metrics struct {
	scheduled prometheus.Gauge
	ends      *prometheus.CounterVec
}

// NewMetrics creates the metrics and registers them with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		scheduled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "op25b_scheduled_activations", Help: "Activations of phases that are scheduled and whose time has not come. The same on all controllers.",
		}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_scheduled_activations_ended_total", Help: "Scheduled activations that this controller has carried out, skipped or cancelled.",
		}, []string{"outcome"}),
	}
	for _, s := range []State{Done, Skipped, Cancelled} {
		m.ends.WithLabelValues(string(s))
	}
	r.MustRegister(m.scheduled, m.ends)
	return m
}

func (m *Metrics) pending(n int) {
	if m != nil {
		m.scheduled.Set(float64(n))
	}
}

func (m *Metrics) ended(s State, err error) {
	if m != nil && err == nil {
		m.ends.WithLabelValues(string(s)).Inc()
	}
}
