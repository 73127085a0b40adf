package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
)

// activationNotes returns notes about the activations that the proposal removes from the current intent or restores. An activation that is new has
// none: it is what the caller asks for.
func activationNotes(base, proposed *intent.Intent) []string {
	if base == nil || base == proposed {
		return nil
	}
	zone := proposed.Bundle.Policy.UTCOffset.Location()
	all := apart("taken back", base.Activations, proposed.Activations, zone)
	restored := slices.DeleteFunc(slices.Clone(proposed.Activations), func(a policy.Activation) bool { return a.ID > base.Number })
	return append(all, apart("brought back", restored, base.Activations, zone)...)
}

// apart returns a note about each activation in list that is not in other. The parameter what describes what happens
// to these activations.
func apart(what string, list, other []policy.Activation, zone *time.Location) []string {
	var all []string
	more := 0
	for _, a := range list {
		if slices.ContainsFunc(other, func(b policy.Activation) bool { return a.ID == b.ID && a.At.Equal(b.At) }) {
			continue
		}
		if len(all) == maxNotes {
			more++
			continue
		}
		did := fmt.Sprintf("the activation of phase %s", a.Phase)
		if a.Undoes != 0 {
			did = fmt.Sprintf("the rollback of revision %d", a.Undoes)
		}
		all = append(all, fmt.Sprintf("%s%s by %s, revision %d of %s, is %s", did, where(a.Scope()), a.Author, a.ID, a.At.In(zone).Format("2006-01-02 15:04:05 -0700"), what))
	}
	if more > 0 {
		all = append(all, fmt.Sprintf("%d more activations and rollbacks are %s", more, what))
	}
	return all
}

// where describes a scope, beginning with a space. It returns "" if the scope covers all lines.
func where(s policy.Scope) string {
	text := ""
	if len(s.Groups) > 0 {
		text += " for " + strings.Join(s.Groups, ", ") + " lines"
	}
	if len(s.Switches) > 0 {
		text += " on " + strings.Join(s.Switches, ", ")
	}
	return text
}
