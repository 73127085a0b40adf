package examples

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/internal/check"
	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

func load(t *testing.T, files []strict.File) *policy.Bundle {
	t.Helper()
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCompile verifies that every example is valid and compiles to table entries for every switch in every phase.
func TestCompile(t *testing.T) {
	for name, files := range map[string][]strict.File{"spinnet-2006": SpinNet2006(), "spinnet-2022": SpinNet2022(), "libmo-mobile": LibmoMobile()} {
		b := load(t, files)
		if b.Policy.Name != name {
			t.Errorf("the policy of %s is called %q", name, b.Policy.Name)
		}
		compiler, err := compile.NewCompiler(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, sw := range b.Inventory.Switches {
			for i := range b.Policy.Phases {
				ph := &b.Policy.Phases[i]
				c, err := compiler.Compile(sw.Name, policy.Everywhere(ph.Name), b.Policy.Begins(ph))
				if err != nil {
					t.Fatal(err)
				}
				if len(c.Expired) > 0 {
					t.Errorf("%s: exemptions have expired before phase %s begins: %v", name, ph.Name, c.Expired)
				}
				if _, err := c.State.Entries(); err != nil {
					t.Errorf("%s in phase %s: %v", sw.Name, ph.Name, err)
				}
			}
		}
	}
}

// TestPortsApart verifies that the switches of all examples can run on one machine, because no two of them use the same port.
func TestPortsApart(t *testing.T) {
	first := map[string]string{}
	for _, files := range [][]strict.File{SpinNet2006(), LibmoMobile()} {
		for _, sw := range load(t, files).Inventory.Switches {
			for _, addr := range []string{sw.P4Runtime, sw.GNMI} {
				host, port, err := net.SplitHostPort(addr)
				if err != nil || !netip.MustParseAddr(host).IsLoopback() {
					t.Errorf("switch %s: %s is not on this machine", sw.Name, addr)
				}
				if first[port] != "" {
					t.Errorf("port %s of switch %s is %s's", port, sw.Name, first[port])
				}
				first[port] = sw.Name
			}
		}
	}
}

// TestLibmoMobile verifies what the operator's notice announces. For SIMs on every switch, mail to port 25 of any server but the relay is
// answered with an ICMP error, and ports 587 and 465 pass. The exempt machine may send mail.
func TestLibmoMobile(t *testing.T) {
	b := load(t, LibmoMobile())
	at := b.Policy.Begins(&b.Policy.Phases[2])
	for _, sw := range b.Inventory.Switches {
		in, ok := b.Policy.InForceAt(nil, sw.Name, at)
		if !ok || in.Default != "all-destinations" {
			t.Fatalf("in force: %v, %v", in, ok)
		}
		c, err := compiletest.Compile(b, nil, sw.Name, in, at)
		if err != nil {
			t.Fatal(err)
		}
		s := c.State
		if !s.RejectFrom.IPv4.IsValid() || !s.RejectFrom.IPv6.IsValid() {
			t.Errorf("%s rejects from %+v", sw.Name, s.RejectFrom)
		}
		for name, want := range map[string]policy.Action{"smtp-all": policy.Reject, "submission": policy.Permit, "relay": policy.Permit} {
			if r, _ := c.RuleByName(name); r.Action != want {
				t.Errorf("%s: rule %s is %q, want %q", sw.Name, name, r.Action, want)
			}
		}
		for _, relay := range []string{"198.51.100.25", "2001:db8:25::25", "64:ff9b::198.51.100.25"} {
			class := pipeline.Class(0)
			for prefix, x := range s.Remotes {
				if prefix.Contains(netip.MustParseAddr(relay)) {
					class = x
				}
			}
			if !c.Remotes[class].Relay {
				t.Errorf("%s: %s is no relay", sw.Name, relay)
			}
		}
		want := 0
		if sw.Name == "edge-east" {
			want = 2
		}
		if len(s.Subscribers) != want {
			t.Errorf("%s: %d exempt prefixes, want %d", sw.Name, len(s.Subscribers), want)
		}
	}
	if due := b.Policy.ReviewsDue(time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)); len(due) != 1 {
		t.Errorf("to be reviewed: %v", due)
	}
}

// TestSpinNet2022 verifies what each phase of the programme does with each port, by line group. Submission to other providers passes in every
// phase, and so does everything encrypted to own servers. From 2006-06-15 until plain mail is counted, 587 of own servers needs a login.
func TestSpinNet2022(t *testing.T) {
	b := load(t, SpinNet2022())
	dates := map[string]string{"mobile-carriers": "2006-06-01", "submission-opens": "2006-06-15", "all-destinations": "2006-10-01", "tls-only": "2022-08-01"}
	for _, ph := range b.Policy.Phases {
		if want, ok := dates[ph.Name]; ok && ph.Effective.String() != want {
			t.Errorf("phase %s is effective %v, want %s", ph.Name, ph.Effective, want)
		}
		delete(dates, ph.Name)
	}
	if len(dates) > 0 {
		t.Errorf("the policy lacks the phases %v", dates)
	}
	const own, other = "198.51.100.25", "203.0.113.129"
	const delivered, monitored, rejected, blocked = check.Delivered, check.Monitored, check.Rejected, check.Blocked
	for _, c := range []struct {
		phase, line, to string
		ports           map[uint16]check.Outcome
	}{
		{"before", "adsl-home", own, map[uint16]check.Outcome{25: delivered, 110: delivered, 587: delivered}},
		{"before", "adsl-home", other, map[uint16]check.Outcome{25: monitored, 110: delivered, 587: delivered}},
		{"mobile-carriers", "adsl-home", own, map[uint16]check.Outcome{25: delivered, 110: delivered, 587: delivered}},
		{"submission-opens", "adsl-home", own, map[uint16]check.Outcome{25: delivered, 110: delivered, 587: rejected, 465: delivered}},
		{"submission-opens", "adsl-home", other, map[uint16]check.Outcome{25: monitored, 587: delivered, 465: delivered}},
		{"submission-opens", "business-fixed", own, map[uint16]check.Outcome{25: delivered, 587: delivered}}, // exempt
		{"all-destinations", "adsl-home", own, map[uint16]check.Outcome{25: delivered, 110: delivered, 143: delivered, 587: rejected}},
		{"all-destinations", "adsl-home", other, map[uint16]check.Outcome{25: blocked, 110: delivered, 587: delivered, 465: delivered}},
		{"plain-counted", "adsl-home", own, map[uint16]check.Outcome{25: monitored, 110: monitored, 143: monitored, 587: monitored, 465: delivered, 993: delivered, 995: delivered}},
		{"plain-ends-first", "adsl-home", own, map[uint16]check.Outcome{25: monitored, 110: monitored, 143: monitored, 587: monitored, 465: delivered, 993: delivered, 995: delivered}},
		{"plain-ends-first", "mobile-sim", own, map[uint16]check.Outcome{25: rejected, 110: rejected, 143: rejected, 587: monitored, 465: delivered, 993: delivered, 995: delivered}},
		{"tls-only", "adsl-home", own, map[uint16]check.Outcome{25: rejected, 110: rejected, 143: rejected, 587: monitored, 465: delivered, 993: delivered, 995: delivered}},
		{"tls-only", "adsl-home", "2001:db8:25::25", map[uint16]check.Outcome{25: rejected, 110: rejected, 465: delivered, 995: delivered}},
		{"tls-only", "mobile-sim", other, map[uint16]check.Outcome{25: blocked, 110: delivered, 143: delivered, 587: delivered, 465: delivered, 995: delivered}},
		{"tls-only", "business-fixed", own, map[uint16]check.Outcome{25: delivered, 110: rejected}}, // exempt on port 25
	} {
		ph, _ := b.Policy.Phase(c.phase)
		checker := check.New(check.Source{Bundle: b}, check.Options{Now: func() time.Time { return b.Policy.Begins(ph) }})
		for port, want := range c.ports {
			a, err := checker.Ask(t.Context(), check.Question{Line: c.line, To: c.to, Port: port})
			if err != nil {
				t.Fatal(err)
			}
			if a.Outcome != want {
				t.Errorf("%s: %s to %s port %d is %q, want %q", c.phase, c.line, c.to, port, a.Outcome, want)
			}
		}
	}
}

// TestSpinNet2022Servers verifies that the inventory with a switch in front of the mail servers fits the policy, and what that switch does with the
// mail of a customer on another provider's line: 587 opens by a lease, and only there. Mail between other providers and our servers passes. An
// address of our own servers cannot have a lease.
func TestSpinNet2022Servers(t *testing.T) {
	data, err := os.ReadFile("spinnet-2022-servers/inventory.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := load(t, []strict.File{SpinNet2022()[1], {Name: "spinnet-2022-servers/inventory.yaml", Data: data}})
	ph, _ := b.Policy.Phase("submission-opens")
	checker := check.New(check.Source{Bundle: b}, check.Options{Now: func() time.Time { return b.Policy.Begins(ph) }})
	for _, c := range []struct {
		from, sw string
		port     uint16
		want     check.Outcome
		leased   bool
	}{
		{"203.0.113.200", "servers-1", 587, check.Rejected, true},
		{"203.0.113.200", "servers-1", 465, check.Delivered, false},
		{"203.0.113.200", "servers-1", 110, check.Delivered, false},
		{"203.0.113.200", "servers-1", 25, check.Delivered, false},
		{"203.0.113.200", "edge-1", 587, check.Rejected, false},    // it has no leases of addresses
		{"198.51.100.26", "servers-1", 587, check.Rejected, false}, // a proxy among our own servers
	} {
		a, err := checker.Ask(t.Context(), check.Question{From: netip.MustParseAddr(c.from), Switch: c.sw, To: "198.51.100.25", Port: c.port})
		if err != nil {
			t.Fatal(err)
		}
		leased := slices.ContainsFunc(a.Notes, func(n string) bool { return strings.HasPrefix(n, `with lease "pop-before-smtp" the connection passes`) })
		if a.Outcome != c.want || leased != c.leased {
			t.Errorf("%s on %s, port %d: %q, leased %v; want %q, %v", c.from, c.sw, c.port, a.Outcome, leased, c.want, c.leased)
		}
	}
}

// TestComposeInventories verifies that the inventories of docker-compose.yml fit the policy that they are used with.
func TestComposeInventories(t *testing.T) {
	for _, name := range []string{"compose/embedded.yaml", "compose/bmv2.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b := load(t, []strict.File{SpinNet2006()[1], SpinNet2006()[2], {Name: name, Data: data}})
		if _, err := compile.NewCompiler(b, nil); err != nil {
			t.Error(err)
		}
	}
}
