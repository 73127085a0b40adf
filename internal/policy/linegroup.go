package policy

import (
	"slices"

	"op25b/internal/pipeline"
)

// A LineGroup is a group of lines, such as all ADSL lines, that rules treat alike. Unnamed lines are in group 0. This group has no name,
// default knobs and no rate.
type LineGroup struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title,omitempty"`
	// Access is the technology of the lines. No rule depends on Access.
	Access AccessTechnology `yaml:"access,omitempty"`
	// Addressing says whether the lines keep their addresses. Line.Addressing overrides the group's.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Undetermined is the verdict on a line's frames whose TCP ports the pipeline cannot parse. The default is DefaultUndetermined.
	Undetermined Knob `yaml:"undetermined,omitempty"`
	// LaterFragments is the verdict on a line's fragments that may belong to a TCP segment but do not contain its ports. The default is
	// DefaultLaterFragments.
	LaterFragments Knob `yaml:"laterFragments,omitempty"`
	// SourceCheck is the verdict on a line's packets whose source address is in none of the line's prefixes. The default is SourceOff.
	SourceCheck SourceCheck `yaml:"sourceCheck,omitempty"`
	// Limit is the rate of new connections that rules with the action Limit pass, for each line and direction. The zero value means that no
	// rate is set.
	Limit Rate `yaml:"limit,omitempty"`
}

// The default verdicts, for line groups that do not set them and for unnamed lines.
const (
	DefaultUndetermined   = Drop   // frames that cannot be parsed could carry mail
	DefaultLaterFragments = Permit // useless without the first fragment, to which the rules apply
)

// An AccessTechnology is the technology of an access line. The zero value means unspecified.
type AccessTechnology string

// accesses returns the technologies in the order in which messages list them.
func accesses() []AccessTechnology {
	return []AccessTechnology{"adsl", "vdsl", "isdn", "dialup", "ftth", "cable", "mobile", "fixed-wireless", "leased", "other"}
}

// valid reports whether the access is empty or known.
func (a AccessTechnology) valid() bool { return a == "" || slices.Contains(accesses(), a) }

// An Addressing says whether a line keeps its addresses. The zero value means unspecified and has no effect.
type Addressing string

// The kinds of addressing.
const (
	Static  Addressing = "static"  // fixed until the operator changes them
	Dynamic Addressing = "dynamic" // assigned when the line connects; the old address may then be assigned to another line
)

// valid reports whether the addressing is empty or known.
func (a Addressing) valid() bool { return a == "" || a == Static || a == Dynamic }

// A Knob is the verdict on frames that rules cannot match: Permit, Monitor or Drop. The zero value means the default of the LineGroup
// field.
type Knob string

// action returns the verdict of the knob, or absent if the knob is empty.
func (k Knob) action(absent Action) Action {
	if k == "" {
		return absent
	}
	return Action(k)
}

// valid reports whether the knob is empty or known.
func (k Knob) valid() bool {
	a := k.action(Permit)
	return a == Permit || a == Monitor || a == Drop
}

// A SourceCheck is the verdict on a packet whose source address is in none of the line's prefixes. The zero value means SourceOff.
type SourceCheck string

// The source checks.
const (
	SourceOff     SourceCheck = "off"
	SourceMonitor SourceCheck = "monitor" // the packet passes, and is counted unless a rule decides about it
	SourceDrop    SourceCheck = "drop"
)

// Code returns the pipeline's code of a source check. on is false if sources are not checked, ok is false for an unknown check.
func (c SourceCheck) Code() (check pipeline.SourceCheck, on, ok bool) {
	switch c {
	case "", SourceOff:
		return 0, false, true
	case SourceMonitor:
		return pipeline.SourceMonitor, true, true
	case SourceDrop:
		return pipeline.SourceDrop, true, true
	}
	return 0, false, false
}

// Action returns the verdict of the check as an action.
func (c SourceCheck) Action() Action {
	switch c {
	case SourceMonitor:
		return Monitor
	case SourceDrop:
		return Drop
	}
	return Permit
}

// A Rate is a token bucket: new connections per second, and the largest burst. Both are from 1 to MaxConnections.
type Rate struct {
	PerSecond Connections `yaml:"perSecond"`
	Burst     Connections `yaml:"burst"`
}

// Connections is a number of new connections.
type Connections uint32

// MaxConnections is far above the rate of any line: a larger number is a typing error.
const MaxConnections Connections = 1_000_000

// UndeterminedAction returns the verdict on frames whose TCP ports cannot be parsed.
func (g LineGroup) UndeterminedAction() Action { return g.Undetermined.action(DefaultUndetermined) }

// LaterFragmentsAction returns the verdict on fragments without ports.
func (g LineGroup) LaterFragmentsAction() Action {
	return g.LaterFragments.action(DefaultLaterFragments)
}
