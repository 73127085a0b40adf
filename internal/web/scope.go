package web

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/view"
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
	d := scopeData{base: b, Groups: slices.Sorted(maps.Keys(groups))}
	if len(fleet.Switches) > 1 {
		for _, s := range fleet.Switches {
			d.Switches = append(d.Switches, s.Switch)
		}
		slices.Sort(d.Switches)
	}
	return d
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

// mayRollBack reports whether a rollback for all lines has something to undo. It returns true if that is not known; the preview then has the reason.
func (v *visit) mayRollBack(ctx context.Context) bool {
	_, err := v.phase.Preview(ctx, connect.NewRequest(&op25bv1.PreviewRequest{}))
	return connect.CodeOf(err) != connect.CodeFailedPrecondition
}

// scopeSwitches returns the switches to which a previewed change applies.
func scopeSwitches(r *op25bv1.PreviewResponse) []string {
	names := make(map[string]bool)
	for _, c := range r.Changes {
		for _, name := range c.Switches {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// doing says what the button below a preview does, and on how many switches.
func (b base) doing(d changeData, r *op25bv1.PreviewResponse) string {
	on := b.switches(len(scopeSwitches(r)))
	groups := b.names(fields(d.Groups))
	switch {
	case d.Phase == "":
		return b.T("do roll back", r.Undoes.GetPhase(), on)
	case groups == "" && d.Switches == "" && r.Switches > 1:
		return b.T("do activate everywhere", d.Phase, r.Switches)
	case groups == "":
		return b.T("do activate", d.Phase, on)
	}
	return b.T("do activate for", d.Phase, groups, on)
}

// switches returns a number of switches in words.
func (b base) switches(n int) string {
	if n == 1 {
		return b.T("one switch")
	}
	return b.T("some switches", n)
}

// A behind is a switch that does not get a change at once.
type behind struct{ Name, State, Why string }

// behind returns the switches of a list that do not get a change at once, because they cannot be reached or no controller owns them.
func (b base) behind(fleet *op25bv1.ListSwitchesResponse, names []string) (all []behind) {
	for _, s := range fleet.Switches {
		if !slices.Contains(names, s.Switch) {
			continue
		}
		switch s.State {
		case op25bv1.SwitchState_SWITCH_STATE_UNSPECIFIED, op25bv1.SwitchState_SWITCH_STATE_UNKNOWN, op25bv1.SwitchState_SWITCH_STATE_CONNECTING,
			op25bv1.SwitchState_SWITCH_STATE_DISCONNECTED, op25bv1.SwitchState_SWITCH_STATE_BACKUP:
		default:
			if s.Owner != "" {
				continue
			}
		}
		one := behind{Name: s.Switch, State: b.State(s.State), Why: view.Reason(b.Lang, s.Reason)}
		if s.Owner == "" {
			one.Why = b.T("owned by nobody")
		}
		all = append(all, one)
	}
	return all
}

// behindTitle says how many switches of a scope do not get a change at once.
func (b base) behindTitle(behind, all int) string {
	if all == 1 {
		return b.T("behind one")
	}
	return b.T("behind", fmt.Sprint(behind), fmt.Sprint(all))
}
