package match

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHashCrowded uses a seed that puts nearly all keys into two places, at the start and at the end of the slots. So runs of slots in
// use are long, wrap around, and lose entries in their middle.
func TestHashCrowded(t *testing.T) {
	weak := seed{0, 1} // mix(h, w) returns h^w, and its highest bits determine the slot
	// In keys of two words, the first word makes some of the sums collide.
	set := func(id []uint64, w uint64) {
		id[0] = w % 3
		id[len(id)-1] = w
	}
	for _, words := range []int{1, 2} {
		rapid.Check(t, func(t *rapid.T) {
			mask := make([]uint64, words)
			for i := range mask {
				mask[i] = ^uint64(0)
			}
			h := newHash[int](weak, mask)
			model := map[uint64]*Entry[int]{}
			for range rapid.IntRange(1, 200).Draw(t, "steps") {
				w := rapid.Uint64Range(0, 40).Draw(t, "w")
				if w%2 == 1 {
					w = ^w
				}
				id := make([]uint64, words)
				set(id, w)
				switch e := model[w]; {
				case e == nil:
					model[w] = &Entry[int]{id: id}
					h.put(model[w])
				case rapid.Bool().Draw(t, "replace"):
					model[w] = &Entry[int]{id: id}
					h.put(model[w])
				default:
					delete(model, w)
					h.remove(id)
				}
				if h.n != len(model) {
					t.Fatalf("n is %d, want %d", h.n, len(model))
				}
				key := slices.Clone(id)
				for w := range uint64(41) {
					for _, w := range []uint64{w, ^w} {
						set(key, w)
						if got := h.find(key); got != model[w] {
							t.Fatalf("find(%x) = %p, want %p", w, got, model[w])
						}
					}
				}
			}
		})
	}
}

// TestSeedsDiffer checks that two tables get different seeds, so that they put the same keys into different slots.
func TestSeedsDiffer(t *testing.T) {
	a, b := newSeed(), newSeed()
	if a == b || a[0] == 0 || a[1]&1 == 0 {
		t.Errorf("seeds %x and %x, want random ones that differ", a, b)
	}
}

// TestIntervalsMerge checks that segments are removed together with their entries, and that two neighbouring segments never have the same
// entry.
func TestIntervalsMerge(t *testing.T) {
	l, err := newLayout([]Field{{"port", 64, Range}})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		x := newIntervals[int](l)
		var in []*Entry[int]
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			if len(in) > 0 && rapid.IntRange(0, 2).Draw(t, "remove") == 0 {
				i := rapid.IntRange(0, len(in)-1).Draw(t, "at")
				e := in[i]
				in = slices.Delete(in, i, i+1)
				x.erase(e, in)
			} else {
				ends := []uint64{drawEnd(t), drawEnd(t)}
				slices.Sort(ends)
				e := &Entry[int]{
					id: append(ends, 0), seq: uint64(step), layout: l,
					priority: int32(rapid.IntRange(0, 3).Draw(t, "priority")),
				}
				in = append(in, e)
				x.paint(e, e.low(), e.high())
			}
			if x.len() != len(x.best) || x.starts[0] != 0 || !slices.IsSorted(x.starts) {
				t.Fatalf("segments %x of %d entries", x.starts, len(x.best))
			}
			for i := 1; i < len(x.best); i++ {
				if x.best[i] == x.best[i-1] {
					t.Fatalf("segments %d and %d decide alike", i-1, i)
				}
			}
			for _, v := range []uint64{0, 1, 7, 8, 9, 10, 11, ^uint64(0) - 1, ^uint64(0)} {
				var want *Entry[int]
				for _, e := range in {
					if e.id[0] <= v && v <= e.id[1] && (want == nil || e.outranks(want)) {
						want = e
					}
				}
				if got := x.find([]uint64{v}); got != want {
					t.Fatalf("find(%x) = %v, want %v", v, got, want)
				}
			}
		}
	})
}

func drawEnd(t *rapid.T) uint64 {
	v := rapid.Uint64Range(0, 12).Draw(t, "end")
	if rapid.Bool().Draw(t, "top") {
		return ^v
	}
	return v
}

// TestVectorDropsRows checks that byte rows that no entry examines are removed, and that segments that no range separates are merged.
func TestVectorDropsRows(t *testing.T) {
	table, err := New[int]([]Field{{"addr", 32, Ternary}, {"port", 16, Range}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	add := func(mask, low, high uint64) []KeyMatch {
		m := []KeyMatch{{Value: []uint64{0}, Mask: []uint64{mask}}, {Value: []uint64{low}, Mask: []uint64{high}}}
		if _, err := table.Insert(m, 1, 0); err != nil {
			t.Fatal(err)
		}
		return m
	}
	add(0xff00_0000, 0, 100)
	gone := add(0x00ff_ff00, 50, 60)
	if n, s := len(table.fast.bytes), table.fast.ranges[0].len(); n != 3 || s != 4 {
		t.Fatalf("%d byte rows and %d segments, want 3 and 4", n, s)
	}
	if err := table.Delete(gone, 1); err != nil {
		t.Fatal(err)
	}
	if n, s := len(table.fast.bytes), table.fast.ranges[0].len(); n != 1 || s != 2 {
		t.Fatalf("%d byte rows and %d segments after the deletion, want 1 and 2", n, s)
	}
}
