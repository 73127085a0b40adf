package reference_test

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/e2e/longform"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
	"op25b/internal/reference/generate"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

// broken returns the invariant that a decision violates, or "" if it violates none. The invariants hold for every
// policy.
func broken(p *policy.Policy, inv *policy.Inventory, port uint16, d reference.Decision) string {
	const cpu = uint16(pipeline.CPUPort)
	if port == cpu {
		if d.Asked || d.Flow != nil || d.Outcome != reference.NoOutcome || len(d.Out) > 1 || len(d.Out) == 1 && d.Out[0].Port != cpu {
			return "a packet of a controller is more than its clock's"
		}
		return ""
	}
	if slices.ContainsFunc(d.Out, func(o reference.Output) bool { return o.Port == cpu }) {
		return "a frame of a port goes to the controller"
	}
	role := map[uint16]pipeline.PortRole{}
	for _, p := range inv.Switches[0].Ports {
		role[uint16(p.Number)] = p.Role
	}
	access := role[port] == pipeline.Access
	toAccess := slices.ContainsFunc(d.Out, func(o reference.Output) bool { return role[o.Port] == pipeline.Access })
	backwards := slices.ContainsFunc(d.Out, func(o reference.Output) bool { return o.Port == port })
	sorted := slices.IsSortedFunc(d.Out, func(a, b reference.Output) int { return int(a.Port) - int(b.Port) })
	switch {
	case !d.Rejected && backwards:
		return "a frame goes back where it came from"
	case d.Rejected && (!access || len(d.Out) != 1 || !backwards || d.Passes || d.Verdict != reference.Reject):
		return "an ICMP error beside something else, or to the network"
	case access && !d.Rejected && toAccess:
		return "a frame goes from subscriber to subscriber"
	case !d.Passes && !d.Rejected && (access && d.Out != nil || toAccess):
		return "what is dropped comes out"
	case !sorted:
		return "outputs are not in the order of ports"
	case (d.Outcome == reference.NoOutcome) != (d.Rule == 0) || (d.Rule == 0) != (d.Verdict == reference.NoVerdict):
		return "an outcome without a rule, or a rule without an outcome"
	case (d.Service == "submission" || d.Service == "submissions") && d.Outcome != reference.Passed && d.Rule != reference.SpoofedRule && d.Asked && d.Rule != 0 && !closedToOwn(p, d):
		return "submission is stopped"
	case access && d.Shape == reference.TinyFragment && d.Passes:
		return "a tiny fragment passes"
	case d.Timed != (d.Else != nil):
		return "a timed decision without the other outcome"
	}
	return ""
}

// closedToOwn reports whether a decision is that of a rule of the first phase which closes port 587 to the ISP's own servers. Nothing closes port
// 465, and nothing closes either to other servers.
func closedToOwn(p *policy.Policy, d reference.Decision) bool {
	rule, found := p.Phases[0].Rule(d.RuleName)
	if !found || !p.ForOwn(rule) || !p.Phases[0].LeavesOut(d.Service) || slices.Contains(p.Service(d.Service).Ports, policy.PortSubmissions) {
		return false
	}
	return d.Flow == nil || slices.ContainsFunc(p.Remote(rule.Remote).Prefixes, func(prefix netip.Prefix) bool {
		embedded := d.Flow.Remote.Is6() && prefix.Addr().Is4() // it may be: NAT64 has tests of its own
		return embedded || prefix.Contains(d.Flow.Remote)
	})
}

// TestDecisionsKeepPromises verifies the invariants of broken for random policies and frames. For example, submission
// passes, dropped frames do not come out, and no frame goes from subscriber to subscriber.
func TestDecisionsKeepPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := generate.Rapid(t)
		p, inv := generate.Documents(src)
		world := generate.NewWorld(p, inv, generate.SwitchName)
		m := reference.New(p, inv, generate.SwitchName, p.Phases[0].Name, generate.Now())
		for range 5 {
			port, frame := world.Frame(src)
			d := m.Decide(0, port, frame)
			if what := broken(p, inv, port, d); what != "" {
				t.Fatalf("port %d %x: %s: %v", port, frame, what, d)
			}
		}
	})
}

// TestLeaseOpensOnlyWhatItSays verifies that a lease changes only the decision about a frame between a line that can have it and a server of a class
// that it opens, to which a rule for leased subscribers then permits the frame. At its end, and for other lines, it changes nothing. (I9, I15)
func TestLeaseOpensOnlyWhatItSays(t *testing.T) {
	const at = 100 * (1 << 20) * time.Microsecond // second 100 of the switch's clock
	opened, ended := 0, 0
	seed := rand.Uint64()
	src := rand.New(rand.NewPCG(seed, 15))
	for policies := 0; policies < 300; {
		p, inv := generate.Documents(src)
		if !slices.ContainsFunc(p.Phases[0].Rules, policy.PhaseRule.Leased) {
			continue // no lease can change anything: see TestModel
		}
		policies++
		world := generate.NewWorld(p, inv, generate.SwitchName)
		all := generate.Endings(src, p, inv, generate.SwitchName, []pipeline.ClockSecond{0, 99, 100, 101})
		all = slices.DeleteFunc(all, func(e generate.Ending) bool { return e.Lease == "" })
		decide := func(port uint16, frame []byte, leases []generate.Ending) reference.Decision {
			m := reference.New(p, inv, generate.SwitchName, p.Phases[0].Name, generate.Now())
			for _, e := range leases {
				e.AddTo(m)
			}
			return m.Decide(at, port, frame)
		}
		over := slices.DeleteFunc(slices.Clone(all), func(e generate.Ending) bool { return e.Until == 0 || e.Until > 100 })
		for range 100 {
			port, frame := world.Frame(src)
			without, with := decide(port, frame, nil), decide(port, frame, all)
			if len(over) > 0 {
				ended++
				if d := decide(port, frame, over); d.String() != without.String() {
					t.Fatalf("seed %d: port %d %x: %v by leases that have ended, and %v without them", seed, port, frame, d, without)
				}
			}
			if with.String() == without.String() {
				continue
			}
			opened++
			rule, ok := p.Phases[0].Rule(with.RuleName)
			group := ""
			if i := slices.IndexFunc(inv.Switches[0].Lines, func(l policy.Line) bool { return l.Name == with.Line }); i >= 0 {
				group = inv.Switches[0].Lines[i].Group
			}
			opens := slices.ContainsFunc(all, func(e generate.Ending) bool {
				l := p.Lease(e.Lease)
				toLine := e.Line == "" || e.Line == with.Line || with.Line == "" // a reply whose line is unknown is matched by its address
				inGroup := l.Groups == nil || slices.Contains(l.Groups, group) || group == "" && l.Addresses
				return slices.Contains(l.Opens, rule.Remote) && inGroup && toLine && (e.Until == 0 || e.Until > 100)
			})
			if !ok || rule.Subscriber != "leased" || with.Verdict != reference.Permit || !opens || !(p.Remote(rule.Remote).Own || p.Remote(rule.Remote).Relay) {
				t.Fatalf("seed %d: port %d %x: %v with the leases %+v, and %v without them", seed, port, frame, with, all, without)
			}
		}
	}
	if opened == 0 || ended == 0 {
		t.Errorf("seed %d: leases changed %d decisions, and %d frames met leases that had ended", seed, opened, ended)
	}
}

// TestEveryCut verifies that a frame that is cut at any byte is decided without a panic, and that the decision violates
// no invariant.
func TestEveryCut(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 64))
	for range 50 {
		p, inv := generate.Documents(r)
		world := generate.NewWorld(p, inv, generate.SwitchName)
		m := reference.New(p, inv, generate.SwitchName, p.Phases[0].Name, generate.Now())
		port, frame := world.Frame(r)
		for n := range len(frame) + 1 {
			d := m.Decide(0, port, frame[:n:n])
			if what := broken(p, inv, port, d); what != "" {
				t.Fatalf("port %d %x: %s: %v", port, frame[:n], what, d)
			}
			if n < 14 && port != uint16(pipeline.CPUPort) && d.Why != reference.ShortEthernet {
				t.Fatalf("%d bytes: %v", n, d)
			}
		}
	}
}

// FuzzDecide verifies that no input makes the model panic or violate an invariant.
func FuzzDecide(f *testing.F) {
	f.Add([]byte("policy"), uint16(1), up(v4eth(mail(other))))
	f.Add([]byte{}, uint16(2), up(session(7, 0x57, mail6(ext(6, 8, tcp(40000, 25, syn)), 60))))
	f.Fuzz(func(t *testing.T, entropy []byte, port uint16, frame []byte) {
		src := generate.Bytes(entropy)
		p, inv := generate.Documents(src)
		m := reference.New(p, inv, generate.SwitchName, p.Phases[0].Name, generate.Now())
		drawnPort, drawn := generate.NewWorld(p, inv, generate.SwitchName).Frame(src)
		for _, c := range []reference.Output{{Port: port, Frame: frame}, {Port: drawnPort, Frame: drawn}} {
			d := m.Decide(0, c.Port, c.Frame)
			if what := broken(p, inv, c.Port, d); what != "" {
				t.Fatalf("port %d %x: %s: %v", c.Port, c.Frame, what, d)
			}
		}
	})
}

// BenchmarkDecide measures how long the model takes for a frame.
func BenchmarkDecide(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	p, inv := generate.Documents(r)
	world := generate.NewWorld(p, inv, generate.SwitchName)
	m := reference.New(p, inv, generate.SwitchName, p.Phases[0].Name, generate.Now())
	for b.Loop() {
		port, frame := world.Frame(r)
		m.Decide(0, port, frame)
	}
}
