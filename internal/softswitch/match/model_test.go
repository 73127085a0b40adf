package match

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// A modelEntry is an entry of a model. A model scans its list of entries for each lookup. It uses big numbers and shares no code with the package.
type modelEntry struct {
	m        []KeyMatch
	priority int32
	value    int
}

type model struct {
	fields  []Field
	size    int
	entries []modelEntry // in order of insertion
}

func number(w []uint64) *big.Int {
	n := new(big.Int)
	for _, x := range w {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(x))
	}
	return n
}

// toWords is the inverse of number. It returns the words of a field of width bits.
func toWords(n *big.Int, width int) []uint64 {
	w := make([]uint64, (width+63)/64)
	n = new(big.Int).Set(n)
	for i := len(w) - 1; i >= 0; i-- {
		w[i] = new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0))).Uint64()
		n.Rsh(n, 64)
	}
	return w
}

func allOnes(width int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(width))
	return n.Sub(n, big.NewInt(1))
}

// topBits returns the mask of a prefix of n bits.
func topBits(width, n int) *big.Int {
	m := allOnes(n)
	return m.Lsh(m, uint(width-n))
}

func fieldMatches(f Field, m KeyMatch, key *big.Int) bool {
	if m.Wildcard {
		return true
	}
	v := number(m.Value)
	switch f.Kind {
	case LPM:
		return new(big.Int).And(key, topBits(f.Width, m.PrefixLen)).Cmp(v) == 0
	case Ternary:
		return new(big.Int).And(key, number(m.Mask)).Cmp(v) == 0
	case Range:
		return v.Cmp(key) <= 0 && key.Cmp(number(m.Mask)) <= 0
	}
	return key.Cmp(v) == 0
}

// same reports whether two matches of a field have the same meaning.
func same(f Field, a, b KeyMatch) bool {
	norm := func(m KeyMatch) string {
		v, mask, n := number(m.Value), new(big.Int), 0
		switch f.Kind {
		case LPM:
			n = m.PrefixLen
		case Ternary, Range:
			mask = number(m.Mask)
		}
		switch {
		case f.Kind == LPM && n == 0, f.Kind == Ternary && mask.Sign() == 0,
			f.Kind == Range && v.Sign() == 0 && mask.Cmp(allOnes(f.Width)) == 0:
			m.Wildcard = true
		}
		if m.Wildcard {
			return "*"
		}
		return fmt.Sprint(v, mask, n)
	}
	return norm(a) == norm(b)
}

func (s *model) find(m []KeyMatch, priority int32) int {
next:
	for i, e := range s.entries {
		if e.priority != priority {
			continue
		}
		for j, f := range s.fields {
			if !same(f, e.m[j], m[j]) {
				continue next
			}
		}
		return i
	}
	return -1
}

func (s *model) priorities() bool {
	for _, f := range s.fields {
		if f.Kind != Exact && f.Kind != LPM {
			return true
		}
	}
	return false
}

// lookup returns the value of the entry that decides for key, or -1.
func (s *model) lookup(key []*big.Int) int {
	best, bestRank := -1, int64(-1<<62)
next:
	for _, e := range s.entries {
		rank := int64(e.priority)
		for j, f := range s.fields {
			if !fieldMatches(f, e.m[j], key[j]) {
				continue next
			}
			if f.Kind == LPM && !s.priorities() {
				rank = 0
				if !e.m[j].Wildcard {
					rank = int64(e.m[j].PrefixLen)
				}
			}
		}
		if best < 0 || rank > bestRank {
			best, bestRank = e.value, rank
		}
	}
	return best
}

// A drawing draws fields, matches and keys. The keys match often, because each field has a small pool of values and all draws are near a
// value of the pool.
type drawing struct {
	fields []Field
	pool   [][]*big.Int
}

func drawNumber(t *rapid.T, width int) *big.Int {
	b := rapid.SliceOfN(rapid.Byte(), (width+7)/8, (width+7)/8).Draw(t, "bytes")
	n := new(big.Int).SetBytes(b)
	return n.And(n, allOnes(width))
}

func newDrawing(t *rapid.T, fields []Field) *drawing {
	d := &drawing{fields: fields}
	for _, f := range fields {
		pool := []*big.Int{new(big.Int), allOnes(f.Width)}
		for range rapid.IntRange(1, 3).Draw(t, "pool") {
			pool = append(pool, drawNumber(t, f.Width))
		}
		d.pool = append(d.pool, pool)
	}
	return d
}

// near draws a number for field i. The number is in the pool, or differs from a number in the pool in one bit or by one.
func (d *drawing) near(t *rapid.T, i int) *big.Int {
	n := new(big.Int).Set(rapid.SampledFrom(d.pool[i]).Draw(t, "value"))
	switch rapid.IntRange(0, 3).Draw(t, "change") {
	case 0:
		bit := rapid.IntRange(0, d.fields[i].Width-1).Draw(t, "bit")
		n.SetBit(n, bit, 1-n.Bit(bit))
	case 1:
		n.Add(n, big.NewInt(1)).And(n, allOnes(d.fields[i].Width))
	}
	return n
}

func (d *drawing) match(t *rapid.T) []KeyMatch {
	out := make([]KeyMatch, len(d.fields))
	for i, f := range d.fields {
		if f.Kind != Exact && rapid.IntRange(0, 4).Draw(t, "wildcard") == 0 {
			out[i].Wildcard = true
			continue
		}
		v := d.near(t, i)
		switch f.Kind {
		case LPM:
			n := rapid.IntRange(0, f.Width).Draw(t, "prefix")
			out[i].PrefixLen = n
			v.And(v, topBits(f.Width, n))
		case Ternary:
			mask := d.near(t, i)
			if rapid.Bool().Draw(t, "full") {
				mask = allOnes(f.Width)
			}
			out[i].Mask = toWords(mask, f.Width)
			v.And(v, mask)
		case Range:
			high := d.near(t, i)
			if v.Cmp(high) > 0 {
				v, high = high, v
			}
			out[i].Mask = toWords(high, f.Width)
		}
		out[i].Value = toWords(v, f.Width)
	}
	return out
}

func (d *drawing) key(t *rapid.T) ([]*big.Int, []uint64) {
	var (
		nums []*big.Int
		key  []uint64
	)
	for i, f := range d.fields {
		n := d.near(t, i)
		nums = append(nums, n)
		key = append(key, toWords(n, f.Width)...)
	}
	return nums, key
}

func drawFields(t *rapid.T, kinds []Kind) []Field {
	var fields []Field
	for i, k := range kinds {
		w := rapid.SampledFrom([]int{1, 3, 8, 16, 32, 48, 63, 64, 65, 128, 200}).Draw(t, "width")
		if i == 0 && rapid.IntRange(0, 19).Draw(t, "wide") == 0 {
			w = 2048
		}
		fields = append(fields, Field{Name: fmt.Sprint("f", i), Width: w, Kind: k})
	}
	return fields
}

// TestAgainstScan runs sequences of changes and lookups. It covers every combination of up to two kinds of fields, and longer combinations
// drawn at random.
func TestAgainstScan(t *testing.T) {
	kinds := []Kind{Exact, LPM, Ternary, Range, Optional}
	combos := [][]Kind{nil}
	for _, a := range kinds {
		combos = append(combos, []Kind{a})
		for _, b := range kinds {
			if a != LPM || b != LPM {
				combos = append(combos, []Kind{a, b})
			}
		}
	}
	combos = append(combos, []Kind{Range, Range, Range, Range, Range, Range}) // more range fields than a vector indexes
	for _, c := range combos {
		t.Run(fmt.Sprint(c), rapid.MakeCheck(func(t *rapid.T) { againstScan(t, c) }))
	}
	t.Run("longer", rapid.MakeCheck(func(t *rapid.T) {
		c := rapid.SliceOfN(rapid.SampledFrom(kinds), 3, 7).Draw(t, "kinds")
		if _, err := New[int](fixed(c, 8), 1); err != nil {
			t.Skip("two lpm fields; TestNewRefuses has those")
		}
		againstScan(t, c)
	}))
}

func fixed(kinds []Kind, width int) []Field {
	var fields []Field
	for i, k := range kinds {
		fields = append(fields, Field{Name: fmt.Sprint("f", i), Width: width, Kind: k})
	}
	return fields
}

func againstScan(t *rapid.T, kinds []Kind) {
	s := &model{fields: drawFields(t, kinds), size: rapid.IntRange(1, 30).Draw(t, "size")}
	d := newDrawing(t, s.fields)
	table, err := New[int](s.fields, s.size)
	if err != nil {
		t.Fatal(err)
	}
	for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
		m, priority := d.match(t), int32(0)
		if s.priorities() {
			priority = rapid.SampledFrom([]int32{-1 << 31, 0, 1, 2, 3, 1<<31 - 1}).Draw(t, "priority")
		}
		if len(s.entries) > 0 && rapid.Bool().Draw(t, "known") {
			e := rapid.SampledFrom(s.entries).Draw(t, "entry")
			m, priority = e.m, e.priority
		}
		at := s.find(m, priority)
		switch rapid.SampledFrom([]string{"insert", "insert", "delete", "modify"}).Draw(t, "do") {
		case "insert":
			want := error(nil)
			if at >= 0 {
				want = ErrExists
			} else if len(s.entries) >= s.size {
				want = ErrFull
			} else {
				s.entries = append(s.entries, modelEntry{m, priority, step})
			}
			e, err := table.Insert(m, priority, step)
			wantErr(t, "Insert", err, want)
			if want == nil {
				checkEntry(t, s, e, m, priority)
			}
		case "delete":
			want := ErrNotFound
			if at >= 0 {
				want = nil
				s.entries = append(s.entries[:at:at], s.entries[at+1:]...)
			}
			wantErr(t, "Delete", table.Delete(m, priority), want)
		case "modify":
			e, ok := table.Get(m, priority)
			if ok != (at >= 0) {
				t.Fatalf("Get: %v, want %v", ok, at >= 0)
			}
			if ok {
				checkEntry(t, s, e, m, priority)
				s.entries[at].value = 1000 + step
				e.Value = 1000 + step
			}
		}
		checkTable(t, s, table)
		all := structures(table, step%8 == 0)
		for range 4 {
			nums, key := d.key(t)
			checkLookup(t, all, key, s.lookup(nums))
		}
	}
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

func checkEntry(t fataler, s *model, e *Entry[int], m []KeyMatch, priority int32) {
	t.Helper()
	if e.Priority() != priority {
		t.Fatalf("priority %d, want %d", e.Priority(), priority)
	}
	for i, f := range s.fields {
		if got := e.Matches()[i]; !same(f, got, m[i]) {
			t.Fatalf("match of %v: %v, want %v", f, got, m[i])
		}
	}
}

func checkTable(t fataler, s *model, table *Table[int]) {
	t.Helper()
	var values []int
	for e := range table.All() {
		values = append(values, e.Value)
	}
	if table.Len() != len(s.entries) || len(values) != len(s.entries) {
		t.Fatalf("Len is %d, All has %d, want %d", table.Len(), len(values), len(s.entries))
	}
	for i, e := range s.entries {
		if values[i] != e.value {
			t.Fatalf("entry %d is %d, want %d", i, values[i], e.value)
		}
	}
}

// structures returns the functions that look up a key: the table's current structure and its alternatives. If the table currently uses its
// space, a vector is built only if build is set, because that takes long.
func structures(table *Table[int], build bool) map[string]func([]uint64) *Entry[int] {
	all := map[string]func([]uint64) *Entry[int]{"Lookup": table.Lookup}
	if table.ids != nil {
		all["space"] = table.space.best
		if table.fast == nil && build && table.Len() <= vectorEntries {
			v := newVector[int](table.layout)
			for e := range table.All() {
				v.insert(e)
			}
			all["vector"] = v.find
		}
	}
	return all
}

// checkLookup looks up key in every structure.
func checkLookup(t fataler, all map[string]func([]uint64) *Entry[int], key []uint64, want int) {
	t.Helper()
	for how, lookup := range all {
		value := -1
		if e := lookup(key); e != nil {
			value = e.Value
		}
		if value != want {
			t.Fatalf("%s of %x: entry %d, want %d", how, key, value, want)
		}
	}
}
