package register

import (
	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/subscriber"
)

// Metrics contains the metrics of sessions. A nil *Metrics counts nothing. No metric has a label for a line or an address.
type Metrics struct {
	sessions   prometheus.GaugeFunc
	unreadable prometheus.GaugeFunc
	events     *prometheus.CounterVec
	refused    prometheus.Counter
}

// NewMetrics creates and registers the metrics of sessions.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_session_events_total", Help: "Events of sessions that this controller received, by what they changed.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_session_addresses_refused_total", Help: "Addresses in events of sessions that a session cannot have.",
		}),
	}
	for _, o := range []subscriber.Outcome{
		subscriber.Opened, subscriber.Refreshed, subscriber.Closed, subscriber.Restarted, subscriber.Late, subscriber.Unknown, subscriber.NoLine, subscriber.Ambiguous,
	} {
		m.events.WithLabelValues(string(o))
	}
	r.MustRegister(m.events, m.refused)
	return m
}

// watch registers the metrics that a register computes.
func (m *Metrics) watch(r prometheus.Registerer, sessions, unreadable func() float64) {
	m.sessions = prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "op25b_sessions", Help: "Lines that have a session."}, sessions)
	m.unreadable = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "op25b_sessions_unreadable", Help: "Sessions in the store that another key encrypts.",
	}, unreadable)
	r.MustRegister(m.sessions, m.unreadable)
}

func (m *Metrics) event(o subscriber.Outcome, refused int) {
	if m != nil {
		m.events.WithLabelValues(string(o)).Inc()
		m.refused.Add(float64(refused))
	}
}
