package compile

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestDerive changes one exemption after the other, and checks at each step that the derived Compiler compiles what a new one compiles, that Delta
// finds exactly the entries that differ from those some steps ago, and that the counts of entries are right. Prefixes contain each other and those of
// lines, and exemptions end in between.
func TestDerive(t *testing.T) {
	lines := map[string][]string{
		"a": {"10.0.0.0/28", "10.0.0.4/30", "2001:db8:a::/64"}, "b": {"10.0.0.16/32"}, "c": {"10.0.1.0/24"}, "d": {"10.0.2.1/32", "10.0.2.2/32"}, "e": {},
	}
	prefixes := []string{"10.0.0.0/24", "10.0.0.0/28", "10.0.0.4/32", "10.0.0.16/32", "10.0.0.0/16", "10.0.1.128/25", "10.0.2.0/30", "192.0.2.0/24", "2001:db8:a::/64", "2001:db8::/32"}
	deltas, equal := 0, 0
	property := func(t *rapid.T) {
		b := &policy.Bundle{Policy: &policy.Policy{
			Name: "p", LineGroups: []policy.LineGroup{{Name: "g"}},
			Services: []policy.Service{{Name: "smtp", Ports: []policy.TCPPort{25}}, {Name: "submission", Ports: []policy.TCPPort{587, 465}}},
			Remotes:  []policy.Remote{{Name: "relay", Relay: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}}},
			Phases:   []policy.Phase{{Name: "all", Effective: policy.Moment{Date: policy.Date{Year: 2006, Month: 1, Day: 1}}, Rules: []policy.PhaseRule{{Name: "r", Service: "smtp", Action: policy.Drop}}}},
		}, Inventory: &policy.Inventory{}}
		for i, names := range [][]string{{"a", "b", "d"}, {"c", "e"}} {
			sw := policy.Switch{
				Name: []string{"one", "two"}[i], DeviceID: policy.DeviceID(i + 1), P4Runtime: "h:1", GNMI: "h:2",
				Ports: []policy.Port{{Number: 1, Name: "access"}, {Number: 2, Name: "core", Role: pipeline.Network}},
			}
			for j, name := range names {
				l := policy.Line{Name: name, Port: "access", VLAN: pipeline.VID(j + 1), Group: "g"}
				for _, p := range lines[name] {
					l.Prefixes = append(l.Prefixes, netip.MustParsePrefix(p))
				}
				sw.Lines = append(sw.Lines, l)
			}
			b.Inventory.Switches = append(b.Inventory.Switches, sw)
		}
		numbers, err := Number(nil, b)
		if err != nil {
			t.Fatal(err)
		}
		fresh := func(b *policy.Bundle) *Compiler {
			c, err := NewCompiler(b, numbers)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := fresh(b)
		history := []*Compiler{c}
		now := time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC)
		in := policy.Everywhere("all")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "time") == 0 {
				now = now.AddDate(0, 0, 3)
			}
			for _, sw := range b.Inventory.Switches {
				if rapid.Bool().Draw(t, "counted") {
					if _, err := c.SubscriberNeed(sw.Name, in, now); err != nil {
						t.Fatal(err)
					}
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "branch") == 0 { // such as a revision with the documents of an earlier one
				c = history[rapid.IntRange(0, len(history)-1).Draw(t, "earlier")]
				b = c.bundle
			}
			var e policy.Exemption
			if rapid.Bool().Draw(t, "line") {
				e.Line = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
			} else {
				e.Prefix = netip.MustParsePrefix(rapid.SampledFrom(prefixes).Draw(t, "prefix"))
			}
			next := &policy.Exemption{Line: e.Line, Prefix: e.Prefix, Owner: "o", Reason: "r", Expires: policy.Date{Year: 2006, Month: 6, Day: rapid.IntRange(1, 20).Draw(t, "day")}}
			if rapid.IntRange(0, 2).Draw(t, "end") == 0 {
				next = nil
			}
			b = &policy.Bundle{Policy: b.Policy.WithExemption(e, next), Inventory: b.Inventory}
			c = c.Derive(b, e, now)
			history = append(history, c)
			if rapid.IntRange(0, 4).Draw(t, "later") == 0 {
				now = now.AddDate(0, 0, 2)
			}
			from := history[rapid.IntRange(0, len(history)-1).Draw(t, "from")]
			subjects, ok := c.Changed(from)
			if !ok {
				t.Fatal("the lineage is not known")
			}
			for _, sw := range b.Inventory.Switches {
				want, got := compiled(t, fresh(b), sw.Name, now), compiled(t, c, sw.Name, now)
				if diff := cmp.Diff(entriesOf(want), entriesOf(got), policytest.CompareAddresses); diff != "" {
					t.Fatalf("%s, -new +derived:\n%s", sw.Name, diff)
				}
				if len(want.Expired) != len(got.Expired) {
					t.Fatalf("%s: %d expired, want %d", sw.Name, len(got.Expired), len(want.Expired))
				}
				delta, err := c.Delta(from, sw.Name, subjects, now)
				if err != nil {
					t.Fatal(err)
				}
				was := entriesOf(compiled(t, fresh(from.bundle), sw.Name, now))
				for _, x := range delta {
					if old := (entry{x.Was, x.WasEnd.UTC()}); x.Was.Class != 0 && was[x.Prefix] != old {
						t.Fatalf("%s: %v was %v, not %v", sw.Name, x.Prefix, was[x.Prefix], old)
					}
					if delete(was, x.Prefix); x.Is.Class != 0 {
						was[x.Prefix] = entry{x.Is, x.Ends.UTC()}
					}
				}
				if diff := cmp.Diff(entriesOf(want), was, policytest.CompareAddresses); diff != "" {
					t.Fatalf("%s after the delta, -want +got:\n%s", sw.Name, diff)
				}
				if equal++; len(delta) > 0 {
					deltas++
				}
				of, err := c.SubscriberNeed(sw.Name, in, now)
				if need := len(want.State.Subscribers); err != nil || of.V4+of.V6 < need {
					t.Fatalf("%s needs %+v, %v, want at least %d entries", sw.Name, of, err, need)
				}
			}
		}
	}
	rapid.Check(t, property)
	deltas, equal = 0, 0
	if policytest.Seeded(t, 20, property); deltas == 0 || deltas == equal {
		t.Errorf("%d of %d comparisons found a difference, want some", deltas, equal)
	}
}

type entry struct {
	pipeline.Subscriber
	end time.Time
}

func (e entry) Equal(o entry) bool { return e.Subscriber == o.Subscriber && e.end.Equal(o.end) }

func entriesOf(c *Compiled) map[netip.Prefix]entry {
	all := make(map[netip.Prefix]entry)
	for p, x := range c.State.Subscribers {
		end, _ := c.End(p)
		all[p] = entry{x, end.UTC()}
	}
	return all
}

func compiled(t *rapid.T, c *Compiler, name string, now time.Time) *Compiled {
	t.Helper()
	x, err := c.Compile(name, policy.Everywhere("all"), now)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestLineage verifies that the differences between Compilers are known one by one only if one was derived from the other, in a bounded number of
// steps.
func TestLineage(t *testing.T) {
	b := policytest.Example(t)
	c, err := NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2006, 6, 1, 0, 0, 0, 0, time.UTC)
	e := policy.Exemption{Prefix: netip.MustParsePrefix("192.0.2.64/28"), Owner: "o", Reason: "r", Expires: policy.Date{Year: 2006, Month: 12, Day: 1}}
	first, d := c, c
	for i := range maxLineage + 1 {
		if subjects, ok := d.Changed(first); !ok || len(subjects) != min(i, 1) {
			t.Fatalf("after %d steps: %v, %v", i, subjects, ok)
		}
		next := &e
		if i%2 == 1 {
			next = nil
		}
		d = d.Derive(&policy.Bundle{Policy: d.bundle.Policy.WithExemption(e, next), Inventory: b.Inventory}, e, now)
	}
	with := &policy.Bundle{Policy: c.bundle.Policy.WithExemption(e, &e), Inventory: b.Inventory}
	one, twin := c.Derive(with, e, now), c.Derive(with, e, now)
	if subjects, ok := one.Changed(twin); !ok || len(subjects) != 0 {
		t.Errorf("two that were derived by the same change differ in %v, %v", subjects, ok)
	}
	if subjects, ok := one.Derive(b, e, now).Changed(twin); !ok || len(subjects) != 1 {
		t.Errorf("the next one differs in %v, %v", subjects, ok)
	}
	if subjects, ok := c.Changed(one.Derive(b, e, now)); !ok || len(subjects) != 1 {
		t.Errorf("the one that it was derived from differs in %v, %v", subjects, ok)
	}
	if _, ok := d.Changed(first); ok {
		t.Errorf("%d steps are known, want %d at most", maxLineage+1, maxLineage)
	}
	if _, ok := d.Changed(other); ok {
		t.Error("the lineage from another Compiler is known")
	}
}

// TestExemptLinesJoin verifies that the exemptions of lines are right after more changes than a map of changes has.
func TestExemptLinesJoin(t *testing.T) {
	l := exemptLines{all: map[string]*policy.Exemption{"line-0": {Line: "line-0"}, "kept": {Line: "kept"}}}
	for i := range maxOver + 2 {
		name := "line-" + string(rune('0'+i%10)) + string(rune('a'+i/10%26)) + string(rune('a'+i/260))
		l = l.with(name, &policy.Exemption{Line: name})
		l = l.with("line-0", nil)
	}
	if _, has := l.of("line-0"); has {
		t.Error("an exemption that ended is there again")
	}
	if e, has := l.of("kept"); !has || e.Line != "kept" {
		t.Error("an exemption is lost")
	}
	if len(l.all) != 1+maxOver || len(l.over) > maxOver {
		t.Errorf("%d and %d lines", len(l.all), len(l.over))
	}
}
