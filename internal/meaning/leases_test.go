package meaning

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestMeaningLeases verifies the words for leases: which lines a rule for leased subscribers opens, what stops when it goes, and that a rule that
// closes the rest is not said to close lines with a lease.
func TestMeaningLeases(t *testing.T) {
	leased := policy.PhaseRule{Name: "own-leased", Subscriber: policy.Leased, Service: "submission", Remote: "own", Action: policy.Permit}
	lease := policy.Lease{
		Name: "pop", Opens: []string{"own"}, For: policy.Duration(10 * time.Minute), Cap: policy.Duration(30 * time.Minute),
		Groups: []string{"adsl"}, Addresses: true,
	}
	longer := lease
	longer.For, longer.Groups, longer.TLS = lease.Cap, nil, policy.TLSRequired
	longer.Except = []netip.Prefix{netip.MustParsePrefix("203.0.113.64/26"), netip.MustParsePrefix("192.0.2.0/24")}
	state := func(closing policy.Action, leases []policy.Lease, rules ...policy.PhaseRule) *compile.Compiled {
		b := policytest.Example(t)
		p := b.Policy
		p.Remotes[0].Name, p.Remotes[0].Relay, p.Remotes[0].Own = "own", false, true
		p.Leases = leases
		ph := &p.Phases[2]
		ph.OwnServices = []string{"smtp", "submissions"}
		rules = append(rules, policy.PhaseRule{Name: "own-submission", Service: "submission", Remote: "own", Action: closing})
		ph.Rules = append(rules, ph.Rules...)
		c, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), policytest.Moment(t, "2006-10-15T00:00:00Z"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	both := []policy.Lease{lease}
	for name, x := range map[string]struct {
		old, now *compile.Compiled
		want     []string
	}{
		"added": {state(policy.Reject, nil), state(policy.Reject, both, leased), []string{
			"opens verdict: adsl lines and those of no group with lease pop: TCP/587 to own (2 prefixes) reject -> permit",
			"neutral lease: lease pop added: opens own for 10m, at most 30m",
		}},
		"removed": {state(policy.Reject, both, leased), state(policy.Reject, nil), []string{
			"stops verdict: adsl lines and those of no group with lease pop: TCP/587 to own (2 prefixes) permit -> reject",
			"neutral lease: lease pop removed",
		}},
		"closed": {state(policy.Monitor, both, leased), state(policy.Reject, both, leased), []string{
			"stops verdict: adsl lines and those of no group without a lease: TCP/587 to own (2 prefixes) monitor -> reject",
			"stops verdict: bflets, hikari-premium, isdn, mobile lines: TCP/587 to own (2 prefixes) monitor -> reject",
		}},
		"for all lines": {state(policy.Reject, both, leased), state(policy.Reject, []policy.Lease{longer}, leased), []string{
			"opens verdict: bflets, hikari-premium, isdn, mobile lines with lease pop: TCP/587 to own (2 prefixes) reject -> permit",
			"neutral lease: lease pop: for 10m -> 30m, groups adsl -> every line, tls optional -> required, except nothing -> 192.0.2.0/24, 203.0.113.64/26",
		}},
		"no change": {state(policy.Reject, both, leased), state(policy.Reject, both, leased), nil},
	} {
		if diff := cmp.Diff(x.want, said(of(x.old, x.now))); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
}
