package drive

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/rollout"
	"op25b/internal/rollout/tickets"
)

// Metrics are the metrics of rollouts. Only the controller that drives the rollout exports its state. Methods of a nil *Metrics do nothing.
type Metrics struct {
	entered, tickets *prometheus.CounterVec

	mu     sync.Mutex // guards driven
	driven *Stored    // nil if this controller drives no rollout
}

var _ prometheus.Collector = (*Metrics)(nil)

var (
	stateDesc    = prometheus.NewDesc("op25b_rollout_state", "1 for the state of the rollout that runs or that ended last.", []string{"state"}, nil)
	ticketsDesc  = prometheus.NewDesc("op25b_rollout_ticket_lines", "Lines with support tickets since their ring got the change.", []string{"ring"}, nil)
	findingsDesc = prometheus.NewDesc("op25b_rollout_findings", "The reasons why the rollout is held or goes back, by gate and verdict.", []string{"gate", "verdict"}, nil)
)

// states returns all states of a rollout.
func states() []rollout.State {
	return []rollout.State{
		rollout.Measuring, rollout.Rehearsing, rollout.TakingBack, rollout.Advancing, rollout.Soaking, rollout.Held, rollout.Paused, rollout.GoingBack,
		rollout.WentBack, rollout.Done,
	}
}

// NewMetrics creates the metrics and registers them with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		entered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_rollout_states_entered_total", Help: "States that rollouts have entered by themselves, without a command of an operator.",
		}, []string{"state"}),
		tickets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_tickets_total", Help: "Support tickets that this controller received, by what became of them.",
		}, []string{"outcome"}),
	}
	for _, o := range tickets.Outcomes() {
		m.tickets.WithLabelValues(string(o))
	}
	for _, s := range states() {
		m.entered.WithLabelValues(string(s))
	}
	r.MustRegister(m, m.entered, m.tickets)
	return m
}

// Describe sends the descriptions of the state, the findings and the tickets.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	out <- stateDesc
	out <- findingsDesc
	out <- ticketsDesc
}

// Collect sends the state, the findings and the tickets of one instant, so that no scrape sees a rollout without a state.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	s := m.driven
	m.mu.Unlock()
	if s == nil {
		return
	}
	for _, state := range states() {
		is := 0.0
		if state == s.State {
			is = 1
		}
		out <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, is, string(state))
	}
	for ring, n := range s.Tickets {
		out <- prometheus.MustNewConstMetric(ticketsDesc, prometheus.GaugeValue, float64(n.Lines), ring)
	}
	type reason struct {
		gate    rollout.GateName
		verdict rollout.Verdict
	}
	count := make(map[reason]int)
	for _, f := range s.Findings {
		count[reason{f.Gate, f.Verdict}]++
	}
	for r, n := range count {
		out <- prometheus.MustNewConstMetric(findingsDesc, prometheus.GaugeValue, float64(n), string(r.gate), r.verdict.String())
	}
}

// ticket counts a ticket.
func (m *Metrics) ticket(o tickets.Outcome) {
	if m != nil && o != "" {
		m.tickets.WithLabelValues(string(o)).Inc()
	}
}

// follow takes the rollout that this controller drives. It must not be changed afterwards. Nil means that another controller drives it from now on.
func (m *Metrics) follow(s *Stored) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.driven = s
}

// moved counts that a rollout has moved to a state by itself.
func (m *Metrics) moved(s rollout.State) {
	if m != nil {
		m.entered.WithLabelValues(string(s)).Inc()
	}
}
