package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// drawBundle makes a valid policy and an inventory of one switch with a line in each group, some of them exempt.
func drawBundle(t *rapid.T) (*Policy, *Inventory) {
	p := &Policy{Name: "drawn", UTCOffset: Offset(rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))}
	sw := Switch{Name: "edge", DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2", Ports: []Port{{Number: 1, Name: "access"}, {Number: 2, Name: "core", Role: pipeline.Network}}}
	limit := rapid.SampledFrom([]Rate{{}, {PerSecond: 10, Burst: 5}}).Draw(t, "limit of all groups")
	knob := rapid.SampledFrom([]Knob{"", "permit", "monitor", "drop"})
	for i := range rapid.IntRange(1, 5).Draw(t, "groups") {
		name := fmt.Sprintf("group-%d", i+1)
		p.LineGroups = append(p.LineGroups, LineGroup{
			Name: name, Undetermined: knob.Draw(t, "undetermined"), LaterFragments: knob.Draw(t, "later fragments"), Limit: limit,
			SourceCheck: rapid.SampledFrom([]SourceCheck{"", SourceOff, SourceMonitor, SourceDrop}).Draw(t, "source check"),
		})
		line := Line{Name: fmt.Sprintf("line-%d", i+1), Port: "access", VLAN: pipeline.VID(i), Group: name, Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)}}
		sw.Lines = append(sw.Lines, line)
		if rapid.Bool().Draw(t, "exempt") {
			p.Exemptions = append(p.Exemptions, Exemption{Line: line.Name, Owner: "noc", Reason: "server", Expires: Date{2006, 10, rapid.IntRange(1, 31).Draw(t, "expires")}})
		}
	}
	p.Services = rapid.SampledFrom([][]Service{
		{{Name: "smtp", Ports: []TCPPort{25}}, {Name: "submission", Ports: []TCPPort{587}}, {Name: "submissions", Ports: []TCPPort{465}}},
		{{Name: "pop3", Ports: []TCPPort{110, 995}}, {Name: "submission", Ports: []TCPPort{465, 587}}, {Name: "smtp", Ports: []TCPPort{25}}},
	}).Draw(t, "services")
	for i := range rapid.IntRange(1, 5).Draw(t, "remotes") {
		r := Remote{Name: fmt.Sprintf("class-%d", i+1), Relay: i == 0 || rapid.Bool().Draw(t, "relay")}
		r.Prefixes = append(r.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(16 * i)}), 28))
		if i > 0 && rapid.Bool().Draw(t, "nested") {
			r.Within = []string{"class-1"}
			r.Prefixes = append(r.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32))
		}
		p.Remotes = append(p.Remotes, r)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "phases") {
		p.Phases = append(p.Phases, drawPhase(t, p, i))
	}
	return p, &Inventory{Switches: []Switch{sw}}
}

// drawPhase makes a valid phase: narrow rules that the ones before leave something to, and for all the rest one, or one each way.
func drawPhase(t *rapid.T, p *Policy, i int) Phase {
	ph := Phase{Name: fmt.Sprintf("phase-%d", i+1), Effective: Date{2006, time.Month(i + 1), 1}, SynOnly: rapid.Bool().Draw(t, "SYN only")}
	valid := []Action{Permit, Monitor, Drop, Reject}
	if p.LineGroups[0].Limit != (Rate{}) {
		valid = append(valid, Limit)
	}
	actions := rapid.SampledFrom(valid)
	for range rapid.IntRange(0, 5).Draw(t, "narrow rules") {
		class := rapid.SampledFrom(p.Remotes).Draw(t, "remote")
		r := PhaseRule{Service: rapid.SampledFrom([]string{"smtp", p.Services[0].Name}).Draw(t, "service"), Remote: class.Name, Action: actions.Draw(t, "action")}
		if rapid.Bool().Draw(t, "of groups") {
			groups := rapid.Permutation(Names(p.LineGroups)).Draw(t, "order")
			r.Groups = groups[:rapid.IntRange(1, len(groups)).Draw(t, "groups of the rule")]
		}
		if r.Service == "smtp" && rapid.Bool().Draw(t, "of legs") {
			r.Legs = rapid.Permutation(Legs()).Draw(t, "order of legs")[:rapid.IntRange(1, 4).Draw(t, "legs of the rule")]
		} else if rapid.Bool().Draw(t, "of the only leg") {
			r.Legs = []Leg{UpDst}
		}
		r.Name = fmt.Sprintf("%s-to-%s-%d", r.Service, r.Remote, len(r.Groups))
		useless := class.Relay && r.Service != "pop3" || slices.ContainsFunc(ph.Rules, func(e PhaseRule) bool { return e.Name == r.Name }) ||
			!slices.ContainsFunc(p.LegsOf(r), func(leg Leg) bool {
				return !slices.ContainsFunc(ph.Rules, func(e PhaseRule) bool { return p.Covers(e, r, leg) })
			})
		if !useless {
			ph.Rules = append(ph.Rules, r)
		}
	}
	all := func(name string, legs ...Leg) {
		ph.Rules = append(ph.Rules, PhaseRule{Name: name, Service: "smtp", Legs: legs, Action: actions.Draw(t, "action for all")})
	}
	switch rapid.IntRange(0, 3).Draw(t, "the rest") {
	case 0:
		all("smtp-all")
	case 1:
		all("smtp-all", DownSrc, DownDst, UpDst)
	case 2:
		all("smtp-up", UpDst, UpSrc)
		all("smtp-down", DownSrc)
	case 3:
		all("smtp-down", DownSrc, DownDst)
		all("smtp-all")
	}
	return ph
}

// TestSubmissionNeverDropped is I9, and its fellow for relays: for every policy that compiles, in every phase, 587 and 465 to any server
// and all mail to a relay pass, and so do the answers. The policies are valid ones, and what an operator's slip or ill will makes of them.
func TestSubmissionNeverDropped(t *testing.T) { // I9
	compiled, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		slip(t, p)
		for _, ph := range p.Phases {
			c, err := Compile(&Bundle{p, inv}, nil, "edge", Everywhere(ph.Name), time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				refused++
				continue
			}
			compiled++
			for x := range segments(p) {
				v, ok := verdict(t, c.State, x)
				permitted := ok && v.Action == pipeline.Permit
				asked := ok || x.remote == 25 // else it passes, for no rule is asked
				// The subscriber opens it: what the other end opens is no submission, whatever port it comes from.
				opened := map[pipeline.Role]pipeline.Handshake{pipeline.Access: pipeline.SYNACK, pipeline.Network: pipeline.SYN}[x.from]
				submission := (x.remote == 587 || x.remote == 465) && x.handshake != opened
				if submission && !permitted && (asked || x.from == pipeline.Access) {
					t.Fatalf("phase %q: %+v is %+v, %v", ph.Name, x, v, ok)
				}
				mail := submission || x.remote == 25 || x.own == 25 && x.remote == 80 // 80 is no service's
				relay := x.class > 0 && int(x.class) <= len(p.Remotes) && p.Remotes[x.class-1].Relay
				if mail && relay && asked && !permitted {
					t.Fatalf("phase %q: %+v is %+v, %v, though the class is a relay", ph.Name, x, v, ok)
				}
				if (x.remote == 26 || x.remote == 2525 || x.remote == 80) && x.own != 25 && ok && v.Action != pipeline.Permit && v.Action != pipeline.Monitor {
					t.Fatalf("phase %q: %+v is %+v", ph.Name, x, v)
				}
				if x.remote == 25 && x.group > 0 && !ok {
					t.Fatalf("phase %q: no rule decides about %+v", ph.Name, x)
				}
			}
		}
	})
	if compiled == 0 || refused == 0 {
		t.Errorf("%d phases compiled and %d refused: the slips do not exercise both", compiled, refused)
	}
}

// slip changes a policy in a way that could reach submission or a relay, or not at all.
func slip(t *rapid.T, p *Policy) {
	rules := p.Phases[len(p.Phases)-1].Rules
	rule := &rules[rapid.IntRange(0, len(rules)-1).Draw(t, "slip at rule")]
	service := &p.Services[rapid.IntRange(0, len(p.Services)-1).Draw(t, "slip at service")]
	switch rapid.IntRange(0, 11).Draw(t, "slip") {
	case 0:
		rule.Service, rule.Name = "submission", "slip"
	case 1:
		service.Ports = append(service.Ports, rapid.SampledFrom([]TCPPort{25, 587, 465, 26, 2525}).Draw(t, "port"))
	case 2:
		service.Ports = service.Ports[1:]
	case 3:
		rule.Remote, rule.Action, rule.Name = p.Remotes[0].Name, Drop, "slip"
	case 4:
		rule.Name = rapid.SampledFrom(BuiltInRules()).Draw(t, "name")
	case 5:
		p.Remotes = append(p.Remotes, Remote{Name: "slip", Prefixes: p.Remotes[0].Prefixes})
	case 6:
		rule.Service, rule.Name, rule.Legs = "submission", "slip", []Leg{DownSrc}
		rule.Action = rapid.SampledFrom([]Action{Drop, Reject, Limit}).Draw(t, "action")
	case 7:
		rule.Legs = []Leg{rapid.SampledFrom(Legs()).Draw(t, "leg")}
	case 8:
		rule.Action = Limit
	case 9:
		rule.Action = Reject
	}
}

// drawInForce puts a phase in force for every line, or others for some line groups too.
func drawInForce(t *rapid.T, p *Policy) InForce {
	phase := rapid.SampledFrom(Names(p.Phases))
	in := Everywhere(phase.Draw(t, "phase"))
	if rapid.Bool().Draw(t, "phases side by side") {
		in.Groups = make(map[string]string)
		for _, g := range p.LineGroups {
			if rapid.Bool().Draw(t, "apart") {
				in.Groups[g.Name] = phase.Draw(t, "phase of "+g.Name)
			}
		}
	}
	return in
}

// TestDecidesInOrder: the entries decide what the phase of the line's group says when it is read from top to bottom, and nothing of any
// other phase; and there are no more of them than a switch has room for.
func TestDecidesInOrder(t *testing.T) {
	mixed := 0
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		if err := Validate(p, inv); err != nil {
			t.Fatalf("the generator made an invalid policy: %v", err)
		}
		in := drawInForce(t, p)
		c, err := Compile(&Bundle{p, inv}, nil, "edge", in, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.InForce.Groups) > 0 {
			mixed++
		}
		drain := true
		phaseOf := func(group pipeline.LineGroup) Phase {
			name := in.Default
			if group > 0 {
				if own, apart := in.Groups[p.LineGroups[group-1].Name]; apart {
					name = own
				}
			}
			return p.Phases[slices.IndexFunc(p.Phases, func(ph Phase) bool { return ph.Name == name })]
		}
		for group := range len(p.LineGroups) + 1 { // each has a line
			drain = drain && phaseOf(pipeline.LineGroup(group)).SynOnly
		}
		if c.State.SynOnly != drain {
			t.Fatalf("%v: SynOnly is %v", in, c.State.SynOnly)
		}
		for x := range segments(p) {
			v, _ := verdict(t, c.State, x)
			want := readAloud(p, phaseOf(x.group), x)
			if got := c.Rules[v.Rule].Name; got != want { // of a miss the rule is 0, which has no name
				t.Fatalf("%v: %+v meets rule %q, want %q", in, x, got, want)
			}
			ph := phaseOf(x.group)
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
		if n := len(c.State.Verdicts); len(c.InForce.Groups) == 0 && n != p.VerdictEntries(&ph) || n > MaxVerdicts {
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

// stagedRead compares the staged rule sets with what a switch in their phases would hold.
func stagedRead(t *rapid.T, p *Policy, inv *Inventory, c *Compiled) {
	there := []map[pipeline.VerdictKey]pipeline.Verdict{c.State.Verdicts}
	distance := 0
	here := slices.IndexFunc(p.Phases, func(ph Phase) bool { return ph.Name == c.InForce.Default })
	if len(c.State.Staged) != len(c.Staged) {
		t.Fatalf("the state has %d rule sets for later, and %d are named", len(c.State.Staged), len(c.Staged))
	}
	for i, stage := range c.Staged {
		if !maps.Equal(c.State.Staged[i], stage.Verdicts) {
			t.Fatalf("stage %q is another rule set in the state", stage.Name)
		}
		in := InForce{Default: stage.Name, Groups: c.InForce.Groups}
		as, err := Compile(&Bundle{p, inv}, nil, "edge", in, time.Time{})
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
		i := slices.IndexFunc(p.Phases, func(ph Phase) bool { return ph.Name == stage.Name })
		far := 2 * max(i-here, here-i)
		if i < here {
			far++ // of two as far away the later comes first
		}
		if far <= distance {
			t.Fatalf("stage %q is nearer to %q than the one before it", stage.Name, c.InForce.Default)
		}
		distance = far
	}
}

// knobsRead compares what the tables say of frames without ports with the line groups' knobs. Of frames that the tables say nothing of,
// the pipeline drops the undetermined ones and lets later fragments pass.
func knobsRead(t *rapid.T, p *Policy, c *Compiled) {
	for group := range len(p.LineGroups) + 1 {
		undetermined, later := Knob("drop"), Knob("permit")
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
			want      Knob
			byDefault pipeline.VerdictAction
			rule      pipeline.RuleID
		}{{255, undetermined, pipeline.Drop, 253}, {254, later, pipeline.Permit, 251}} {
			v, ok := lookup(t, c.State, segment{group: pipeline.LineGroup(group)}, pipeline.UpDst, x.service)
			action := x.byDefault
			if ok {
				action = v.Action
			}
			want := map[Knob]pipeline.VerdictAction{"permit": pipeline.Permit, "monitor": pipeline.Monitor, "drop": pipeline.Drop}[x.want]
			if action != want || ok && v.Rule != x.rule {
				t.Fatalf("group %d, service %d: %+v, want %s under rule %d", group, x.service, v, x.want, x.rule)
			}
			if ok && action == x.byDefault {
				t.Fatalf("group %d, service %d: an entry for the default", group, x.service)
			}
		}
	}
}

// TestPhasesDifferInVerdicts: between two phases a switch changes its verdicts, what is staged beside them, and nothing else but SynOnly.
func TestPhasesDifferInVerdicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		var first *pipeline.State
		for _, ph := range p.Phases {
			c, err := Compile(&Bundle{p, inv}, nil, "edge", Everywhere(ph.Name), time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if c.State.Verdicts, c.State.SynOnly, c.State.Staged = nil, false, nil; first == nil {
				first = &c.State
			}
			if diff := cmp.Diff(*first, c.State, compareAddresses); diff != "" {
				t.Fatalf("phase %q, -first +this:\n%s", ph.Name, diff)
			}
		}
	})
}

// TestAppendingKeepsNumbers: a phase, a group, a service and a class more at the ends of their lists change nothing that is there.
func TestAppendingKeepsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		now := time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
		longer := *p
		longer.Phases = append(slices.Clone(p.Phases), drawPhase(t, p, len(p.Phases)))
		longer.LineGroups = append(slices.Clone(p.LineGroups), LineGroup{Name: "more", Limit: p.LineGroups[0].Limit})
		longer.Services = append(slices.Clone(p.Services), Service{Name: "more", Ports: []TCPPort{143}})
		longer.Remotes = append(slices.Clone(p.Remotes), Remote{Name: "more", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		for _, ph := range p.Phases {
			before, err := Compile(&Bundle{p, inv}, nil, "edge", Everywhere(ph.Name), now)
			if err != nil {
				t.Fatal(err)
			}
			after, err := Compile(&Bundle{&longer, inv}, nil, "edge", Everywhere(ph.Name), now)
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
