package p4fuzz

import (
	"math/big"
	"math/rand/v2"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// A Step is one WriteRequest. Request is a mutation of the whole request; it is empty if the request has none.
type Step struct {
	Request Mutation
	Updates []*p4v1.Update
}

// Constants of a Drawer: the table sizes at which it switches between adding and removing entries, and the frequencies of irregular
// updates.
const (
	fewEntries   = 30  // below this number of entries, most updates add
	manyEntries  = 120 // above this number of entries, most updates delete
	maxBatch     = 24
	smallTable   = 64 // tables up to this size are sometimes filled completely
	mutatedIn    = 3  // one update in this many is mutated
	careless     = 40 // one entry in this many ignores the program's restrictions
	triesToAllow = 80 // maximum number of attempts to draw an entry that the restrictions allow
)

// A Drawer draws writes for a switch in the state of a model. Equal sequences of random numbers yield equal writes.
type Drawer struct {
	r     *rand.Rand
	m     *Model
	p     *Program
	turn  int // index of the next mutation
	turnR int // index of the next mutation of a whole request
	avoid []Mutation
}

// NewDrawer returns a Drawer for the switch that a model represents. The mutations in avoid are not drawn; the switch does not recover from
// them.
func NewDrawer(r *rand.Rand, m *Model, avoid ...Mutation) *Drawer {
	return &Drawer{r: r, m: m, p: m.program, turn: r.IntN(len(mutators)), turnR: r.IntN(len(requests)), avoid: avoid}
}

// Step draws the next request.
func (d *Drawer) Step() Step {
	switch roll := d.r.IntN(100); {
	case roll < 4:
		d.turnR++
		s := Step{Request: requests[d.turnR%len(requests)]}
		if s.Request != EmptyBatch {
			s.Updates = d.batch(1 + d.r.IntN(3))
		}
		return s
	case roll < 5:
		return Step{Updates: d.fill()}
	case roll < 7:
		return Step{Updates: d.drain()}
	}
	return Step{Updates: d.batch(1 + d.r.IntN(maxBatch))}
}

// Only draws a request with a given mutation, in one update or in the request itself. It returns false if the mutation is not possible in
// the current state.
func (d *Drawer) Only(x Mutation) (Step, bool) {
	if slices.Contains(requests, x) {
		return Step{Request: x}, true
	}
	if x == FullTable {
		return Step{Updates: d.fill()}, true
	}
	for _, m := range mutators {
		if m.Mutation == x {
			u := d.mutate(m)
			return Step{Updates: []*p4v1.Update{u}}, u != nil
		}
	}
	return Step{}, false
}

func (d *Drawer) batch(n int) []*p4v1.Update {
	var out []*p4v1.Update
	for len(out) < n {
		if d.r.IntN(mutatedIn) > 0 {
			out = append(out, d.valid())
		} else if u := d.mutated(); u != nil {
			out = append(out, u)
		}
	}
	return out
}

// fill draws inserts that fill a small table, and one insert beyond the table's size.
func (d *Drawer) fill() []*p4v1.Update {
	var small []*table
	for _, t := range d.p.tables {
		if n := d.m.size(t); n <= smallTable && t.space(n) {
			small = append(small, t)
		}
	}
	if len(small) == 0 {
		return d.batch(maxBatch)
	}
	t := small[d.r.IntN(len(small))]
	var out []*p4v1.Update
	drawn := map[string]bool{}
	for tries := 0; len(out) <= d.m.size(t)-d.m.count[t.id] && tries < 40*smallTable; tries++ {
		u := d.insert(t)
		key := d.p.keyText(u.GetEntity().GetTableEntry())
		if d.m.entries[key] == nil && !drawn[key] {
			drawn[key] = true
			out = append(out, u)
		}
	}
	return out
}

// drain draws deletes of all entries of a table.
func (d *Drawer) drain() []*p4v1.Update {
	t := d.p.tables[d.r.IntN(len(d.p.tables))]
	var out []*p4v1.Update
	for _, key := range d.m.keys {
		if e := d.m.entries[key]; e.GetTableId() == t.id && !e.GetIsConst() {
			out = append(out, deletion(e))
		}
	}
	if len(out) == 0 {
		return d.batch(maxBatch)
	}
	return out
}

// space reports whether the number of possible keys of a table is much larger than n.
func (t *table) space(n int) bool {
	bits := int32(0)
	for _, f := range t.fields {
		bits += f.GetBitwidth()
	}
	return bits > 2*int32(big.NewInt(int64(n)).BitLen()) && !t.isConst
}

// valid draws an update without intended irregularities.
func (d *Drawer) valid() *p4v1.Update {
	add, remove := 5, 3
	switch n := d.m.Installed(); {
	case n < fewEntries:
		add, remove = 9, 1
	case n > manyEntries:
		add, remove = 2, 9
	}
	roll := d.r.IntN(add + remove + 6)
	switch {
	case roll < add:
		return d.insert(nil)
	case roll < add+remove:
		if e := d.installed(nil); e != nil {
			return deletion(e)
		}
	case roll < add+remove+3:
		if e := d.installed(nil); e != nil {
			return d.modify(e)
		}
	case roll < add+remove+4:
		return d.defaultEntry()
	case roll < add+remove+5:
		if u := d.direct(); u != nil {
			return u
		}
	}
	return d.group()
}
