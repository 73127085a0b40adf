package ledger

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/lease"
	"op25b/internal/lease/login"
	"op25b/internal/policy"
)

// metrics contains the metrics of leases. A nil *metrics counts nothing. No metric has a label for a line or an address.
type metrics struct{ grants *prometheus.CounterVec }

// The sources of grants.
var sources = []string{"api", "dovecot", "weakforced"}

// refusals are the reasons for which a grant is refused, and their label.
var refusals = []struct {
	err   error
	label string
}{
	{ErrNotReady, "not-ready"},
	{ErrNoLine, "no-line"},
	{ErrNoLease, "no-lease"},
	{ErrNoAddress, "no-address"},
	{ErrExempt, "exempt"},
	{ErrExemptAddress, "exempt"},
	{ErrOfLine, "of-line"},
	{policy.ErrNoAddressLease, "no-lease"},
	{policy.ErrNotCustomer, "no-customer"},
	{ErrNoKey, "no-key"},
	{ErrPlain, "no-tls"},
	{ErrNoClock, "no-clock"},
	{lease.ErrFull, "full"},
	{lease.ErrRate, "rate"},
	{lease.ErrOther, "other-lease"},
	{lease.ErrLate, "late"},
}

// failed is the label of grants that could not be stored.
const failed = "not-stored"

// newMetrics creates and registers the metrics of leases. It returns nil if r is nil.
func newMetrics(r prometheus.Registerer, held func() float64) *metrics {
	if r == nil {
		return nil
	}
	m := &metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "op25b_lease_grants_total", Help: "Grants of leases that this controller decided about, by where they came from and what they changed.",
	}, []string{"source", "outcome"})}
	for _, source := range sources {
		for _, o := range []lease.Outcome{lease.Granted, lease.Renewed, lease.Unchanged, failed} {
			m.grants.WithLabelValues(source, string(o))
		}
		for _, refusal := range refusals {
			m.grants.WithLabelValues(source, refusal.label)
		}
		if source == "api" {
			continue
		}
		for _, refusal := range []login.Refusal{login.Failed, login.Rejected, login.Foreign, login.NoRemote} {
			m.grants.WithLabelValues(source, string(refusal))
		}
	}
	r.MustRegister(m.grants, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "op25b_leases", Help: "Leases that have not ended."}, held))
	return m
}

// grant counts a grant, by its outcome or by the reason why it was refused.
func (m *metrics) grant(source string, o lease.Outcome, err error) {
	if m == nil {
		return
	}
	label := string(o)
	if err != nil {
		label = failed
		for _, refusal := range refusals {
			if errors.Is(err, refusal.err) {
				label = refusal.label
			}
		}
	}
	m.grants.WithLabelValues(source, label).Inc()
}

// Refuse counts a login that grants no lease.
func (l *Ledger) Refuse(source string, why login.Refusal) {
	if l.metrics != nil {
		l.metrics.grants.WithLabelValues(source, string(why)).Inc()
	}
}
