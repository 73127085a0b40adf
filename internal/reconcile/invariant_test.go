package reconcile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// drawPolicyState returns a random state. Two such states may differ in everything that a policy can change: line groups, service numbers,
// classes of nested prefixes, exemptions, source checks and rules. The numbers are random too, so a number may have another meaning in the
// next state. States that no policy can produce are excluded. A line never changes its index, a prefix belongs to one line, and a class for a
// single line is always an exemption.
func drawPolicyState(t *rapid.T) *pipeline.State {
	smtp := pipeline.Service(rapid.IntRange(1, 3).Draw(t, "smtp"))
	s := &pipeline.State{
		Lines: map[pipeline.LineKey]pipeline.Line{}, Services: map[pipeline.ServiceKey]pipeline.ServiceValue{},
		Remotes: map[netip.Prefix]pipeline.Class{}, Subscribers: map[netip.Prefix]pipeline.Subscriber{},
		SourceChecks: map[pipeline.LineGroup]pipeline.SourceCheck{}, Sources: map[pipeline.SourceKey]struct{}{},
		Verdicts: drawRules(t, smtp),
	}
	for range rapid.IntRange(0, 2).Draw(t, "staged") {
		s.Staged = append(s.Staged, drawRules(t, smtp))
	}
	for i, key := range lineKeys {
		index := pipeline.LineIndex(i + 1)
		if i == 0 || rapid.IntRange(0, 3).Draw(t, "line") > 0 { // the line for which classes may be restricted is always present
			s.Lines[key] = pipeline.Line{Group: drawGroup(t), Index: index}
			for _, p := range nested[:6] {
				if rapid.IntRange(0, 2).Draw(t, "own") == 0 {
					s.Sources[pipeline.SourceKey{Line: index, Prefix: p}] = struct{}{}
				}
			}
		}
	}
	for group := pipeline.LineGroup(1); group <= 2; group++ { // group 0, for unnamed lines, has no source check
		if check := rapid.IntRange(0, 3).Draw(t, "check"); check >= 2 {
			s.SourceChecks[group] = pipeline.SourceCheck(check)
		}
	}
	for _, port := range []uint16{25, 587, 995} {
		service := smtp
		if port != 25 {
			if rapid.Bool().Draw(t, "no service") {
				continue
			}
			service = 1 + (smtp+pipeline.Service(rapid.IntRange(0, 1).Draw(t, "service")))%3
		}
		s.Services[pipeline.ServiceKey{DstPort: pipeline.PortMatch{Port: port, Exact: true}}] = pipeline.ServiceValue{Leg: pipeline.UpDst, Service: service, Priority: 1}
	}
	for _, p := range nested {
		if rapid.IntRange(0, 2).Draw(t, "remote") == 0 {
			s.Remotes[p] = pipeline.Class(rapid.IntRange(1, 3).Draw(t, "class"))
		}
		if rapid.IntRange(0, 2).Draw(t, "subscriber") == 0 {
			s.Subscribers[p] = drawSubscriber(t, p)
		}
	}
	return s
}

func drawSubscriber(t *rapid.T, p netip.Prefix) pipeline.Subscriber {
	switch {
	case p.Addr().Is6():
		return pipeline.Subscriber{Class: pipeline.Class(rapid.IntRange(1, 2).Draw(t, "class"))}
	case rapid.Bool().Draw(t, "any line"):
		return pipeline.Subscriber{Class: 1}
	}
	return pipeline.Subscriber{Class: 1, Line: 1}
}

func drawGroup(t *rapid.T) pipeline.LineGroup {
	return pipeline.LineGroup(rapid.IntRange(0, 2).Draw(t, "group"))
}

// drawRules returns a few random rules. As in real policies, rules that permit a class precede all others.
func drawRules(t *rapid.T, smtp pipeline.Service) map[pipeline.VerdictKey]pipeline.Verdict {
	rules := map[pipeline.VerdictKey]pipeline.Verdict{
		{Service: pipeline.Exactly(smtp), SubscriberClass: pipeline.Exactly[pipeline.Class](1), Priority: 99}: {Action: pipeline.Permit, Rule: 3},
	}
	if rapid.Bool().Draw(t, "relay") {
		rules[pipeline.VerdictKey{Service: pipeline.Exactly(smtp), RemoteClass: pipeline.Exactly[pipeline.Class](1), Priority: 100}] = pipeline.Verdict{Action: pipeline.Permit, Rule: 2}
	}
	if group := rapid.IntRange(0, 4).Draw(t, "permitted group"); group == 1 || group == 2 {
		rules[pipeline.VerdictKey{Group: pipeline.Exactly(pipeline.LineGroup(group)), Service: pipeline.Exactly(smtp), Priority: 98}] = pipeline.Verdict{Action: pipeline.Monitor, Rule: 4}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
		rules[pipeline.VerdictKey{
			Group:           drawMatch[pipeline.LineGroup](t, "group", 0, 1, 2),
			Service:         drawMatch[pipeline.Service](t, "service", 1, 2, 3),
			RemoteClass:     drawMatch[pipeline.Class](t, "remote", 0, 1, 2, 3),
			SubscriberClass: drawMatch[pipeline.Class](t, "subscriber", 2),
			Priority:        int32(i + 1),
		}] = pipeline.Verdict{
			Action: rapid.SampledFrom([]pipeline.VerdictAction{pipeline.Permit, pipeline.Monitor, pipeline.Drop, pipeline.Drop, pipeline.Reject}).Draw(t, "action"),
			Rule:   pipeline.FirstRule + 2 + pipeline.RuleID(i),
		}
	}
	return rules
}

var lineKeys = []pipeline.LineKey{{Port: 1}, {Port: 2}, {Port: 3, Session: 7}}

var nested = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.1.0/24"),
	netip.MustParsePrefix("10.1.1.1/32"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2001:db8::1/128"),
}

// every lists all packets that the entries of such states can distinguish.
var every = func() []packet {
	var all []packet
	addrs := []string{"10.1.1.1", "10.1.1.2", "10.1.2.1", "10.2.0.1", "10.3.0.1", "192.0.2.1"}
	for _, line := range append(slices.Clone(lineKeys), pipeline.LineKey{Port: 3}) {
		for _, port := range []uint16{25, 587, 995} {
			for _, s := range addrs {
				for _, r := range addrs {
					all = append(all, packet{line, port, netip.MustParseAddr(s), netip.MustParseAddr(r)})
				}
			}
			all = append(all, packet{line, port, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")})
		}
	}
	return all
}()

// TestNeverWrongDrop (I1) and TestNeverWrongPass (I2) check the switch after every single update of a change, with the updates of each step in
// random order. A packet that both the old and the new state pass must pass, and a packet that both stop must be stopped. This must also hold
// if the controller crashes during a change and then makes another change.
func TestNeverWrongDrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkChange(t, true) })
}

func TestNeverWrongPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkChange(t, false) })
}

func checkChange(t *rapid.T, verdict bool) {
	sw := fresh()
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
	agreed := agree(sw, every, verdict) // the packets on which all states agree since the last state that was reached
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		want := drawPolicyState(t)
		plan, err := Make(sw.entries(), want, nil, Options{})
		if err != nil {
			t.Fatal(err)
		}
		target := reached(t, want)
		agreed = agree(target, agreed, verdict)
		crash := -1
		if rapid.Bool().Draw(t, "crash") {
			crash = rapid.IntRange(0, plan.Updates()).Draw(t, "after")
		}
		done := 0
		before := maps.Clone(sw)
	steps:
		for _, s := range plan.Steps {
			random.Shuffle(len(s.Updates), func(i, j int) { s.Updates[i], s.Updates[j] = s.Updates[j], s.Updates[i] })
			for _, u := range s.Updates {
				if done == crash {
					break steps
				}
				done++
				if err := sw.update(u); err != nil {
					t.Fatalf("step %q: %v", s.Why, err)
				}
				now := judge(sw)
				for _, p := range agreed {
					if now.passes(p) != verdict {
						t.Log(story(before, target, plan))
						t.Fatalf("after %v %v in %q: %+v passes=%v, old and new state say %v", u.Kind, u.Entry, s.Why, p, !verdict, verdict)
					}
				}
			}
		}
		if done != crash || crash == plan.Updates() {
			if got := agree(sw, every, true); !slices.Equal(got, agree(target, every, true)) {
				t.Fatal("the switch judges other packets well than the state that it was brought to")
			}
			agreed = agree(sw, every, verdict)
		}
	}
}

// agree returns the packets that the entries pass if verdict is true, or stop if verdict is false.
func agree(entries map[pipeline.Key]pipeline.Entry, packets []packet, verdict bool) []packet {
	j := judge(entries)
	var same []packet
	for _, p := range packets {
		if j.passes(p) == verdict {
			same = append(same, p)
		}
	}
	return same
}

// reached returns a switch that has exactly the entries of a state.
func reached(t *rapid.T, s *pipeline.State) memory {
	m := fresh()
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := pipeline.RuleEntries(s.Verdicts, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Concat(entries, rules, []pipeline.Entry{pipeline.EpochEntry(1, s.SynOnly)}) {
		m[e.Key] = e
	}
	return m
}

// TestCrashAnywhere verifies that after a change that was interrupted at any point, the next plan reaches its state, and the plan after that
// is empty (I5).
func TestCrashAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sw := fresh()
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			plan, err := Make(sw.entries(), drawPolicyState(t), nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			left := rapid.IntRange(0, plan.Updates()).Draw(t, "updates")
			for _, s := range plan.Steps {
				for _, u := range s.Updates[:min(left, len(s.Updates))] {
					if err := sw.update(u); err != nil {
						t.Fatal(err)
					}
				}
				left -= min(left, len(s.Updates))
			}
		}
		want := drawPolicyState(t)
		for round := range 2 {
			plan, err := Make(sw.entries(), want, nil, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if round == 1 && len(plan.Steps) != 0 {
				t.Fatalf("a second plan has %d steps, first: %s %v", len(plan.Steps), plan.Steps[0].Why, plan.Steps[0].Updates[0])
			}
			before := maps.Clone(sw)
			for _, s := range plan.Steps {
				for _, u := range s.Updates {
					if err := sw.update(u); err != nil {
						t.Fatal(err)
					}
				}
			}
			logical(t, plan, before, sw)
		}
	})
}

// logical checks that the differences that a plan lists are those that its updates made.
func logical(t *rapid.T, plan *Plan, before, after memory) {
	for _, e := range plan.Added {
		if _, was := before[e.Key]; was || after[e.Key].Value != e.Value {
			t.Fatalf("the plan adds %s, which was there, or is not now", e)
		}
	}
	for _, c := range plan.Changed {
		if before[c.New.Key].Value != c.Old.Value || after[c.New.Key].Value != c.New.Value {
			t.Fatalf("the plan changes %s to %s; it was %s and is %s", c.Old, c.New, before[c.New.Key], after[c.New.Key])
		}
	}
	for _, e := range plan.Removed {
		if _, is := after[e.Key]; is {
			t.Fatalf("the plan removes %s, which is there", e)
		}
	}
	if got, want := len(after)-len(before), len(plan.Added)-len(plan.Removed); got != want {
		t.Fatalf("the switch has %d entries more, the plan says %d", got, want)
	}
}

// story renders a change for a failure message.
func story(before, target memory, plan *Plan) string {
	text := "the switch had\n"
	for _, m := range []memory{before, target} {
		var lines []string
		for _, e := range m {
			lines = append(lines, "  "+e.String())
		}
		slices.Sort(lines)
		text += strings.Join(lines, "\n") + "\nand is to have\n"
	}
	text += "by\n"
	for _, s := range plan.Steps {
		text += s.Why + "\n"
		for _, u := range s.Updates {
			text += fmt.Sprintf("  %v %v\n", u.Kind, u.Entry)
		}
	}
	return text
}
