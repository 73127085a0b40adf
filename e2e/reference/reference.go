// Package reference is the reference model of the pipeline. It decides a frame from the policy, the inventory and the frame's bytes only.
//
// The package is written for clarity, not for speed. It follows docs/pipeline.md from top to bottom, with one function for each section,
// and shares no code with the pipeline, the policy compiler or the switches. It has no tables, entries, epochs or priorities. Its input is
// a policy and an inventory that policy.Validate accepts.
//
// The model keeps the same state as the switch: rejects in a clock second, and SYNs toward the network. It does not predict two things. A
// token bucket depends on the switch's clock: if a bucket decides, the decision is Timed and has both outcomes. The switch limits how often
// it reports a flow: a decision reports whether the frame qualifies for a report, even if an earlier report was sent.
package reference

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Decision is the switch's complete handling of one frame.
type Decision struct {
	Shape Shape
	// Why is the fault that made the frame tiny or undetermined. It is empty for the other shapes.
	Why Fault
	// Way is the bridge's decision, before the filter.
	Way Way
	// Asked reports whether the filter decided. If not, only Passes and Out below are meaningful.
	Asked bool

	Leg       Leg
	Service   string // a service of the policy, LaterFragmentService, UndeterminedService, or empty
	Line      string // empty for the unnamed line
	LineIndex int    // from 1 in the order of the inventory; 0 for the unnamed line
	Rule      uint8  // 0 if no rule decided
	RuleName  string
	// Verdict is the rule's verdict, after the drain has softened it. If no rule decided, Verdict is empty and the frame passes.
	Verdict Verdict
	Passes  bool
	// Rejected reports whether an ICMP error is sent back. The error is then the only output.
	Rejected bool
	// Outcome is the line's counter that counts the frame.
	Outcome Outcome
	// Unsolicited reports a SYN-ACK from port 25 without a SYN. It is counted in addition to Outcome.
	Unsolicited Solicitation
	// Out holds the output frames, ordered by port.
	Out []Output

	Flow *Flow // a mail flow that must be reported; nil if there is none

	// Timed reports that a token bucket decides. The decision is then the outcome with a token, and Else is the outcome without a token.
	Timed bool
	Else  *Decision
}

// An Output is a frame that leaves through a port.
type Output struct {
	Port  uint16
	Frame []byte
}

// A Flow is an attempt to send mail that was blocked or monitored.
type Flow struct {
	LineIndex  int
	Leg        Leg
	Subscriber netip.Addr // address in the outer header
	Remote     netip.Addr // address in the inner header
	Service    string
	Rule       uint8
	SYNACK     bool
	SrcPort    uint16
	DstPort    uint16
}

// A Shape is the kind of frame that the filter's parser found.
type Shape string

// The shapes.
const (
	TCP           Shape = "tcp" // a TCP segment with ports
	LaterFragment Shape = "later fragment"
	TinyFragment  Shape = "tiny fragment"
	Undetermined  Shape = "undetermined"
	Other         Shape = "other"
)

// Shapes lists all shapes.
func Shapes() []Shape { return []Shape{TCP, LaterFragment, TinyFragment, Undetermined, Other} }

// A Leg is the direction of a frame, together with the end of the connection that has the service's port.
type Leg string

// The legs, spelled as in a policy.
const (
	NoLeg   Leg = ""
	UpDst   Leg = "up_dst"
	UpSrc   Leg = "up_src"
	DownSrc Leg = "down_src"
	DownDst Leg = "down_dst"
)

// Pseudo-services of frames without ports.
const (
	LaterFragmentService = "later-fragment"
	UndeterminedService  = "undetermined"
)

// A Verdict is the effect of a rule on a frame.
type Verdict string

// The verdicts, spelled as a policy's actions.
const (
	NoVerdict Verdict = ""
	Permit    Verdict = "permit"
	Monitor   Verdict = "monitor"
	Limit     Verdict = "limit"
	Reject    Verdict = "reject"
	Drop      Verdict = "drop"
)

// The ids of the rules that every policy has.
const (
	FailClosedRule    = 1
	RelayRule         = 2
	SubmissionRule    = 3
	ExemptRule        = 4
	FirstPolicyRule   = 5
	LaterFragmentRule = 251
	TinyFragmentRule  = 252
	UndeterminedRule  = 253
	SpoofedRule       = 254
)

// An Outcome is one of the counters of a line.
type Outcome int

// The outcomes. A frame without a deciding rule has NoOutcome.
const (
	NoOutcome Outcome = -1
	Passed    Outcome = 0
	Monitored Outcome = 1
	Stopped   Outcome = 2
)

// A Solicitation states whether a SYN-ACK from port 25 answers a SYN.
type Solicitation string

// The solicitations.
const (
	NotAnswer   Solicitation = "" // the frame is not a SYN-ACK from port 25 toward a subscriber
	Answers     Solicitation = "answers"
	AnswersNone Solicitation = "answers none" // no SYN is remembered; counted by the line's fourth counter
	// AnswersMaybe means that the SYN is about to be forgotten, or that a token bucket decided whether the SYN passed.
	AnswersMaybe Solicitation = "answers maybe"
)

// A Way is the bridge's decision on a frame, before the filter.
type Way string

// The ways of frames from an access port, and then those from a network port.
const (
	Up           Way = "to a network port"
	UpFlood      Way = "to all network ports"
	SplitHorizon Way = "nowhere: from access port to access port"
	Down         Way = "to an access port, by MAC address"
	DownVLAN     Way = "to an access port, by VLANs"
	DownFlood    Way = "to all other ports"
	Across       Way = "from network port to network port"
	Back         Way = "nowhere: it is on the port that it came from"
	Reserved     Way = "nowhere: reserved group address"
)

// Ways returns all ways.
func Ways() []Way {
	return []Way{Up, UpFlood, SplitHorizon, Down, DownVLAN, DownFlood, Across, Back, Reserved}
}

// String returns the decision in one line, in the order in which the switch decides. Two decisions are equal if their lines are equal.
func (d Decision) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", d.Shape)
	if d.Why != "" {
		fmt.Fprintf(&b, " (%s)", d.Why)
	}
	fmt.Fprintf(&b, ", %s", d.Way)
	if d.Asked {
		fmt.Fprintf(&b, "; line %d %q leg %q service %q: rule %d %q %q passes=%t rejected=%t outcome %d", d.LineIndex, d.Line, d.Leg, d.Service,
			d.Rule, d.RuleName, d.Verdict, d.Passes, d.Rejected, d.Outcome)
	}
	if d.Unsolicited != NotAnswer {
		fmt.Fprintf(&b, "; SYN-ACK %s", d.Unsolicited)
	}
	for _, o := range d.Out {
		fmt.Fprintf(&b, "; out %d: %x", o.Port, o.Frame)
	}
	if d.Flow != nil {
		fmt.Fprintf(&b, "; flow %+v", *d.Flow)
	}
	if d.Timed {
		fmt.Fprintf(&b, "; without a token: %v", d.Else)
	}
	return b.String()
}

// outputs returns copies of a frame for the given ports, ordered by port.
func outputs(ports []uint16, frame []byte) []Output {
	var out []Output
	for _, port := range ports {
		out = append(out, Output{port, slices.Clone(frame)})
	}
	slices.SortFunc(out, func(a, b Output) int { return cmp.Compare(a.Port, b.Port) })
	return out
}
