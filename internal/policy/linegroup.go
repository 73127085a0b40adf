package policy

import (
	"slices"

	"op25b/internal/pipeline"
)

// A LineGroup is a group of lines that rules treat alike, such as all ADSL lines. Unnamed lines are in group 0, which has no name, default
// knobs and no rate.
type LineGroup struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title,omitempty"`
	// Access is the technology of the lines. It is informational: no rule depends on it.
	Access AccessTechnology `yaml:"access,omitempty"`
	// Addressing specifies whether the lines keep their addresses. Line.Addressing overrides the group's value.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Undetermined is the verdict on a line's frames whose TCP ports the pipeline cannot parse. The default is DefaultUndetermined.
	Undetermined Knob `yaml:"undetermined,omitempty"`
	// LaterFragments is the verdict on a line's fragments that may belong to a TCP segment but do not contain its ports. The default is
	// DefaultLaterFragments.
	LaterFragments Knob `yaml:"laterFragments,omitempty"`
	// SourceCheck is the verdict on a line's packets whose source address is in none of the line's prefixes. The default is SourceOff.
	SourceCheck SourceCheck `yaml:"sourceCheck,omitempty"`
	// Limit is the rate of new connections that rules with the action Limit pass, separately for each line and direction. The zero value
	// means that no rate is set.
	Limit Rate `yaml:"limit,omitempty"`
	// WatchInfected makes the controller keep the daily activity of each line of the group under a pseudonym, to find infected lines. The
	// default is false. No switch depends on it.
	WatchInfected bool `yaml:"watchInfected,omitempty"`
}

// The default verdicts for unnamed lines and for line groups that do not set their own.
const (
	DefaultUndetermined   = Drop   // a frame that the pipeline cannot parse may contain mail
	DefaultLaterFragments = Permit // a later fragment is useless without the first fragment, to which the rules apply
)

// An AccessTechnology is the technology of an access line. The zero value means unspecified.
type AccessTechnology string

// accesses returns the technologies in the order in which messages list them.
func accesses() []AccessTechnology {
	return []AccessTechnology{"adsl", "vdsl", "isdn", "dialup", "ftth", "cable", "mobile", "fixed-wireless", "leased", "other"}
}

// valid reports whether the technology is empty or known.
func (a AccessTechnology) valid() bool { return a == "" || slices.Contains(accesses(), a) }

// An Addressing specifies whether a line keeps its addresses. The zero value means unspecified and has no effect.
type Addressing string

// The kinds of addressing.
const (
	Static  Addressing = "static"  // the addresses are fixed until the operator changes them
	Dynamic Addressing = "dynamic" // the address is assigned when the line connects, and may be assigned to another line later
)

// valid reports whether the addressing is empty or known.
func (a Addressing) valid() bool { return a == "" || a == Static || a == Dynamic }

// A Knob is the verdict on frames that rules cannot match: Permit, Monitor or Drop. The zero value means the default that the LineGroup
// field documents.
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
	SourceMonitor SourceCheck = "monitor" // the packet passes; it is counted unless a rule decides it
	SourceDrop    SourceCheck = "drop"
)

// Code returns the pipeline's code of a source check. on is false if sources are not checked. ok is false for an unknown check.
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

// A Rate is a token bucket: the number of new connections per second, and the largest burst. Each is from 1 to MaxConnections.
type Rate struct {
	PerSecond Connections `yaml:"perSecond"`
	Burst     Connections `yaml:"burst"`
}

// Connections is a number of new TCP connections.
type Connections uint32

// MaxConnections is the largest number in a Rate. It is far above any line's rate, so a larger number is probably a typing error.
const MaxConnections Connections = 1_000_000

// UndeterminedAction returns the verdict on frames whose TCP ports the pipeline cannot parse.
func (g LineGroup) UndeterminedAction() Action { return g.Undetermined.action(DefaultUndetermined) }

// LaterFragmentsAction returns the verdict on fragments that do not contain the TCP ports.
func (g LineGroup) LaterFragmentsAction() Action {
	return g.LaterFragments.action(DefaultLaterFragments)
}
