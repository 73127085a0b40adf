package clock

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the metrics of a clock. Methods of a nil *Metrics do nothing.
type Metrics struct {
	holds *prometheus.GaugeVec
	skew  *prometheus.GaugeVec
	jumps prometheus.Counter
}

// NewMetrics creates the metrics of a clock and registers them with r.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		holds: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "op25b_clock_dates_held", Help: "1 for the reason why this controller holds dates, 0 for all others.",
		}, []string{"reason"}),
		skew: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "op25b_clock_skew_seconds", Help: "How far the clock of another controller is ahead of this controller's.",
		}, []string{"controller"}),
		jumps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_clock_jumps_total", Help: "How often the wall clock was set by more than the bound of clock skew.",
		}),
	}
	r.MustRegister(m.holds, m.skew, m.jumps)
	m.held(None)
	return m
}

func (m *Metrics) held(why HoldReason) {
	if m == nil {
		return
	}
	for r := Starting; r <= Restart; r++ {
		v := 0.0
		if r == why {
			v = 1
		}
		m.holds.WithLabelValues(r.String()).Set(v)
	}
}

// others replaces the reported skews with those of the given controllers.
func (m *Metrics) others(members []Peer) {
	if m == nil {
		return
	}
	m.skew.Reset()
	for _, o := range members {
		if o.Known {
			m.skew.WithLabelValues(o.Name).Set(o.Ahead.Seconds())
		}
	}
}

func (m *Metrics) jumped() {
	if m != nil {
		m.jumps.Inc()
	}
}
