package compile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// A drawnExemption is the policy's side of TestExemptionsEndWithoutAController: whom it exempts, and until when.
type drawnExemption struct {
	line     string // empty if the exemption is of a prefix, which holds on every line
	prefixes []netip.Prefix
	end      time.Time
}

// drawPrefix returns a prefix of 10.0.0.0/24, so that many of them contain each other.
func drawPrefix(t *rapid.T, shortest, longest int, label string) netip.Prefix {
	bits := rapid.IntRange(shortest, longest).Draw(t, label+" length")
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 63).Draw(t, label)) * 4}), bits).Masked()
}

// TestExemptionsEndWithoutAController compiles random exemptions of nested prefixes and of lines, and then looks up addresses at random instants in
// the entries, which do not change any more. What the entries exempt must be what the policy exempts at that instant, for every line and for frames
// of which the line is unknown. The one difference allowed is the one that the documentation of Compiler.exemptions names.
func TestExemptionsEndWithoutAController(t *testing.T) { // I15, of exemptions
	day := func(n int) policy.Date { return policy.Date{Year: 2006, Month: 10, Day: n} }
	nested, ended, longer := 0, 0, 0
	property := func(t *rapid.T) {
		p := &policy.Policy{Name: "drawn", LineGroups: []policy.LineGroup{{Name: "adsl"}}, Phases: []policy.Phase{{Name: "all"}}, UTCOffset: policy.Offset(rapid.IntRange(-14*60, 14*60).Draw(t, "offset"))}
		sw := policy.Switch{Name: "edge", DeviceID: 1, P4Runtime: "h:1", GNMI: "h:2", Ports: []policy.Port{{Number: 1, Name: "access"}, {Number: 2, Name: "core", Role: pipeline.Network}}}
		var all []drawnExemption
		exempt := func(line string, prefixes []netip.Prefix) {
			e := policy.Exemption{Line: line, Owner: "noc", Reason: "server", Expires: day(1 + rapid.IntRange(0, 27).Draw(t, "expires")*5%28)}
			if line == "" {
				e.Prefix = prefixes[0]
			}
			p.Exemptions = append(p.Exemptions, e)
			all = append(all, drawnExemption{line, prefixes, p.Ends(&e)})
		}
		for range rapid.IntRange(0, 6).Draw(t, "exempt prefixes") { // some of them twice
			exempt("", []netip.Prefix{drawPrefix(t, 24, 32, "prefix")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "lines") { // each in a quarter of its own, because no line has another's addresses
			line := policy.Line{Name: fmt.Sprintf("line-%d", i+1), Port: "access", VLAN: pipeline.VID(i + 1), Group: "adsl"}
			for range rapid.IntRange(1, 2).Draw(t, "prefixes") {
				own := drawPrefix(t, 26, 32, "own")
				host := own.Addr().As4()
				host[3] = host[3]%64 + byte(64*i)
				if own = netip.PrefixFrom(netip.AddrFrom4(host), own.Bits()).Masked(); !slices.Contains(line.Prefixes, own) {
					line.Prefixes = append(line.Prefixes, own)
				}
			}
			sw.Lines = append(sw.Lines, line)
			for range rapid.IntRange(0, 2).Draw(t, "exemptions of the line") {
				exempt(line.Name, line.Prefixes)
			}
		}
		c, err := newCompiler(&policy.Bundle{Policy: p, Inventory: &policy.Inventory{Switches: []policy.Switch{sw}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 15)) // rapid prefers small numbers
		instant := func() time.Time {
			if random.IntN(4) == 0 && len(all) > 0 {
				return all[random.IntN(len(all))].end.Add(time.Duration(random.IntN(3) - 1))
			}
			return day(1).Start(p.UTCOffset).Add(time.Duration(random.Int64N(int64(30 * 24 * time.Hour))))
		}
		now := instant()
		compiled, err := c.Compile("edge", policy.Everywhere("all"), now)
		if err != nil {
			t.Fatal(err)
		}
		if len(compiled.State.Subscribers) > 0 != compiled.HasEnds() {
			t.Fatalf("HasEnds is %t, with entries %v", compiled.HasEnds(), compiled.State.Subscribers)
		}
		for range 40 {
			at := instant()
			if at.Before(now) {
				at = now
			}
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(256))})
			line := pipeline.LineIndex(random.IntN(len(sw.Lines) + 1)) // 0 is the unknown line
			prefix, entry, there := longest(compiled.State.Subscribers, addr)
			end, hasEnd := compiled.End(prefix)
			if there != hasEnd || there && !end.After(now) {
				t.Fatalf("the entry of %v is there %t, and ends at %v, %t", prefix, there, end, hasEnd)
			}
			switched := there && at.Before(end) && (entry.Line == 0 || line == 0 || entry.Line == line)
			asked, elsewhere, within := false, false, 0
			for _, e := range all {
				holds := false
				for _, p := range e.prefixes {
					holds = holds || p.Contains(addr)
				}
				if !holds {
					continue
				}
				if e.end.After(now) {
					within++
				}
				if at.Before(e.end) && (e.line == "" || line == 0 || compiled.Lines[line] == e.line) {
					asked = true
				}
				elsewhere = elsewhere || e.line != "" && at.Before(e.end)
			}
			switch {
			case asked && !switched:
				t.Fatalf("at %v, %v on line %d is exempt, and the switch stops it by %v %+v, which ends at %v", at, addr, line, prefix, entry, end)
			case !asked && switched && (!elsewhere || entry.Line != 0):
				t.Fatalf("at %v, %v on line %d is not exempt, and the switch passes it by %v %+v, which ends at %v", at, addr, line, prefix, entry, end)
			case !asked && switched:
				longer++
			case there && !switched && within > 1 && !at.Before(end):
				ended++
			case asked && within > 1:
				nested++
			}
		}
	}
	rapid.Check(t, property)
	nested, ended, longer = 0, 0, 0
	if policytest.Seeded(t, 60, property); nested == 0 || ended == 0 || longer == 0 {
		t.Errorf("%d exempt by one of several, %d ended, and %d that a line keeps for others: the draws do not exercise all", nested, ended, longer)
	}
}

// longest returns the entry of the longest prefix that contains an address.
func longest(entries map[netip.Prefix]pipeline.Subscriber, addr netip.Addr) (longest netip.Prefix, entry pipeline.Subscriber, ok bool) {
	for p, e := range entries {
		if p.Contains(addr) && (!ok || p.Bits() > longest.Bits()) {
			longest, entry, ok = p, e, true
		}
	}
	return longest, entry, ok
}

// TestEndOfExemptions verifies the ends of entries where exemptions contain each other, on a policy that is easy to read.
func TestEndOfExemptions(t *testing.T) {
	b := sessionBundle(t)
	until := func(day int) time.Time {
		return policy.Date{Year: 2006, Month: 11, Day: day + 1}.Start(b.Policy.UTCOffset)
	}
	template := b.Policy.Exemptions[0]
	b.Policy.Exemptions = nil
	add := func(line, prefix string, day int) {
		e := template
		e.Line, e.Prefix, e.Review, e.Expires = line, netip.Prefix{}, policy.Date{}, policy.Date{Year: 2006, Month: 11, Day: day}
		if prefix != "" {
			e.Prefix = netip.MustParsePrefix(prefix)
		}
		b.Policy.Exemptions = append(b.Policy.Exemptions, e)
	}
	sw := &b.Inventory.Switches[0]
	sw.Lines[0].Prefixes, sw.Lines[1].Prefixes = prefixes("10.1.0.0/24"), prefixes("10.2.0.0/28", "2001:db8:2::/56")
	add("", "10.0.0.0/16", 10)
	add("", "10.0.1.0/24", 20)
	add("", "10.0.1.128/25", 15)
	add("", "10.0.2.0/24", 5)
	add("adsl-home", "", 12) // 10.1.0.0/24
	add("", "10.1.0.64/26", 7)
	add("", "10.1.0.128/26", 17)
	add("adsl-bot", "", 18) // 10.2.0.0/28, 2001:db8:2::/56
	add("", "10.2.0.0/24", 9)
	compiled, err := Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), october)
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string]struct {
		line pipeline.LineIndex
		day  int
	}{
		"10.0.0.0/16":     {0, 10},
		"10.0.1.0/24":     {0, 20},
		"10.0.1.128/25":   {0, 20}, // the prefix around it
		"10.0.2.0/24":     {0, 10},
		"10.1.0.0/24":     {1, 12},
		"10.1.0.64/26":    {0, 12}, // the line around it
		"10.1.0.128/26":   {0, 17},
		"10.2.0.0/24":     {0, 9},
		"10.2.0.0/28":     {0, 18}, // the line's, for every line
		"2001:db8:2::/56": {2, 18},
	} {
		p := netip.MustParsePrefix(prefix)
		end, ok := compiled.End(p)
		if got := compiled.State.Subscribers[p]; !ok || !end.Equal(until(want.day)) || got != (pipeline.Subscriber{Class: SubscriberExempt, Line: want.line}) {
			t.Errorf("%v: %+v until %v, %t; want line %d until %v", prefix, got, end, ok, want.line, until(want.day))
		}
	}
	if end := compiled.Sessions.ExemptEnd("adsl-home"); !end.Equal(until(12)) {
		t.Errorf("the entries of sessions of adsl-home end at %v", end)
	}
	if end, ok := compiled.End(netip.MustParsePrefix("10.3.0.0/24")); ok || !end.IsZero() {
		t.Errorf("a prefix that is not exempt ends at %v", end)
	}
}

// TestLatestExemptionCounts verifies that of several exemptions of one line or prefix the last to end counts, in any order.
func TestLatestExemptionCounts(t *testing.T) {
	for _, days := range [][2]int{{5, 25}, {25, 5}} {
		b := policytest.Example(t)
		template := b.Policy.Exemptions[0]
		b.Policy.Exemptions = nil
		for _, day := range days {
			line, prefix := template, template
			line.Expires = policy.Date{Year: 2006, Month: 11, Day: day}
			prefix.Line, prefix.Prefix, prefix.Expires = "", netip.MustParsePrefix("10.0.0.0/24"), line.Expires
			b.Policy.Exemptions = append(b.Policy.Exemptions, line, prefix)
		}
		c, err := newCompiler(b, nil) // the validation of a policy refuses the second
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			at   time.Time
			want int
		}{{october, 2}, {october.AddDate(0, 0, 35), 2}, {october.AddDate(0, 0, 50), 0}} {
			compiled, err := c.Compile("edge-1", policy.Everywhere("all-destinations"), x.at)
			if err != nil {
				t.Fatal(err)
			}
			want := policy.Date{Year: 2006, Month: 11, Day: 26}.Start(b.Policy.UTCOffset)
			for p := range compiled.State.Subscribers {
				if end, ok := compiled.End(p); !ok || !end.Equal(want) {
					t.Errorf("days %v at %v: %v ends at %v, want %v", days, x.at, p, end, want)
				}
			}
			if n := len(compiled.State.Subscribers); n > 0 != (x.want > 0) {
				t.Errorf("days %v at %v: %d entries", days, x.at, n)
			}
		}
	}
}
