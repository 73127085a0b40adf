package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2006, 6, 15, 9, 0, 0, 0, time.UTC)

// stages returns n rings of two switches, each of which soaks for a minute.
func stages(n int) (all []Stage) {
	for i := range n {
		all = append(all, Stage{Name: fmt.Sprint("ring-", i), Switches: []string{fmt.Sprint("s", i, "a"), fmt.Sprint("s", i, "b")}, Soak: time.Minute, Gates: DefaultGates()})
	}
	return all
}

// passing returns the findings of a ring in which every gate passes.
func passing(ring string) (all []Finding) {
	for _, g := range gateNames() {
		all = append(all, Finding{Gate: g, Verdict: Pass, Ring: ring})
	}
	return all
}

// A world is what a rollout acts on: switches that get the change after a while, and gates.
type world struct {
	record Record
	now    time.Time
	has    map[string]bool // what each switch really has
}

func newWorld(n int) *world {
	return &world{Start(Record{ID: "1", Change: Change{Phase: "everyone"}, Stages: stages(n), Author: "noc", Reason: "test", Baseline: time.Minute}, epoch), epoch, map[string]bool{}}
}

// settle brings every switch to what the record wants.
func (w *world) settle() {
	clear(w.has)
	for _, s := range w.record.Wanted() {
		w.has[s] = true
	}
}

// observe returns what is seen of the switches.
func (w *world) observe() Observation {
	o := Observation{Time: w.now, Places: map[string]Place{}}
	for _, s := range w.record.Switches() {
		o.Places[s] = Without
		if w.has[s] {
			o.Places[s] = With
		}
	}
	for _, s := range w.record.Stages[:w.record.Rings()] {
		o.Findings = append(o.Findings, passing(s.Name)...)
	}
	return o
}

// step lets time pass, brings the switches to what is wanted, and applies an observation.
func (w *world) step(after time.Duration, change func(*Observation)) {
	w.now = w.now.Add(after)
	w.settle()
	o := w.observe()
	if change != nil {
		change(&o)
	}
	w.record = Next(w.record, o)
}

// until applies observations until the rollout is in a state.
func (w *world) until(t *testing.T, s State) {
	t.Helper()
	for range 100 {
		if w.record.State == s {
			return
		}
		w.step(10*time.Second, nil)
	}
	t.Fatalf("the rollout is %s and never %s", w.record.State, s)
}

// TestGoodRollout verifies the states of a rollout in which all goes well: the first ring is rehearsed, each ring soaks, and the rings come in order.
func TestGoodRollout(t *testing.T) {
	w := newWorld(3)
	states := []string{string(w.record.State)}
	for !w.record.State.Ended() && len(states) < 20 {
		before := w.record
		w.step(10*time.Second, nil)
		if w.record.State != before.State || w.record.Ring != before.Ring {
			states = append(states, fmt.Sprintf("%s %d", w.record.State, w.record.Ring))
		}
		if w.record.Ring > before.Ring && w.now.Sub(before.Since) < before.Stage().Soak {
			t.Errorf("ring %d was left after %v of %v", before.Ring, w.now.Sub(before.Since), before.Stage().Soak)
		}
	}
	want := "measuring, rehearsing 0, taking-back 0, advancing 0, soaking 0, advancing 1, soaking 1, advancing 2, soaking 2, done 2"
	if got := strings.Join(states, ", "); got != want {
		t.Errorf("the states were\n%s, want\n%s", got, want)
	}
	if got := w.record.Wanted(); len(got) != 6 {
		t.Errorf("a rollout that is done wants the change on %v", got)
	}
}

// TestForeseen verifies that no ring is given a change about which an operator has to be asked, whatever time passes, and that the operator's answer
// lasts until the rollout ends.
func TestForeseen(t *testing.T) {
	foreseen := func(o *Observation) {
		o.Foreseen = []Finding{{Gate: Foreseen, Verdict: Hold, Text: "12 lines send mail that the documents newly stop"}}
	}
	w := newWorld(2)
	for range 20 {
		w.step(time.Minute, foreseen)
		if len(w.record.Wanted()) > 0 {
			t.Fatalf("nobody was asked, and the rollout is %s", w.record.State)
		}
	}
	if w.record.State != Held || w.record.Resumes != Measuring || w.record.Findings[0].Gate != Foreseen {
		t.Fatalf("the rollout is %s: %v", w.record.State, w.record.Findings)
	}
	var err error
	if w.record, err = w.record.Resume("noc", "meant", w.now); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		w.step(10*time.Second, foreseen)
	}
	if w.record.State != Done {
		t.Errorf("after the answer, the rollout is %s: %v", w.record.State, w.record.Findings)
	}
}

// TestGatesAgainst verifies what each verdict of each gate does in each state, while the ring at hand has the change.
func TestGatesAgainst(t *testing.T) {
	for _, g := range gateNames() {
		w := newWorld(2)
		w.until(t, Soaking)
		set := func(v Verdict) func(*Observation) {
			return func(o *Observation) {
				for i := range o.Findings {
					if o.Findings[i].Gate == g {
						o.Findings[i].Verdict = v
					}
				}
			}
		}
		w.step(time.Second, set(NoData))
		if w.record.State != Held || w.record.Resumes != Soaking {
			t.Fatalf("%s: without data the rollout is %s, want held", g, w.record.State)
		}
		w.step(time.Hour, set(NoData))
		if w.record.State != Held {
			t.Fatalf("%s: after an hour without data the rollout is %s, want held", g, w.record.State)
		}
		w.step(time.Second, nil)
		if w.record.State != Soaking || w.record.Since != w.now {
			t.Fatalf("%s: with data again the rollout is %s since %v, want soaking anew", g, w.record.State, w.record.Since)
		}
		w.step(time.Second, set(Hold))
		w.step(time.Hour, nil)
		if w.record.State != Held || w.record.Findings[0].Gate != g {
			t.Fatalf("%s: a rollout that waits for an operator is %s: %v", g, w.record.State, w.record.Findings)
		}
		resumed, err := w.record.Resume("noc", "known", w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.record = resumed
		w.step(time.Second, set(Hold))
		if w.record.State != Soaking {
			t.Fatalf("%s: a gate that was accepted holds the ring again: %s", g, w.record.State)
		}
		w.step(time.Second, set(GoBack))
		if w.record.State != GoingBack || len(w.record.Wanted()) != 0 {
			t.Fatalf("%s: the rollout is %s and wants %v, want going-back", g, w.record.State, w.record.Wanted())
		}
		w.step(time.Second, nil)
		if w.record.State != WentBack || len(w.record.Findings) == 0 || w.record.Findings[0].Gate != g {
			t.Fatalf("%s: the rollout is %s because of %v, want went-back", g, w.record.State, w.record.Findings)
		}
	}
}

// TestAnEarlierRing verifies that a gate of a ring that has soaked still takes the change back.
func TestAnEarlierRing(t *testing.T) {
	w := newWorld(3)
	for w.record.Ring < 2 {
		w.step(10*time.Second, nil)
	}
	w.step(time.Second, func(o *Observation) {
		o.Findings = append(o.Findings, Finding{Gate: Submission, Verdict: GoBack, Ring: "ring-0"})
	})
	if w.record.State != GoingBack {
		t.Errorf("the rollout is %s, want going-back", w.record.State)
	}
}

// TestUnconfirmed verifies that a ring whose switches do not confirm is held after MaxAdvance, and goes on when they do.
func TestUnconfirmed(t *testing.T) {
	lost := func(o *Observation) { delete(o.Places, "s0a") }
	for _, s := range []State{Rehearsing, TakingBack, Advancing} {
		w := newWorld(2)
		w.until(t, s)
		since := w.record.Since
		w.step(MaxAdvance-time.Second-w.now.Sub(since), lost)
		if w.record.State != s {
			t.Fatalf("the rollout is %s before the end of the time, want %s", w.record.State, s)
		}
		w.step(time.Second, lost)
		want := "confirmation of ring ring-0 (s0a): no-data: not confirmed for 5m0s"
		if w.record.State != Held || w.record.Findings[0].String() != want {
			t.Fatalf("the rollout is %s: %v, want held: %s", w.record.State, w.record.Findings, want)
		}
		w.step(time.Second, nil)
		if w.record.State != s {
			t.Fatalf("after the confirmation the rollout is %s, want %s", w.record.State, s)
		}
	}
	w := newWorld(2)
	w.until(t, Soaking)
	w.step(time.Second, lost)
	if w.record.State != Held {
		t.Errorf("a switch is no longer confirmed while its ring soaks, and the rollout is %s", w.record.State)
	}
	w.record, _ = w.record.Abort("noc", "enough", w.now)
	w.step(time.Hour, lost)
	if w.record.State != GoingBack {
		t.Errorf("the rollout is %s while a switch has not confirmed that the change is gone", w.record.State)
	}
}

// TestAdvanceWaitsForData verifies that the soak time begins only when every gate has data, and that a gate that never has any holds the rollout.
func TestAdvanceWaitsForData(t *testing.T) {
	w := newWorld(2)
	w.until(t, Advancing)
	since := w.record.Since
	blind := func(o *Observation) { o.Findings = o.Findings[1:] }
	w.step(MaxAdvance-time.Second-w.now.Sub(since), blind)
	if w.record.State != Advancing {
		t.Fatalf("without data of a gate, the rollout is %s, want advancing", w.record.State)
	}
	w.step(time.Second, blind)
	if want := "submission of ring ring-0: no-data: there are no data"; w.record.State != Held || w.record.Findings[0].String() != want {
		t.Fatalf("the rollout is %s: %v, want held: %s", w.record.State, w.record.Findings, want)
	}
	w.step(time.Second, blind)
	if w.record.State != Held {
		t.Fatalf("the rollout is %s, want held", w.record.State)
	}
	w.step(time.Second, nil)
	w.step(time.Second, nil)
	if w.record.State != Soaking {
		t.Fatalf("with data, the rollout is %s, want soaking", w.record.State)
	}
}

// TestCommands verifies in which states each command is accepted, and the message elsewhere.
func TestCommands(t *testing.T) {
	states := map[State]Record{}
	w := newWorld(2)
	for _, s := range []State{Measuring, Rehearsing, TakingBack, Advancing, Soaking, Done} {
		w.until(t, s)
		states[s] = w.record
	}
	states[Paused], _ = states[Soaking].Pause("noc", "lunch", epoch)
	states[Held] = states[Soaking].hold([]Finding{{Gate: Affected, Verdict: Hold}}, epoch)
	states[GoingBack] = states[Soaking].goBack(nil, epoch)
	states[WentBack] = states[GoingBack].enter(WentBack, epoch, nil)
	accepted := map[string][]State{
		"Pause":  {Measuring, Rehearsing, TakingBack, Advancing, Soaking, Held},
		"Resume": {Held, Paused},
		"Abort":  {Measuring, Rehearsing, TakingBack, Advancing, Soaking, Held, Paused},
	}
	for _, s := range allStates() {
		for verb, call := range map[string]func(Record, string, string, time.Time) (Record, error){"Pause": Record.Pause, "Resume": Record.Resume, "Abort": Record.Abort} {
			got, err := call(states[s], "noc", "why", epoch)
			if want := slices.Contains(accepted[verb], s); (err == nil) != want || !want && (!errors.Is(err, ErrState) || got.State != s) {
				t.Errorf("%s of a rollout that is %s: %s, %v", verb, s, got.State, err)
			}
		}
	}
	_, err := states[Done].Resume("noc", "why", epoch)
	if want := "the rollout is in another state: rollout 1 is done, and can be resumed only while it is held or paused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	paused := states[Paused]
	if next := Next(paused, w.observe()); next.State != Paused {
		t.Errorf("a paused rollout became %s", next.State)
	}
	held := Next(states[Measuring], Observation{Time: epoch.Add(MaxAdvance), Unmeasured: []string{"s1a"}})
	if want := "counting (s1a): no-data: there are no current counts"; held.State != Held || held.Findings[0].String() != want {
		t.Errorf("a rollout without measurements is %s: %v, want held: %s", held.State, held.Findings, want)
	}
	if next := Next(held, Observation{Time: epoch.Add(MaxAdvance + time.Second)}); next.State != Measuring {
		t.Errorf("a rollout with measurements again is %s, want measuring", next.State)
	}
	back := Next(paused, Observation{Time: epoch, Findings: []Finding{{Gate: Submission, Verdict: GoBack, Ring: "ring-0"}}})
	if back.State != GoingBack {
		t.Errorf("a paused rollout whose gate says go back is %s", back.State)
	}
}

// TestRandomRollouts verifies by random events that no ring is given the change unless every ring before it has had the change for its whole soak time
// with every gate passing or accepted by an operator, that never more than one ring is added, and that there is always a way back (I13, I16).
func TestRandomRollouts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "rings")
		w := newWorld(n)
		clean := map[string]time.Time{} // since when each ring has passed every gate, by the observations that were applied
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			before := w.record
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 70).Draw(t, "seconds")) * time.Second)
			command, applied := rapid.IntRange(0, 14).Draw(t, "command"), Record{}
			var err error
			switch command {
			case 0:
				applied, err = w.record.Pause("noc", "", w.now)
			case 1, 2:
				applied, err = w.record.Resume("noc", "", w.now)
			case 3:
				if applied, err = w.record.Abort("noc", "", w.now); err != nil && !before.State.Ended() && before.State != GoingBack {
					t.Fatalf("no way back from %s: %v", before.State, err)
				}
			default:
				if rapid.IntRange(0, 3).Draw(t, "slow") > 0 {
					w.settle()
				}
				o := w.observe()
				for _, s := range w.record.Switches() {
					if rapid.IntRange(0, 30).Draw(t, "lost") == 0 {
						delete(o.Places, s)
					}
				}
				for i := range o.Findings {
					if v := rapid.SampledFrom([]Verdict{Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, Pass, NoData, NoData, Hold, Hold, GoBack}).Draw(t, "verdict"); rapid.IntRange(0, 20).Draw(t, "odd") == 0 {
						o.Findings[i].Verdict = v
					}
				}
				applied = Next(w.record, o)
				ring := before.Stage()
				ok := before.State == Soaking && len(o.missing(With, ring.Switches)) == 0 && !slices.ContainsFunc(o.Findings, func(f Finding) bool {
					return f.Ring == ring.Name && (f.Verdict == GoBack || f.Verdict != Pass && !slices.Contains(before.Accepted, f.Gate))
				})
				if at, was := clean[ring.Name]; before.State == Soaking && !ok {
					delete(clean, ring.Name)
				} else if ok && !was {
					clean[ring.Name] = before.Since
				} else if was && at.Before(before.Since) {
					clean[ring.Name] = before.Since
				}
				if applied.Rings() > before.Rings() && before.State == Soaking {
					if at, was := clean[ring.Name]; !was || w.now.Sub(at) < ring.Soak {
						t.Fatalf("ring %s was left although it has passed all gates only since %v (now %v)", ring.Name, at, w.now)
					}
				}
				for _, f := range o.Findings {
					if f.Verdict == GoBack && !before.State.Ended() && len(applied.Wanted()) > 0 {
						t.Fatalf("%v, and %v are still to have the change in state %s", f, applied.Wanted(), applied.State)
					}
				}
			}
			if err != nil {
				applied = w.record
			}
			if applied.Rings() > before.Rings()+1 {
				t.Fatalf("%s to %s adds %d rings", before.State, applied.State, applied.Rings()-before.Rings())
			}
			if (applied.State == Held || applied.State == GoingBack || applied.State == WentBack) && len(applied.Findings) == 0 {
				t.Fatalf("the rollout is %s without a reason", applied.State)
			}
			if (applied.State == Held || applied.State == Paused) != (applied.Resumes != "") {
				t.Fatalf("the rollout is %s and resumes as %q", applied.State, applied.Resumes)
			}
			if before.State.Ended() && applied.State != before.State {
				t.Fatalf("an ended rollout became %s", applied.State)
			}
			w.record = applied
		}
	})
}

// allStates returns all states, in the order of a rollout that goes well and then of one that does not.
func allStates() []State {
	return []State{Measuring, Rehearsing, TakingBack, Advancing, Soaking, Done, Held, Paused, GoingBack, WentBack}
}

// TestHeldSwitch verifies that a switch which is held for maintenance holds the rollout at once, with the reason, takes nothing back, and that the
// rollout goes on by itself when the switch is released.
func TestHeldSwitch(t *testing.T) {
	for _, in := range []State{Rehearsing, Advancing, Soaking} {
		w := newWorld(2)
		w.until(t, in)
		name := w.record.Stage().Switches[0]
		maintained := func(o *Observation) {
			delete(o.Places, name)
			o.Held = map[string]string{name: "held for maintenance by ann: new line card"}
		}
		w.step(time.Second, maintained)
		if w.record.State != Held || w.record.Resumes != in || len(w.record.Findings) != 1 {
			t.Fatalf("%s: the rollout is %s, resumes %s: %v", in, w.record.State, w.record.Resumes, w.record.Findings)
		}
		want := "confirmation of ring ring-0 (s0a): no-data: s0a is held for maintenance by ann: new line card"
		if got := w.record.Findings[0].String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		w.step(time.Hour, maintained)
		if w.record.State != Held {
			t.Errorf("%s: after an hour, the rollout is %s", in, w.record.State)
		}
		w.step(time.Second, nil)
		if w.record.State != in {
			t.Errorf("%s: after the release, the rollout is %s", in, w.record.State)
		}
	}
}
