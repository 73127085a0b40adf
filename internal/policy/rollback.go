package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Previous returns the phase that a rollback of a scope goes back to: the one that was in force there before the last change. An event that
// put in force what was in force already is no change.
//
// ErrNoPrevious is a scope whose parts would go back to different phases, or one of them to none; it names them. A scope that the documents
// do not have is a Faults of ErrInvalid.
func (b *Bundle) Previous(acts []Activation, scope Scope, now time.Time) (phase string, err error) {
	if err := b.scopeFaults(scope).orNil(); err != nil {
		return "", err
	}
	switches, groups := scope.Switches, scope.Groups
	if len(switches) == 0 {
		switches = names(b.Inventory.Switches, Switch.name)
	}
	if len(groups) == 0 {
		groups = append([]string{""}, names(b.Policy.LineGroups, LineGroup.name)...)
	}
	back := make(map[string]*parts) // by the phase that they go back to
	for _, sw := range switches {
		events := until(b.Policy.events(acts, sw), now)
		for _, g := range groups {
			to := previousPhase(events, g)
			if back[to] == nil {
				back[to] = &parts{groups: make(map[string]bool)}
			}
			back[to].add(g, sw)
		}
	}
	to := slices.Sorted(maps.Keys(back))
	switch {
	case len(to) == 1 && to[0] != "":
		return to[0], nil
	case len(to) == 1:
		return "", fmt.Errorf("%w: no other phase was in force there before", ErrNoPrevious)
	}
	texts := make([]string, len(to))
	for i, phase := range to {
		texts[i] = fmt.Sprintf("%v to phase %q", back[phase], phase)
		if phase == "" {
			texts[i] = fmt.Sprintf("%v to none", back[phase])
		}
	}
	return "", fmt.Errorf("%w: %s; name line groups or switches that go back to one", ErrNoPrevious, strings.Join(texts, ", "))
}

// previousPhase is the phase before the last change for a group, or "".
func previousPhase(events []event, group string) string {
	phase, before, ok := lastPhase(events, group)
	for ok {
		var earlier string
		if earlier, before, ok = lastPhase(before, group); ok && earlier != phase {
			return earlier
		}
	}
	return ""
}

// parts are line groups on switches, for a message.
type parts struct {
	groups   map[string]bool
	switches []string
}

func (p *parts) add(group, sw string) {
	p.groups[group] = true
	if n := len(p.switches); n == 0 || p.switches[n-1] != sw { // switches come one after the other
		p.switches = append(p.switches, sw)
	}
}

// String is the groups and the switches, of many only the first.
func (p *parts) String() string {
	groups := slices.Sorted(maps.Keys(p.groups))
	if groups[0] == "" {
		groups[0] = "no group"
	}
	return fmt.Sprintf("lines of %s on %s", few(groups, 5), few(p.switches, 5))
}

// few lists names, and counts those beyond the first most.
func few(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
