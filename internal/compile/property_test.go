package compile

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestSubmissionNeverDropped verifies I9, and the same property for relays. In every phase of every policy that compiles, submission to
// any server (ports 587 and 465) and all mail to relays must pass, and the replies too. Only mail to own servers of a service that the phase
// leaves out of ownServices may be stopped, and never on port 465. Some of the policies contain an operator's mistake or an attempt to block
// such mail.
func TestSubmissionNeverDropped(t *testing.T) { // I9
	compiled, refused, closed := 0, 0, 0
	property := func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		slip(t, p)
		for _, ph := range p.Phases {
			c, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", policy.Everywhere(ph.Name), time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				refused++
				continue
			}
			compiled++
			for x := range segments(p) {
				v, ok := verdict(t, c.State, x)
				permitted := ok && v.Action == pipeline.Permit
				asked := ok || x.Remote == 25 // any other segment that matches no entry passes
				// Only connections that the subscriber opens are submission. A connection that the remote end opens is not, whatever port
				// it comes from.
				opened := map[pipeline.PortRole]pipeline.Handshake{pipeline.Access: pipeline.SYNACK, pipeline.Network: pipeline.SYN}[x.From]
				submission := (x.Remote == 587 || x.Remote == 465) && x.Handshake != opened
				class := policy.Remote{}
				if x.Class > 0 && int(x.Class) <= len(p.Remotes) {
					class = p.Remotes[x.Class-1]
				}
				_, service := classify(p, x)
				if class.Own && x.Remote != 465 && ph.OwnServices != nil && !slices.Contains(ph.OwnServices, service) {
					if submission && !permitted {
						closed++
					}
					continue
				}
				if submission && !permitted && (asked || x.From == pipeline.Access) {
					t.Fatalf("phase %q: %+v is %+v, %v", ph.Name, x, v, ok)
				}
				mail := submission || x.Remote == 25 || x.Own == 25 && x.Remote == 80 // port 80 belongs to no service
				if mail && (class.Relay || class.Own) && asked && !permitted {
					t.Fatalf("phase %q: %+v is %+v, %v, though the class is a relay", ph.Name, x, v, ok)
				}
				if (x.Remote == 26 || x.Remote == 2525 || x.Remote == 80) && x.Own != 25 && ok && v.Action != pipeline.Permit && v.Action != pipeline.Monitor {
					t.Fatalf("phase %q: %+v is %+v", ph.Name, x, v)
				}
				if x.Remote == 25 && x.Group > 0 && !ok {
					t.Fatalf("phase %q: no rule decides about %+v", ph.Name, x)
				}
			}
		}
	}
	rapid.Check(t, property)
	compiled, refused, closed = 0, 0, 0
	if policytest.Seeded(t, 20, property); compiled == 0 || refused == 0 || closed == 0 {
		t.Errorf("%d phases compiled, %d refused, and %d segments of submission to own servers stopped: the draws do not exercise all", compiled, refused, closed)
	}
}

// slip introduces a mistake into a policy that could affect submission or relays. Some draws change nothing.
func slip(t *rapid.T, p *policy.Policy) {
	last := &p.Phases[len(p.Phases)-1]
	rules := last.Rules
	rule := &rules[rapid.IntRange(0, len(rules)-1).Draw(t, "slip at rule")]
	service := &p.Services[rapid.IntRange(0, len(p.Services)-1).Draw(t, "slip at service")]
	switch rapid.IntRange(0, 16).Draw(t, "slip") {
	case 0:
		rule.Service, rule.Name = "submission", "slip"
	case 1:
		service.Ports = append(service.Ports, rapid.SampledFrom([]policy.TCPPort{25, 587, 465, 26, 2525}).Draw(t, "port"))
	case 2:
		service.Ports = service.Ports[1:]
	case 3:
		rule.Remote, rule.Action, rule.Name = p.Remotes[0].Name, policy.Drop, "slip"
	case 4:
		rule.Name = rapid.SampledFrom(policy.BuiltInRules()).Draw(t, "name")
	case 5:
		p.Remotes = append(p.Remotes, policy.Remote{Name: "slip", Prefixes: p.Remotes[0].Prefixes})
	case 6:
		rule.Service, rule.Name, rule.Legs = "submission", "slip", []policy.Leg{policy.DownSrc}
		rule.Action = rapid.SampledFrom([]policy.Action{policy.Drop, policy.Reject, policy.Limit}).Draw(t, "action")
	case 7:
		rule.Legs = []policy.Leg{rapid.SampledFrom(policy.Legs()).Draw(t, "leg")}
	case 8:
		rule.Action = policy.Limit
	case 9:
		rule.Action = policy.Reject
	case 10:
		last.OwnServices = nil
	case 11:
		last.OwnServices = []string{rapid.SampledFrom(policy.Names(p.Services)).Draw(t, "own service")}
	case 12:
		rule.Remote = rapid.SampledFrom(append(policy.Names(p.Remotes), policy.AnyRemote)).Draw(t, "remote")
	case 13:
		p.Remotes[0].Own, p.Remotes[0].Relay = !p.Remotes[0].Own, !p.Remotes[0].Relay
	case 14:
		rule.Service, rule.Name, rule.Action = "submission", "slip", policy.Drop
		rule.Remote = rapid.SampledFrom(append(policy.Names(p.Remotes), policy.AnyRemote)).Draw(t, "remote")
		last.OwnServices = []string{"submissions", "smtp"}
	}
}

// TestDecidesInOrder verifies that the entries have the same effect as reading the rules of a line's phase from top to bottom, without any
// rule of another phase. It also verifies that the entries fit a switch.
func TestDecidesInOrder(t *testing.T) {
	mixed := 0
	rapid.Check(t, func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		if err := policy.Validate(t.Context(), p, inv); err != nil {
			t.Fatalf("the generator made an invalid policy: %v", err)
		}
		in := policytest.DrawInForce(t, p)
		c, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", in, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.InForce.Groups) > 0 {
			mixed++
		}
		drain := true
		phaseOf := func(group pipeline.LineGroup) policy.Phase {
			name := in.Default
			if group > 0 {
				if own, apart := in.Groups[p.LineGroups[group-1].Name]; apart {
					name = own
				}
			}
			return p.Phases[slices.IndexFunc(p.Phases, func(ph policy.Phase) bool { return ph.Name == name })]
		}
		for group := range len(p.LineGroups) + 1 { // each group has a line
			drain = drain && phaseOf(pipeline.LineGroup(group)).SynOnly
		}
		if c.State.SynOnly != drain {
			t.Fatalf("%v: SynOnly is %v", in, c.State.SynOnly)
		}
		for x := range segments(p) {
			v, _ := verdict(t, c.State, x)
			want := readAloud(p, phaseOf(x.Group), x)
			if got := c.Rules[v.Rule].Name; got != want { // on a miss the rule is 0, which has no name
				t.Fatalf("%v: %+v meets rule %q, want %q", in, x, got, want)
			}
			ph := phaseOf(x.Group)
			if r, ok := ph.Rule(want); ok {
				if action, _ := r.Action.Code(); v.Action != action {
					t.Fatalf("%v: %+v: rule %q is %q, its entry says %d", in, x, want, r.Action, v.Action)
				}
				if strictness(c.Rules[v.Rule].Action) < strictness(r.Action) {
					t.Fatalf("%v: rule %q is said to be %q at most, and here is %q", in, want, c.Rules[v.Rule].Action, r.Action)
				}
			}
		}
		knobsRead(t, p, c)
		ph := phaseOf(0)
		if n := len(c.State.Verdicts); len(c.InForce.Groups) == 0 && n != p.VerdictEntries(&ph) || n > policy.MaxVerdicts {
			t.Fatalf("%v: %d entries, %d counted", in, n, p.VerdictEntries(&ph))
		}
		if _, err := c.State.Entries(); err != nil {
			t.Fatalf("%v: the pipeline has no entries for it: %v", in, err)
		}
		if _, err := pipeline.RuleEntries(c.State.Verdicts, 1); err != nil {
			t.Fatalf("%v: the pipeline has no entries for its rules: %v", in, err)
		}
		stagedRead(t, p, inv, c)
	})
	if mixed == 0 {
		t.Error("no phases stood side by side")
	}
}

// TestLeaseOpensOnlyWhatItSays verifies, in every phase and mix of phases, that a lease changes nothing but this: a segment between a line that can
// have the lease and a server of a class that it opens passes by a rule for leased subscribers.
func TestLeaseOpensOnlyWhatItSays(t *testing.T) {
	opened, same := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		c, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", policytest.DrawInForce(t, p), time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		for x := range segments(p) {
			lease, leased := c.Leases[x.Subscriber]
			if x.Subscriber == SubscriberExempt {
				continue
			}
			v, ok := verdict(t, c.State, x)
			ordinary := x
			ordinary.Subscriber = SubscriberOrdinary
			if without, found := verdict(t, c.State, ordinary); v == without && ok == found {
				same++
				continue
			}
			opened++
			group, class := c.LineGroups[x.Group].Name, c.Remotes[x.Class]
			inGroup := lease.Groups == nil || slices.Contains(lease.Groups, group) || lease.Addresses && group == ""
			var rules []policy.PhaseRule
			for _, ph := range p.Phases {
				if r, there := ph.Rule(c.Rules[v.Rule].Name); there {
					rules = append(rules, r)
				}
			}
			byRule := slices.ContainsFunc(rules, func(r policy.PhaseRule) bool { return r.Subscriber == "leased" && r.Remote == class.Name })
			if !leased || !ok || v.Action != pipeline.Permit || !slices.Contains(lease.Opens, class.Name) || !(class.Own || class.Relay) || !inGroup || !byRule {
				t.Fatalf("lease %+v: %+v meets %+v, %v", lease, x, v, ok)
			}
		}
	})
	if opened == 0 || same == 0 {
		t.Errorf("%d segments met another rule by a lease, %d the same", opened, same)
	}
}

// stagedRead compares the staged rule sets with the rule sets that a switch has if their phases are in force.
func stagedRead(t *rapid.T, p *policy.Policy, inv *policy.Inventory, c *Compiled) {
	there := []map[pipeline.VerdictKey]pipeline.Verdict{c.State.Verdicts}
	distance := 0
	here := slices.IndexFunc(p.Phases, func(ph policy.Phase) bool { return ph.Name == c.InForce.Default })
	if len(c.State.Staged) != len(c.Staged) {
		t.Fatalf("the state has %d rule sets for later, and %d are named", len(c.State.Staged), len(c.Staged))
	}
	for i, stage := range c.Staged {
		if !maps.Equal(c.State.Staged[i], stage.Verdicts) {
			t.Fatalf("stage %q is another rule set in the state", stage.Name)
		}
		in := policy.InForce{Default: stage.Name, Groups: c.InForce.Groups}
		as, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", in, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(as.State.Verdicts, stage.Verdicts); diff != "" || as.State.SynOnly != stage.SynOnly {
			t.Fatalf("stage %q, SynOnly %v, -want +got:\n%s", stage.Name, stage.SynOnly, diff)
		}
		if slices.ContainsFunc(there, func(x map[pipeline.VerdictKey]pipeline.Verdict) bool { return maps.Equal(x, stage.Verdicts) }) {
			t.Fatalf("stage %q is there already", stage.Name)
		}
		there = append(there, stage.Verdicts)
		i := slices.IndexFunc(p.Phases, func(ph policy.Phase) bool { return ph.Name == stage.Name })
		far := 2 * max(i-here, here-i)
		if i < here {
			far++ // of two phases at the same distance, the later phase is first
		}
		if far <= distance {
			t.Fatalf("stage %q is nearer to %q than the one before it", stage.Name, c.InForce.Default)
		}
		distance = far
	}
}

// knobsRead compares the entries for frames without ports with the line groups' knobs. For frames without an entry, the pipeline drops
// undetermined frames and passes later fragments.
func knobsRead(t *rapid.T, p *policy.Policy, c *Compiled) {
	for group := range len(p.LineGroups) + 1 {
		undetermined, later := policy.Knob("drop"), policy.Knob("permit")
		if group > 0 {
			g := p.LineGroups[group-1]
			if g.Undetermined != "" {
				undetermined = g.Undetermined
			}
			if g.LaterFragments != "" {
				later = g.LaterFragments
			}
		}
		for _, x := range []struct {
			service   pipeline.Service
			want      policy.Knob
			byDefault pipeline.VerdictAction
			rule      pipeline.RuleID
		}{{255, undetermined, pipeline.Drop, 253}, {254, later, pipeline.Permit, 251}} {
			v, ok := policytest.Lookup(t, c.State, policytest.Segment{Group: pipeline.LineGroup(group)}, pipeline.UpDst, x.service)
			action := x.byDefault
			if ok {
				action = v.Action
			}
			want := map[policy.Knob]pipeline.VerdictAction{"permit": pipeline.Permit, "monitor": pipeline.Monitor, "drop": pipeline.Drop}[x.want]
			if action != want || ok && v.Rule != x.rule {
				t.Fatalf("group %d, service %d: %+v, want %s under rule %d", group, x.service, v, x.want, x.rule)
			}
			if ok && action == x.byDefault {
				t.Fatalf("group %d, service %d: an entry for the default", group, x.service)
			}
		}
	}
}

// TestPhasesDifferInVerdicts verifies that the states of two phases differ only in Verdicts, SynOnly and Staged.
func TestPhasesDifferInVerdicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		var first *pipeline.State
		for _, ph := range p.Phases {
			c, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", policy.Everywhere(ph.Name), time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if c.State.Verdicts, c.State.SynOnly, c.State.Staged = nil, false, nil; first == nil {
				first = &c.State
			}
			if diff := cmp.Diff(*first, c.State, policytest.CompareAddresses); diff != "" {
				t.Fatalf("phase %q, -first +this:\n%s", ph.Name, diff)
			}
		}
	})
}

// TestAppendingKeepsNumbers verifies that a phase, group, service or class appended to its list does not change existing entries.
func TestAppendingKeepsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := policytest.DrawBundle(t)
		now := time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
		for i := range p.Remotes { // a phase must decide every service to own servers for every group, also for those appended
			p.Remotes[i].Own, p.Remotes[i].Relay = false, p.Remotes[i].Relay || p.Remotes[i].Own
		}
		for i := range p.Phases {
			ph := &p.Phases[i]
			ph.OwnServices = nil
			ph.Rules = slices.DeleteFunc(ph.Rules, func(r policy.PhaseRule) bool { return strings.HasPrefix(r.Name, "own-") })
		}
		longer := *p
		longer.Phases = append(slices.Clone(p.Phases), policytest.DrawPhase(t, p, len(p.Phases)))
		longer.LineGroups = append(slices.Clone(p.LineGroups), policy.LineGroup{Name: "more", Limit: p.LineGroups[0].Limit})
		longer.Services = append(slices.Clone(p.Services), policy.Service{Name: "more", Ports: []policy.TCPPort{143}})
		longer.Remotes = append(slices.Clone(p.Remotes), policy.Remote{Name: "more", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		for _, ph := range p.Phases {
			before, err := Compile(&policy.Bundle{Policy: p, Inventory: inv}, nil, "edge", policy.Everywhere(ph.Name), now)
			if err != nil {
				t.Fatal(err)
			}
			after, err := Compile(&policy.Bundle{Policy: &longer, Inventory: inv}, nil, "edge", policy.Everywhere(ph.Name), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before.State.Verdicts, after.State.Verdicts); diff != "" {
				t.Fatalf("phase %q: verdicts changed, -before +after:\n%s", ph.Name, diff)
			}
			if diff := cmp.Diff(before.State.Lines, after.State.Lines); diff != "" {
				t.Fatalf("phase %q: lines changed, -before +after:\n%s", ph.Name, diff)
			}
			for prefix, class := range before.State.Remotes {
				if after.State.Remotes[prefix] != class {
					t.Fatalf("prefix %v was class %d, is %d", prefix, class, after.State.Remotes[prefix])
				}
			}
		}
	})
}
