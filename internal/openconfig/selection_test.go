package openconfig

import (
	"fmt"
	"testing"
)

// TestSelectionsAreShared verifies that a shape stores the selections of equal subscriptions, up to
// a limit.
func TestSelectionsAreShared(t *testing.T) {
	root := newSchema()
	st := &State{}
	for i := range maxSelections + 1 {
		st.Interfaces = append(st.Interfaces, Interface{Name: fmt.Sprint("port-", i)})
	}
	s := readingOf(root, st).shape
	pick := func(set leafSet, models modelSet, steps ...string) *selection {
		p, err := parsePath(root, nil, at(steps...))
		if err != nil {
			t.Fatal(err)
		}
		return (&picker{pattern: p, set: set, models: models}).in(s)
	}
	all := pick(allLeaves, modelSet{}, "interfaces")
	if again := pick(allLeaves, modelSet{}, "openconfig-interfaces:interfaces"); again != all {
		t.Error("equal subscriptions have two selections")
	}
	for name, other := range map[string]*selection{
		"set":    pick(counterLeaves, modelSet{}, "interfaces"),
		"models": pick(allLeaves, modelSet{names: map[string]bool{modP4RT: true}, text: modP4RT}, "interfaces"),
		"path":   pick(allLeaves, modelSet{}, "interfaces", "interface", "name=port-0"),
	} {
		if len(other.leaves) >= len(all.leaves) {
			t.Errorf("with another %s there are %d leaves, as with %d", name, len(other.leaves), len(all.leaves))
		}
	}
	for i := range maxSelections + 1 {
		if got := pick(allLeaves, modelSet{}, "interfaces", "interface", fmt.Sprint("name=port-", i)); len(got.leaves) != 2 {
			t.Errorf("port %d: %d leaves, want its name and state", i, len(got.leaves))
		}
	}
	if n := len(s.selecting); n != maxSelections {
		t.Errorf("%d selections are remembered, the bound is %d", n, maxSelections)
	}
}
