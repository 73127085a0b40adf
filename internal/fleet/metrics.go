package fleet

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/reconcile"
)

// Metrics contains the metrics of a controller. A nil *Metrics counts nothing.
type Metrics struct {
	switches   *prometheus.GaugeVec
	converging prometheus.Histogram
	updates    *prometheus.CounterVec
	refusals   prometheus.Counter
	audits     prometheus.Counter
	drift      prometheus.Counter
	probes     prometheus.Counter
	deviations prometheus.Counter
	unprobed   prometheus.Counter
	ownership  *prometheus.CounterVec
	newest     prometheus.Gauge
	flips      prometheus.Counter
	unfit      prometheus.Counter
	flows      prometheus.Counter
	flowDrops  *prometheus.CounterVec
	sessions   *prometheus.GaugeVec
	leases     *prometheus.GaugeVec
	lines      *prometheus.CounterVec
}

// NewMetrics creates and registers the metrics of a controller. No metric has a label for the switch; the status
// of a switch provides this information.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		switches: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "op25b_fleet_switches", Help: "Switches that are assigned to this controller, by state; unknown while it does not own them.",
		}, []string{"state"}),
		converging: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "op25b_fleet_converge_seconds", Help: "How long it took to read a switch, to write what differed, and to read it back.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14), // 5 ms to 41 s
		}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_fleet_entries_total", Help: "Entries that were added, changed and removed to converge switches.",
		}, []string{"kind"}),
		refusals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_writes_refused_total", Help: "Updates that switches refused.",
		}),
		audits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_audits_total", Help: "Full reads of switches that were believed to be converged.",
		}),
		probes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_probes_total", Help: "Packets that switches were asked about by probes.",
		}),
		deviations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_probe_deviations_total", Help: "Packets that a switch would not treat as the documents demand, as probes showed.",
		}),
		unprobed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_probe_failures_total", Help: "Rounds of probes that a switch did not answer.",
		}),
		drift: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_drift_total", Help: "Differences that another hand made and that were repaired.",
		}),
		ownership: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "op25b_fleet_ownership_changes_total", Help: "Switches taken and lost.",
		}, []string{"change"}),
		newest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "op25b_fleet_intent_revision", Help: "The newest revision of the intent.",
		}),
		flips: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "op25b_fleet_phase_flips_total", Help: "Rule sets that were put in force by one MODIFY without a read.",
		}),
	}
	m.unfit = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "op25b_fleet_refusals_total", Help: "Compilations of documents for a switch that were invalid or did not fit; each is made once.",
	})
	m.flows = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "op25b_fleet_mail_flows_total", Help: "Mail flows that the owned switches reported.",
	})
	m.flowDrops = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "op25b_fleet_mail_flow_lists_dropped_total",
		Help: "Lists of mail flows that were dropped: session if they came too fast, foreign if they could not be read.",
	}, []string{"reason"})
	m.sessions = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "op25b_fleet_sessions", Help: "Lines with a session on the switches that this controller owns: in-force if the switch confirmed their entries, otherwise waiting.",
	}, []string{"state"})
	m.lines = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "op25b_fleet_session_entries_total", Help: "Entries of sessions and leases that were added, removed, and refused by switches.",
	}, []string{"kind"})
	m.leases = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "op25b_fleet_leases", Help: "Lines with a lease on the switches that this controller owns: in-force if the switch confirmed their entries, otherwise waiting.",
	}, []string{"state"})
	for _, state := range []string{sessionsInForce, sessionsWaiting} {
		m.sessions.WithLabelValues(state)
		m.leases.WithLabelValues(state)
	}
	for _, kind := range []string{entriesAdded, entriesRemoved, entriesRefused} {
		m.lines.WithLabelValues(kind)
	}
	r.MustRegister(m.sessions, m.leases, m.lines, m.flows, m.flowDrops, m.unfit, m.switches, m.converging, m.updates, m.refusals, m.audits, m.drift,
		m.probes, m.deviations, m.unprobed, m.ownership, m.newest, m.flips)
	return m
}

// state records that a switch has changed from one state to another; 0 means no state.
func (m *Metrics) state(from, to State) {
	if m == nil || from == to {
		return
	}
	if from != 0 {
		m.switches.WithLabelValues(from.String()).Dec()
	}
	if to != 0 {
		m.switches.WithLabelValues(to.String()).Inc()
	}
}

func (m *Metrics) converged(d time.Duration) {
	if m != nil {
		m.converging.Observe(d.Seconds())
	}
}

func (m *Metrics) wrote(p *reconcile.Plan) {
	if m == nil {
		return
	}
	m.updates.WithLabelValues("added").Add(float64(len(p.Added)))
	m.updates.WithLabelValues("changed").Add(float64(len(p.Changed)))
	m.updates.WithLabelValues("removed").Add(float64(len(p.Removed)))
}

func (m *Metrics) refused(updates int) {
	if m != nil {
		m.refusals.Add(float64(updates))
	}
}

func (m *Metrics) audited() {
	if m != nil {
		m.audits.Inc()
	}
}

// probed counts a round of probes.
func (m *Metrics) probed(packets, deviating int, err error) {
	if m == nil {
		return
	}
	if err != nil {
		m.unprobed.Inc()
	}
	m.probes.Add(float64(packets))
	m.deviations.Add(float64(deviating))
}

func (m *Metrics) drifted(differences int) {
	if m != nil {
		m.drift.Add(float64(differences))
	}
}

func (m *Metrics) owned() {
	if m != nil {
		m.ownership.WithLabelValues("taken").Inc()
	}
}

func (m *Metrics) lost() {
	if m != nil {
		m.ownership.WithLabelValues("lost").Inc()
	}
}

func (m *Metrics) revision(number uint64) {
	if m != nil {
		m.newest.Set(float64(number))
	}
}

func (m *Metrics) refusal() {
	if m != nil {
		m.unfit.Inc()
	}
}

func (m *Metrics) flipped() {
	if m != nil {
		m.flips.Inc()
	}
}

// The reasons for which lists of mail flows are dropped.
const (
	dropSession = "session"
	dropForeign = "foreign"
)

func (m *Metrics) flowsRead(flows int) {
	if m != nil {
		m.flows.Add(float64(flows))
	}
}

func (m *Metrics) flowsDropped(reason string, lists uint64) {
	if m != nil && lists > 0 {
		m.flowDrops.WithLabelValues(reason).Add(float64(lists))
	}
}

// The labels of the metrics of sessions and leases.
const (
	sessionsInForce = "in-force"
	sessionsWaiting = "waiting"

	entriesAdded   = "added"
	entriesRemoved = "removed"
	entriesRefused = "refused"
)

// layerChanged records that the numbers of sessions and leases of a switch have changed.
func (m *Metrics) layerChanged(from, to layerStatus) {
	if m == nil {
		return
	}
	count := func(g *prometheus.GaugeVec, sign float64, st *SessionStatus) {
		if st != nil {
			g.WithLabelValues(sessionsInForce).Add(sign * float64(st.InForce))
			g.WithLabelValues(sessionsWaiting).Add(sign * float64(st.Waiting))
		}
	}
	for sign, st := range map[float64]layerStatus{-1: from, 1: to} {
		count(m.sessions, sign, st.sessions)
		count(m.leases, sign, st.leases)
	}
}

// sessionEntries counts entries of sessions and leases that were written.
func (m *Metrics) sessionEntries(added, removed, refused int) {
	if m != nil {
		m.lines.WithLabelValues(entriesAdded).Add(float64(added))
		m.lines.WithLabelValues(entriesRemoved).Add(float64(removed))
		m.lines.WithLabelValues(entriesRefused).Add(float64(refused))
	}
}
