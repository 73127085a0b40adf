package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// twoEdges returns the worked example with a second switch that has no lines.
func twoEdges(t testing.TB) *Bundle {
	t.Helper()
	b := example(t)
	second := b.Inventory.Switches[0]
	second.Name, second.DeviceID, second.Lines, second.RejectFrom = "edge-2", 2, nil, nil
	b.Inventory.Switches = append(b.Inventory.Switches, second)
	if err := Validate(t.Context(), b.Policy, b.Inventory); err != nil {
		t.Fatal(err)
	}
	return b
}

// The tests use the example's phases, which begin at midnight in Japan: before on 2006-05-18, mobile-carriers on 2006-06-01 and
// all-destinations on 2006-10-01.

func TestInForceAt(t *testing.T) {
	p := twoEdges(t).Policy
	acts := []Activation{
		{Phase: "mobile-carriers", Groups: []string{"mobile"}, At: moment(t, "2006-05-01T00:00:00+09:00")}, // before the first phase begins
		{Phase: "before", Groups: []string{"adsl", "isdn"}, At: moment(t, "2006-06-01T00:00:00+09:00")},    // exactly when phase mobile-carriers begins
		{Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: moment(t, "2006-08-01T00:00:00+09:00")},
		{Phase: "before", At: moment(t, "2006-11-01T00:00:00+09:00")},
		{Phase: "all-destinations", Switches: []string{"edge-2"}, At: moment(t, "2006-11-01T00:00:00+09:00")}, // same time as the activation above, but later in the list
	}
	for _, x := range []struct {
		acts         int // the number of activations that have been made
		at, sw, want string
	}{
		{0, "2006-05-17T00:00:00+09:00", "edge-1", ""},
		{1, "2006-05-17T00:00:00+09:00", "edge-1", ""}, // no phase is in force for the other groups yet
		{1, "2006-05-18T00:00:00+09:00", "edge-1", "before; mobile-carriers: mobile"},
		{1, "2006-06-01T00:00:00+09:00", "edge-1", "mobile-carriers"},
		{2, "2006-06-01T00:00:00+09:00", "edge-1", "mobile-carriers; before: adsl, isdn"},
		{2, "2006-06-01T00:00:00+09:00", "edge-2", "mobile-carriers; before: adsl, isdn"},
		{2, "2006-07-31T23:59:59+09:00", "edge-1", "mobile-carriers; before: adsl, isdn"},
		{3, "2006-08-01T00:00:00+09:00", "edge-1", "mobile-carriers; all-destinations: mobile; before: adsl, isdn"},
		{3, "2006-08-01T00:00:00+09:00", "edge-2", "mobile-carriers; before: adsl, isdn"},
		{3, "2006-10-01T00:00:00+09:00", "edge-1", "all-destinations"},
		{5, "2006-11-01T00:00:00+09:00", "edge-1", "before"},
		{5, "2006-11-01T00:00:00+09:00", "edge-2", "all-destinations"},
	} {
		in, ok := p.InForceAt(acts[:x.acts], x.sw, moment(t, x.at))
		if ok != (x.want != "") || in.String() != x.want {
			t.Errorf("%d activations, %s at %s: %q, %v, want %q", x.acts, x.sw, x.at, in, ok, x.want)
		}
	}
}

// TestDateOfAnEarlierPhaseReplacesNothing verifies (I13) that the date of an earlier phase does not replace an activation of a later
// phase.
func TestDateOfAnEarlierPhaseReplacesNothing(t *testing.T) {
	p := twoEdges(t).Policy
	for _, x := range []struct{ phase, made, at, want string }{
		{"all-destinations", "2006-05-20T00:00:00+09:00", "2006-06-02T00:00:00+09:00", "all-destinations"},
		{"mobile-carriers", "2006-05-20T00:00:00+09:00", "2006-06-02T00:00:00+09:00", "mobile-carriers"},
		{"mobile-carriers", "2006-05-20T00:00:00+09:00", "2006-10-01T00:00:00+09:00", "all-destinations"},
		{"before", "2006-06-02T00:00:00+09:00", "2006-09-30T00:00:00+09:00", "before"}, // the next date has not come yet, so the return to phase before stays in force
		{"before", "2006-06-02T00:00:00+09:00", "2006-10-01T00:00:00+09:00", "all-destinations"},
	} {
		acts := []Activation{{ID: 2, Phase: x.phase, At: moment(t, x.made)}}
		if in, _ := p.InForceAt(acts, "edge-1", moment(t, x.at)); in.String() != x.want {
			t.Errorf("%s activated at %s: at %s %q is in force, want %q", x.phase, x.made, x.at, in, x.want)
		}
	}
}

// TestTheListOrdersActivations verifies (I13) that an activation is in force even if its time is in the future, and that the list's order
// prevails over the activations' times.
func TestTheListOrdersActivations(t *testing.T) {
	p := twoEdges(t).Policy
	ahead := Activation{ID: 2, Phase: "all-destinations", At: moment(t, "2006-06-03T12:00:00+09:00")}
	behind := Activation{ID: 3, Phase: "before", Groups: []string{"adsl"}, At: moment(t, "2006-06-03T10:00:00+09:00")}
	for _, x := range []struct {
		acts []Activation
		at   string
		want string
	}{
		{[]Activation{ahead}, "2006-06-02T12:00:00+09:00", "all-destinations"}, // the local clock is a day behind the activation's
		{[]Activation{ahead, behind}, "2006-06-03T10:00:00+09:00", "all-destinations; before: adsl"},
		{[]Activation{ahead, behind}, "2006-06-03T12:00:00+09:00", "all-destinations; before: adsl"},
		{[]Activation{ahead, behind}, "2006-07-01T12:00:00+09:00", "all-destinations; before: adsl"},
	} {
		if in, _ := p.InForceAt(x.acts, "edge-1", moment(t, x.at)); in.String() != x.want {
			t.Errorf("%d activations at %s: %q is in force, want %q", len(x.acts), x.at, in, x.want)
		}
	}
	// A date between the times of the two activations replaces neither of them.
	ahead.Phase, ahead.At = "before", moment(t, "2006-06-01T01:00:00+09:00")
	behind.Groups, behind.At = nil, moment(t, "2006-05-31T23:00:00+09:00")
	if in, _ := p.InForceAt([]Activation{ahead, behind}, "edge-1", moment(t, "2006-06-01T01:00:01+09:00")); in.String() != "before" {
		t.Errorf("%q is in force, want before", in)
	}
}

func TestUntilNextDate(t *testing.T) {
	p := twoEdges(t).Policy
	acts := []Activation{{ID: 2, Phase: "all-destinations", At: moment(t, "2006-05-20T00:00:00+09:00"), UntilNextDate: true}}
	for at, want := range map[string]string{
		"2006-05-31T00:00:00+09:00": "all-destinations",
		"2006-06-01T00:00:00+09:00": "mobile-carriers",
		"2006-10-01T00:00:00+09:00": "all-destinations",
	} {
		if in, _ := p.InForceAt(acts, "edge-1", moment(t, at)); in.String() != want {
			t.Errorf("at %s %q is in force, want %q", at, in, want)
		}
	}
}

// drawActivations returns random activations of the example's phases. Some are made exactly when a phase begins, some by slow clocks, and
// some undo others.
func drawActivations(t *rapid.T, b *Bundle) []Activation {
	acts := make([]Activation, rapid.IntRange(0, 6).Draw(t, "activations"))
	for i := range acts {
		scope := drawScope(t, b)
		acts[i] = Activation{ID: uint64(2 + 2*i), Groups: scope.Groups, Switches: scope.Switches, At: drawMoment(t, b.Policy)}
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "undo") == 0 {
			acts[i].Undoes = acts[rapid.IntRange(0, i-1).Draw(t, "undone")].ID
			continue
		}
		acts[i].Phase = rapid.SampledFrom(Names(b.Policy.Phases)).Draw(t, "phase")
		acts[i].UntilNextDate = rapid.IntRange(0, 3).Draw(t, "until") == 0
	}
	return acts
}

func drawScope(t *rapid.T, b *Bundle) Scope {
	some := func(list []string, label string) []string {
		list = rapid.Permutation(list).Draw(t, label)
		return list[:rapid.IntRange(0, len(list)).Draw(t, "number of "+label)]
	}
	return Scope{some(Names(b.Policy.LineGroups), "groups"), some(Names(b.Inventory.Switches), "switches")}
}

func drawMoment(t *rapid.T, p *Policy) time.Time {
	at := p.Begins(&p.Phases[rapid.IntRange(0, len(p.Phases)-1).Draw(t, "near phase")])
	return at.AddDate(0, 0, rapid.IntRange(-2, 2).Draw(t, "days after"))
}

// has reports whether a scope contains the lines of a group on a switch.
func (s Scope) has(sw, group string) bool {
	return (len(s.Switches) == 0 || slices.Contains(s.Switches, sw)) && (len(s.Groups) == 0 || group != "" && slices.Contains(s.Groups, group))
}

// replayed is a simple, slow model of the timeline for the lines of one group on one switch. It drops the activations that were undone,
// and replays the others in order together with all dates until now. An activation whose time is before its predecessor's gets the
// predecessor's time.
func replayed(b *Bundle, acts []Activation, sw, group string, now time.Time) string {
	type event struct {
		at   time.Time
		made *Activation // nil for the date of a phase
		date int
	}
	var events []event
	for i := range b.Policy.Phases {
		if at := b.Policy.Begins(&b.Policy.Phases[i]); !at.After(now) {
			events = append(events, event{at: at, date: i})
		}
	}
	var latest time.Time // the latest activation time on the switch so far
	for _, a := range acts {
		if (Scope{Switches: a.Switches}).has(sw, "") && a.At.After(latest) {
			latest = a.At
		}
		switch {
		case !a.Scope().has(sw, group):
		case a.Undoes != 0:
			events = slices.DeleteFunc(events, func(e event) bool { return e.made != nil && e.made.ID >= a.Undoes })
		default:
			events = append(events, event{at: latest, made: &a})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	in := ""
	var by *Activation // the activation that put the phase in force; nil for a date
	for _, e := range events {
		if e.made != nil {
			in, by = e.made.Phase, e.made
			continue
		}
		order := slices.IndexFunc(b.Policy.Phases, func(ph Phase) bool { return by != nil && ph.Name == by.Phase })
		if by == nil || by.UntilNextDate || order < e.date {
			in, by = b.Policy.Phases[e.date].Name, nil
		}
	}
	return in
}

// cells calls the function each for every combination of switch and line group; the group "" means unnamed lines.
func cells(b *Bundle, each func(sw, group string)) {
	for _, sw := range Names(b.Inventory.Switches) {
		for _, group := range append([]string{""}, Names(b.Policy.LineGroups)...) {
			each(sw, group)
		}
	}
}

// TestTimeline verifies that InForceAt agrees with the slow model, and that NextEvent returns the first moment after now at which a phase
// begins or an exemption ends.
func TestTimeline(t *testing.T) {
	b := twoEdges(t)
	rapid.Check(t, func(t *rapid.T) {
		acts := drawActivations(t, b)
		now := drawMoment(t, b.Policy)
		cells(b, func(sw, group string) {
			in, ok := b.Policy.InForceAt(acts, sw, now)
			byDefault := replayed(b, acts, sw, "", now)
			if ok != (byDefault != "") {
				t.Fatalf("%s: in force is %v, %v, by the model %q", sw, in, ok, byDefault)
			}
			if want := replayed(b, acts, sw, group, now); ok && want != "" && in.Phase(group) != want {
				t.Fatalf("%s, %q: %q is in force, by the model %q", sw, group, in.Phase(group), want)
			}
		})
		next, ok := b.Policy.NextEvent(now)
		moments := append([]time.Time{b.Policy.Ends(&b.Policy.Exemptions[0])}, b.Policy.Dates()...)
		slices.SortFunc(moments, time.Time.Compare)
		i := slices.IndexFunc(moments, func(m time.Time) bool { return m.After(now) })
		if ok != (i >= 0) || ok && !next.Equal(moments[i]) {
			t.Fatalf("the next event is at %v, %v; want %d of %v", next, ok, i, moments)
		}
	})
}

// TestUndo verifies (I13) that an undo reverses only the last activation in a scope that makes a difference. Repeated undos reverse one
// activation after another, until only the dates decide.
func TestUndo(t *testing.T) {
	b := twoEdges(t)
	undone := 0
	rapid.Check(t, func(t *rapid.T) {
		acts := drawActivations(t, b)
		now := drawMoment(t, b.Policy)
		scope := drawScope(t, b)
		moments := b.Policy.datesFrom(now)
		for range len(acts) + 1 {
			undo, err := b.Undo(acts, scope, now)
			if err != nil && strings.Contains(err.Error(), "nothing was in force") {
				return
			}
			if err != nil {
				if !errors.Is(err, ErrNoPrevious) {
					t.Fatal(err)
				}
				for _, at := range moments {
					cells(b, func(sw, group string) {
						if is, want := replayed(b, acts, sw, group, at), replayed(b, nil, sw, group, at); scope.has(sw, group) && is != want {
							t.Fatalf("nothing is left to undo, and %s, %q has %q at %v, by the dates %q: %v", sw, group, is, at, want, err)
						}
					})
				}
				return
			}
			undone++
			i := slices.IndexFunc(acts, func(a Activation) bool { return a.ID == undo.Undoes })
			after := append(slices.Clone(acts), undo)
			differs := false
			for _, at := range moments {
				cells(b, func(sw, group string) {
					was, is := replayed(b, acts, sw, group, at), replayed(b, after, sw, group, at)
					within := scope.has(sw, group) && acts[i].Scope().has(sw, group)
					differs = differs || was != is
					switch {
					case !within && was != is:
						t.Fatalf("%v is undone, and %s, %q goes from %q to %q at %v, outside of it", acts[i], sw, group, was, is, at)
					case within && is != replayed(b, without(acts, i), sw, group, at):
						t.Fatalf("%v is undone, and %s, %q has %q at %v, not what it would have without", acts[i], sw, group, is, at)
					}
				})
			}
			if !differs {
				t.Fatalf("%v is undone, which changes nothing", acts[i])
			}
			acts = after
		}
		t.Fatalf("there is always more to undo")
	})
	if undone == 0 {
		t.Error("nothing was undone")
	}
}

// without returns acts without the activation at index i and without all later activations that do not undo others.
func without(acts []Activation, i int) []Activation {
	id := acts[i].ID
	return slices.DeleteFunc(slices.Clone(acts), func(a Activation) bool { return a.Undoes == 0 && a.ID >= id })
}

func TestTurns(t *testing.T) {
	p := twoEdges(t).Policy
	acts := []Activation{
		{ID: 2, Phase: "before", Groups: []string{"mobile"}, At: moment(t, "2006-05-01T00:00:00+09:00")},        // before the first phase begins
		{ID: 3, Phase: "before", Groups: []string{"adsl"}, At: moment(t, "2006-06-01T00:00:00+09:00")},          // exactly when phase mobile-carriers begins
		{ID: 4, Phase: "mobile-carriers", Groups: []string{"isdn"}, At: moment(t, "2006-07-01T00:00:00+09:00")}, // already in force for isdn
		{ID: 5, Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: moment(t, "2006-07-31T15:00:00Z")},
		{ID: 6, Undoes: 3, Switches: []string{"edge-2"}, At: moment(t, "2006-08-02T00:00:00+09:00")},
		{ID: 7, Phase: "before", Switches: []string{"edge-2"}, At: moment(t, "2007-01-01T00:00:00+09:00")}, // made by a controller whose clock was fast
	}
	for sw, want := range map[string]string{
		"edge-1": "2006-05-18T00:00:00+09:00 before|2006-06-01T00:00:00+09:00 mobile-carriers; before: adsl|" +
			"2006-08-01T00:00:00+09:00 mobile-carriers; all-destinations: mobile; before: adsl|2006-10-01T00:00:00+09:00 all-destinations|",
		"edge-2": "2006-05-18T00:00:00+09:00 before|2006-06-01T00:00:00+09:00 mobile-carriers; before: adsl|2006-08-02T00:00:00+09:00 mobile-carriers|" +
			"2006-09-01T00:00:00+09:00 before|", // the dates before the activation's time do not replace it
	} {
		got := ""
		for _, turn := range p.Turns(acts, sw, moment(t, "2006-09-01T00:00:00+09:00")) {
			got += fmt.Sprintf("%s %v|", turn.At.Format(time.RFC3339), turn.In)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sw, got, want)
		}
	}
}

// TestTurnsAreWhatIsInForce verifies that each turn agrees with InForceAt for the activations made by then, and that every turn changes
// the phases in force.
func TestTurnsAreWhatIsInForce(t *testing.T) {
	b := twoEdges(t)
	rapid.Check(t, func(t *rapid.T) {
		acts := drawActivations(t, b)
		sw := rapid.SampledFrom(Names(b.Inventory.Switches)).Draw(t, "switch")
		now := drawMoment(t, b.Policy)
		here := on(acts, sw)
		madeBy := func(at time.Time) []Activation {
			n := 0
			for n < len(here) && (!here[n].At.After(at) || !at.Before(now)) {
				n++
			}
			return here[:n]
		}
		last := ""
		for i, turn := range b.Policy.Turns(acts, sw, now) {
			if is, ok := b.Policy.InForceAt(madeBy(turn.At), sw, turn.At); !ok || is.String() != turn.In.String() {
				t.Fatalf("turn %d at %v is to %v; in force is %v, %v", i, turn.At, turn.In, is, ok)
			}
			before := turn.At.Add(-1)
			was, ok := b.Policy.InForceAt(madeBy(before), sw, before)
			if !ok && i > 0 && len(madeBy(before)) > 0 { // all activations were undone before the first date; Undo would refuse this
				continue
			}
			if ok != (i > 0) || was.String() == turn.In.String() {
				t.Fatalf("turn %d at %v is to %v; in force before is %v, %v", i, turn.At, turn.In, was, ok)
			}
			if !turn.At.After(now) {
				last = turn.In.String()
			}
		}
		if is, ok := b.Policy.InForceAt(acts, sw, now); ok && is.String() != last {
			t.Fatalf("at %v %v is in force, by the turns %q", now, is, last)
		}
	})
}

func TestNoNextEvent(t *testing.T) {
	p := example(t).Policy
	if next, ok := p.NextEvent(moment(t, "2007-04-01T00:00:00+09:00")); ok {
		t.Errorf("the next event is at %v, want none", next)
	}
}

func TestUndoSays(t *testing.T) {
	b := twoEdges(t)
	early := moment(t, "2006-08-01T00:00:00+09:00")
	acts := []Activation{
		{ID: 2, Phase: "all-destinations", Groups: []string{"mobile"}, Switches: []string{"edge-1"}, At: early},
		{ID: 3, Phase: "before", Groups: []string{"adsl", "isdn"}, At: early.Add(time.Hour)},
		{ID: 4, Phase: "mobile-carriers", Groups: []string{"mobile"}, Switches: []string{"edge-2"}, At: early.Add(2 * time.Hour)}, // already in force there
	}
	for _, x := range []struct {
		scope Scope
		at    string
		want  *Activation
		says  string
	}{
		{Scope{}, "2006-09-01T00:00:00+09:00", &Activation{Undoes: 3, Groups: []string{"adsl", "isdn"}}, ""},
		{Scope{Groups: []string{"mobile", "isdn"}, Switches: []string{"edge-2"}}, "2006-09-01T00:00:00+09:00", &Activation{Undoes: 3, Groups: []string{"isdn"}, Switches: []string{"edge-2"}}, ""},
		{Scope{Groups: []string{"mobile"}}, "2006-09-01T00:00:00+09:00", &Activation{Undoes: 2, Groups: []string{"mobile"}, Switches: []string{"edge-1"}}, ""},
		{
			Scope{Groups: []string{"mobile"}, Switches: []string{"edge-2"}},
			"2006-09-01T00:00:00+09:00", nil, `no phase to go back to: no activation makes a difference there: phase "mobile-carriers" is in force by its date, since 2006-06-01T00:00:00+09:00; ` +
				`to go back to the phase before it, activate phase "before"`,
		},
		{
			Scope{},
			"2006-11-01T00:00:00+09:00", nil, `no phase to go back to: no activation makes a difference: phase "all-destinations" is in force by its date, since 2006-10-01T00:00:00+09:00; ` +
				`to go back to the phase before it, activate phase "mobile-carriers"`,
		},
		{
			Scope{Groups: []string{"mobil", "adsl", "adsl"}, Switches: []string{"edge"}},
			"2006-09-01T00:00:00+09:00", nil,
			`groups[0]: unknown line group "mobil"; did you mean "mobile"? line groups: adsl, isdn, bflets, hikari-premium, mobile` + "\n" +
				`groups[2]: line group "adsl" is listed twice; keep one` + "\n" +
				`switches[0]: unknown switch "edge"; switches: edge-1, edge-2`,
		},
	} {
		now := moment(t, x.at)
		got, err := b.Undo(acts, x.scope, now)
		if x.want == nil {
			if err == nil || err.Error() != x.says {
				t.Errorf("%v at %s:\ngot  %v, %v\nwant %s", x.scope, x.at, got, err, x.says)
			}
			continue
		}
		x.want.ID, x.want.At = 5, now
		if diff := cmp.Diff(*x.want, got); err != nil || diff != "" {
			t.Errorf("%v at %s: %v\n-want +got:\n%s", x.scope, x.at, err, diff)
		}
	}
	first := []Activation{{ID: 2, Phase: "before", At: moment(t, "2006-05-01T00:00:00+09:00")}}
	const want = `no phase to go back to: before phase "before" was activated, nothing was in force on switch edge-1; activate another phase, or restore revision 1`
	if _, err := b.Undo(first, Scope{}, moment(t, "2006-05-02T00:00:00+09:00")); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for at, want := range map[string]string{
		"2006-05-01T00:00:00+09:00": "no phase to go back to: nothing was activated, and no phase has begun by its date",
		"2006-05-20T00:00:00+09:00": `no phase to go back to: no activation makes a difference: phase "before" is in force by its date, since 2006-05-18T00:00:00+09:00, and no phase stands before it`,
	} {
		if _, err := b.Undo(nil, Scope{}, moment(t, at)); err == nil || err.Error() != want {
			t.Errorf("at %s:\ngot  %v\nwant %s", at, err, want)
		}
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

// TestDatesOfGroups verifies that a phase comes into force at its hour, and for some line groups at other dates: by date alone, after an activation,
// and with UntilNextDate.
func TestDatesOfGroups(t *testing.T) {
	b := twoEdges(t)
	p := b.Policy
	p.Phases[1].Effective.Minute = 4*60 + 30
	p.Phases[1].EffectiveFor = []GroupDate{{[]string{"adsl"}, Moment{Date{2006, 7, 1}, 60}}, {[]string{"mobile"}, Moment{Date{2006, 5, 25}, 0}}}
	if err := Validate(t.Context(), p, b.Inventory); err != nil {
		t.Fatal(err)
	}
	before := []Activation{{ID: 2, Phase: "before", At: moment(t, "2006-06-15T00:00:00+09:00")}}
	until := []Activation{{ID: 2, Phase: "all-destinations", At: moment(t, "2006-06-15T00:00:00+09:00"), UntilNextDate: true}}
	for _, x := range []struct {
		acts     []Activation
		at, want string
	}{
		{nil, "2006-05-24T23:59:59+09:00", "before"},
		{nil, "2006-05-25T00:00:00+09:00", "before; mobile-carriers: mobile"},
		{nil, "2006-06-01T04:29:59+09:00", "before; mobile-carriers: mobile"},
		{nil, "2006-06-01T04:30:00+09:00", "mobile-carriers; before: adsl"},
		{nil, "2006-07-01T01:00:00+09:00", "mobile-carriers"},
		{nil, "2006-10-01T00:00:00+09:00", "all-destinations"},
		{before, "2006-06-30T00:00:00+09:00", "before"},
		{before, "2006-07-01T01:00:00+09:00", "before; mobile-carriers: adsl"}, // only for adsl does a date come after the activation
		{until, "2006-07-01T00:59:00+09:00", "all-destinations"},
		{until, "2006-07-01T01:00:00+09:00", "all-destinations; mobile-carriers: adsl"},
	} {
		if in, _ := p.InForceAt(x.acts, "edge-1", moment(t, x.at)); in.String() != x.want {
			t.Errorf("%d activations, at %s: %q is in force, want %q", len(x.acts), x.at, in, x.want)
		}
	}
	var turns []string
	for _, turn := range p.Turns(nil, "edge-1", moment(t, "2006-05-20T00:00:00+09:00")) {
		turns = append(turns, turn.At.Format("01-02T15:04 ")+turn.In.String())
	}
	want := "05-18T00:00 before, 05-25T00:00 before; mobile-carriers: mobile, 06-01T04:30 mobile-carriers; before: adsl, 07-01T01:00 mobile-carriers, 10-01T00:00 all-destinations"
	if got := strings.Join(turns, ", "); got != want {
		t.Errorf("the turns are\n%s, want\n%s", got, want)
	}
	if next, ok := p.NextEvent(moment(t, "2006-06-01T04:30:00+09:00")); !ok || !next.Equal(moment(t, "2006-07-01T01:00:00+09:00")) {
		t.Errorf("the next event is at %v", next)
	}
	if _, err := b.Undo(nil, Scope{Groups: []string{"adsl"}}, moment(t, "2006-06-10T00:00:00+09:00")); err == nil || !strings.Contains(err.Error(), `phase "before" is in force by its date`) {
		t.Errorf("undo: %v", err)
	}
	if undo, err := b.Undo(before, Scope{Groups: []string{"adsl"}}, moment(t, "2006-06-20T00:00:00+09:00")); !errors.Is(err, ErrNoPrevious) { // it makes no difference for adsl, now or later
		t.Errorf("undo of what makes no difference: %+v, %v", undo, err)
	}
}
