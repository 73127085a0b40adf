package plan

import (
	"errors"
	"strings"
	"testing"

	"op25b/examples"
)

// TestRemovals compares the worked example with a change that removes one of its four lines and one of its two relay prefixes. Shares of exactly the
// bound are no mass change.
func TestRemovals(t *testing.T) {
	w := newWorld(t, "2006-05-20")
	files := examples.SpinNet2006()
	one := w.put(files)
	fewer := edit(t, files, `prefixes: [198.51.100.16/28, "2001:db8:25::/64"]`, "prefixes: [198.51.100.16/28]", "name: mobile-sim", "name: mobile-sim-2")
	for i, f := range fewer {
		if at := strings.Index(string(f.Data), "      - name: adsl-bot"); at >= 0 {
			text := string(f.Data)
			fewer[i].Data = []byte(text[:at] + text[strings.Index(text, "      - name: business-fixed"):])
		}
	}
	two := w.propose(fewer)
	at := func(percent float64) (all []string) {
		for _, r := range Removals(one, two, w.now, percent) {
			all = append(all, r.String())
		}
		return all
	}
	has := func(list []string, want string) {
		t.Helper()
		if !strings.Contains(strings.Join(list, "\n"), want) {
			t.Errorf("%q is not in %q", want, list)
		}
	}
	// A line with another name is another line.
	all := at(5)
	has(all[:1], "2 of 4 lines (50.0 %)")
	has(all, "1 of 2 entries (50.0 %) of table remote_v6 on edge-1")
	if list := strings.Join(all, "\n"); strings.Contains(list, "table line on edge-1") {
		t.Errorf("1 of 4 entries of table line is a mass change: %q", list)
	}
	if half := at(50); len(half) != 0 {
		t.Errorf("more than 50 %%: %q", half)
	}
	if added := Removals(two, one, w.now, 50); len(added) != 0 {
		t.Errorf("a change that adds lines removes %v", added)
	}
	for name, list := range map[string][]Removal{"the first intent": Removals(nil, two, w.now, 5), "the same intent": Removals(one, one, w.now, 5)} {
		if len(list) != 0 {
			t.Errorf("%s removes %v", name, list)
		}
	}

	err := CheckMass(Removals(one, two, w.now, 5), 5, false)
	if !errors.Is(err, ErrMass) {
		t.Fatalf("got %v, want ErrMass", err)
	}
	for _, want := range []string{"would remove more than 5 % at once: 2 of 4 lines (50.0 %); ", "apply it with --mass-change (mass_change in the API)"} {
		has([]string{err.Error()}, want)
	}
	if err := CheckMass(Removals(one, two, w.now, 5), 5, true); err != nil {
		t.Errorf("confirmed: %v", err)
	}
}

// TestFewRemovals verifies that the removal of few lines is no mass change, although it is a large share in a small network, unless it is half of
// them.
func TestFewRemovals(t *testing.T) {
	for _, c := range []struct {
		removed, of int
		ofLines     bool
		want        bool
	}{
		{1, 1, true, false},
		{1, 2, true, false},
		{1, 4, true, false},
		{2, 2, true, true},
		{2, 4, true, true},
		{2, 5, true, false},
		{3, 4, true, true},
		{5, 11, true, false},
		{6, 13, true, true},
		{5, 100, true, false},
		{6, 100, true, true},
		{6, 120, true, false}, // exactly 5 %
		{500, 10_000, true, false},
		{501, 10_000, true, true},
		// A prefix of a relay matters to every line.
		{1, 2, false, true},
		{1, 19, false, true},
		{1, 20, false, false},
		{0, 0, false, false},
	} {
		if got := (Removal{Removed: c.removed, Of: c.of}).beyond(DefaultMass, c.ofLines); got != c.want {
			t.Errorf("%d of %d, of lines %v: a mass change %v, want %v", c.removed, c.of, c.ofLines, got, c.want)
		}
	}
}
