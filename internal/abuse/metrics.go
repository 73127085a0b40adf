package abuse

import "github.com/prometheus/client_golang/prometheus"

// These are the reasons why data are not recorded.
const (
	dropQueue    = "queue"    // the queue of mail flows was full
	dropUnnamed  = "unnamed"  // the flow belongs to a line that is not in the inventory
	dropLines    = "lines"    // there are already maxLines active lines
	dropSketches = "sketches" // there are already maxSketches days with servers
	dropKinds    = "kinds"    // the line already has maxKinds kinds of traffic
	dropWebhook  = "webhook"  // the queue of messages was full, or the receiver did not accept a message in time
)

// Metrics contains the metrics of a Ledger. No label contains a pseudonym. A nil *Metrics is valid and
// records nothing.
type Metrics struct {
	drops   *prometheus.CounterVec
	lines   prometheus.Gauge
	classes *prometheus.GaugeVec
	sent    *prometheus.CounterVec
}

// NewMetrics creates the metrics of a Ledger and registers them with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		drops: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_port25_dropped_total", Help: "Mail flows, days and messages that were not recorded or sent, by reason.",
		}, []string{"reason"}),
		lines: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "op25b_port25_active_lines", Help: "Lines that used port 25 in the last days, of the switches that this controller owns.",
		}),
		classes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "op25b_port25_watched_lines", Help: "Active lines of the watched line groups, by class.",
		}, []string{"class"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_port25_webhook_attempts_total", Help: "Attempts to send a message to the webhook, by result.",
		}, []string{"result"}),
	}
	r.MustRegister(m.drops, m.lines, m.classes, m.sent)
	return m
}

func (m *Metrics) dropped(reason string, n int) {
	if m != nil && n > 0 {
		m.drops.WithLabelValues(reason).Add(float64(n))
	}
}

func (m *Metrics) active(lines int, classes [numClasses]int) {
	if m == nil {
		return
	}
	m.lines.Set(float64(lines))
	for c, n := range classes {
		m.classes.WithLabelValues(Class(c).String()).Set(float64(n))
	}
}

func (m *Metrics) attempt(err error) {
	if m == nil {
		return
	}
	result := "accepted"
	if err != nil {
		result = "failed"
	}
	m.sent.WithLabelValues(result).Inc()
}
