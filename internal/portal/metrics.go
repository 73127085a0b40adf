package portal

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the metrics of a Site. A nil *Metrics measures nothing. No label depends on a visitor.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	refusals *prometheus.CounterVec
	own      *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "op25b_portal_requests_total", Help: "The requests for pages, by page and HTTP status."}, []string{"page", "code"}),
		seconds:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "op25b_portal_request_seconds", Help: "The time to serve a page.", Buckets: []float64{0.001, 0.005, 0.02, 0.05, 0.2, 1, 5}}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_portal_refused_total",
			Help: "The requests that a limit refused: that of an address, or that of all addresses.",
		}, []string{"limit"}),
		own: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_portal_own_line_total",
			Help: "The questions about the visitor's own line: known, unknown, or failed because no controller answered.",
		}, []string{"result"}),
	}
	r.MustRegister(m.requests, m.seconds, m.refusals, m.own)
	return m
}

func (m *Metrics) served(pattern string, code int, took time.Duration) {
	if m != nil {
		m.requests.WithLabelValues(pattern, strconv.Itoa(code)).Inc()
		m.seconds.Observe(took.Seconds())
	}
}

func (m *Metrics) refused(limit string) {
	if m != nil {
		m.refusals.WithLabelValues(limit).Inc()
	}
}

func (m *Metrics) asked(result string) {
	if m != nil {
		m.own.WithLabelValues(result).Inc()
	}
}
