package meaning

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestMeaningOwnServers verifies the words for the programme of 2022: which line groups lose which ports to own servers, and that 587 is only
// counted.
func TestMeaningOwnServers(t *testing.T) {
	const dir = "../../examples/spinnet-2022/"
	load := func() *policy.Bundle { return policytest.LoadFiles(t, dir+"policy.yaml", dir+"inventory.yaml") }
	for _, x := range []struct {
		from, to string
		change   func(p *policy.Policy) // changes the policy after
		want     []string
	}{
		{"mobile-carriers", "submission-opens", nil, []string{
			"stops verdict: every line without a lease: TCP/587 to own-servers (2 prefixes) permit -> reject",
			"neutral phase: phase in force: mobile-carriers -> submission-opens",
			"neutral verdict: every line with lease pop-before-smtp: TCP/587 to own-servers (2 prefixes) permit, counted under relay -> own-submission-leased",
		}},
		{"all-destinations", "plain-counted", nil, []string{
			"opens verdict: every line without a lease: TCP/587 to own-servers (2 prefixes) reject -> monitor",
			"neutral phase: phase in force: all-destinations -> plain-counted",
			"neutral verdict: every line: TCP/25 to own-servers (2 prefixes) permit -> monitor",
			"neutral verdict: every line: TCP/110, 143 to own-servers (2 prefixes) not looked at -> monitor",
			"neutral verdict: every line with lease pop-before-smtp: TCP/587 to own-servers (2 prefixes) permit -> monitor",
		}},
		{"plain-counted", "plain-ends-first", nil, []string{
			"stops verdict: isdn, mobile lines: TCP/25 to own-servers (2 prefixes) monitor -> reject",
			"stops verdict: isdn, mobile lines: TCP/110, 143 to own-servers (2 prefixes) monitor -> reject",
			"neutral phase: phase in force: plain-counted -> plain-ends-first",
			"neutral verdict: adsl, bflets, hikari-premium lines and those of no group: TCP/25 to own-servers (2 prefixes) monitor, counted under own-smtp -> own-smtp-later",
			"neutral verdict: adsl, bflets, hikari-premium lines and those of no group: TCP/110 to own-servers (2 prefixes) monitor, counted under own-pop3 -> own-pop3-later",
			"neutral verdict: adsl, bflets, hikari-premium lines and those of no group: TCP/143 to own-servers (2 prefixes) monitor, counted under own-imap -> own-imap-later",
		}},
		{"plain-ends-first", "tls-only", nil, []string{
			"stops verdict: adsl, bflets, hikari-premium lines and those of no group: TCP/25 to own-servers (2 prefixes) monitor -> reject",
			"stops verdict: adsl, bflets, hikari-premium lines and those of no group: TCP/110, 143 to own-servers (2 prefixes) monitor -> reject",
			"neutral phase: phase in force: plain-ends-first -> tls-only",
		}},
		{"tls-only", "tls-only", func(p *policy.Policy) {
			last := &p.Phases[len(p.Phases)-1]
			for i := range last.Rules {
				if last.Rules[i].Name == "own-submission" {
					last.Rules[i].Action = policy.Reject
				}
			}
		}, []string{"stops verdict: every line: TCP/587 to own-servers (2 prefixes) monitor -> reject"}},
		{"mobile-carriers", "mobile-carriers", func(p *policy.Policy) {
			p.Remotes[0].Own, p.Remotes[0].Relay = false, true
			p.Phases = slices.DeleteFunc(p.Phases, func(ph policy.Phase) bool { return ph.OwnServices != nil })
		}, []string{"neutral class: class own-servers is a relay of our own now"}},
	} {
		before, after := load(), load()
		if x.change != nil {
			x.change(after.Policy)
		}
		state := func(b *policy.Bundle, phase string) *compile.Compiled {
			c, err := compiletest.Compile(b, nil, "edge-1", policy.Everywhere(phase), policytest.Moment(t, "2022-08-01T00:00:00Z"))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if diff := cmp.Diff(x.want, said(of(state(before, x.from), state(after, x.to)))); diff != "" {
			t.Errorf("%s -> %s, -want +got:\n%s", x.from, x.to, diff)
		}
	}
}
