package check_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/policy"
)

// TestLeaseWouldPass verifies that the answer about a closed service of own servers names the leases with which it would pass: only those that open
// these servers, that the subscriber can have, and with which the rules let the connection pass.
func TestLeaseWouldPass(t *testing.T) {
	b := bundle(t, examples.SpinNet2006())
	p, sw := b.Policy, &b.Inventory.Switches[0]
	p.Remotes[0].Name, p.Remotes[0].Relay, p.Remotes[0].Own = "own", false, true
	ph := &p.Phases[2]
	ph.OwnServices = []string{"smtp", "submissions"}
	ph.Rules = append([]policy.PhaseRule{
		{Name: "own-leased", Subscriber: policy.Leased, Service: "submission", Remote: "own", Action: policy.Permit},
		{Name: "own-submission", Service: "submission", Remote: "own", Action: policy.Reject},
	}, ph.Rules...)
	lease := func(name string, groups ...string) policy.Lease {
		return policy.Lease{Name: name, Opens: []string{"own"}, For: policy.Duration(10 * time.Minute), Cap: policy.Duration(30 * time.Minute), Groups: groups}
	}
	adsl, secure := lease("adsl-login", "adsl"), lease("tls-login", "adsl", "bflets")
	secure.TLS, secure.Addresses = policy.TLSRequired, true
	secure.Except = []netip.Prefix{netip.MustParsePrefix("192.0.2.240/28")}
	const (
		byLogin = `with lease "adsl-login" the connection passes: a POP3 or IMAP login opens it to the line for 10m, and further logins for at most 30m`
		byTLS   = `with lease "tls-login" the connection passes: a POP3 or IMAP login inside TLS opens it to the line for 10m, and further logins for at most 30m`
		outside = `with lease "tls-login" the connection passes: a POP3 or IMAP login inside TLS opens it to the address for 10m, and further logins for at most 30m`
	)
	const own, other = "198.51.100.25", "203.0.113.129"
	for name, x := range map[string]struct {
		q         check.Question
		outcome   check.Outcome
		addresses bool
		want      []string
	}{
		"both":            {check.Question{Line: "adsl-home", To: own, Port: 587}, check.Rejected, false, []string{byLogin, byTLS}},
		"IPv6":            {check.Question{Line: "adsl-home", To: "2001:db8:25::25", Port: 587}, check.Rejected, false, []string{byLogin, byTLS}},
		"no lease":        {check.Question{Line: "mobile-sim", To: own, Port: 587}, check.Rejected, false, nil},
		"open":            {check.Question{Line: "adsl-home", To: own, Port: 465}, check.Delivered, false, nil},
		"outside":         {check.Question{Line: "adsl-home", To: other, Port: 25}, check.Blocked, false, nil},
		"exempt":          {check.Question{Line: "business-fixed", To: own, Port: 587}, check.Delivered, false, nil},
		"earlier phase":   {check.Question{Line: "adsl-home", To: own, Port: 587, Phase: "before"}, check.Delivered, false, nil},
		"address":         {check.Question{From: netip.MustParseAddr("192.0.2.200"), To: own, Port: 587}, check.Rejected, true, []string{outside}},
		"address of ours": {check.Question{From: netip.MustParseAddr("198.51.100.17"), To: own, Port: 587}, check.Rejected, true, nil},
		"excepted":        {check.Question{From: netip.MustParseAddr("192.0.2.240"), To: own, Port: 587}, check.Rejected, true, nil},
		"any address":     {check.Question{Switch: "edge-1", To: own, Port: 587}, check.Rejected, true, []string{outside}},
		"of a line":       {check.Question{From: netip.MustParseAddr("192.0.2.11"), Switch: "edge-1", To: own, Port: 587}, check.Rejected, true, []string{byLogin, byTLS}},
		"address no more": {check.Question{From: netip.MustParseAddr("192.0.2.200"), To: own, Port: 587}, check.Rejected, false, nil},
	} {
		p.Leases = []policy.Lease{adsl, secure}
		sw.AddressLeases = x.addresses
		if x.q.At = day("2006-11-01"); policy.Validate(t.Context(), p, b.Inventory) != nil {
			t.Fatal(policy.Validate(t.Context(), p, b.Inventory))
		}
		a := ask(t, check.New(check.Source{Bundle: b}, check.Options{}), x.q)
		notes := slices.DeleteFunc(slices.Clone(a.Notes), func(n string) bool { return !strings.Contains(n, "lease") })
		if a.Outcome != x.outcome || !slices.Equal(notes, x.want) {
			t.Errorf("%s: %s\n got %q\nwant %s\n     %q", name, a.Outcome, notes, x.outcome, x.want)
		}
	}
}
