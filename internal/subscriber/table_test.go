package subscriber

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHolderIsOne draws sessions of lines with addresses that overlap. At every time, each address has the line whose session began last among
// the living ones with the address, or none if two began last. A plain search over all sessions says which.
func TestHolderIsOne(t *testing.T) {
	pool := []netip.Prefix{
		prefix("192.0.2.1/32"), prefix("192.0.2.2/32"), prefix("192.0.2.0/24"), prefix("2001:db8::/40"), prefix("2001:db8:1::/48"), prefix("2001:db8:1:2::/64"), prefix("2001:db8:1:2::3/128"),
	}
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable()
		sessions := make(map[string]*Session)
		restarts := make(map[string]time.Time)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			line := fmt.Sprint("line-", rapid.IntRange(0, 4).Draw(t, "line"))
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				table.Delete(line)
				delete(sessions, line)
			case 1:
				nas := rapid.SampledFrom([]string{"bng-1", "bng-2"}).Draw(t, "nas")
				restarts[nas] = at(rapid.IntRange(0, 20).Draw(t, "restart"))
				table.SetRestarted(nas, restarts[nas])
			case 2:
				table.Set(line, Record{Last: at(5)})
				delete(sessions, line)
			default:
				s := &Session{
					NAS: rapid.SampledFrom([]string{"bng-1", "bng-2"}).Draw(t, "nas"), Began: at(rapid.IntRange(0, 20).Draw(t, "began")), Interval: 10 * time.Second,
					Prefixes: rapid.SliceOfNDistinct(rapid.SampledFrom(pool), 0, 3, rapid.ID[netip.Prefix]).Draw(t, "prefixes"),
				}
				s.Heard = s.Began
				table.Set(line, Record{Session: s})
				sessions[line] = s
			}
			now := at(rapid.IntRange(0, 60).Draw(t, "now"))
			for _, a := range []string{"192.0.2.1", "192.0.2.3", "::ffff:192.0.2.1", "2001:db8:1:2::3", "2001:db8:1::1", "2001:db8:2::", "198.51.100.1"} {
				addr := netip.MustParseAddr(a)
				want, tie := search(sessions, restarts, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), now)
				if got, ok := table.Holder(addr, now); ok != (want != "" && !tie) || ok && got != want {
					t.Fatalf("%v at %v: %q, %v; want %q (tie %v) of %v", addr, now, got, ok, want, tie, sessions)
				}
			}
			// No two lines have overlapping addresses.
			var taken []netip.Prefix
			for line := range sessions {
				s, _ := table.Session(line, now)
				for _, p := range s.Prefixes {
					if i := slices.IndexFunc(taken, p.Overlaps); i >= 0 {
						t.Fatalf("%v of %s and %v of another line at the same time", p, line, taken[i])
					}
				}
				taken = append(taken, s.Prefixes...)
			}
		}
	})
}

func search(sessions map[string]*Session, restarts map[string]time.Time, p netip.Prefix, now time.Time) (line string, tie bool) {
	for name, s := range sessions {
		if !slices.ContainsFunc(s.Prefixes, p.Overlaps) || s.Began.Before(restarts[s.NAS]) || now.Sub(s.Heard) > 3*s.Interval {
			continue
		}
		switch {
		case line == "" || s.Began.After(sessions[line].Began):
			line, tie = name, false
		case s.Began.Equal(sessions[line].Began):
			tie = true
		}
	}
	return line, tie
}

// TestDisplaced verifies whose sessions a new session ends.
func TestDisplaced(t *testing.T) {
	table := NewTable()
	for line, s := range map[string]Session{
		"older":  {Began: at(1), Prefixes: []netip.Prefix{prefix("192.0.2.1/32"), prefix("2001:db8:1::/48")}},
		"same":   {Began: at(5), Prefixes: []netip.Prefix{prefix("2001:db8:1:2::/64")}},
		"newer":  {Began: at(6), Prefixes: []netip.Prefix{prefix("192.0.2.1/32")}},
		"other":  {Began: at(1), Prefixes: []netip.Prefix{prefix("192.0.2.2/32")}},
		"silent": {Began: at(1), Interval: 1, Prefixes: []netip.Prefix{prefix("192.0.2.1/32")}},
	} {
		s.Heard = s.Began
		if s.Interval == 0 {
			s.Interval = time.Minute
		}
		table.Set(line, Record{Session: &s})
	}
	got := table.Displaced("me", Session{Began: at(5), Prefixes: []netip.Prefix{prefix("192.0.2.1/32"), prefix("2001:db8:1::/56")}}, at(10))
	slices.Sort(got)
	if !slices.Equal(got, []string{"older", "same"}) {
		t.Errorf("%q", got)
	}
	r, evicted := table.Record("older").Evicted(at(5), at(10))
	if !evicted || r.Session != nil || len(r.Ended) != 1 {
		t.Errorf("%v, %+v", evicted, r)
	}
	if r, evicted := table.Record("newer").Evicted(at(5), at(10)); evicted || r.Session == nil {
		t.Error("a newer session was evicted")
	}
}

// TestPrefixes verifies which addresses of a request a session keeps.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		all     []string
		kept    []string
		refused int
	}{
		{[]string{"192.0.2.1/32"}, []string{"192.0.2.1/32"}, 0},
		{[]string{"192.0.2.1/24"}, []string{"192.0.2.0/24"}, 0},
		{[]string{"192.0.2.1/23", "0.0.0.0/32", "224.0.0.1/32", "127.0.0.1/32", "169.254.1.1/32", "255.255.255.254/32", "240.1.1.1/32"}, nil, 7},
		{[]string{"2001:db8::/39", "::/64", "fe80::1/128", "ff02::1/128", "::1/128", "::ffff:192.0.2.1/128"}, nil, 6},
		{[]string{"2001:db8:1:1::5/128", "2001:db8:1:1::/64", "2001:db8:2::/56"}, []string{"2001:db8:1:1::/64", "2001:db8:2::/56"}, 0},
		{[]string{"192.0.2.1/32", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"}, []string{"192.0.2.1/32", "192.0.2.2/32"}, 1},
	} {
		var all, want []netip.Prefix
		for _, p := range c.all {
			all = append(all, prefix(p))
		}
		for _, p := range c.kept {
			want = append(want, prefix(p))
		}
		kept, refused := Prefixes(all)
		if !slices.Equal(kept, want) || refused != c.refused {
			t.Errorf("%v: %v and %d refused, want %v and %d", c.all, kept, refused, want, c.refused)
		}
	}
}
