package desk

import (
	"testing"

	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The most recently used revisions stay loaded. Two proposals, which have no revision number, never
// share a checker.
func TestKept(t *testing.T) {
	b, err := policy.Load(examples.SpinNet2006())
	if err != nil {
		t.Fatal(err)
	}
	d := New(Options{})
	of := func(number uint64) *check.Checker { return d.of(Source{check.Source{Bundle: b}, number}).checker }
	one, two := of(1), of(2)
	if one == two || of(1) != one || of(2) != two {
		t.Error("a revision was loaded twice, or taken for another")
	}
	of(1)
	three := of(3)
	if of(1) != one || of(3) != three {
		t.Error("one of the revisions used last was dropped")
	}
	if of(2) == two || len(d.loaded) != kept {
		t.Errorf("the revision not used was kept: %d", len(d.loaded))
	}
	other := *b // the published documents of a revision have its number
	if d.of(Source{check.Source{Bundle: &other}, 3}).checker == of(3) {
		t.Error("other documents of a revision were taken for its own")
	}
	if first, second := of(0), of(0); first == second {
		t.Error("two proposals had the same checker")
	}
}
