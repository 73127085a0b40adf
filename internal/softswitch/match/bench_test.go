package match

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// A load is a table with entries, and keys to look up. The benchmarks and the allocation test use it.
type load struct {
	name  string
	table *Table[int]
	keys  []uint64 // KeyWords words for each key
}

const loadKeys = 1 << 16

func newLoad(tb testing.TB, name string, fields []Field, size int) *load {
	tb.Helper()
	table, err := New[int](fields, size)
	if err != nil {
		tb.Fatal(err)
	}
	return &load{name: name, table: table}
}

func (l *load) add(tb testing.TB, m []KeyMatch, priority int32) {
	tb.Helper()
	if _, err := l.table.Insert(m, priority, l.table.Len()); err != nil {
		tb.Fatal(err)
	}
}

func one(x uint64) []uint64 { return []uint64{x} }

func full(x uint64, width int) KeyMatch {
	return KeyMatch{Value: one(x), Mask: one(^uint64(0) >> (64 - width))}
}

// exactLoad returns a table of 100,000 subscribers. All keys match an entry.
func exactLoad(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 1))
	l := newLoad(tb, "exact/48 bits/100k", []Field{{"mac", 48, Exact}}, 100_000)
	var in []uint64
	for len(in) < 100_000 {
		x := r.Uint64() >> 16
		if _, err := l.table.Insert([]KeyMatch{{Value: one(x)}}, 0, 0); err == nil {
			in = append(in, x)
		}
	}
	for range loadKeys {
		l.keys = append(l.keys, in[r.IntN(len(in))])
	}
	return l
}

// exactPairLoad returns a table whose key has two words, a port and a VLAN.
func exactPairLoad(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 2))
	l := newLoad(tb, "exact/9+12 bits/100k", []Field{{"port", 9, Exact}, {"vlan", 12, Exact}}, 100_000)
	for i := range uint64(100_000) {
		l.add(tb, []KeyMatch{{Value: one(i % 512)}, {Value: one(i / 512)}}, 0)
	}
	for range loadKeys {
		i := r.Uint64N(100_000)
		l.keys = append(l.keys, i%512, i/512)
	}
	return l
}

// lpm4Load returns a table of 100,000 IPv4 prefixes. Nine of ten are a /32, and the others are /16 to /31. All keys match a
// prefix.
func lpm4Load(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 3))
	l := newLoad(tb, "lpm/32 bits/100k", []Field{{"addr", 32, LPM}}, 100_000)
	var in []uint64
	for i := 0; len(in) < 100_000; i++ {
		x, n := uint64(r.Uint32()), 32
		if i%10 == 0 {
			n = 16 + r.IntN(16)
		}
		p := x >> (32 - n) << (32 - n)
		if _, err := l.table.Insert([]KeyMatch{{Value: one(p), PrefixLen: n}}, 0, 0); err == nil {
			in = append(in, x)
		}
	}
	for range loadKeys {
		l.keys = append(l.keys, in[r.IntN(len(in))])
	}
	return l
}

// lpm6Load returns a table of 30,000 IPv6 prefixes, with the prefix lengths of an access network.
func lpm6Load(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 4))
	l := newLoad(tb, "lpm/128 bits/30k", []Field{{"addr", 128, LPM}}, 30_000)
	var in []uint64
	for len(in) < 60_000 {
		n := []int{32, 40, 44, 48, 56, 56, 56, 64, 64, 128}[r.IntN(10)]
		hi, lo := 0x20010db8<<32|uint64(r.Uint32()), r.Uint64()
		if n < 40 {
			hi = r.Uint64()>>3 | 1<<61
		}
		phi, plo := hi, lo
		if n <= 64 {
			phi, plo = hi>>(64-n)<<(64-n), 0
		}
		if _, err := l.table.Insert([]KeyMatch{{Value: []uint64{phi, plo}, PrefixLen: n}}, 0, 0); err == nil {
			in = append(in, hi, lo)
		}
	}
	for range loadKeys {
		i := 2 * r.IntN(30_000)
		l.keys = append(l.keys, in[i], in[i+1])
	}
	return l
}

// ternaryLoad returns a table with the given number of entries and masks over the 5 fields of an access list. Half of the
// keys match an entry.
func ternaryLoad(tb testing.TB, entries, masks int) *load {
	r := rand.New(rand.NewPCG(1, 5))
	fields := []Field{{"src", 32, Ternary}, {"dst", 32, Ternary}, {"proto", 8, Ternary}, {"sport", 16, Ternary}, {"dport", 16, Ternary}}
	l := newLoad(tb, fmt.Sprintf("ternary/104 bits/%d/%d masks", entries, masks), fields, entries)
	var in []uint64
	for i := 0; l.table.Len() < entries; i++ {
		s := rand.New(rand.NewPCG(9, uint64(i%masks)))
		m := make([]KeyMatch, len(fields))
		var key []uint64
		for j, f := range fields {
			width := f.Width
			mask := ^uint64(0) >> (64 - width)
			switch s.IntN(3) {
			case 0:
				mask = 0
			case 1:
				mask = mask >> s.IntN(width) << s.IntN(width/2) & mask
			}
			x := r.Uint64() >> (64 - width)
			key = append(key, x)
			m[j] = KeyMatch{Value: one(x & mask), Mask: one(mask)}
		}
		if _, err := l.table.Insert(m, r.Int32N(1000), i); err == nil {
			in = append(in, key...)
		}
	}
	for k := range loadKeys {
		i := 5 * r.IntN(entries)
		key := in[i : i+5]
		if k%2 == 0 {
			key = []uint64{r.Uint64() >> 32, r.Uint64() >> 32, r.Uint64() >> 56, r.Uint64() >> 48, r.Uint64() >> 48}
		}
		l.keys = append(l.keys, key...)
	}
	return l
}

// verdictLoad returns a table like a verdict table, with a few small fields and 62 entries.
func verdictLoad(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 6))
	l := newLoad(tb, "ternary/verdict 4x8 bits/62", []Field{{"epoch", 8, Ternary}, {"line", 8, Ternary}, {"remote", 8, Ternary}, {"leg", 4, Ternary}}, 62)
	for i := range uint64(62) {
		m := []KeyMatch{full(1+i%2, 8), {Wildcard: true}, full(i/2%16, 8), full(i/32, 4)}
		if i%3 == 0 {
			m[1] = KeyMatch{Value: one(1 << (i % 8)), Mask: one(1 << (i % 8))}
		}
		l.add(tb, m, int32(i))
	}
	for range loadKeys {
		l.keys = append(l.keys, 1+r.Uint64N(2), r.Uint64N(256), r.Uint64N(18), r.Uint64N(2))
	}
	return l
}

// rangeLoad returns a table of overlapping port ranges.
func rangeLoad(tb testing.TB, entries int) *load {
	r := rand.New(rand.NewPCG(1, 7))
	l := newLoad(tb, fmt.Sprintf("range/16 bits/%d", entries), []Field{{"port", 16, Range}}, entries)
	for l.table.Len() < entries {
		low := r.Uint64N(1 << 16)
		high := min(low+r.Uint64N(1<<r.IntN(12)+1), 1<<16-1)
		_, _ = l.table.Insert([]KeyMatch{{Value: one(low), Mask: one(high)}}, r.Int32N(100), 0)
	}
	for range loadKeys {
		l.keys = append(l.keys, r.Uint64N(1<<16))
	}
	return l
}

// wideLoad returns a table with exact and ternary fields of 2048 bits.
func wideLoad(tb testing.TB) *load {
	r := rand.New(rand.NewPCG(1, 8))
	l := newLoad(tb, "exact/2048 bits/100", []Field{{"blob", 2048, Exact}}, 100)
	for range 100 {
		x := make([]uint64, 32)
		for i := range x {
			x[i] = r.Uint64()
		}
		l.add(tb, []KeyMatch{{Value: x}}, 0)
		l.keys = append(l.keys, x...)
	}
	return l
}

func loads(tb testing.TB) []*load {
	return []*load{
		exactLoad(tb), exactPairLoad(tb), lpm4Load(tb), lpm6Load(tb),
		verdictLoad(tb), ternaryLoad(tb, 512, 60), ternaryLoad(tb, 512, 5), ternaryLoad(tb, 20_000, 200),
		rangeLoad(tb, 100), rangeLoad(tb, 2000), wideLoad(tb),
	}
}

func (l *load) key(i int) []uint64 {
	n := l.table.KeyWords()
	i %= len(l.keys) / n
	return l.keys[i*n : i*n+n]
}

func TestLookupAllocatesNothing(t *testing.T) {
	for _, l := range loads(t) {
		i := 0
		if n := testing.AllocsPerRun(1000, func() { l.table.Lookup(l.key(i)); i++ }); n != 0 {
			t.Errorf("%s: %v allocations a lookup, want none", l.name, n)
		}
		if l.table.fast != nil {
			if n := testing.AllocsPerRun(1000, func() { l.table.space.best(l.key(i)); i++ }); n != 0 {
				t.Errorf("%s: %v allocations a lookup in the space, want none", l.name, n)
			}
		}
	}
}

// TestReadersTogether looks up keys from several goroutines at once. Only the race detector can find a fault.
func TestReadersTogether(t *testing.T) {
	for _, l := range []*load{lpm6Load(t), verdictLoad(t), ternaryLoad(t, 2000, 60), rangeLoad(t, 600)} {
		want := make([]*Entry[int], 500)
		for i := range want {
			want[i] = l.table.Lookup(l.key(i))
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range want {
					if got := l.table.Lookup(l.key(i)); got != want[i] {
						t.Errorf("%s: key %d gives %p, want %p", l.name, i, got, want[i])
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// BenchmarkLookup measures each load. For comparison with the first load, it also measures a Go map with the same entries
// and keys.
func BenchmarkLookup(b *testing.B) {
	sum := 0
	for i, l := range loads(b) {
		n := l.table.KeyWords()
		run := func(name string, find func([]uint64) *Entry[int]) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				at := 0
				for b.Loop() {
					if e := find(l.keys[at : at+n]); e != nil {
						sum += e.Value
					}
					if at += n; at == len(l.keys) {
						at = 0
					}
				}
			})
		}
		run(l.name, l.table.Lookup)
		if i == 0 {
			floor := make(map[uint64]*Entry[int])
			for e := range l.table.All() {
				floor[e.id[0]] = e
			}
			run("floor/map[uint64]/100k", func(key []uint64) *Entry[int] { return floor[key[0]] })
		}
		if l.table.fast != nil {
			run(l.name+"/space", l.table.space.best)
		} else if l.table.ids != nil && l.table.Len() <= vectorEntries {
			v := newVector[int](l.table.layout)
			for e := range l.table.All() {
				v.insert(e)
			}
			run(l.name+"/vector", v.find)
		}
	}
}

// BenchmarkChange measures one insertion and one deletion in the table of each load.
func BenchmarkChange(b *testing.B) {
	for _, l := range loads(b) {
		var last *Entry[int]
		for e := range l.table.All() {
			last = e
		}
		m, p := last.Matches(), last.Priority()
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				if err := l.table.Delete(m, p); err != nil {
					b.Fatal(err)
				}
				if _, err := l.table.Insert(m, p, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
