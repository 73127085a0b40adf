package policy

import (
	"slices"

	"op25b/internal/pipeline"
)

// A LineGroup is a kind of access, such as ADSL, that rules treat alike. A line that no inventory names is in group 0, which has no name:
// its knobs stand at their defaults, and it has no rate.
type LineGroup struct {
	Name  string `yaml:"name"`
	Title string `yaml:"title,omitempty"`
	// Access is the technology of the lines. It is for readers: no rule goes by it.
	Access Access `yaml:"access,omitempty"`
	// Addressing is whether the lines keep their addresses. A line may say otherwise of itself.
	Addressing Addressing `yaml:"addressing,omitempty"`
	// Undetermined is what happens to a line's frames that cannot be read to their TCP ports within the pipeline's bounds.
	// Absent, it is DefaultUndetermined.
	Undetermined Knob `yaml:"undetermined,omitempty"`
	// LaterFragments is what happens to a line's fragments that TCP may be in, but not its ports. Absent, it is DefaultLaterFragments.
	LaterFragments Knob `yaml:"laterFragments,omitempty"`
	// SourceCheck is what happens to a line's packets whose source address is not in one of the line's prefixes. Absent, it is SourceOff.
	SourceCheck SourceCheck `yaml:"sourceCheck,omitempty"`
	// Limit is the rate of new connections that rules with the action Limit let pass, for each line and each of its two directions.
	// The zero value is none.
	Limit Rate `yaml:"limit,omitempty"`
}

// What happens in a line group that does not say otherwise, and on a line that no inventory names.
const (
	DefaultUndetermined   = Drop   // what cannot be read could be mail
	DefaultLaterFragments = Permit // useless without the first fragment, which has been asked about
)

// An Access is a technology of access. The zero value is not said.
type Access string

// accesses are all there are, in the order in which messages list them.
func accesses() []Access {
	return []Access{"adsl", "vdsl", "isdn", "dialup", "ftth", "cable", "mobile", "fixed-wireless", "leased", "other"}
}

func (a Access) name() string { return string(a) }

// valid reports whether the access can stand so.
func (a Access) valid() bool { return a == "" || slices.Contains(accesses(), a) }

// An Addressing is whether a line keeps its addresses. The zero value is not said, and nothing is concluded from it.
type Addressing string

// The kinds of addressing.
const (
	Static  Addressing = "static"  // the line's, until the operator changes them
	Dynamic Addressing = "dynamic" // another each time that the line connects; the old one is then the next line's
)

// valid reports whether the addressing can stand so.
func (a Addressing) valid() bool { return a == "" || a == Static || a == Dynamic }

// A Knob is a verdict for frames that rules cannot speak of: Permit, Monitor or Drop. The zero value is the default of the key.
type Knob string

// action is what the knob does.
func (k Knob) action(absent Action) Action {
	if k == "" {
		return absent
	}
	return Action(k)
}

// valid reports whether the knob can stand so.
func (k Knob) valid() bool {
	a := k.action(Permit)
	return a == Permit || a == Monitor || a == Drop
}

// A SourceCheck is what happens to a packet with another's source address. The zero value is SourceOff.
type SourceCheck string

// The source checks.
const (
	SourceOff     SourceCheck = "off"
	SourceMonitor SourceCheck = "monitor" // passes, and is counted unless a rule decides about it
	SourceDrop    SourceCheck = "drop"
)

// Code is the pipeline's name for a source check; on is false where sources are not looked at, ok for a check that it does not have.
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

// Action is what the check does to what it finds.
func (c SourceCheck) Action() Action {
	switch c {
	case SourceMonitor:
		return Monitor
	case SourceDrop:
		return Drop
	}
	return Permit
}

// A Rate is a token bucket: how many new connections a second, and how many at once after a quiet time. Each is 1 to MaxConnections.
type Rate struct {
	PerSecond Connections `yaml:"perSecond"`
	Burst     Connections `yaml:"burst"`
}

// Connections is a number of new connections.
type Connections uint32

// MaxConnections is far above what any line opens, so that a larger number is a slip.
const MaxConnections Connections = 1_000_000

// UndeterminedAction is what happens to frames that cannot be read to their TCP ports.
func (g LineGroup) UndeterminedAction() Action { return g.Undetermined.action(DefaultUndetermined) }

// LaterFragmentsAction is what happens to fragments without ports.
func (g LineGroup) LaterFragmentsAction() Action {
	return g.LaterFragments.action(DefaultLaterFragments)
}
