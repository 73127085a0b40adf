package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	"op25b/p4src"
)

// A toll counts how often an invariant was checked.
type toll struct{ policies, refused, updates, crashes, frames int }

func (t *toll) String() string {
	refused := ""
	if t.refused > 0 {
		refused = fmt.Sprintf(" (%d of them refused for want of room)", t.refused)
	}
	return fmt.Sprintf("%d policies%s, %d crashes, %d updates, %d frames after them", t.policies, refused, t.crashes, t.updates, t.frames)
}

// check fails the test if more than a few policies were refused. A switch may refuse a policy that changes everything at once and reuses all
// numbers.
func (t *toll) check(tb testing.TB) {
	tb.Helper()
	if t.refused > 2+t.policies/50 {
		tb.Errorf("of %d policies %d were refused for want of room", t.policies, t.refused)
	}
}

func invariantSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return uint64(time.Now().UnixNano())
}

// contract returns the pipeline's contract from the program's P4Info.
func contract(tb testing.TB) *pipeline.Contract {
	tb.Helper()
	c, err := pipeline.NewContract(p4src.P4Info())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestI1NeverWrongDrop verifies I1. After every single update on the way from one policy to another, in any order of the updates within a
// step, each frame that both policies permit must be delivered. The controller crashes after random updates and returns with another policy.
// A policy's verdict on a frame is taken from a switch that has never had another policy.
func TestI1NeverWrongDrop(t *testing.T) {
	checkChanges(t, "I1 NeverWrongDrop", lets)
}

// TestI2NeverWrongPass verifies I2. Under the conditions of TestI1NeverWrongDrop, no frame that both policies stop may be delivered.
func TestI2NeverWrongPass(t *testing.T) {
	checkChanges(t, "I2 NeverWrongPass", stops)
}

func checkChanges(t *testing.T, invariant string, agreed judgement) {
	estates, frames := 4, 500
	few, fewFrames := 1, 16
	if longform.On() {
		estates, frames = 120, 1500
		few, fewFrames = 12, 40
	}
	seed := invariantSeed()
	t.Run("engine", func(t *testing.T) {
		s := newSpecimen(t)
		var total toll
		for i := range estates {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			j := &crossing{estate: newEstate(r), agreed: agreed, frames: calls(r, frames), most: 100, contract: contract(t), toll: &total}
			s.empty(t)
			for range 5 {
				if err := j.step(t, s); err != nil {
					t.Fatalf("seed %d, estate %d: %v", seed, i, err)
				}
				j.revise()
			}
		}
		fmt.Printf("%s: engine: %v\n", invariant, &total)
		total.check(t)
	})
	totals := map[string]*toll{"embedded": {}, "bmv2": {}}
	for i := range few {
		r := rand.New(rand.NewPCG(seed, uint64(1000+i)))
		onEveryEstate(t, r, func(t *testing.T, e *estate, d *device) {
			j := &crossing{estate: e, agreed: agreed, frames: calls(r, 300), most: fewFrames, contract: contract(t), toll: totals[d.name]}
			j.settle(t, d.state)
			for range 3 {
				j.revise()
				if err := j.step(t, d); err != nil {
					t.Fatalf("seed %d, estate %d: %v", seed, 1000+i, err)
				}
			}
		})
	}
	for _, name := range []string{"embedded", "bmv2"} {
		if totals[name].policies > 0 {
			fmt.Printf("%s: %s, over P4Runtime: %v\n", invariant, name, totals[name])
		}
	}
}

// A crossing takes one switch through the revisions of an estate.
type crossing struct {
	*estate
	agreed   judgement
	frames   []sent
	most     int               // the maximum number of frames sent after each update
	same     []bool            // for each frame, whether all policies since the last completed change agree on it
	why      []pipeline.RuleID // for each frame, the rule of the last policy that decides it
	contract *pipeline.Contract
	toll     *toll
}

// settle records that the switch is in the given state.
func (j *crossing) settle(tb testing.TB, state *pipeline.State) {
	tb.Helper()
	var here []judgement
	here, j.why = judgeWhy(tb, state, j.frames)
	j.same = make([]bool, len(here))
	for i, of := range here {
		j.same[i] = of == j.agreed
	}
}

// step changes the switch to the estate's present policy, or crashes on the way. If the switch makes a wrong decision, the error names the
// frame.
func (j *crossing) step(tb testing.TB, s subject) error {
	want, err := j.compile()
	if err != nil {
		return err
	}
	j.toll.policies++
	have := s.read(tb)
	plan, err := reconcile.Make(have, want, j.contract, reconcile.Options{})
	if errors.Is(err, reconcile.ErrNoRoom) {
		j.toll.refused++
		return nil
	}
	if err != nil {
		return err
	}
	target, why := judgeWhy(tb, want, j.frames)
	if j.same == nil { // an empty switch has no policy to compare
		j.same, j.why = make([]bool, len(j.frames)), make([]pipeline.RuleID, len(j.frames))
	}
	for i, of := range target {
		j.same[i] = j.same[i] && of == j.agreed
	}
	crash := -1
	if j.r.IntN(3) == 0 {
		crash = j.r.IntN(plan.Updates() + 1)
		j.toll.crashes++
	}
	done := 0
	var asked, others []sent // asked starts with frames on which both policies agree by different rules
	for _, i := range j.r.Perm(len(j.frames)) {
		switch {
		case !j.same[i]:
		case j.why[i] != why[i]:
			asked = append(asked, j.frames[i])
		default:
			others = append(others, j.frames[i])
		}
	}
	asked = asked[:min(len(asked), j.most*2/3)]
	asked = append(asked, others[:min(len(others), j.most-len(asked))]...)
	j.why = why
	for _, step := range plan.Steps {
		for _, k := range j.r.Perm(len(step.Updates)) {
			if done == crash {
				return nil
			}
			u := step.Updates[k]
			if err := s.update(tb, messages([]pipeline.Update{u})[0]); err != nil {
				return fmt.Errorf("step %q: %v %v: %w", step.Why, u.Kind, u.Entry, err)
			}
			done++
			j.toll.updates++
			j.toll.frames += len(asked)
			for k, passed := range s.pass(tb, asked) {
				if passed != (j.agreed == lets) {
					f := asked[k]
					return fmt.Errorf("after %v %v in %q: wrong about the frame into port %d\n%x\n%s", u.Kind, u.Entry, step.Why, f.port, f.frame, changeText(have, plan))
				}
			}
		}
	}
	for i, passed := range s.pass(tb, j.frames) {
		if f := j.frames[i]; target[i] != atRate && passed != (target[i] == lets) {
			return fmt.Errorf("the policy is reached, and the switch is wrong about the frame into port %d\n%x\n%s", f.port, f.frame, changeText(have, plan))
		}
		j.same[i] = target[i] == j.agreed
	}
	if again, err := reconcile.Make(s.read(tb), want, j.contract, reconcile.Options{}); err != nil || len(again.Steps) != 0 {
		return fmt.Errorf("the policy is reached, and a second plan has %d steps, %v", len(again.Steps), err)
	}
	return nil
}

// changeText describes a plan and the entries that the switch had before.
func changeText(have []pipeline.Entry, plan *reconcile.Plan) string {
	var b strings.Builder
	b.WriteString("the switch had\n")
	for _, e := range have {
		fmt.Fprintf(&b, "  %v\n", e)
	}
	b.WriteString("and the plan was\n")
	for _, s := range plan.Steps {
		fmt.Fprintf(&b, "%s\n", s.Why)
		for _, u := range s.Updates {
			fmt.Fprintf(&b, "  %v %v\n", u.Kind, u.Entry)
		}
	}
	return b.String()
}
