package meaning

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/compile"
	"op25b/internal/compile/compiletest"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestMeaningIsTrue compares random rule sets with different numbers. The sentences about mail must name exactly the line groups, ports, legs
// and servers for which the entries of the two switches decide differently, and both decisions. If only the numbers differ, there must be no
// sentence.
func TestMeaningIsTrue(t *testing.T) {
	changed, same, leased := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
		compiled := func(p *policy.Policy, inv *policy.Inventory, n *compile.Numbers) *compile.Compiled {
			c, err := compiletest.Compile(&policy.Bundle{Policy: p, Inventory: inv}, n, "edge", policytest.DrawInForce(t, p), at)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		p1, inv1 := policytest.DrawBundle(t)
		n1, err := compile.Number(nil, &policy.Bundle{Policy: p1, Inventory: inv1})
		if err != nil {
			t.Fatal(err)
		}
		p2, inv2 := policytest.DrawBundle(t)
		n2, err := compile.Number(n1, &policy.Bundle{Policy: p2, Inventory: inv2})
		if err != nil {
			t.Fatal(err)
		}
		old, now := compiled(p1, inv1, n1), compiled(p2, inv2, n2)
		w := &words{old: newJudge(old), new: newJudge(now), was: old, is: now}
		w.moves, w.stay = w.classMoves()
		changes := w.verdictChanges()

		addresses := []netip.Addr{netip.MustParseAddr("233.252.0.1")}
		for _, p := range []*policy.Policy{p1, p2} {
			for _, r := range p.Remotes {
				for _, prefix := range r.Prefixes {
					addresses = append(addresses, prefix.Addr())
				}
			}
		}
		groups := []string{""}
		for _, g := range p1.LineGroups {
			if p2.LineGroup(g.Name) != nil {
				groups = append(groups, g.Name)
			}
		}
		for _, port := range []policy.TCPPort{25, 587, 465, 110, 995, 80} {
			for _, leg := range policy.Legs() {
				for _, group := range groups {
					for _, addr := range addresses {
						was, from := decided(t, old, port, leg, group, addr, "")
						is, to := decided(t, now, port, leg, group, addr, "")
						reported := func(lease string) (found []change) {
							for _, c := range changes {
								server := func(s server) bool { return s.from == from && s.to == to }
								if c.lease == lease && slices.Contains(c.ports, port) && slices.Contains(c.legs, leg) && slices.Contains(c.groups, group) && slices.ContainsFunc(c.servers, server) {
									found = append(found, c)
								}
							}
							return found
						}
						found, apart := reported(""), false
						for _, lease := range []string{"lease-1", "lease-2", "lease-3"} { // as policytest names them
							wasHeld, _ := decided(t, old, port, leg, group, addr, lease)
							isHeld, _ := decided(t, now, port, leg, group, addr, lease)
							differs := wasHeld != was || isHeld != is
							apart = apart || differs
							switch held := reported(lease); {
							case (wasHeld == isHeld || !differs) && len(held) > 0:
								t.Fatalf("TCP/%d on %s of %q to %v goes from %v to %v, with lease %s from %v to %v, and is reported as %+v", port, leg, group, addr, was, is, lease, wasHeld, isHeld, held)
							case wasHeld != isHeld && differs:
								leased++
								if len(held) != 1 || held[0].old.action != wasHeld.action || held[0].new.action != isHeld.action {
									t.Fatalf("TCP/%d on %s of %q to %v goes with lease %s from %v to %v, and is reported as %+v", port, leg, group, addr, lease, wasHeld, isHeld, held)
								}
							}
						}
						if len(found) > 0 && found[0].apart != apart {
							t.Fatalf("TCP/%d on %s of %q to %v goes from %v to %v, and %v: %+v", port, leg, group, addr, was, is, apart, found)
						}
						if was == is {
							same++
							if len(found) > 0 {
								t.Fatalf("TCP/%d on %s of %q to %v is %v before and after, and reported as %+v", port, leg, group, addr, was, found)
							}
							continue
						}
						changed++
						if len(found) != 1 || found[0].old.action != was.action || found[0].new.action != is.action ||
							was.action == is.action && (found[0].old != was || found[0].new != is) {
							t.Fatalf("TCP/%d on %s of %q to %v goes from %v to %v, and is reported as %+v", port, leg, group, addr, was, is, found)
						}
					}
				}
			}
		}
		again, err := compiletest.Compile(&policy.Bundle{Policy: p2, Inventory: inv2}, nil, "edge", now.InForce, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range of(now, again) {
			if s.Kind != OfLine { // lines may have been renamed
				t.Fatalf("other numbers are reported as %v", s)
			}
		}
	})
	if changed == 0 || same == 0 || leased == 0 {
		t.Errorf("%d outcomes changed, %d did not, and %d changed in another way with a lease", changed, same, leased)
	}
}

var actionName = map[pipeline.VerdictAction]policy.Action{
	pipeline.Permit: policy.Permit, pipeline.Monitor: policy.Monitor, pipeline.Drop: policy.Drop, pipeline.Limit: policy.Limit, pipeline.Reject: policy.Reject,
}

// decided returns the outcome that the entries of a switch determine for a line with a lease, and the class of the address.
func decided(t *rapid.T, c *compile.Compiled, port policy.TCPPort, leg policy.Leg, group string, addr netip.Addr, lease string) (outcome, string) {
	x := policytest.Segment{}
	for class, l := range c.Leases {
		if l.Name == lease {
			x.Subscriber = class
		}
	}
	for number, g := range c.LineGroups {
		if g.Name == group {
			x.Group = number
		}
	}
	longest := -1
	for prefix, class := range c.State.Remotes {
		if prefix.Contains(addr) && prefix.Bits() > longest {
			longest, x.Class = prefix.Bits(), class
		}
	}
	code, _ := leg.Code()
	for key, value := range c.State.Services {
		its := key.DstPort
		if leg == policy.DownSrc || leg == policy.UpSrc {
			its = key.SrcPort
		}
		if value.Leg != code || its.Port != uint16(port) {
			// On the legs for servers behind a line, the remote end's port belongs to no service.
			continue
		}
		if v, ok := policytest.Lookup(t, c.State, x, code, value.Service); ok {
			return outcome{actionName[v.Action], c.Rules[v.Rule].Name}, c.Remotes[x.Class].Name
		}
	}
	if port == 25 && (leg == policy.UpDst || leg == policy.DownSrc) {
		return outcome{policy.Drop, policy.RuleFailClosed}, c.Remotes[x.Class].Name
	}
	return outcome{}, c.Remotes[x.Class].Name
}
