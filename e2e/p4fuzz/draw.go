package p4fuzz

import (
	"math/big"
	"math/rand/v2"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// A Step is one WriteRequest. Request is the mutation of the request as a whole, or empty if there is none.
type Step struct {
	Request Mutation
	Updates []*p4v1.Update
}

// The table sizes at which a Drawer switches between adding and removing entries, and the frequencies of irregular updates.
const (
	fewEntries   = 30  // if fewer entries are installed, most updates add entries
	manyEntries  = 120 // if more entries are installed, most updates delete entries
	maxBatch     = 24
	smallTable   = 64 // the size up to which a table is sometimes filled completely
	mutatedIn    = 3  // one in this many updates is mutated
	careless     = 40 // one in this many entries is drawn without regard for the program's restrictions
	triesToAllow = 80 // the maximum number of attempts to draw an entry that the restrictions allow
)

// A Drawer draws writes for a switch in the state of a model. Equal sequences of random numbers result in equal writes.
type Drawer struct {
	r     *rand.Rand
	m     *Model
	p     *Program
	turn  int // the index of the next mutation of an update
	turnR int // the index of the next mutation of a whole request
	avoid []Mutation
}

// NewDrawer returns a Drawer for the switch that a model represents. It does not draw the mutations in avoid, from which the switch does
// not recover.
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

// Only draws a request with a given mutation, either in a single update or in the request as a whole. It returns false if the mutation is
// not possible in the present state.
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

// fill draws inserts that fill a small table, and one more insert.
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

// drain draws deletions of all entries of a table.
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

// space reports whether a table has many more possible keys than n.
func (t *table) space(n int) bool {
	bits := int32(0)
	for _, f := range t.fields {
		bits += f.GetBitwidth()
	}
	return bits > 2*int32(big.NewInt(int64(n)).BitLen()) && !t.isConst
}

// valid draws an update that is not mutated.
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
