package policy

import (
	"fmt"
	"slices"
	"time"
)

// Undo returns the activation that undoes the last one in a scope, with its Undoes and scope set: afterwards the lines that both scopes have
// are as if the activation had not been made. What stands below it decides again, an earlier activation or the dates, including those that
// have come since.
//
// The last activation is the last that still makes a difference within the scope, now or at a later date. Later ones that make none are
// undone with it. One that undoes another is not undone itself: the next Undo takes the activation before. ErrNoPrevious means that no
// activation makes a difference; the message says what is in force and how to get the phase before it. A scope that the documents do not
// have is a Faults of ErrInvalid.
func (b *Bundle) Undo(acts []Activation, scope Scope, now time.Time) (Activation, error) {
	if err := b.scopeFaults(scope).orNil(); err != nil {
		return Activation{}, err
	}
	for i := range slices.Backward(acts) {
		a := &acts[i]
		if a.Undoes != 0 {
			continue
		}
		within, ok := a.Scope().within(scope)
		if !ok {
			continue
		}
		undo := Activation{ID: acts[len(acts)-1].ID + 1, Undoes: a.ID, Groups: within.Groups, Switches: within.Switches, At: now}
		switch changes, none := b.changes(acts, undo, within, now); {
		case none != "":
			return Activation{}, fmt.Errorf("%w: before phase %q was activated, nothing was in force on switch %s; activate another phase, or restore revision %d",
				ErrNoPrevious, a.Phase, none, a.ID-1)
		case changes:
			return undo, nil
		}
	}
	return Activation{}, b.nothingToUndo(scope, now)
}

// within is the part of a scope that lies in another; ok is false if there is none.
func (s Scope) within(other Scope) (both Scope, ok bool) {
	both.Groups, ok = common(s.Groups, other.Groups)
	if !ok {
		return Scope{}, false
	}
	both.Switches, ok = common(s.Switches, other.Switches)
	return both, ok
}

// common are the names that two lists have, where an empty one has all; ok is false if there is none.
func common(a, b []string) (both []string, ok bool) {
	switch {
	case len(a) == 0:
		return slices.Clone(b), true
	case len(b) == 0:
		return slices.Clone(a), true
	}
	for _, name := range a {
		if slices.Contains(b, name) {
			both = append(both, name)
		}
	}
	return both, len(both) > 0
}

// changes reports whether one more activation changes what is in force in its scope, now or at a later date. none is a switch where lines
// would have no phase any more.
func (b *Bundle) changes(acts []Activation, more Activation, scope Scope, now time.Time) (changes bool, none string) {
	p := b.Policy
	after := append(slices.Clone(acts), more)
	groups := scope.Groups
	if len(groups) == 0 {
		groups = append([]string{""}, names(p.LineGroups, LineGroup.name)...)
	}
	dates := p.datesFrom(now)
	for _, sw := range b.switchesOf(scope) {
		was, is := on(acts, sw), on(after, sw)
		for _, g := range groups {
			for _, at := range dates {
				begun := p.begun(at)
				before, then := p.phaseOf(was, g, begun), p.phaseOf(is, g, begun)
				if before != "" && then == "" {
					return false, sw
				}
				changes = changes || before != then
			}
		}
	}
	return changes, ""
}

// switchesOf are the switches of a scope that the inventory has.
func (b *Bundle) switchesOf(scope Scope) []string {
	all := names(b.Inventory.Switches, Switch.name)
	if len(scope.Switches) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(scope.Switches, name) })
}

// nothingToUndo says why there is nothing to undo, and what to do in place of it.
func (b *Bundle) nothingToUndo(scope Scope, now time.Time) error {
	where := ""
	if len(scope.Groups) > 0 || len(scope.Switches) > 0 {
		where = " there"
	}
	begun := b.Policy.begun(now)
	if begun < 0 {
		return fmt.Errorf("%w: nothing was activated%s, and no phase has begun by its date", ErrNoPrevious, where)
	}
	ph := &b.Policy.Phases[begun]
	text := fmt.Sprintf("no activation makes a difference%s: phase %q is in force by its date, since %s",
		where, ph.Name, b.Policy.Begins(ph).Format(time.RFC3339))
	if begun == 0 {
		return fmt.Errorf("%w: %s, and no phase stands before it", ErrNoPrevious, text)
	}
	before := b.Policy.Phases[begun-1].Name
	return fmt.Errorf("%w: %s; to go back to the phase before it, activate phase %q", ErrNoPrevious, text, before)
}
