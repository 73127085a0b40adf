package policy

import (
	"fmt"
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
	for i := range rapid.IntRange(1, 5).Draw(t, "groups") {
		name := fmt.Sprintf("group-%d", i+1)
		p.LineGroups = append(p.LineGroups, LineGroup{Name: name})
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

// drawPhase makes a valid phase: narrow rules that the ones before leave something to, and one for all the rest.
func drawPhase(t *rapid.T, p *Policy, i int) Phase {
	ph := Phase{Name: fmt.Sprintf("phase-%d", i+1), Effective: Date{2006, time.Month(i + 1), 1}}
	actions := rapid.SampledFrom([]Action{Permit, Monitor, Drop})
	for range rapid.IntRange(0, 5).Draw(t, "narrow rules") {
		class := rapid.SampledFrom(p.Remotes).Draw(t, "remote")
		r := PhaseRule{Service: rapid.SampledFrom([]string{"smtp", p.Services[0].Name}).Draw(t, "service"), Remote: class.Name, Action: actions.Draw(t, "action")}
		if rapid.Bool().Draw(t, "of groups") {
			groups := rapid.Permutation(names(p.LineGroups, LineGroup.name)).Draw(t, "order")
			r.Groups = groups[:rapid.IntRange(1, len(groups)).Draw(t, "groups of the rule")]
		}
		r.Name = fmt.Sprintf("%s-to-%s-%d", r.Service, r.Remote, len(r.Groups))
		useless := class.Relay && r.Service != "pop3" || slices.ContainsFunc(ph.Rules, func(e PhaseRule) bool { return e.covers(r) || e.Name == r.Name })
		if !useless {
			ph.Rules = append(ph.Rules, r)
		}
	}
	ph.Rules = append(ph.Rules, PhaseRule{Name: "smtp-all", Service: "smtp", Action: actions.Draw(t, "action for all")})
	return ph
}

// A segment is what a subscriber sends to a server, as the verdict table meets it.
type segment struct {
	group             pipeline.LineGroup
	port              uint16
	class, subscriber pipeline.Class
}

// segments are all combinations that a policy can tell apart, and for each kind of number one that it does not have.
func segments(p *Policy) []segment {
	var all []segment
	for _, port := range []uint16{25, 587, 465, 110, 995, 26, 2525, 80} {
		for group := range len(p.LineGroups) + 1 {
			for class := range len(p.Remotes) + 2 {
				for _, subscriber := range []pipeline.Class{SubscriberOrdinary, SubscriberExempt, 2} {
					all = append(all, segment{pipeline.LineGroup(group), port, pipeline.Class(class), subscriber})
				}
			}
		}
	}
	return all
}

// verdict is what the tables say, as P4Runtime defines it: the matching entry with the largest priority. ok is false on a miss. Two
// matching entries with one priority would leave the answer to the target, and fail the test.
func verdict(t *rapid.T, s pipeline.State, x segment) (v pipeline.Verdict, ok bool) {
	service, known := s.Services[pipeline.ServiceKey{Role: pipeline.Access, DstPort: pipeline.PortMatch{Port: x.port, Exact: true}}]
	if !known {
		return v, false
	}
	best := int32(0)
	for key, entry := range s.Verdicts {
		match := matches(key.Group, x.group) && matches(key.Leg, service.Leg) && matches(key.Service, service.Service) &&
			matches(key.RemoteClass, x.class) && matches(key.SubscriberClass, x.subscriber)
		if match && key.Priority == best {
			t.Fatalf("%+v matches two entries with priority %d", x, best)
		}
		if match && key.Priority > best {
			v, ok, best = entry, true, key.Priority
		}
	}
	return v, ok
}

func matches[T ~uint8](m pipeline.Match[T], v T) bool { return !m.Set || m.Value == v }

// TestSubmissionNeverDropped is I9, and its fellow for relays: for every policy that compiles, in every phase, 587 and 465 to any server
// and all mail to a relay pass. The policies are valid ones, and what an operator's slip or ill will makes of them.
func TestSubmissionNeverDropped(t *testing.T) { // I9
	compiled, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		slip(t, p)
		for _, ph := range p.Phases {
			c, err := Compile(p, inv, "edge", ph.Name, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				refused++
				continue
			}
			compiled++
			for _, x := range segments(p) {
				v, ok := verdict(t, c.State, x)
				submission := x.port == 587 || x.port == 465
				if submission && (!ok || v.Action != pipeline.Permit) {
					t.Fatalf("phase %q: %+v is %+v, %v", ph.Name, x, v, ok)
				}
				mail := submission || x.port == 25
				relay := x.class > 0 && int(x.class) <= len(p.Remotes) && p.Remotes[x.class-1].Relay
				if mail && relay && (!ok || v.Action != pipeline.Permit) {
					t.Fatalf("phase %q: %+v is %+v, %v, though the class is a relay", ph.Name, x, v, ok)
				}
				if (x.port == 26 || x.port == 2525 || x.port == 80) && ok && v.Action == pipeline.Drop {
					t.Fatalf("phase %q: %+v is dropped", ph.Name, x)
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
	switch rapid.IntRange(0, 7).Draw(t, "slip") {
	case 0:
		rule.Service, rule.Name = "submission", "slip"
	case 1:
		service.Ports = append(service.Ports, rapid.SampledFrom([]TCPPort{25, 587, 465, 26, 2525}).Draw(t, "port"))
	case 2:
		service.Ports = service.Ports[1:]
	case 3:
		rule.Remote, rule.Action, rule.Name = p.Remotes[0].Name, Drop, "slip"
	case 4:
		rule.Name = rapid.SampledFrom(standing()).Draw(t, "name")
	case 5:
		p.Remotes = append(p.Remotes, Remote{Name: "slip", Prefixes: p.Remotes[0].Prefixes})
	}
}

// TestDecidesInOrder: the entries decide what the phase says when it is read from top to bottom.
func TestDecidesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		if err := Validate(p, inv); err != nil {
			t.Fatalf("the generator made an invalid policy: %v", err)
		}
		for _, ph := range p.Phases {
			c, err := Compile(p, inv, "edge", ph.Name, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range segments(p) {
				v, _ := verdict(t, c.State, x)
				got := ""
				if r, ok := c.Rules[v.Rule]; ok {
					got = r.Name
					if want, _ := r.Action.verdict(); v.Action != want {
						t.Fatalf("%+v: rule %q is %q, its entry says %d", x, r.Name, r.Action, v.Action)
					}
				}
				if want := readAloud(p, ph, x); got != want {
					t.Fatalf("phase %q: %+v meets rule %q, want %q", ph.Name, x, got, want)
				}
			}
		}
	})
}

// readAloud is the name of the rule that decides, by reading the documents and nothing else: empty where none does.
func readAloud(p *Policy, ph Phase, x segment) string {
	service, class, relay, group := "", AnyRemote, false, ""
	for _, s := range p.Services {
		if slices.Contains(s.Ports, TCPPort(x.port)) {
			service = s.Name
		}
	}
	if i := int(x.class) - 1; i >= 0 && i < len(p.Remotes) {
		class, relay = p.Remotes[i].Name, p.Remotes[i].Relay
	}
	if x.group > 0 {
		group = p.LineGroups[x.group-1].Name
	}
	switch {
	case relay && (x.port == 25 || x.port == 587 || x.port == 465):
		return "relay"
	case x.port == 587 || x.port == 465:
		return "submission"
	case x.port == 25 && x.subscriber == SubscriberExempt:
		return "exempt"
	}
	for _, r := range ph.Rules {
		if r.Service == service && (r.Remote == "" || r.Remote == AnyRemote || r.Remote == class) && (r.Groups == nil || slices.Contains(r.Groups, group)) {
			return r.Name
		}
	}
	return ""
}

// TestAppendingKeepsNumbers: a phase, a group, a service and a class more at the ends of their lists change nothing that is there.
func TestAppendingKeepsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, inv := drawBundle(t)
		now := time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC)
		longer := *p
		longer.Phases = append(slices.Clone(p.Phases), drawPhase(t, p, len(p.Phases)))
		longer.LineGroups = append(slices.Clone(p.LineGroups), LineGroup{Name: "more"})
		longer.Services = append(slices.Clone(p.Services), Service{Name: "more", Ports: []TCPPort{143}})
		longer.Remotes = append(slices.Clone(p.Remotes), Remote{Name: "more", Prefixes: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		was, is := p.RuleIDs(), longer.RuleIDs()
		for name, id := range was {
			if is[name] != id {
				t.Fatalf("rule %q had id %d, has %d", name, id, is[name])
			}
		}
		for _, ph := range p.Phases {
			before, err := Compile(p, inv, "edge", ph.Name, now)
			if err != nil {
				t.Fatal(err)
			}
			after, err := Compile(&longer, inv, "edge", ph.Name, now)
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

// TestTooManyRules: the last id is given out, and one name more is refused.
func TestTooManyRules(t *testing.T) {
	b := example(t)
	for n, valid := range map[int]bool{251: true, 252: false} {
		p := *b.Policy
		p.src = source{}
		p.Phases = nil
		for i := range n {
			p.Phases = append(p.Phases, Phase{Name: fmt.Sprint(i), Effective: Date{2006 + i, 1, 1}, Rules: []PhaseRule{{Name: fmt.Sprintf("r%d", i), Service: "smtp", Action: Drop}}})
		}
		c, err := Compile(&p, b.Inventory, "edge-1", fmt.Sprint(n-1), time.Time{})
		if valid {
			if err != nil || c.Rules[pipeline.LastRule].Name != "r250" {
				t.Errorf("%d names: %v", n, err)
			}
			continue
		}
		const want = `compile switch "edge-1": phases[251].rules[0]: rule "r251" is one too many; ` +
			`the phases of a policy can have 251 rule names between them: use names again, or split the policy`
		if err == nil || err.Error() != want {
			t.Errorf("%d names:\ngot  %v\nwant %s", n, err, want)
		}
	}
}
