package vectors

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const folderPath = "../testdata/vectors"

func golden(t testing.TB) []Vector {
	t.Helper()
	all, err := Read(os.DirFS(folderPath))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// passes reports whether the last frame of a vector must pass.
func (v *Vector) passes() bool {
	w := v.Steps[len(v.Steps)-1].Want
	return w.Same && !(w.Outcome == Stopped)
}

// TestEveryEvasionIsStoppedAndItsTwinPasses verifies that each evasion must be stopped, and that its twin must pass. A filter that drops
// everything stops all evasions, but not without stopping their twins.
func TestEveryEvasionIsStoppedAndItsTwinPasses(t *testing.T) {
	byID := map[string]*Vector{}
	all := golden(t)
	for i := range all {
		byID[all[i].ID] = &all[i]
	}
	evasions := 0
	for _, v := range all {
		if !v.Evasion {
			continue
		}
		evasions++
		last := v.Steps[len(v.Steps)-1].Want
		reachesLine := last.Same && last.Outcome != Stopped
		if reachesLine {
			t.Errorf("%v: evasion %s is not stopped: %v", v.At, v.ID, last)
		}
		twin := byID[v.Twin]
		if !twin.passes() || twin.Evasion {
			t.Errorf("%v: the twin %s of evasion %s does not pass: %v", v.At, v.Twin, v.ID, twin.Steps[len(twin.Steps)-1].Want)
		}
		if twin.Phase != v.Phase {
			t.Errorf("%v: evasion %s is of phase %s, its twin %s of %s", v.At, v.ID, v.Phase, v.Twin, twin.Phase)
		}
	}
	if evasions < 300 {
		t.Errorf("%d evasions, want 300 or more", evasions)
	}
}

// TestThemesAreWellFilled verifies that each theme has at least the number of vectors listed here, so that a theme cannot lose its vectors
// unnoticed.
func TestThemesAreWellFilled(t *testing.T) {
	want := map[string]int{
		"bridge": 90, "ends": 35, "evasions-ethernet": 110, "evasions-ipv4": 150, "evasions-ipv6": 190, "forms": 600, "fragments": 240, "knobs": 60, "leases": 110, "legs": 190,
		"lines": 140, "own": 140, "packets": 10, "phases": 330, "rejects": 190, "sources": 100, "tunnels": 45, "verdicts": 170,
	}
	got := map[string]int{}
	for _, v := range golden(t) {
		got[v.Theme]++
	}
	for theme, n := range want {
		if got[theme] < n {
			t.Errorf("theme %s has %d vectors, want %d or more", theme, got[theme], n)
		}
	}
	for theme := range got {
		if want[theme] == 0 {
			t.Errorf("theme %s has no number here", theme)
		}
	}
	t.Log(got)
}

// documents contains the keys of the policy and the inventory that vectors refer to.
type documents struct {
	Switches []struct {
		Ports []struct {
			Port uint32
			Name string
			Role string
			MACs []string
		}
		Lines []struct{ Name, Port, Group string }
	}
	Phases []struct {
		Name  string
		Rules []struct {
			Name string
			Legs []Leg
		}
	}
}

func readDocuments(t *testing.T) (d documents) {
	t.Helper()
	for _, name := range []string{"policy.yaml", "inventory.yaml"} {
		data, err := os.ReadFile(folderPath + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// standing lists the rules that every phase has, with their legs. nil means any leg.
var standing = map[string][]Leg{
	"relay": nil, "submission": nil, "exempt": nil, "fail-closed": {UpDst, DownSrc}, "tiny-fragment": {UpDst}, "later-fragment": {UpDst},
	"undetermined": {UpDst}, "spoofed": {""},
}

// TestVectorsSpeakOfWhatThereIs verifies that the phases, ports, lines and rules of all vectors exist in the policy and the inventory. It
// also verifies that each leg fits the rule and the side of the input port.
func TestVectorsSpeakOfWhatThereIs(t *testing.T) {
	d := readDocuments(t)
	network, ports := map[uint32]bool{}, map[uint32]string{510: "a controller's"}
	for _, p := range d.Switches[0].Ports {
		network[p.Port], ports[p.Port] = p.Role == "network", p.Name
	}
	lines := map[string]string{Unnamed: ""}
	for _, l := range d.Switches[0].Lines {
		lines[l.Name] = l.Port
	}
	rules := map[string]map[string][]Leg{}
	for _, ph := range d.Phases {
		rules[ph.Name] = map[string][]Leg{}
		for name, legs := range standing {
			rules[ph.Name][name] = legs
		}
		for _, r := range ph.Rules {
			if r.Legs == nil {
				r.Legs = []Leg{UpDst, DownSrc}
			}
			rules[ph.Name][r.Name] = r.Legs
		}
	}
	used := map[string]bool{}
	for _, v := range golden(t) {
		known, ok := rules[v.Phase]
		if !ok {
			t.Errorf("%v: vector %s is of phase %q, which the policy does not have", v.At, v.ID, v.Phase)
			continue
		}
		for _, s := range v.Steps {
			w := s.Want
			for _, p := range append([]uint32{s.In}, w.Ports...) {
				if ports[p] == "" {
					t.Errorf("%v: vector %s: no port %d", s.At, v.ID, p)
				}
			}
			if w.Rule == "" {
				continue
			}
			used[w.Rule] = true
			legs, ok := known[w.Rule]
			if !ok {
				t.Errorf("%v: vector %s: no rule %q in phase %s", s.At, v.ID, w.Rule, v.Phase)
			}
			if legs != nil && !strings.Contains(" "+join(legs)+" ", " "+string(w.Leg)+" ") {
				t.Errorf("%v: vector %s: rule %s is not for leg %q", s.At, v.ID, w.Rule, w.Leg)
			}
			port, ok := lines[w.Line]
			if !ok {
				t.Errorf("%v: vector %s: no line %q", s.At, v.ID, w.Line)
			}
			if w.Leg != "" && w.Leg.Up() == network[s.In] {
				t.Errorf("%v: vector %s: leg %s from port %d", s.At, v.ID, w.Leg, s.In)
			}
			if !network[s.In] && port != "" && port != ports[s.In] {
				t.Errorf("%v: vector %s: line %s is on port %s, the frame comes in at %s", s.At, v.ID, w.Line, port, ports[s.In])
			}
			if s.Want.Same && w.Outcome == Stopped && !network[s.In] {
				t.Errorf("%v: vector %s: stopped, and yet it comes out of %v", s.At, v.ID, w.Ports)
			}
		}
	}
	for phase := range rules {
		for rule := range rules[phase] {
			if !used[rule] {
				t.Errorf("no vector is about rule %s", rule)
			}
		}
	}
}

func join(legs []Leg) string {
	words := make([]string, len(legs))
	for i, l := range legs {
		words[i] = string(l)
	}
	return strings.Join(words, " ")
}
