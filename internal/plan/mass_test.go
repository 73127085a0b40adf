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
	has(all, "1 of 4 entries (25.0 %) of table line on edge-1")
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
