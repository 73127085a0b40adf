package history

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/e2e/longform"
)

// sampleFile returns the file of a history with data on all levels.
func sampleFile(t testing.TB) []byte {
	t.Helper()
	f := newFixture(t).open()
	for m := range uint64(400) {
		f.record(t0.Add(time.Duration(m)*10*time.Minute), crowd(m)...)
	}
	f.close()
	return readFile(t, f.path)
}

// use opens a file that may be damaged, and reads all its data. Only a panic or a hang is an error.
func use(t testing.TB, file []byte) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "history.db")
	writeFile(t, path, file)
	end := t0.AddDate(0, 0, 10)
	s, err := Open(Config{Path: path, Now: func() time.Time { return end }})
	if err != nil {
		t.Fatalf("Open returned %v, and did not set the file aside", err)
	}
	defer s.Close()
	for _, q := range []Query{
		{From: t0, To: end, Step: 10 * time.Minute},
		{From: t0, To: end, Step: 24 * time.Hour, Switches: []string{"edge-7"}},
		{From: t0, To: t0.Add(25 * time.Hour), Step: time.Minute},
	} {
		_, _ = s.Range(context.Background(), q)
	}
	for k := range numKinds {
		_, _ = s.Sum(context.Background(), SumQuery{Kind: k, Switches: []string{"edge-6", "edge-7"}, From: t0, To: end})
	}
	for m := range uint64(2) {
		if err := s.Record(end.Add(time.Duration(m)*time.Minute), crowd(500)); err != nil {
			t.Errorf("Record: %v", err)
		}
	}
	if _, err := s.Range(context.Background(), Query{From: end.Add(-time.Hour), To: end}); err != nil {
		t.Errorf("Range of the new file: %v", err)
	}
}

// FuzzFile overwrites a part of a file.
func FuzzFile(f *testing.F) {
	good := sampleFile(f)
	f.Add(uint32(0), []byte{}, uint32(0))
	f.Add(uint32(pageSize), []byte{1, 2, 3, 4}, uint32(1))
	f.Add(uint32(3*pageSize+8), []byte{flagBranch, 0, 255, 255}, uint32(0))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, cut uint32) {
		b := slices.Clone(good)
		if len(with) > 0 {
			copy(b[int(at)%len(b):], with)
		}
		if cut > 0 {
			b = b[:int(cut)%len(b)]
		}
		use(t, b)
	})
}

// TestDamagedFiles overwrites parts of the headers and contents of pages, or replaces a page by another one.
func TestDamagedFiles(t *testing.T) {
	good := sampleFile(t)
	use(t, good)
	r := rand.New(rand.NewPCG(25, 25))
	pages := len(good) / pageSize
	files := 100
	if longform.On() {
		files = 2000
	}
	for range files {
		b := slices.Clone(good)
		page := b[r.IntN(pages)*pageSize:][:pageSize]
		switch r.IntN(5) {
		case 0: // the header, or the first elements
			binary.LittleEndian.PutUint32(page[r.IntN(16)*4:], r.Uint32())
		case 1: // a small number there
			page[r.IntN(64)] = byte(r.IntN(32))
		case 2: // anywhere
			for range 20 {
				page[r.IntN(pageSize)] ^= 1 << r.IntN(8)
			}
		case 3: // a page that was written elsewhere
			copy(page, good[r.IntN(pages)*pageSize:][:pageSize])
		case 4: // a page that was written elsewhere, with the number of this one
			copy(page[8:], good[r.IntN(pages)*pageSize+8:][:pageSize-8])
		}
		use(t, b)
	}
}

// TestBranchThatLeadsToItself verifies that a branch that leads back to itself is detected before bbolt
// follows it.
func TestBranchThatLeadsToItself(t *testing.T) {
	good := sampleFile(t)
	found := 0
	for id := 2; id < len(good)/pageSize; id++ {
		b := slices.Clone(good)
		page := b[id*pageSize:]
		if binary.LittleEndian.Uint16(page[8:]) != flagBranch || binary.LittleEndian.Uint64(page) != uint64(id) {
			continue
		}
		binary.LittleEndian.PutUint64(page[pageHeader+8:], uint64(id))
		use(t, b)
		found++
	}
	if found == 0 {
		t.Error("the file has no branch")
	}
}

// TestKeysOutOfOrder verifies that a leaf whose keys are not in ascending order is reported. A cursor that seeks in it may find a key before the one
// that it looked for, so a reader that trusts it would not end.
func TestKeysOutOfOrder(t *testing.T) {
	good := sampleFile(t)
	end := t0.AddDate(0, 0, 10)
	found := 0
	for id := 2; id < len(good)/pageSize; id++ {
		page := good[id*pageSize:][:pageSize]
		le := binary.LittleEndian
		count := int(le.Uint16(page[10:]))
		if le.Uint16(page[8:]) != flagLeaf || le.Uint64(page) != uint64(id) || count < 8 {
			continue
		}
		for _, i := range []int{1, count / 2, count - 1} {
			b := slices.Clone(good)
			e := b[id*pageSize+pageHeader+i*element:]
			if le.Uint32(e[8:]) != 8 { // not a key of a period
				continue
			}
			for k := range 8 {
				e[int(le.Uint32(e[4:]))+k] = 0
			}
			use(t, b)
			path := filepath.Join(t.TempDir(), "history.db")
			writeFile(t, path, b)
			s, err := Open(Config{Path: path, Now: func() time.Time { return end }})
			if err != nil {
				t.Fatal(err)
			}
			for k := range numKinds {
				if _, err := s.Sum(t.Context(), SumQuery{Kind: k, Switches: []string{"edge-6", "edge-7"}, From: t0, To: end}); errors.Is(err, ErrDamaged) {
					found++
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if found == 0 {
		t.Error("no read reported a key out of order")
	}
}

func FuzzPeriod(f *testing.F) {
	f.Add([]byte{60, 1, 2, 3, 5, 1, 1})
	f.Add([]byte{60, 0, 2, 3})
	f.Add([]byte{60, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6})
	f.Add([]byte{0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p period
		if p.decode(b) != nil {
			return
		}
		var again period
		if err := again.decode(p.append(nil)); err != nil {
			t.Fatal(err)
		}
		if again.covered != p.covered || !slices.Equal(again.counts, p.counts) || !slices.Equal(again.gaps, p.gaps) {
			t.Errorf("%v became %v", p, again)
		}
	})
}

func FuzzSwitch(f *testing.F) {
	s := &switchState{name: "edge-1", boot: 1e18, last: 1e9}
	s.keys = table[keyName, keyState]{next: 9, all: []keyState{{id: 1, seen: 1e9}, {id: 8, seen: 1e9 + 60}}}
	s.counters = table[counterName, counterState]{next: 4, all: []counterState{{id: 3, seen: 1e9, packets: 7, octets: 420}}}
	f.Add(appendSwitch(nil, s))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSwitch(b)
		if err != nil {
			return
		}
		again, err := decodeSwitch(appendSwitch(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(s, again, cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
			t.Error(d)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(appendKey(nil, &keyState{first: 1e9, name: keyName{rule: "block-25", leg: "UP_DST", phase: "phase-2"}}))
	f.Add(appendKey(nil, &keyState{first: 1e9, name: keyName{link: "access-1", direction: "in"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var k, again keyState
		if decodeKey(b, &k) != nil {
			return
		}
		if err := decodeKey(appendKey(nil, &k), &again); err != nil || again != k {
			t.Errorf("%v became %v (%v)", k, again, err)
		}
	})
}

// TestPeriodsAdd verifies that the sum of two periods contains the counts of both.
func TestPeriodsAdd(t *testing.T) {
	const inGap = 100 // the ids of counts in gaps are that much higher in the maps
	draw := func(t *rapid.T) (period, map[uint32]uint64) {
		p, m := period{covered: rapid.Uint64Range(0, 120).Draw(t, "covered")}, make(map[uint32]uint64)
		for as, list := range map[uint32]*[]count{0: &p.counts, inGap: &p.gaps} {
			for _, id := range slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.Uint32Range(1, 20), 0, 20, rapid.ID[uint32]).Draw(t, "ids"))) {
				n := rapid.Uint64Range(0, 1<<50).Draw(t, "packets")
				*list = append(*list, count{id, n, 3 * n})
				m[as+id] = n
			}
		}
		return p, m
	}
	rapid.Check(t, func(t *rapid.T) {
		a, want := draw(t)
		covered := a.covered
		spare := make([]count, 3)
		for range rapid.IntRange(0, 4).Draw(t, "periods") {
			b, m := draw(t)
			covered += b.covered
			for id, n := range m {
				want[id] += n
			}
			spare = a.add(&b, spare)
		}
		got := make(map[uint32]uint64)
		for as, list := range map[uint32][]count{0: a.counts, inGap: a.gaps} {
			for _, c := range list {
				if got[as+c.id] = c.packets; c.octets != 3*c.packets {
					t.Fatalf("%v", c)
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" || a.covered != covered || len(got) != len(a.counts)+len(a.gaps) {
			t.Fatalf("%s; %d s, want %d s", d, a.covered, covered)
		}
	})
}
