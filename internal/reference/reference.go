// Package reference is the reference model of the pipeline. Its decision about a frame depends only on the policy, the inventory, the
// frame's bytes and the frames before it.
//
// The package is written for clarity, not for speed. It follows the order of docs/pipeline.md, with one function for each section. It shares no code
// with the pipeline, its typed view, the policy compiler or the switches, and has no tables, entries, epochs or priorities. Its input is a policy and
// an inventory that policy.Validate accepts.
//
// The model keeps the same state as the switch, which is the number of rejects in a clock second and the SYNs toward the network. It does
// not predict two things. First, a token bucket depends on the switch's clock, so a decision by a bucket is Timed and has both outcomes.
// Second, the switch limits how often it reports a flow, so a decision only states whether the frame qualifies for a report.
package reference

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// A Decision states completely how the switch handles a frame.
type Decision struct {
	Shape Shape
	// Why is the fault that made the frame tiny or undetermined. For other shapes, it is empty.
	Why Fault
	// Way is the bridge's decision, which precedes the filter's.
	Way Way
	// Asked states whether the filter decided about the frame. If it did not, only Passes and Out are meaningful among the fields below.
	Asked bool

	Leg       Leg
	Remote    string // the remote class, which is looked up for mail only; empty for none
	Service   string // a service of the policy, LaterFragmentService, UndeterminedService, or empty
	Line      string // empty for the unnamed line
	Group     string // the line's group; empty for the unnamed line
	LineIndex int    // the line's position in the inventory, counted from 1; 0 for the unnamed line
	Rule      uint8  // 0 if no rule decided
	RuleName  string
	// Verdict is the rule's verdict. If the phase has synOnly, the verdict on an open connection may be Monitor instead. If no rule
	// decided, Verdict is empty and the frame passes.
	Verdict Verdict
	Passes  bool
	// Rejected states whether an ICMP error is sent back. If so, the error is the only output.
	Rejected bool
	// Outcome identifies the line's counter that counts the frame.
	Outcome Outcome
	// Unsolicited classifies a SYN-ACK from port 25. A SYN-ACK without a SYN is counted in addition to Outcome.
	Unsolicited Solicitation
	// Out contains the output frames, ordered by port.
	Out []Output

	Flow *Flow // the mail flow to report; nil if there is none

	// Probed is the decision about the frame of a probe, whose Way is Probe. It has neither an Outcome nor a Flow, because nothing is counted or
	// reported. A Verdict of Limit means that a token bucket would decide.
	Probed *Decision

	// Timed states whether a token bucket decides. If so, the Decision is the outcome with a token, and Else is the outcome without one.
	Timed bool
	Else  *Decision
}

// An Output is a frame that leaves through a port.
type Output struct {
	Port  uint16
	Frame []byte
}

// A Flow is an attempt to open a mail connection that was stopped or monitored.
type Flow struct {
	LineIndex  int
	Leg        Leg
	Subscriber netip.Addr // the address in the outer header
	Remote     netip.Addr // the address in the inner header
	Service    string
	Rule       uint8
	SYNACK     bool
	SrcPort    uint16
	DstPort    uint16
}

// A Shape is the kind of a frame, as determined by the filter's parser.
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

// A Leg combines the direction of a frame with the end of the connection that uses the service's port.
type Leg string

// The legs, with the names that a policy uses.
const (
	NoLeg   Leg = ""
	UpDst   Leg = "up_dst"
	UpSrc   Leg = "up_src"
	DownSrc Leg = "down_src"
	DownDst Leg = "down_dst"
)

// The names of the services to which frames without ports are assigned.
const (
	LaterFragmentService = "later-fragment"
	UndeterminedService  = "undetermined"
)

// A Verdict is the effect of a rule on a frame.
type Verdict string

// The verdicts, with the names of a policy's actions.
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

// The outcomes. If no rule decided about a frame, its outcome is NoOutcome.
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
	AnswersNone Solicitation = "answers none" // no SYN is remembered, so the line's fourth counter counts the frame
	// AnswersMaybe means that the SYN is about to be forgotten, or that a token bucket decided whether the SYN passed.
	AnswersMaybe Solicitation = "answers maybe"
)

// A Way is the bridge's decision about a frame, which precedes the filter's.
type Way string

// The ways of frames from an access port come first, followed by the ways of frames from a network port, and of packets from a controller.
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
	Clock        Way = "back to the controller, with the time"
	Probe        Way = "back to the controller, with the decision about a frame"
	NoAnswer     Way = "nowhere: a packet-out of an unknown kind"
)

// Ways returns all ways.
func Ways() []Way {
	return []Way{Up, UpFlood, SplitHorizon, Down, DownVLAN, DownFlood, Across, Back, Reserved, Clock, Probe, NoAnswer}
}

// String returns the decision as one line, in the order in which the switch decides. Decisions are equal if their lines are equal.
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
	if d.Probed != nil {
		fmt.Fprintf(&b, "; probed: %v", d.Probed)
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
