package fleet

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func numberedNames(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", prefix, i+1)
	}
	return all
}

func drawNames(t *rapid.T, label string, least, most int) []string {
	return rapid.SliceOfNDistinct(rapid.StringN(1, 6, -1), least, most, rapid.ID[string]).Draw(t, label)
}

func loads(assigned map[string]string) map[string]int {
	n := make(map[string]int)
	for _, m := range assigned {
		n[m]++
	}
	return n
}

// Every switch is assigned to a member, no member has more switches than its capacity, and the order of the arguments does not matter.
func TestAssign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, switches := drawNames(t, "members", 1, 6), drawNames(t, "switches", 0, 40)
		assigned := Assign(members, switches)
		if len(assigned) != len(switches) {
			t.Fatalf("%d of %d switches are assigned", len(assigned), len(switches))
		}
		capacity := Capacity(len(members), len(switches))
		for m, n := range loads(assigned) {
			if !slices.Contains(members, m) || n > capacity {
				t.Fatalf("%q has %d switches of at most %d; members are %q", m, n, capacity, members)
			}
		}
		if again := Assign(rapid.Permutation(members).Draw(t, "members"), rapid.Permutation(switches).Draw(t, "switches")); !maps.Equal(again, assigned) {
			t.Fatalf("in another order: %v, then %v", assigned, again)
		}
	})
}

// A switch moves between two members that stay only if one of them is full. Either the switch prefers the new member, and the new
// member was full before; or the switch prefers the old member, and the old member is full now.
func TestAssignMovesFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members, switches := drawNames(t, "members", 2, 6), drawNames(t, "switches", 1, 60)
		fewer := members[:len(members)-1]
		before, after := Assign(members, switches), Assign(fewer, switches)
		if rapid.Bool().Draw(t, "joins") {
			members, fewer = fewer, members
			before, after = after, before
		}
		full := func(assigned map[string]string, members []string, m string) bool {
			return loads(assigned)[m] == Capacity(len(members), len(switches))
		}
		for _, sw := range switches {
			from, to := before[sw], after[sw]
			if from == to || !slices.Contains(members, to) || !slices.Contains(fewer, from) {
				continue
			}
			better := score(to, sw) > score(from, sw)
			if better && !full(before, members, to) || !better && !full(after, fewer, from) {
				t.Fatalf("%q moved from %q to %q, and neither was full: %v, then %v", sw, from, to, before, after)
			}
		}
	})
}

// If a member joins or leaves, only a few switches move in addition to those that the member takes over or gives up.
func TestAssignMovesAreCounted(t *testing.T) {
	switches := numberedNames("edge", 1000)
	for n := 1; n < 12; n++ {
		before, after := Assign(numberedNames("noc", n), switches), Assign(numberedNames("noc", n+1), switches)
		newest := fmt.Sprintf("noc-%d", n+1)
		moved, taken := 0, 0
		for _, sw := range switches {
			if before[sw] != after[sw] {
				moved++
				if after[sw] == newest {
					taken++
				}
			}
		}
		t.Logf("%d members and one more: %d of 1,000 move, %d to it", n, moved, taken)
		if moved > 2*1000/(n+1) {
			t.Errorf("%d members and one more: %d of 1,000 switches move, its share is %d", n, moved, 1000/(n+1))
		}
	}
	if got := Assign(nil, switches); len(got) != 0 {
		t.Errorf("without members: %v", got)
	}
}
