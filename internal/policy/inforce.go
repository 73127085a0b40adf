package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// InForce maps line groups to the phases in force for them.
type InForce struct {
	// Default is the phase of all lines whose group is not in Groups, and of unnamed lines.
	Default string `json:"default"`
	// Groups maps the name of each line group whose phase is not Default to its phase.
	Groups map[string]string `json:"groups,omitempty"`
}

// Everywhere returns one phase in force for every line.
func Everywhere(phase string) InForce { return InForce{Default: phase} }

// Phase returns the phase in force for the lines of a group.
func (in InForce) Phase(group string) string {
	if phase, apart := in.Groups[group]; apart {
		return phase
	}
	return in.Default
}

// String returns the default phase, followed by each other phase with its groups: "before; mobile-carriers: adsl, isdn".
func (in InForce) String() string {
	of := make(map[string][]string)
	for _, group := range slices.Sorted(maps.Keys(in.Groups)) {
		if phase := in.Groups[group]; phase != in.Default {
			of[phase] = append(of[phase], group)
		}
	}
	text := in.Default
	for _, phase := range slices.Sorted(maps.Keys(of)) {
		text += fmt.Sprintf("; %s: %s", phase, strings.Join(of[phase], ", "))
	}
	return text
}

// Plain returns in without the groups whose phase is the default, so that equivalent values are equal.
func (in InForce) Plain() InForce {
	groups := maps.Clone(in.Groups)
	maps.DeleteFunc(groups, func(_, phase string) bool { return phase == in.Default })
	if len(groups) == 0 {
		groups = nil
	}
	return InForce{Default: in.Default, Groups: groups}
}

// Check returns ErrUnknownGroup or ErrUnknownPhase for a name that the policy does not have.
func (in InForce) Check(p *Policy) error {
	phases := []string{in.Default}
	for _, group := range slices.Sorted(maps.Keys(in.Groups)) {
		if p.LineGroup(group) == nil {
			return fmt.Errorf("%w %q; %s", ErrUnknownGroup, group, strict.Nearest(group, Names(p.LineGroups), "line groups"))
		}
		phases = append(phases, in.Groups[group])
	}
	for _, name := range phases {
		if _, ok := p.Phase(name); !ok {
			return fmt.Errorf("%w %q; %s", ErrUnknownPhase, name, strict.Nearest(name, Names(p.Phases), "phases"))
		}
	}
	return nil
}
