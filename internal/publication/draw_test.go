package publication_test

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// secret begins every private name and text of a drawn intent. Private addresses are in secretV4 and secretV6.
const (
	secret             = "Mallory"
	secretV4, secretV6 = "10.77.", "fd77:"
)

// drawIntent returns a random policy, an inventory of switches with lines of every access form, and activations.
func drawIntent(t *rapid.T) (*policy.Bundle, []policy.Activation) {
	p, _ := policytest.DrawBundle(t)
	p.Exemptions = nil
	for i := range p.LineGroups {
		p.LineGroups[i].Title = rapid.String().Draw(t, "title")
	}
	if rapid.Bool().Draw(t, "NAT64") {
		p.NAT64 = []policy.NAT64{{Prefix: netip.MustParsePrefix("64:ff9b::/96")}}
	}
	for i := range p.Phases {
		p.Phases[i].SynOnly = i > 0 // the first phase does not drain, so lines in it keep the others from draining
	}
	p.Remotes = append(p.Remotes, policy.Remote{Name: "class-v6", Prefixes: []netip.Prefix{netip.MustParsePrefix("3fff::/48")}})
	d := &drawer{T: t, policy: p}
	b := &policy.Bundle{Policy: p, Inventory: &policy.Inventory{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "switches") {
		b.Inventory.Switches = append(b.Inventory.Switches, d.sw(i))
	}
	return b, d.activations(b)
}

type drawer struct {
	*rapid.T
	policy *policy.Policy
	lines  int
}

func (d *drawer) odds(of int, label string) bool { return rapid.IntRange(1, of).Draw(d.T, label) == 1 }

func (d *drawer) sw(i int) policy.Switch {
	sw := policy.Switch{
		Name: fmt.Sprintf("%s-switch-%d", secret, i), DeviceID: policy.DeviceID(7700 + i), P4Runtime: secret + ":7701", GNMI: secret + ":7702",
		TLS: policy.TLS{CA: "/etc/" + secret},
		Ports: []policy.Port{
			{Number: 1, Name: secret + "-a1"}, {Number: 2, Name: secret + "-a2"}, {Number: 11, Name: secret + "-n1", Role: pipeline.Network},
		},
	}
	if d.odds(2, "another network port") {
		sw.Ports = append(sw.Ports, policy.Port{Number: 12, Name: secret + "-n2", Role: pipeline.Network, MACs: []pipeline.MAC{{2, 0x77, 0, 0, 0, 1}}})
	}
	for _, from := range []string{secretV4 + "255.1", secretV6 + "ff::1"} {
		if d.odds(2, "reject from") {
			sw.RejectFrom = append(sw.RejectFrom, netip.MustParseAddr(from))
		}
	}
	type place struct {
		port     string
		vlan, in pipeline.VID
		pppoe    pipeline.Session
	}
	used := make(map[place]bool)
	for range rapid.IntRange(0, 4).Draw(d.T, "lines") {
		at := place{
			port: fmt.Sprintf("%s-a%d", secret, rapid.IntRange(1, 2).Draw(d.T, "port")), vlan: pipeline.VID(rapid.IntRange(0, 3).Draw(d.T, "VLAN")),
			pppoe: pipeline.Session(rapid.IntRange(0, 2).Draw(d.T, "session")),
		}
		if at.vlan > 0 {
			at.in = pipeline.VID(rapid.IntRange(0, 1).Draw(d.T, "inner VLAN"))
		}
		if !used[at] {
			used[at] = true
			sw.Lines = append(sw.Lines, d.line(policy.Line{Port: at.port, VLAN: at.vlan, InnerVLAN: at.in, PPPoE: at.pppoe}))
		}
	}
	return sw
}

// line completes a line. It may get an exemption.
func (d *drawer) line(l policy.Line) policy.Line {
	d.lines++
	n := byte(d.lines)
	l.Name = fmt.Sprintf("%s-line-%d", secret, n)
	g := rapid.SampledFrom(d.policy.LineGroups).Draw(d.T, "group")
	l.Group = g.Name
	if d.odds(2, "MAC") {
		l.MACs = []pipeline.MAC{{2, 0x77, 1, 0, 0, n}}
	}
	all := []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, n, 0}), 24), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, n + 100, 1}), 32),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x77, 15: n}), 128), netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0x77, 3: n}), 64),
	}
	_, checked, _ := g.SourceCheck.Code()
	for _, p := range all {
		if d.odds(2, "prefix") {
			l.Prefixes = append(l.Prefixes, p)
		}
	}
	if checked && len(l.Prefixes) == 0 {
		l.Prefixes = all
	}
	if len(l.Prefixes) > 0 && d.odds(4, "exemption") {
		e := policy.Exemption{
			Line: l.Name, Owner: secret + "@isp.example", Reason: secret + " said so", Ticket: secret + "-1",
			Expires: policy.Date{Year: 2006, Month: time.Month(rapid.IntRange(1, 5).Draw(d.T, "month of expiry")), Day: 20},
		}
		if d.odds(2, "exemption by prefix") {
			e.Line, e.Prefix = "", l.Prefixes[0]
		}
		d.policy.Exemptions = append(d.policy.Exemptions, e)
	}
	return l
}

// activations returns activations, some of which undo others. Their times are not always in order.
func (d *drawer) activations(b *policy.Bundle) []policy.Activation {
	some := func(list []string, label string) []string {
		list = rapid.Permutation(list).Draw(d.T, label)
		return list[:rapid.IntRange(0, len(list)).Draw(d.T, "number of "+label)]
	}
	acts := make([]policy.Activation, rapid.IntRange(0, 3).Draw(d.T, "activations"))
	for i := range acts {
		acts[i] = policy.Activation{
			ID: uint64(2 + 2*i), Groups: some(policy.Names(b.Policy.LineGroups), "groups"), Switches: some(policy.Names(b.Inventory.Switches), "switches"),
			At: d.moment(), Author: secret, Reason: secret + " wanted it",
		}
		if i > 0 && d.odds(4, "undo") {
			acts[i].Undoes = acts[rapid.IntRange(0, i-1).Draw(d.T, "undone")].ID
			continue
		}
		acts[i].Phase = rapid.SampledFrom(policy.Names(b.Policy.Phases)).Draw(d.T, "phase")
		acts[i].UntilNextDate = d.odds(4, "until")
	}
	return acts
}

// moment returns a time near the beginning of a phase.
func (d *drawer) moment() time.Time {
	p := d.policy
	at := p.Begins(&p.Phases[rapid.IntRange(0, len(p.Phases)-1).Draw(d.T, "near phase")])
	return at.AddDate(0, 0, rapid.IntRange(-1, 3).Draw(d.T, "days after"))
}
