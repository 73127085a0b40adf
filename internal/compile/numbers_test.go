package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// numbersOf numbers documents and fails the test if there are not enough numbers.
func numbersOf(t testing.TB, prev *Numbers, b *policy.Bundle) *Numbers {
	t.Helper()
	n, err := Number(prev, b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// given returns the number of each name. A name that is absent from the documents is marked with a star.
func given(g Given) map[string]int {
	all := make(map[string]int)
	for name, x := range g {
		if x.Gone > 0 {
			name += "*"
		}
		all[name] = int(x.Number)
	}
	return all
}

// TestFirstNumbers verifies that in the first numbering, names are numbered by position, and rule ids follow the ids of the standing rules in
// order of first appearance.
func TestFirstNumbers(t *testing.T) {
	n := numbersOf(t, nil, policytest.Example(t))
	text, err := json.MarshalIndent(n, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "version": 1,
 "lineGroups": {
  "adsl": {
   "number": 1
  },
  "bflets": {
   "number": 3
  },
  "hikari-premium": {
   "number": 4
  },
  "isdn": {
   "number": 2
  },
  "mobile": {
   "number": 5
  }
 },
 "services": {
  "smtp": {
   "number": 1
  },
  "submission": {
   "number": 2
  },
  "submissions": {
   "number": 3
  }
 },
 "remotes": {
  "mobile-carrier": {
   "number": 2
  },
  "own-relay": {
   "number": 1
  }
 },
 "rules": {
  "smtp-all": {
   "number": 6
  },
  "smtp-carrier": {
   "number": 5
  }
 },
 "lines": {
  "edge-1": {
   "adsl-bot": {
    "number": 2,
    "place": "access-2 0 0 0"
   },
   "adsl-home": {
    "number": 1,
    "place": "access-1 0 0 0"
   },
   "business-fixed": {
    "number": 3,
    "place": "access-3 0 0 0"
   },
   "mobile-sim": {
    "number": 4,
    "place": "access-4 0 0 0"
   }
  }
 }
}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var read Numbers
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(n, &read); diff != "" {
		t.Errorf("what is stored is not what was given out, -given +read:\n%s", diff)
	}
}

// TestNumbersStay verifies that a deletion from the middle of a list changes no other number. A new name gets a number that was never used,
// and a returning name gets its old number.
func TestNumbersStay(t *testing.T) {
	b := policytest.Example(t)
	first := numbersOf(t, nil, b)
	all := slices.Clone(b.Policy.LineGroups)
	b.Policy.LineGroups = slices.Delete(slices.Clone(all), 1, 3)
	second := numbersOf(t, first, b)
	if diff := cmp.Diff(map[string]int{"adsl": 1, "isdn*": 2, "bflets*": 3, "hikari-premium": 4, "mobile": 5}, given(second.LineGroups)); diff != "" {
		t.Errorf("after a deletion, -want +got:\n%s", diff)
	}
	b.Policy.LineGroups = append([]policy.LineGroup{{Name: "cable"}}, b.Policy.LineGroups...)
	third := numbersOf(t, second, b)
	if third.LineGroups["cable"].Number != 6 || third.LineGroups["isdn"].Gone != 2 {
		t.Errorf("cable is %+v, isdn %+v", third.LineGroups["cable"], third.LineGroups["isdn"])
	}
	b.Policy.LineGroups = all
	if diff := cmp.Diff(map[string]int{"adsl": 1, "isdn": 2, "bflets": 3, "hikari-premium": 4, "mobile": 5, "cable*": 6}, given(numbersOf(t, third, b).LineGroups)); diff != "" {
		t.Errorf("after a return, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(first, numbersOf(t, first, b)); diff != "" {
		t.Errorf("the same documents have other numbers:\n%s", diff)
	}
}

// TestNumbersUsedAgain verifies that the number of the longest absent name is reused when no other is free, and that Number fails if all
// names are present.
func TestNumbersUsedAgain(t *testing.T) {
	groups := func(from, to int) *policy.Bundle {
		p := &policy.Policy{}
		for i := from; i < to; i++ {
			p.LineGroups = append(p.LineGroups, policy.LineGroup{Name: fmt.Sprintf("g%d", i)})
		}
		return &policy.Bundle{Policy: p, Inventory: &policy.Inventory{}}
	}
	n := numbersOf(t, nil, groups(0, 255))
	n = numbersOf(t, n, groups(1, 255)) // g0 leaves, later g1 and g2
	n = numbersOf(t, n, groups(3, 255))
	n = numbersOf(t, n, groups(3, 257)) // two groups are added
	want := map[string]int{"g255": 1, "g256": 2, "g2*": 3}
	for _, name := range []string{"g0", "g1", "g2", "g255", "g256"} {
		x, there := n.LineGroups[name]
		if x.Gone > 0 {
			name += "*"
		}
		if there && want[name] != int(x.Number) || !there && want[name] != 0 {
			t.Errorf("%s: %+v, %v", name, x, there)
		}
	}
	_, err := Number(n, groups(3, 259))
	if text := `no number is left for line group "g258": there are 256, and a switch can number 255`; !errors.Is(err, ErrNoNumber) || err.Error() != text {
		t.Errorf("got  %v\nwant %s", err, text)
	}
}

// TestLineRenamed verifies that a line keeps its index if only its name changes. A line at another place, or one that is added in a later
// numbering, is a new line.
func TestLineRenamed(t *testing.T) {
	b := policytest.Example(t)
	first := numbersOf(t, nil, b)
	sw := &b.Inventory.Switches[0]
	old := slices.Clone(sw.Lines)
	sw.Lines[1].Name = "adsl-clean"
	if diff := cmp.Diff(map[string]int{"adsl-home": 1, "adsl-clean": 2, "business-fixed": 3, "mobile-sim": 4}, given(numbersOf(t, first, b).Lines["edge-1"])); diff != "" {
		t.Errorf("renamed, -want +got:\n%s", diff)
	}
	sw.Lines[1].VLAN = 7
	if diff := cmp.Diff(map[string]int{"adsl-home": 1, "adsl-bot*": 2, "business-fixed": 3, "mobile-sim": 4, "adsl-clean": 5}, given(numbersOf(t, first, b).Lines["edge-1"])); diff != "" {
		t.Errorf("replaced elsewhere, -want +got:\n%s", diff)
	}
	sw.Lines = slices.Delete(slices.Clone(old), 1, 2)
	gone := numbersOf(t, first, b)
	sw.Lines = slices.Clone(old)
	sw.Lines[1].Name = "next-customer"
	if diff := cmp.Diff(map[string]int{"adsl-home": 1, "adsl-bot*": 2, "business-fixed": 3, "mobile-sim": 4, "next-customer": 5}, given(numbersOf(t, gone, b).Lines["edge-1"])); diff != "" {
		t.Errorf("another customer later, -want +got:\n%s", diff)
	}
	// Two lines exchange their names. Each name keeps its index although its place changes.
	sw.Lines = slices.Clone(old)
	sw.Lines[0].Name, sw.Lines[1].Name = sw.Lines[1].Name, sw.Lines[0].Name
	if got := given(numbersOf(t, first, b).Lines["edge-1"]); got["adsl-home"] != 1 || got["adsl-bot"] != 2 {
		t.Errorf("exchanged: %v", got)
	}
	// The lines of a removed switch keep their indices.
	b.Inventory.Switches = nil
	if diff := cmp.Diff(map[string]int{"adsl-home*": 1, "adsl-bot*": 2, "business-fixed*": 3, "mobile-sim*": 4}, given(numbersOf(t, first, b).Lines["edge-1"])); diff != "" {
		t.Errorf("without the switch, -want +got:\n%s", diff)
	}
}

// TestNumbersRefused verifies that Number refuses inconsistent numbers, and that a compiler refuses numbers that belong to other documents.
func TestNumbersRefused(t *testing.T) {
	for want, change := range map[string]func(n *Numbers){
		`the numbers cannot be used: they have version 2, and 1 is read here`: func(n *Numbers) { n.Version = 2 },
		`the numbers cannot be used: service "smtp" has number 0; valid are 1 to 247`: func(n *Numbers) {
			n.Services["smtp"] = Numbered{}
		},
		`the numbers cannot be used: rule "smtp-all" has number 4; valid are 5 to 247`: func(n *Numbers) {
			n.Rules["smtp-all"] = Numbered{Number: 4}
		},
		`the numbers cannot be used: remote class "own-relay" has number 2, which is "mobile-carrier"'s too`: func(n *Numbers) {
			n.Remotes["own-relay"] = Numbered{Number: 2}
		},
		`switch "edge-1": the numbers cannot be used: line "adsl-bot" has number 16384; valid are 1 to 16383`: func(n *Numbers) {
			n.Lines["edge-1"]["adsl-bot"] = Numbered{Number: 16384}
		},
	} {
		b := policytest.Example(t)
		n := numbersOf(t, nil, b)
		change(n)
		if _, err := Number(n, b); !errors.Is(err, ErrNumbers) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	for want, change := range map[string]func(n *Numbers){
		`compile policy "spinnet-2006": the numbers cannot be used: rule "smtp-all" has none; they are of other documents: number these first`: func(n *Numbers) {
			delete(n.Rules, "smtp-all")
		},
		`compile switch "edge-1": the numbers cannot be used: line "adsl-bot" has none; they are of other documents: number these first`: func(n *Numbers) {
			delete(n.Lines["edge-1"], "adsl-bot")
		},
	} {
		b := policytest.Example(t)
		n := numbersOf(t, nil, b)
		change(n)
		if _, err := Compile(b, n, "edge-1", policy.Everywhere("before"), policytest.Moment(t, "2006-06-01T00:00:00Z")); !errors.Is(err, ErrNumbers) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestNumbersOverRevisions numbers random sequences of documents. No two names may share a number, and every name must keep its number from
// the previous revision. Apart from the numbers, a switch must have the same entries as after a first numbering.
func TestNumbersOverRevisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var prev *Numbers
		for range rapid.IntRange(1, 6).Draw(t, "revisions") {
			p, inv := policytest.DrawBundle(t)
			p.LineGroups = rapid.Permutation(p.LineGroups).Draw(t, "order of groups")
			p.Remotes = rapid.Permutation(p.Remotes).Draw(t, "order of classes")
			inv.Switches[0].Lines = rapid.Permutation(inv.Switches[0].Lines).Draw(t, "order of lines")
			b := &policy.Bundle{Policy: p, Inventory: inv}
			n, err := Number(prev, b)
			if err != nil {
				t.Fatal(err)
			}
			if err := n.check(); err != nil {
				t.Fatal(err)
			}
			if prev != nil {
				for _, x := range []struct{ was, is Given }{
					{prev.LineGroups, n.LineGroups}, {prev.Services, n.Services}, {prev.Remotes, n.Remotes}, {prev.Rules, n.Rules}, {prev.Lines["edge"], n.Lines["edge"]},
				} {
					for name, was := range x.was {
						if x.is[name].Number != was.Number {
							t.Fatalf("%s was %+v, is %+v", name, was, x.is[name])
						}
					}
				}
			}
			in := policytest.DrawInForce(t, p)
			first, err := Compile(b, nil, "edge", in, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			now, err := Compile(b, n, "edge", in, time.Date(2006, 10, 15, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(byNames(first), byNames(now)); diff != "" {
				t.Fatalf("-first load +now:\n%s", diff)
			}
			prev = n
		}
	})
}

// byNames returns a switch's entries with names in place of numbers.
func byNames(c *Compiled) map[string]string {
	all := make(map[string]string)
	group := func(g pipeline.LineGroup) string { return c.LineGroups[g].Name }
	for k, v := range c.State.Verdicts {
		all[fmt.Sprint("verdict ", k.Group.Set, group(k.Group.Value), k.Leg, k.Service.Set, c.Services[k.Service.Value].Name, max(k.Service.Value, pipeline.LastService),
			k.RemoteClass.Set, c.Remotes[k.RemoteClass.Value].Name, k.SubscriberClass, k.Priority)] = fmt.Sprint(v.Action, c.Rules[v.Rule].Name)
	}
	for k, v := range c.State.Lines {
		all[fmt.Sprint("line ", k)] = fmt.Sprint(group(v.Group), c.Lines[v.Index])
	}
	for k, v := range c.State.Services {
		all[fmt.Sprint("service ", k)] = fmt.Sprint(v.Leg, c.Services[v.Service].Name, v.Priority)
	}
	for k, v := range c.State.Remotes {
		all[fmt.Sprint("remote ", k)] = c.Remotes[v].Name
	}
	for k, v := range c.State.Subscribers {
		all[fmt.Sprint("subscriber ", k)] = fmt.Sprint(v.Class, c.Lines[v.Line])
	}
	for k, v := range c.State.SourceChecks {
		all[fmt.Sprint("check ", group(k))] = fmt.Sprint(v)
	}
	for k := range c.State.Sources {
		all[fmt.Sprint("source ", c.Lines[k.Line], k.Prefix)] = ""
	}
	for k, v := range c.State.Limits {
		all[fmt.Sprint("limit ", c.Lines[k.Line], k.From)] = fmt.Sprint(v)
	}
	for id, r := range c.Rules {
		if id != r.ID {
			all[fmt.Sprint("rule ", id)] = fmt.Sprint("says that it is ", r.ID)
		}
		all["rule "+r.Name] = string(r.Action) + r.Text
	}
	for _, name := range slices.Collect(maps.Values(c.Lines)) {
		all["name "+name] = ""
	}
	return all
}
