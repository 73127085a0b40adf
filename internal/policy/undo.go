package policy

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Undo returns an activation that undoes the last activation in a scope. Lines in the scopes of both activations are then treated as if
// the undone activation had not been made. An earlier activation decides, or else the dates of the phases, including dates that have
// passed since.
//
// Undo considers only activations that change the phases in force within the scope, now or at a later date. Later activations that change
// nothing are undone together with the last one that does. Undo never undoes an undo, so a second call undoes the activation before the
// undone one. Undo returns ErrNoPrevious if no activation changes the phases, or if lines would be left without a phase; the message says
// what to do instead. Undo returns a strict.Faults of kind ErrInvalid if the scope contains an unknown or repeated name.
func (b *Bundle) Undo(acts []Activation, scope Scope, now time.Time) (Activation, error) {
	if err := b.scopeFaults(scope).OrNil(); err != nil {
		return Activation{}, err
	}
	dates := b.Policy.datesFrom(now)
	last := uint64(0)
	seen := make(map[string]bool) // keys from idsOf; most switches have the same activations
	for _, sw := range b.switchesOf(scope) {
		here := on(acts, sw)
		key := idsOf(here)
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, g := range b.groupsOf(scope) {
			last = max(last, b.Policy.lastOf(here, g, dates))
		}
	}
	if last == 0 {
		return Activation{}, b.nothingToUndo(scope, now)
	}
	undone := &acts[slices.IndexFunc(acts, func(a Activation) bool { return a.ID == last })]
	within, _ := undone.Scope().within(scope)
	undo := Activation{ID: acts[len(acts)-1].ID + 1, Undoes: last, Groups: within.Groups, Switches: within.Switches, At: now}
	if sw := b.leavesNothing(acts, undo, dates); sw != "" {
		return Activation{}, fmt.Errorf("%w: before phase %q was activated, nothing was in force on switch %s; activate another phase, or restore revision %d",
			ErrNoPrevious, undone.Phase, sw, undone.ID-1)
	}
	return undo, nil
}

// idsOf returns a map key that is the same for lists of the same activations.
func idsOf(acts []Activation) string {
	ids := make([]byte, 0, 8*len(acts))
	for i := range acts {
		ids = binary.BigEndian.AppendUint64(ids, acts[i].ID)
	}
	return string(ids)
}

// lastOf returns the ID of the last activation that changes a group's phase at any of the moments, or 0 if there is none.
func (p *Policy) lastOf(here []Activation, group string, moments []time.Time) uint64 {
	begun := make([]int, len(moments))
	for i, at := range moments {
		begun[i] = p.begun(group, at)
	}
	var decides, above *Activation
	differs := func(a *Activation) bool {
		return slices.ContainsFunc(begun, func(at int) bool { return p.phaseBy(a, group, at) != p.phaseBy(decides, group, at) })
	}
	for a := range live(here, group) {
		if decides == nil {
			decides = a
		}
		if differs(a) {
			return above.ID
		}
		above = a
	}
	if above != nil && differs(nil) {
		return above.ID
	}
	return 0
}

// leavesNothing returns the name of a switch on which the new activation more would leave lines without a phase at any of the moments. It
// returns "" if there is no such switch.
func (b *Bundle) leavesNothing(acts []Activation, more Activation, moments []time.Time) string {
	p, scope := b.Policy, more.Scope()
	after := append(slices.Clone(acts), more)
	for _, sw := range b.switchesOf(scope) {
		was, is := on(acts, sw), on(after, sw)
		for _, g := range b.groupsOf(scope) {
			if slices.ContainsFunc(moments, func(at time.Time) bool {
				begun := p.begun(g, at)
				return p.phaseOf(was, g, begun) != "" && p.phaseOf(is, g, begun) == ""
			}) {
				return sw
			}
		}
	}
	return ""
}

// groupsOf returns the line groups in a scope. If the scope covers all groups, the result includes "", which means unnamed lines.
func (b *Bundle) groupsOf(scope Scope) []string {
	if len(scope.Groups) > 0 {
		return scope.Groups
	}
	return append([]string{""}, Names(b.Policy.LineGroups)...)
}

// within returns the intersection of two scopes; ok is false if it is empty.
func (s Scope) within(other Scope) (both Scope, ok bool) {
	both.Groups, ok = common(s.Groups, other.Groups)
	if !ok {
		return Scope{}, false
	}
	both.Switches, ok = common(s.Switches, other.Switches)
	return both, ok
}

// common returns the names that are in both lists. An empty list stands for all names. ok is false if the lists have no name in common.
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

// switchesOf returns the names of the inventory's switches that are in a scope.
func (b *Bundle) switchesOf(scope Scope) []string {
	all := Names(b.Inventory.Switches)
	if len(scope.Switches) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(scope.Switches, name) })
}

// nothingToUndo returns an error that says why there is nothing to undo and what the operator can do instead.
func (b *Bundle) nothingToUndo(scope Scope, now time.Time) error {
	where := ""
	if len(scope.Groups) > 0 || len(scope.Switches) > 0 {
		where = " there"
	}
	group := "" // the lines that the error speaks of
	if len(scope.Groups) > 0 {
		group = scope.Groups[0]
	}
	begun := b.Policy.begun(group, now)
	if begun < 0 {
		return fmt.Errorf("%w: nothing was activated%s, and no phase has begun by its date", ErrNoPrevious, where)
	}
	ph := &b.Policy.Phases[begun]
	text := fmt.Sprintf("no activation makes a difference%s: phase %q is in force by its date, since %s",
		where, ph.Name, b.Policy.BeginsFor(ph, group).Format(time.RFC3339))
	if begun == 0 {
		return fmt.Errorf("%w: %s, and no phase stands before it", ErrNoPrevious, text)
	}
	before := b.Policy.Phases[begun-1].Name
	return fmt.Errorf("%w: %s; to go back to the phase before it, activate phase %q", ErrNoPrevious, text, before)
}
