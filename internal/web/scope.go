package web

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	op25bv1 "op25b/proto/op25b/v1"
)

// maxBoxes is the largest number of line groups, or switches, with a box each. More names are typed, with proposals. The boxes are in the form of
// every phase.
const maxBoxes = 30

// scopeData has the line groups and the switches to choose from in the form of a phase or of a rollback. A list is empty if there is no choice.
type scopeData struct {
	base
	ID               string // distinguishes the forms of a page
	Groups, Switches []string
}

// TypeGroups and TypeSwitches report whether the names are typed.
func (d scopeData) TypeGroups() bool   { return len(d.Groups) > maxBoxes }
func (d scopeData) TypeSwitches() bool { return len(d.Switches) > maxBoxes }

// Of returns the same choice for another form.
func (d scopeData) Of(id string) scopeData { d.ID = id; return d }

// scopeOf returns the choice of line groups and switches.
func (b base) scopeOf(phases *op25bv1.ListPhasesResponse, fleet *op25bv1.ListSwitchesResponse) scopeData {
	groups := make(map[string]bool)
	add := func(names []string) {
		for _, name := range names {
			groups[name] = true
		}
	}
	for _, p := range phases.Phases { // together, the phases in force on a switch have all line groups
		for _, on := range p.InForce {
			add(on.Groups)
		}
	}
	for _, c := range phases.NextTurn.GetChanges() { // before the first phase begins
		add(c.Groups)
	}
	return scopeData{base: b, Groups: slices.Sorted(maps.Keys(groups)), Switches: switchChoice(fleet)}
}

// switchChoice returns the names of the switches in order, or nil if there is only one.
func switchChoice(fleet *op25bv1.ListSwitchesResponse) []string {
	if len(fleet.Switches) < 2 {
		return nil
	}
	names := make([]string, len(fleet.Switches))
	for i, s := range fleet.Switches {
		names[i] = s.Switch
	}
	slices.Sort(names)
	return names
}

// scopeField returns the names of a field that a person has typed, or has chosen from boxes.
func scopeField(form url.Values, name string) string {
	var all []string
	for _, text := range form[name] {
		all = append(all, fields(text)...)
	}
	return strings.Join(all, ", ")
}

// fields splits a list that a person has typed into its items.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '、' || r == '　' })
}
