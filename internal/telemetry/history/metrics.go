package history

import "github.com/prometheus/client_golang/prometheus"

// Metrics contains the metrics of a store. A nil *Metrics is valid and records nothing.
type Metrics struct {
	writeErrors  prometheus.Counter
	setAside     *prometheus.CounterVec
	refused      prometheus.Counter
	bytes, names prometheus.Gauge
}

// NewMetrics creates and registers the metrics of a store.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		writeErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_history_write_errors_total", Help: "Records of counters that could not be written to the history.",
		}),
		setAside: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_history_files_set_aside_total", Help: "History files that were renamed because they could not be read, by reason.",
		}, []string{"reason"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_history_totals_refused_total", Help: "Totals that were not recorded because of a bound on names.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "op25b_history_bytes", Help: "The size of the history file.",
		}),
		names: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "op25b_history_names", Help: "Keys and counters that the history knows; at most 400,000.",
		}),
	}
	r.MustRegister(m.writeErrors, m.setAside, m.refused, m.bytes, m.names)
	return m
}

func (m *Metrics) writeFailed() {
	if m != nil {
		m.writeErrors.Inc()
	}
}

func (m *Metrics) fileSetAside(reason string) {
	if m != nil {
		m.setAside.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) totalsRefused(n int) {
	if m != nil {
		m.refused.Add(float64(n))
	}
}

func (m *Metrics) size(bytes int64, names int) {
	if m != nil {
		m.bytes.Set(float64(bytes))
		m.names.Set(float64(names))
	}
}
