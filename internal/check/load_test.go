package check

import (
	"errors"
	"fmt"
	"testing"

	"op25b/internal/compile"
	"op25b/internal/policy"
)

// TestForgetsWhatNobodyAsks verifies that the most recently used places are kept.
func TestForgetsWhatNobodyAsks(t *testing.T) {
	c := New(Source{Bundle: &policy.Bundle{Policy: &policy.Policy{}, Inventory: &policy.Inventory{}}}, Options{})
	compiled := map[string]int{}
	use := func(in string) {
		_, err := c.at(place{in: in}, func() (*compile.Compiled, error) {
			compiled[in]++
			return nil, errors.New("not needed here")
		})
		if err == nil {
			t.Fatal("no error")
		}
	}
	for i := range 3 * MaxLoaded {
		use("again")
		use(fmt.Sprint(i))
	}
	if compiled["again"] != 1 || len(c.loaded) != MaxLoaded || len(c.lastUse) != MaxLoaded {
		t.Errorf("one that is always used was loaded %d times; %d places kept, %d remembered, want %d", compiled["again"], len(c.loaded), len(c.lastUse), MaxLoaded)
	}
	if use("0"); compiled["0"] != 2 {
		t.Error("the one used first was kept")
	}
}
