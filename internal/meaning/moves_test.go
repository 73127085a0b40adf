package meaning

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// tinyBits is the number of bits in which random prefixes differ. It is small enough for a test to check every address.
const tinyBits = 6

// tiny returns the address with number n in one of two nets of 64 addresses, one IPv4 and one IPv6. The six bits that vary in the IPv6 net
// span two bytes.
func tiny(v4 bool, n int) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{203, 0, 113, byte(64 + n)})
	}
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 14: byte(n >> 3), 15: byte(n << 5)})
}

// tinyPrefix returns a random prefix in one of the two nets.
func tinyPrefix(t *rapid.T) netip.Prefix {
	v4 := rapid.Bool().Draw(t, "IPv4")
	bits := 26
	if !v4 {
		bits = 117
	}
	length := bits + rapid.IntRange(0, tinyBits).Draw(t, "length")
	return netip.PrefixFrom(tiny(v4, rapid.IntRange(0, 1<<tinyBits-1).Draw(t, "address")), length).Masked()
}

func drawClasses(t *rapid.T) *compile.Compiled {
	c := &compile.Compiled{Switch: "edge", Remotes: map[pipeline.Class]policy.Remote{}, State: pipeline.State{Remotes: map[netip.Prefix]pipeline.Class{}}}
	shift := rapid.IntRange(0, 2).Draw(t, "first name") // gives the two policies different numbers for the same names
	for number := pipeline.Class(1); number <= 3; number++ {
		r := policy.Remote{Name: fmt.Sprint("class-", (int(number)+shift)%3)}
		for range rapid.IntRange(0, 4).Draw(t, "prefixes") {
			p := tinyPrefix(t)
			if _, taken := c.State.Remotes[p]; !taken {
				c.State.Remotes[p] = number
				r.Prefixes = append(r.Prefixes, p)
			}
		}
		if len(r.Prefixes) > 0 {
			c.Remotes[number] = r
		}
	}
	return c
}

// classAt determines the class of an address by comparing the address with every prefix.
func classAt(c *compile.Compiled, a netip.Addr) string {
	longest, name := -1, ""
	for p, number := range c.State.Remotes {
		if p.Contains(a) && p.Bits() > longest {
			longest, name = p.Bits(), c.Remotes[number].Name
		}
	}
	return name
}

// TestClassMoves compares random lists of nested prefixes. An address that changes its class must be in the move between its two classes,
// and in no other move. Any other address must be reported as staying. No two prefixes of a result may be the halves of a shorter prefix.
func TestClassMoves(t *testing.T) {
	moved, stayed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		old, now := drawClasses(t), drawClasses(t)
		w := &words{old: newJudge(old), new: newJudge(now), was: old, is: now}
		moves, stay := w.classMoves()
		if moves == nil && stay == nil { // no entry changed
			stay = map[string][]netip.Prefix{}
			for _, r := range now.Remotes {
				stay[r.Name] = r.Prefixes
			}
		}
		for _, v4 := range []bool{true, false} {
			for n := range 1 << tinyBits {
				a := tiny(v4, n)
				has := func(p netip.Prefix) bool { return p.Contains(a) }
				from, to := classAt(old, a), classAt(now, a)
				times := 0
				for _, m := range moves {
					if m.from == m.to || len(m.prefixes) == 0 {
						t.Fatalf("%+v is no move", m)
					}
					if slices.ContainsFunc(m.prefixes, has) {
						times++
						if m.from != from || m.to != to {
							t.Fatalf("%v goes from %q to %q, and is in %+v", a, from, to, m)
						}
					}
				}
				switch {
				case from != to && times != 1:
					t.Fatalf("%v goes from %q to %q, and is in %d moves: %+v", a, from, to, times, moves)
				case from == to && times != 0:
					t.Fatalf("%v stays in %q, and is in a move: %+v", a, from, moves)
				case from != to:
					moved++
				}
				for name, prefixes := range stay {
					is := from == to && to == name
					if slices.ContainsFunc(prefixes, has) != is && len(moves) > 0 {
						t.Fatalf("%v goes from %q to %q, and what stays in %q is %v", a, from, to, name, prefixes)
					}
					if is {
						stayed++
					}
				}
			}
		}
		for _, m := range moves {
			for i, p := range m.prefixes {
				for _, x := range m.prefixes[i+1:] {
					if p.Overlaps(x) || p.Bits() == x.Bits() && netip.PrefixFrom(p.Addr(), p.Bits()-1).Contains(x.Addr()) {
						t.Fatalf("%v and %v stand side by side in %+v", p, x, m)
					}
				}
			}
		}
	})
	if moved == 0 || stayed == 0 {
		t.Errorf("%d addresses moved, %d stayed", moved, stayed)
	}
}
