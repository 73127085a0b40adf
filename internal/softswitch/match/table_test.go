package match

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func wantErr(t fataler, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s: error %v, want %v", what, got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []Field
		size   int
		says   string
	}{
		{"two lpm", []Field{{"a", 32, LPM}, {"b", 32, LPM}}, 1, "2 lpm fields"},
		{"zero width", []Field{{"port", 0, Exact}}, 1, "field port: invalid table key: width is 0 bits, must be at least 1"},
		{"negative width", []Field{{"port", -1, Ternary}}, 1, "width is -1 bits"},
		{"kind", []Field{{"port", 8, numKinds}}, 1, "kind 5, must be exact, lpm"},
		{"size", []Field{{"port", 8, Exact}}, 0, "size is 0 entries, must be 1 to 268435456"},
		{"huge", []Field{{"port", 8, Exact}}, MaxSize + 1, "must be 1 to 268435456"},
	} {
		_, err := New[int](c.fields, c.size)
		if !errors.Is(err, ErrFields) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want ErrFields with %q", c.name, err, c.says)
		}
	}
	if _, err := New[int]([]Field{{"a", 32, LPM}, {"b", 32, LPM}, {"c", 1, Optional}}, 1); err != nil {
		t.Errorf("two lpm fields beside an optional one: %v, want none: they are masks", err)
	}
}

// TestBadMatch checks that each invalid match yields a single clear error and changes nothing.
func TestBadMatch(t *testing.T) {
	w := func(x ...uint64) []uint64 { return x }
	for _, c := range []struct {
		name     string
		field    Field
		m        []KeyMatch
		priority int32
		want     error
		says     string
	}{
		{"no field", Field{"p", 9, Exact}, nil, 0, ErrKey, "0 fields, must be 1"},
		{"too many fields", Field{"p", 9, Exact}, []KeyMatch{{Value: w(1)}, {Value: w(1)}}, 0, ErrKey, "2 fields, must be 1"},
		{"no value", Field{"p", 9, Exact}, []KeyMatch{{}}, 0, ErrKey, "field p: bad match key: value has 0 words, must be 1 for 9 bits"},
		{"too many words", Field{"p", 64, Exact}, []KeyMatch{{Value: w(0, 1)}}, 0, ErrKey, "value has 2 words, must be 1 for 64 bits"},
		{"exact width", Field{"p", 9, Exact}, []KeyMatch{{Value: w(512)}}, 0, ErrKey, "value 0x200 does not fit 9 bits"},
		{"wide width", Field{"p", 65, Exact}, []KeyMatch{{Value: w(2, 5)}}, 0, ErrKey, "value 0x20000000000000005 does not fit 65 bits"},
		{"exact wildcard", Field{"p", 9, Exact}, []KeyMatch{{Wildcard: true}}, 0, ErrKey, "wildcard in an exact field"},
		{"exact priority", Field{"p", 9, Exact}, []KeyMatch{{Value: w(1)}}, 1, ErrPriority, "1, must be 0"},
		{"lpm priority", Field{"p", 9, LPM}, []KeyMatch{{Wildcard: true}}, -1, ErrPriority, "-1, must be 0"},
		{"prefix too long", Field{"p", 9, LPM}, []KeyMatch{{Value: w(1), PrefixLen: 10}}, 0, ErrKey, "prefix length 10, must be 0 to 9"},
		{"prefix negative", Field{"p", 9, LPM}, []KeyMatch{{Value: w(0), PrefixLen: -1}}, 0, ErrKey, "prefix length -1"},
		{"beyond prefix", Field{"p", 9, LPM}, []KeyMatch{{Value: w(1), PrefixLen: 8}}, 0, ErrKey, "value 0x1 has bits beyond its prefix length 8"},
		{"outside mask", Field{"p", 9, Ternary}, []KeyMatch{{Value: w(3), Mask: w(1)}}, 1, ErrKey, "value 0x3 has bits outside the mask 0x1"},
		{"mask width", Field{"p", 9, Ternary}, []KeyMatch{{Value: w(0), Mask: w(512)}}, 1, ErrKey, "mask 0x200 does not fit 9 bits"},
		{"no mask", Field{"p", 9, Ternary}, []KeyMatch{{Value: w(0)}}, 1, ErrKey, "mask has 0 words"},
		{"low above high", Field{"p", 9, Range}, []KeyMatch{{Value: w(3), Mask: w(2)}}, 1, ErrKey, "low 0x3 is above high 0x2"},
		{"wide low above high", Field{"p", 128, Range}, []KeyMatch{{Value: w(1, 0), Mask: w(0, 9)}}, 1, ErrKey, "is above high 0x9"},
		{"high width", Field{"p", 9, Range}, []KeyMatch{{Value: w(3), Mask: w(512)}}, 1, ErrKey, "high 0x200 does not fit 9 bits"},
		{"optional width", Field{"p", 9, Optional}, []KeyMatch{{Value: w(512)}}, 1, ErrKey, "does not fit 9 bits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := New[int]([]Field{c.field}, 4)
			if err != nil {
				t.Fatal(err)
			}
			_, err = table.Insert(c.m, c.priority, 1)
			wantErr(t, "Insert", err, c.want)
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("Insert says %q, want %q in it", err, c.says)
			}
			wantErr(t, "Delete", table.Delete(c.m, c.priority), c.want)
			if _, ok := table.Get(c.m, c.priority); ok || table.Len() != 0 {
				t.Errorf("Get %v, Len %d after refused Insert", ok, table.Len())
			}
		})
	}
}

// TestWords checks that the bits of a wide field are in the documented position.
func TestWords(t *testing.T) {
	for width, want := range map[int]int{1: 1, 63: 1, 64: 1, 65: 2, 128: 2, 129: 3, 2048: 32} {
		if got := Words(width); got != want {
			t.Errorf("Words(%d) = %d, want %d", width, got, want)
		}
	}
	for width := range 200 {
		for n := range width + 1 {
			if width == 0 {
				continue
			}
			got := make([]uint64, Words(width))
			prefixMask(got, width, n)
			if !slices.Equal(got, toWords(topBits(width, n), width)) {
				t.Fatalf("prefixMask(%d, %d) = %x", width, n, got)
			}
		}
	}
}

// TestRank checks priorities, ties and the longest prefix against results worked out by hand.
func TestRank(t *testing.T) {
	table, _ := New[string]([]Field{{"dst", 32, LPM}, {"proto", 8, Ternary}}, 10)
	any8 := KeyMatch{Wildcard: true}
	must := func(m []KeyMatch, p int32, v string) {
		t.Helper()
		if _, err := table.Insert(m, p, v); err != nil {
			t.Fatal(err)
		}
	}
	key := []uint64{0x0a000001, 6}
	want := func(v string) {
		t.Helper()
		if e := table.Lookup(key); e == nil || e.Value != v {
			t.Fatalf("Lookup: %v, want %s", e, v)
		}
	}
	must([]KeyMatch{{Value: []uint64{0x0a000001}, PrefixLen: 32}, any8}, 10, "long prefix, low priority")
	must([]KeyMatch{{Value: []uint64{0x0a000000}, PrefixLen: 8}, any8}, 20, "short prefix, high priority")
	want("short prefix, high priority")
	must([]KeyMatch{{Wildcard: true}, {Value: []uint64{6}, Mask: []uint64{0xff}}}, 20, "the same priority, later")
	want("short prefix, high priority")
	if err := table.Delete([]KeyMatch{{Value: []uint64{0x0a000000}, PrefixLen: 8}, any8}, 20); err != nil {
		t.Fatal(err)
	}
	want("the same priority, later")
	must([]KeyMatch{{Value: []uint64{0x0a000000}, PrefixLen: 8}, any8}, 20, "inserted again, so later")
	want("the same priority, later")
}

// TestManyEntries inserts and deletes so many entries that the structures grow, are dropped and are rebuilt. It
// compares the table with the model.
func TestManyEntries(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields []Field
		n      int
	}{
		{"exact", []Field{{"a", 20, Exact}}, 3000},
		{"exact wide", []Field{{"a", 20, Exact}, {"b", 100, Exact}}, 1000},
		{"lpm", []Field{{"a", 32, LPM}}, 1500},
		{"exact and lpm", []Field{{"a", 3, Exact}, {"b", 128, LPM}}, 1000},
		{"ternary", []Field{{"a", 16, Ternary}, {"b", 8, Ternary}}, 700},
		{"range", []Field{{"a", 16, Range}}, 700},
		{"wide range", []Field{{"a", 130, Range}}, 300},
		{"ranges", []Field{{"a", 16, Range}, {"b", 8, Range}, {"c", 4, Ternary}}, 600},
		{"range under few masks", []Field{{"a", 2, Ternary}, {"b", 16, Range}}, 1200},
		{"acl", []Field{{"dst", 32, LPM}, {"port", 16, Range}, {"proto", 8, Optional}, {"line", 10, Exact}}, 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(c.n)))
			s := &model{fields: c.fields, size: c.n}
			table, err := New[int](c.fields, c.n)
			if err != nil {
				t.Fatal(err)
			}
			probe := func(times int) {
				all := structures(table, times > 3)
				for range times {
					nums, key := randomKey(r, s)
					checkLookup(t, all, key, s.lookup(nums))
				}
			}
			for i := 0; len(s.entries) < c.n; i++ {
				m, p := randomMatch(r, c.fields), int32(0)
				if s.priorities() {
					p = r.Int32N(50)
				}
				_, err := table.Insert(m, p, i)
				if errors.Is(err, ErrExists) {
					continue
				}
				wantErr(t, "Insert", err, nil)
				s.entries = append(s.entries, modelEntry{m, p, i})
				if i%16 == 0 {
					probe(3)
				}
			}
			checkTable(t, s, table)
			probe(300)
			for len(s.entries) > 0 {
				i := r.IntN(len(s.entries))
				e := s.entries[i]
				s.entries = slices.Delete(s.entries, i, i+1)
				wantErr(t, "Delete", table.Delete(e.m, e.priority), nil)
				if i%16 == 0 {
					probe(3)
				}
			}
			checkTable(t, s, table)
			probe(3)
		})
	}
}

func randomNumber(r *rand.Rand, width int) *big.Int {
	n := new(big.Int)
	for range Words(width) {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(r.Uint64()))
	}
	return n.And(n, allOnes(width))
}

func randomMatch(r *rand.Rand, fields []Field) []KeyMatch {
	out := make([]KeyMatch, len(fields))
	for i, f := range fields {
		v := randomNumber(r, f.Width)
		switch f.Kind {
		case LPM:
			n := f.Width - r.IntN(f.Width+1)
			out[i].PrefixLen = n
			v.And(v, topBits(f.Width, n))
		case Ternary:
			m := randomNumber(r, f.Width)
			if r.IntN(2) == 0 {
				m = topBits(f.Width, r.IntN(f.Width+1))
			}
			v.And(v, m)
			out[i].Mask = toWords(m, f.Width)
		case Range:
			h := new(big.Int).Add(v, randomNumber(r, max(f.Width-r.IntN(8), 1)))
			if h.Cmp(allOnes(f.Width)) > 0 {
				h = allOnes(f.Width)
			}
			out[i].Mask = toWords(h, f.Width)
		case Optional:
			out[i].Wildcard = r.IntN(3) == 0
			v.And(v, big.NewInt(3))
		}
		out[i].Value = toWords(v, f.Width)
	}
	return out
}

// randomKey draws half of the keys at random, and the other half so that they are likely to match an entry.
func randomKey(r *rand.Rand, s *model) ([]*big.Int, []uint64) {
	var (
		nums []*big.Int
		key  []uint64
	)
	hit := len(s.entries) > 0 && r.IntN(2) == 0
	for i, f := range s.fields {
		n := randomNumber(r, f.Width)
		if hit {
			m := s.entries[r.IntN(len(s.entries))].m[i]
			if r.IntN(4) > 0 {
				m = s.entries[len(s.entries)/2].m[i]
			}
			if !m.Wildcard {
				n = number(m.Value)
			}
		}
		nums = append(nums, n)
		key = append(key, toWords(n, f.Width)...)
	}
	return nums, key
}
