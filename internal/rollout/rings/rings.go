// Package rings reads the document that divides a fleet into the rings of a rollout.
package rings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/strict"
)

// Kind is the kind of the document.
const Kind = "Rings"

// MaxRings is the largest number of rings.
const MaxRings = 20

// The bounds of a soak time. A shorter time than the minimum has too few samples.
const (
	MinSoak = time.Minute
	MaxSoak = 30 * 24 * time.Hour
)

// ErrInvalid means that a document does not divide the inventory's switches into rings.
var ErrInvalid = errors.New("not the rings of these switches")

type document struct {
	Rings []ring `yaml:"rings"`
}

// A ring selects switches by name, site, model or label. A switch that any of these selects is in the ring.
type ring struct {
	Name     string   `yaml:"name"`
	Switches []string `yaml:"switches,omitempty"`
	Sites    []string `yaml:"sites,omitempty"`
	Models   []string `yaml:"models,omitempty"`
	Labels   []string `yaml:"labels,omitempty"`
	// Rest selects all switches that are in no other ring. Only the last ring may have it.
	Rest  bool            `yaml:"rest,omitempty"`
	Soak  policy.Duration `yaml:"soak"`
	Gates gates           `yaml:"gates,omitempty"`
}

// The bounds of gates. A bound that is absent has its default.
type gates struct {
	// Affected is the number of newly affected lines in percent of the forecast.
	Affected percent `yaml:"affected,omitempty"`
	// Tickets is the number of lines that may have support tickets. If it is absent, tickets are not watched.
	Tickets lines `yaml:"tickets,omitempty"`
}

type lines uint64

// Range implements strict.Number.
func (lines) Range() (lo, hi uint64) { return 1, 1000 }

type percent uint64

// Range implements strict.Number.
func (percent) Range() (lo, hi uint64) { return 100, 10_000 }

// Read reads a document, and returns the stages of a rollout over the switches of an inventory. Every switch is in exactly one ring, and every ring has
// a switch.
//
// Each ring behind the first must have every stratum that a later ring has; see Strata. A fault of a stratum is then seen before the many switches of
// the last rings have the change. The error wraps strict.Faults.
func Read(f strict.File, b *policy.Bundle) ([]rollout.Stage, error) {
	var d document
	doc, err := strict.Decode(f, Kind, &d)
	if err != nil {
		return nil, err
	}
	r := reader{Collector: strict.Collector{}, doc: doc, inventory: b.Inventory, in: make(map[string]int)}
	var stages []rollout.Stage
	if err := r.Run(func() { stages = r.stages(d.Rings) }); err != nil {
		return nil, err
	}
	if err := r.Run(func() { r.strata(stages, b) }); err != nil {
		return nil, err
	}
	return stages, nil
}

type reader struct {
	strict.Collector
	doc       strict.Document
	inventory *policy.Inventory
	in        map[string]int // the index of the ring of each switch
}

func (r *reader) fault(path, what, way string) {
	r.Add(strict.Fault{Pos: r.doc.At(path), Path: path, What: what, Way: way, Kind: ErrInvalid})
}

func (r *reader) stages(rings []ring) (stages []rollout.Stage) {
	if n := len(rings); n < 2 || n > MaxRings {
		r.fault("rings", fmt.Sprintf("there are %d rings", n), fmt.Sprintf("give 2 to %d; to change all switches at once, use apply or phase activate", MaxRings))
		return nil
	}
	names := make(map[string]bool)
	for i, ring := range rings {
		path := fmt.Sprintf("rings[%d]", i)
		switch {
		case ring.Name == "" || len(ring.Name) > 64 || strings.ContainsFunc(ring.Name, func(c rune) bool { return c <= ' ' || c > '~' }):
			r.fault(path+".name", fmt.Sprintf("ring name %q cannot be used", ring.Name), "a name is 1 to 64 printable ASCII characters without spaces")
		case names[ring.Name]:
			r.fault(path+".name", fmt.Sprintf("ring %q is listed twice", ring.Name), "give each ring its own name")
		}
		names[ring.Name] = true
		if soak := time.Duration(ring.Soak); soak < MinSoak || soak > MaxSoak {
			r.fault(path+".soak", fmt.Sprintf("ring %q soaks for %v", ring.Name, ring.Soak), fmt.Sprintf("give %v to %v", policy.Duration(MinSoak), policy.Duration(MaxSoak)))
		}
		if ring.Rest && i < len(rings)-1 {
			r.fault(path+".rest", fmt.Sprintf("ring %q has the rest of the switches, and is not the last ring", ring.Name), "move it to the end")
		}
		stages = append(stages, rollout.Stage{Name: ring.Name, Switches: r.members(i, ring, path), Soak: time.Duration(ring.Soak), Gates: ring.Gates.bounds()})
	}
	for _, sw := range r.inventory.Switches {
		if _, ok := r.in[sw.Name]; !ok {
			r.fault("rings", fmt.Sprintf("switch %q is in no ring", sw.Name), "add it to a ring, or give the last ring rest: true")
		}
	}
	return stages
}

func (g gates) bounds() rollout.Gates {
	bounds := rollout.DefaultGates()
	if g.Affected > 0 {
		bounds.Affected = float64(g.Affected) / 100
	}
	if g.Tickets > 0 {
		bounds.Tickets = rollout.TicketBound{Lines: int(g.Tickets), Within: rollout.DefaultTicketsWithin}
	}
	return bounds
}

// members returns the switches of a ring, sorted. A word that selects nothing is a fault, because it is probably misspelt.
func (r *reader) members(index int, of ring, path string) (members []string) {
	add := func(list []string, key, singular string, matches func(policy.Switch, string) bool, valid []string) {
		for i, word := range list {
			found := false
			for _, sw := range r.inventory.Switches {
				if !matches(sw, word) {
					continue
				}
				found = true
				members = r.place(index, members, sw.Name, fmt.Sprintf("%s.%s[%d]", path, key, i))
			}
			if !found {
				r.fault(fmt.Sprintf("%s.%s[%d]", path, key, i), fmt.Sprintf("no switch has the %s %q", singular, word), strict.Nearest(word, valid, "known"))
			}
		}
	}
	var sites, models, labels []string
	for _, sw := range r.inventory.Switches {
		sites, models, labels = append(sites, sw.Site), append(models, sw.Model), append(labels, sw.Labels...)
	}
	add(of.Switches, "switches", "name", func(sw policy.Switch, w string) bool { return sw.Name == w }, policy.Names(r.inventory.Switches))
	add(of.Sites, "sites", "site", func(sw policy.Switch, w string) bool { return sw.Site == w }, known(sites))
	add(of.Models, "models", "model", func(sw policy.Switch, w string) bool { return sw.Model == w }, known(models))
	add(of.Labels, "labels", "label", func(sw policy.Switch, w string) bool { return slices.Contains(sw.Labels, w) }, known(labels))
	if of.Rest {
		for _, sw := range r.inventory.Switches {
			if _, taken := r.in[sw.Name]; !taken {
				members = r.place(index, members, sw.Name, path+".rest")
			}
		}
	}
	if none := len(of.Switches)+len(of.Sites)+len(of.Models)+len(of.Labels) == 0; len(members) == 0 && (none || of.Rest) {
		r.fault(path, fmt.Sprintf("ring %q has no switch", of.Name), "give switches, sites, models or labels, or rest: true in the last ring")
	}
	slices.Sort(members)
	return members
}

// place adds a switch to a ring, once.
func (r *reader) place(index int, members []string, name, path string) []string {
	first, taken := r.in[name]
	switch {
	case !taken:
		r.in[name] = index
		return append(members, name)
	case first != index:
		r.fault(path, fmt.Sprintf("switch %q is in ring rings[%d] too", name, first), "a switch belongs to one ring")
	}
	return members
}

func known(words []string) []string {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" })
	slices.Sort(words)
	return slices.Compact(words)
}

// A Stratum is a kind of lines on a kind of switches. A fault of a change often shows in some strata only.
type Stratum struct {
	Model, Group string
	// Form is how the lines' frames are tagged, such as "one tag, PPPoE".
	Form string
}

// String returns the stratum in words.
func (s Stratum) String() string {
	return fmt.Sprintf("lines of group %s on model %s with %s", cmp.Or(s.Group, "(none)"), cmp.Or(s.Model, "(not named)"), s.Form)
}

// Strata returns the strata that a switch has, sorted.
func Strata(sw policy.Switch) []Stratum {
	var all []Stratum
	for i := range sw.Lines {
		l := &sw.Lines[i]
		s := Stratum{sw.Model, l.Group, [...]string{"no tag", "one tag", "two tags"}[tags(l)]}
		if l.PPPoE != 0 {
			s.Form += ", PPPoE"
		}
		if l.Addressing == policy.Dynamic {
			s.Form += ", sessions"
		}
		all = append(all, s)
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

func tags(l *policy.Line) int {
	switch {
	case l.InnerVLAN != 0:
		return 2
	case l.VLAN != 0:
		return 1
	}
	return 0
}

func compare(a, b Stratum) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Form, b.Form))
}

// strata checks that each ring behind the first has every stratum that a later ring has.
func (r *reader) strata(stages []rollout.Stage, b *policy.Bundle) {
	of := make([][]Stratum, len(stages))
	for _, sw := range b.Inventory.Switches {
		of[r.in[sw.Name]] = append(of[r.in[sw.Name]], Strata(sw)...)
	}
	for i := 1; i < len(stages)-1; i++ {
		var later []Stratum
		for _, some := range of[i+1:] {
			later = append(later, some...)
		}
		slices.SortFunc(later, compare)
		for _, s := range slices.Compact(later) {
			if !slices.Contains(of[i], s) {
				r.fault(fmt.Sprintf("rings[%d]", i), fmt.Sprintf("ring %q has no %v, and a later ring has", stages[i].Name, s), "move a switch with such lines to this ring: a fault of the change could show there only, and first on many switches")
			}
		}
	}
}
