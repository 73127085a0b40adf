package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"op25b/internal/strict"
)

// InForce records which phase is in force for each line group.
type InForce struct {
	// Default is the phase for unnamed lines and for every line group that is not in Groups.
	Default string `json:"default"`
	// Groups maps a line group to its phase, for each group whose phase is not Default.
	Groups map[string]string `json:"groups,omitempty"`
}

// Everywhere returns an InForce with the given phase for every line.
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

// ParseInForce returns the InForce whose String is text. It returns ErrUnknownPhase if text has no such form. It does not check whether a
// policy has the names.
func ParseInForce(text string) (InForce, error) {
	phase, rest, more := strings.Cut(text, "; ") // names contain no blanks
	in := InForce{Default: phase}
	for more {
		var of string
		of, rest, more = strings.Cut(rest, "; ")
		phase, groups, ok := strings.Cut(of, ": ")
		if !ok || phase == "" || groups == "" {
			return InForce{}, fmt.Errorf("%w in %q: must be a phase, and then PHASE: GROUP, ... for other phases", ErrUnknownPhase, text)
		}
		if in.Groups == nil {
			in.Groups = make(map[string]string)
		}
		for group := range strings.SplitSeq(groups, ", ") {
			in.Groups[group] = phase
		}
	}
	if in.Default == "" || strings.ContainsAny(in.Default, " :") {
		return InForce{}, fmt.Errorf("%w in %q: must be a phase, and then PHASE: GROUP, ... for other phases", ErrUnknownPhase, text)
	}
	return in, nil
}

// Plain returns in without the groups whose phase is the default, so that equivalent values compare as equal.
func (in InForce) Plain() InForce {
	groups := maps.Clone(in.Groups)
	maps.DeleteFunc(groups, func(_, phase string) bool { return phase == in.Default })
	if len(groups) == 0 {
		groups = nil
	}
	return InForce{Default: in.Default, Groups: groups}
}

// Check returns ErrUnknownGroup or ErrUnknownPhase if in contains a name that the policy does not define.
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
