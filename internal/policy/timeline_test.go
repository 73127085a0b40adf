package policy

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// twoEdges is the worked example with a second switch that has no lines.
func twoEdges(t testing.TB) *Bundle {
	t.Helper()
	b := example(t)
	second := b.Inventory.Switches[0]
	second.Name, second.DeviceID, second.Lines, second.RejectFrom = "edge-2", 2, nil, nil
	b.Inventory.Switches = append(b.Inventory.Switches, second)
	if err := Validate(b.Policy, b.Inventory); err != nil {
		t.Fatal(err)
	}
	return b
}

// The example's dates: before 2006-05-18, mobile-carriers 2006-06-01, all-destinations 2006-10-01, each at midnight in Japan.

func TestInForceAt(t *testing.T) {
	p := twoEdges(t).Policy
	acts := []Activation{
		{Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: moment(t, "2006-08-01T00:00:00+09:00")},
		{Phase: "before", Groups: []string{"adsl", "isdn"}, At: moment(t, "2006-06-01T00:00:00+09:00")}, // as phase mobile-carriers begins
		{Phase: "before", At: moment(t, "2006-11-01T00:00:00+09:00")},
		{Phase: "all-destinations", Switches: []string{"edge-2"}, At: moment(t, "2006-11-01T00:00:00+09:00")}, // the later of two
		{Phase: "mobile-carriers", Groups: []string{"mobile"}, At: moment(t, "2006-05-01T00:00:00+09:00")},    // before anything else
	}
	for _, x := range []struct{ at, sw, want string }{
		{"2006-05-17T00:00:00+09:00", "edge-1", ""}, // nothing is said of the other lines yet
		{"2006-05-18T00:00:00+09:00", "edge-1", "before"},
		{"2006-06-01T00:00:00+09:00", "edge-1", "mobile-carriers; before: adsl, isdn"},
		{"2006-06-01T00:00:00+09:00", "edge-2", "mobile-carriers; before: adsl, isdn"},
		{"2006-07-31T23:59:59+09:00", "edge-1", "mobile-carriers; before: adsl, isdn"},
		{"2006-08-01T00:00:00+09:00", "edge-1", "mobile-carriers; all-destinations: mobile; before: adsl, isdn"},
		{"2006-08-01T00:00:00+09:00", "edge-2", "mobile-carriers; before: adsl, isdn"},
		{"2006-10-01T00:00:00+09:00", "edge-1", "all-destinations"},
		{"2006-11-01T00:00:00+09:00", "edge-1", "before"},
		{"2006-11-01T00:00:00+09:00", "edge-2", "all-destinations"},
	} {
		in, ok := p.InForceAt(acts, x.sw, moment(t, x.at))
		if ok != (x.want != "") || in.String() != x.want {
			t.Errorf("%s at %s: %q, %v, want %q", x.sw, x.at, in, ok, x.want)
		}
	}
}

// drawActivations makes activations of an example's phases, some at the very moments of its dates.
func drawActivations(t *rapid.T, b *Bundle) []Activation {
	some := func(list []string, label string) []string {
		list = rapid.Permutation(list).Draw(t, label)
		return list[:rapid.IntRange(0, len(list)).Draw(t, "number of "+label)]
	}
	acts := make([]Activation, rapid.IntRange(0, 6).Draw(t, "activations"))
	for i := range acts {
		acts[i] = Activation{
			Phase:  rapid.SampledFrom(names(b.Policy.Phases, Phase.name)).Draw(t, "phase"),
			Groups: some(names(b.Policy.LineGroups, LineGroup.name), "groups"), Switches: some(names(b.Inventory.Switches, Switch.name), "switches"),
			At: drawMoment(t, b.Policy),
		}
	}
	return acts
}

func drawMoment(t *rapid.T, p *Policy) time.Time {
	at := p.Begins(&p.Phases[rapid.IntRange(0, len(p.Phases)-1).Draw(t, "near phase")])
	return at.AddDate(0, 0, rapid.IntRange(-2, 2).Draw(t, "days after"))
}

// history is what the timeline says of one group of one switch, by its definition: all phases that were in force, each as long as nothing
// else was, in order.
func history(b *Bundle, acts []Activation, sw, group string, now time.Time) []string {
	type entry struct {
		at    time.Time
		order int
		phase string
	}
	var all []entry
	for i := range b.Policy.Phases {
		all = append(all, entry{b.Policy.Begins(&b.Policy.Phases[i]), -1, b.Policy.Phases[i].Name})
	}
	for i, a := range acts {
		in := len(a.Switches) == 0 || slices.Contains(a.Switches, sw)
		if in && (len(a.Groups) == 0 || group != "" && slices.Contains(a.Groups, group)) {
			all = append(all, entry{a.At, i, a.Phase})
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.order - b.order
	})
	var phases []string
	for _, e := range all {
		if !e.at.After(now) {
			phases = append(phases, e.phase)
		}
	}
	return slices.Compact(phases)
}

// TestTimeline: for every line group of every switch the latest event that covers it decides, and a rollback goes back to the phase before
// the last change, if all that it is for agree about it.
func TestTimeline(t *testing.T) {
	b := twoEdges(t)
	agreed, disagreed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		acts := drawActivations(t, b)
		now := drawMoment(t, b.Policy)
		var scope Scope
		if rapid.Bool().Draw(t, "some groups") {
			scope.Groups = []string{rapid.SampledFrom(names(b.Policy.LineGroups, LineGroup.name)).Draw(t, "group")}
		}
		if rapid.Bool().Draw(t, "some switches") {
			scope.Switches = []string{rapid.SampledFrom(names(b.Inventory.Switches, Switch.name)).Draw(t, "switch")}
		}
		back := map[string]bool{}
		for _, sw := range names(b.Inventory.Switches, Switch.name) {
			in, ok := b.Policy.InForceAt(acts, sw, now)
			for _, group := range append([]string{""}, names(b.Policy.LineGroups, LineGroup.name)...) {
				phases := history(b, acts, sw, group, now)
				switch {
				case group == "" && ok != (len(phases) > 0):
					t.Fatalf("%s: in force is %v, the history %v", sw, ok, phases)
				case ok && in.Phase(group) != phases[len(phases)-1]:
					t.Fatalf("%s, %q: %q is in force, the history is %v", sw, group, in.Phase(group), phases)
				}
				if (scope.Switches == nil || scope.Switches[0] == sw) && (scope.Groups == nil || scope.Groups[0] == group) {
					to := ""
					if len(phases) > 1 {
						to = phases[len(phases)-2]
					}
					back[to] = true
				}
			}
		}
		to, err := b.Previous(acts, scope, now)
		if len(back) == 1 && !back[""] {
			agreed++
			if err != nil || !back[to] {
				t.Fatalf("back to %q, %v, want %v", to, err, back)
			}
		} else if disagreed++; !errors.Is(err, ErrNoPrevious) {
			t.Fatalf("back to %q, %v, want none of %v", to, err, back)
		}

		next, ok := b.Policy.NextEvent(acts, now)
		moments := []time.Time{b.Policy.Ends(&b.Policy.Exemptions[0])} // the exemption's end
		for i := range b.Policy.Phases {
			moments = append(moments, b.Policy.Begins(&b.Policy.Phases[i]))
		}
		for _, a := range acts {
			moments = append(moments, a.At)
		}
		slices.SortFunc(moments, time.Time.Compare)
		i := slices.IndexFunc(moments, func(m time.Time) bool { return m.After(now) })
		if ok != (i >= 0) || ok && !next.Equal(moments[i]) {
			t.Fatalf("the next event is at %v, %v; want %d of %v", next, ok, i, moments)
		}
	})
	if agreed == 0 || disagreed == 0 {
		t.Errorf("%d scopes went back and %d could not: the test shows one side only", agreed, disagreed)
	}
}

func TestTurns(t *testing.T) {
	p := twoEdges(t).Policy
	acts := []Activation{
		{Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: moment(t, "2006-07-31T15:00:00Z")},
		{Phase: "before", Groups: []string{"adsl"}, At: moment(t, "2006-06-01T00:00:00+09:00")},          // as phase mobile-carriers begins
		{Phase: "mobile-carriers", Groups: []string{"isdn"}, At: moment(t, "2006-07-01T00:00:00+09:00")}, // which it has already
		{Phase: "before", Groups: []string{"mobile"}, At: moment(t, "2006-05-01T00:00:00+09:00")},        // before anything else
	}
	for sw, want := range map[string]string{
		"edge-1": "2006-05-18T00:00:00+09:00 before|2006-06-01T00:00:00+09:00 mobile-carriers; before: adsl|" +
			"2006-08-01T00:00:00+09:00 mobile-carriers; all-destinations: mobile; before: adsl|2006-10-01T00:00:00+09:00 all-destinations|",
		"edge-2": "2006-05-18T00:00:00+09:00 before|2006-06-01T00:00:00+09:00 mobile-carriers; before: adsl|2006-10-01T00:00:00+09:00 all-destinations|",
	} {
		got := ""
		for _, turn := range p.Turns(acts, sw) {
			got += fmt.Sprintf("%s %v|", turn.At.Format(time.RFC3339), turn.In)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sw, got, want)
		}
	}
}

// TestTurnsAreWhatIsInForce: between two turns InForceAt says what the first of them does, and each turn is one.
func TestTurnsAreWhatIsInForce(t *testing.T) {
	b := twoEdges(t)
	rapid.Check(t, func(t *rapid.T) {
		acts := drawActivations(t, b)
		sw := rapid.SampledFrom(names(b.Inventory.Switches, Switch.name)).Draw(t, "switch")
		now := drawMoment(t, b.Policy)
		last := ""
		for i, turn := range b.Policy.Turns(acts, sw) {
			if is, ok := b.Policy.InForceAt(acts, sw, turn.At); !ok || is.String() != turn.In.String() {
				t.Fatalf("turn %d at %v is to %v; in force is %v, %v", i, turn.At, turn.In, is, ok)
			}
			if was, ok := b.Policy.InForceAt(acts, sw, turn.At.Add(-1)); ok != (i > 0) || was.String() == turn.In.String() {
				t.Fatalf("turn %d at %v is to %v; in force before is %v, %v", i, turn.At, turn.In, was, ok)
			}
			if !turn.At.After(now) {
				last = turn.In.String()
			}
		}
		if is, _ := b.Policy.InForceAt(acts, sw, now); is.String() != last {
			t.Fatalf("at %v %v is in force, by the turns %q", now, is, last)
		}
	})
}

func TestNoNextEvent(t *testing.T) {
	p := example(t).Policy
	if next, ok := p.NextEvent(nil, moment(t, "2007-04-01T00:00:00+09:00")); ok {
		t.Errorf("the next event is at %v, want none", next)
	}
}

func TestPreviousSays(t *testing.T) {
	b := twoEdges(t)
	acts := []Activation{{Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: moment(t, "2006-08-01T00:00:00+09:00")}}
	for _, x := range []struct {
		scope          Scope
		at, want, says string
	}{
		{Scope{Groups: []string{"mobile"}, Switches: []string{"edge-1"}}, "2006-09-01T00:00:00+09:00", "mobile-carriers", ""},
		{Scope{Groups: []string{"mobile"}, Switches: []string{"edge-2"}}, "2006-09-01T00:00:00+09:00", "before", ""},
		// For these lines the date brought what they had: the change before it is undone.
		{Scope{Groups: []string{"mobile"}, Switches: []string{"edge-1"}}, "2006-11-01T00:00:00+09:00", "mobile-carriers", ""},
		{
			Scope{},
			"2006-09-01T00:00:00+09:00", "",
			`no phase to go back to: lines of no group, adsl, bflets, hikari-premium, isdn and 1 more on edge-1, edge-2 to phase "before", lines of mobile on edge-1 to phase "mobile-carriers"; ` +
				`name line groups or switches that go back to one`,
		},
		{Scope{}, "2006-05-20T00:00:00+09:00", "", `no phase to go back to: no other phase was in force there before`},
		{
			Scope{Groups: []string{"mobil", "adsl", "adsl"}, Switches: []string{"edge"}},
			"2006-09-01T00:00:00+09:00", "",
			`groups[0]: unknown line group "mobil"; did you mean "mobile"? line groups: adsl, isdn, bflets, hikari-premium, mobile` + "\n" +
				`groups[2]: line group "adsl" is there twice; keep one` + "\n" +
				`switches[0]: unknown switch "edge"; switches: edge-1, edge-2`,
		},
	} {
		got, err := b.Previous(acts, x.scope, moment(t, x.at))
		says := ""
		if err != nil {
			says = err.Error()
		}
		if got != x.want || says != x.says {
			t.Errorf("%v at %s:\ngot  %q, %s\nwant %q, %s", x.scope, x.at, got, says, x.want, x.says)
		}
	}
	acts[0].Groups = nil
	acts[0].At = moment(t, "2006-05-19T00:00:00+09:00")
	_, err := b.Previous(acts, Scope{}, moment(t, "2006-05-20T00:00:00+09:00"))
	if want := fmt.Sprintf(`no phase to go back to: %[1]s edge-2 to none, %[1]s edge-1 to phase "before"; name line groups or switches that go back to one`,
		"lines of no group, adsl, bflets, hikari-premium, isdn and 1 more on"); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCheckActivation(t *testing.T) {
	b := twoEdges(t)
	good := Activation{Phase: "before", Groups: []string{"mobile"}, Switches: []string{"edge-2"}, At: moment(t, "2006-08-01T00:00:00+09:00")}
	if err := b.CheckActivation(good); err != nil {
		t.Error(err)
	}
	err := b.CheckActivation(Activation{Phase: "befor", Groups: []string{"moble"}, Switches: []string{"edge2"}})
	want := `groups[0]: unknown line group "moble"; did you mean "mobile"? line groups: adsl, isdn, bflets, hikari-premium, mobile` + "\n" +
		`switches[0]: unknown switch "edge2"; did you mean "edge-2"? switches: edge-1, edge-2` + "\n" +
		`phase: unknown phase "befor"; did you mean "before"? phases: before, mobile-carriers, all-destinations` + "\n" +
		`at: the activation has no moment; say from when on the phase is in force`
	if !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
