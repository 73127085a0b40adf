package plan

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"op25b/internal/meaning"
	op25bv1 "op25b/proto/op25b/v1"
)

// A group is switches for which there is the same to say.
type group struct {
	names []string
	said  *op25bv1.SwitchPlan // of the first
}

// groups puts together the switches whose plans differ in name and address alone, in the order of the first of each.
func groups(switches []*op25bv1.SwitchPlan) []*group {
	var all []*group
	at := make(map[string]*group)
	for _, s := range switches {
		alike := proto.CloneOf(s)
		alike.Switch, alike.Address = "", ""
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(alike)
		g := at[string(key)]
		if g == nil || err != nil {
			g = &group{said: s}
			at[string(key)] = g
			all = append(all, g)
		}
		g.names = append(g.names, s.Switch)
	}
	return all
}

// maxNames is how many switches of a group are named.
const maxNames = 8

func (g *group) title() string {
	if len(g.names) == 1 {
		return fmt.Sprintf("switch %s at %s", g.names[0], g.said.Address)
	}
	named, rest := g.names, ""
	if len(named) > maxNames {
		named, rest = named[:maxNames], fmt.Sprintf(" and %d more", len(g.names)-maxNames)
	}
	return fmt.Sprintf("%s: %s%s", counted(uint64(len(g.names)), "switch"), strings.Join(named, ", "), rest)
}

// group writes what there is to say of a group of switches.
func (t *writer) group(g *group) {
	s := g.said
	title := g.title()
	if s.AppliedRevision != 0 {
		title += fmt.Sprintf(", brought to revision %d", s.AppliedRevision)
	}
	t.line(0, "", title)
	if s.Standing != Read {
		t.line(2, s.Standing+": ", s.Reason)
	}
	if s.Error != "" {
		t.colored(red, "  error: "+s.Error)
		t.blank()
		return
	}
	if n := size(s.Drift); n > 0 {
		t.line(2, "", fmt.Sprintf("drift: not as it was left: %s added by another hand, %d changed, %d missing",
			counted(s.Drift.Added, "entry"), s.Drift.Changed, s.Drift.Removed))
		t.entries(s.Drift)
	}
	t.meaning(s.Meaning)
	t.change(s)
	t.blank()
}

// meaning writes what a change means, what stops mail first.
func (t *writer) meaning(list []*op25bv1.Sentence) {
	for _, severity := range []meaning.Severity{meaning.Stops, meaning.Opens, meaning.Neutral} {
		for _, s := range list {
			if s.Severity != string(severity) {
				continue
			}
			switch severity {
			case meaning.Stops:
				t.sentence(red, "STOPS  ", s.Text)
			case meaning.Opens:
				t.sentence(green, "opens  ", s.Text)
			default:
				t.sentence("", "       ", s.Text)
			}
		}
	}
}

func (t *writer) change(s *op25bv1.SwitchPlan) {
	switch {
	case s.Standing == Gone:
		return
	case s.Updates == 0:
		t.line(2, "", "nothing to write")
		return
	case size(s.Change) == 0:
		t.line(2, "", fmt.Sprintf("%s, and nothing that packets meet: rule sets for later", counted(s.Updates, "update")))
		return
	}
	t.line(2, "", fmt.Sprintf("%s to add, %d to change, %d to remove, by %s in %s",
		counted(s.Change.Added, "entry"), s.Change.Changed, s.Change.Removed, counted(s.Updates, "update"), counted(uint64(len(s.Steps)), "step")))
	t.entries(s.Change)
	if fills := fullest(s.Tables); fills != "" {
		t.line(2, "capacity: ", fills)
	}
}

// entries writes the entries of a difference.
func (t *writer) entries(d *op25bv1.Difference) {
	for _, e := range d.Entries {
		switch e.Kind {
		case Added:
			t.mark(4, signs[e.Kind], e.New)
		case Removed:
			t.mark(4, signs[e.Kind], e.Old)
		default:
			old := e.Old
			if old == "" {
				old = "the program's own default"
			}
			t.mark(4, signs[e.Kind], old)
			t.line(4, "    -> ", e.New)
		}
	}
	if d.Truncated {
		t.line(4, "", fmt.Sprintf("... and %s more", thousands(size(d)-uint64(len(d.Entries)))))
	}
}

// Tables are worth a word from here on, in parts of their size.
const worthAWord = 0.5

// fullest names the tables that are half full or more, or else the fullest one.
func fullest(tables []*op25bv1.TableFill) string {
	var texts []string
	most := -1
	for i, f := range tables {
		if most < 0 || share(f) > share(tables[most]) {
			most = i
		}
		if share(f) >= worthAWord {
			texts = append(texts, fill(f))
		}
	}
	if len(texts) == 0 && most >= 0 {
		texts = append(texts, fill(tables[most])+"; all others have more room")
	}
	return strings.Join(texts, "; ")
}

func share(f *op25bv1.TableFill) float64 {
	if f.Size == 0 {
		return 0
	}
	return float64(f.Entries) / float64(f.Size)
}

func fill(f *op25bv1.TableFill) string {
	return fmt.Sprintf("%s %s of %s", f.Table, thousands(f.Entries), thousands(f.Size))
}
