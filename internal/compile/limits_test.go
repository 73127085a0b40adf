package compile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestLastRule verifies that the last rule id can be used, and that a policy with one more rule name is
// refused.
func TestLastRule(t *testing.T) {
	for n, valid := range map[int]bool{243: true, 244: false} {
		b := policytest.Example(t)
		b.Policy.Phases = nil
		for i := range n {
			b.Policy.Phases = append(b.Policy.Phases, policy.Phase{Name: fmt.Sprint(i), Effective: policy.Moment{Date: policy.Date{Year: 2006 + i, Month: 1, Day: 1}}, Rules: []policy.PhaseRule{{Name: fmt.Sprintf("r%d", i), Service: "smtp", Action: policy.Drop}}})
		}
		c, err := Compile(b, nil, "edge-1", policy.Everywhere(fmt.Sprint(n-1)), time.Time{})
		switch {
		case valid && (err != nil || c.Rules[pipeline.LastRule].Name != "r242"):
			t.Errorf("%d names: %v", n, err)
		case !valid && (!errors.Is(err, policy.ErrInvalid) || c != nil):
			t.Errorf("%d names: got %v, want ErrInvalid", n, err)
		}
	}
}

// TestLargestPhase verifies that a phase that fills the verdict table compiles to as many entries as
// policy.VerdictEntries counts.
func TestLargestPhase(t *testing.T) {
	b := policytest.Example(t)
	p := b.Policy
	for len(p.LineGroups) < 124 {
		p.LineGroups = append(p.LineGroups, policy.LineGroup{Name: fmt.Sprintf("g%d", len(p.LineGroups))})
	}
	p.Phases = []policy.Phase{{Name: "wide", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 10, Day: 1}}, Rules: []policy.PhaseRule{
		{Name: "each", Groups: policy.Names(p.LineGroups), Service: "smtp", Remote: "mobile-carrier", Action: policy.Drop},
		{Name: "all", Service: "smtp", Action: policy.Drop},
	}}}
	c, err := Compile(b, nil, "edge-1", policy.Everywhere("wide"), time.Time{})
	if err != nil || len(c.State.Verdicts) != 256 || p.VerdictEntries(&p.Phases[0]) != 256 {
		t.Errorf("%v, %d entries, want 256", err, len(c.State.Verdicts))
	}
}
