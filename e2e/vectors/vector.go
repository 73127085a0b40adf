package vectors

import (
	"fmt"
	"strings"
)

// A Vector is one or several frames, sent one after the other, each with its expected result.
type Vector struct {
	ID    string // unique in the folder
	Title string // the behaviour that it shows
	Theme string // the file's name without its ending
	Phase string // the phase of the policy that the switch is in
	At    Pos
	// Evasion marks a way around the filter. It must be stopped, and Twin names the vector that looks like it and must pass.
	Evasion bool
	Twin    string
	// SameSecond marks steps that are valid only within one second of the switch's clock.
	SameSecond bool
	Steps      []Step
}

// A Step is one frame and its expected result.
type Step struct {
	At     Pos
	In     uint32 // the input port
	Layers string // as written in the file
	Frame  []byte
	Want   Want
}

// A Want is the expected result of a frame.
type Want struct {
	// Ports are the output ports of Frame, in ascending order; none means that the frame is dropped.
	Ports  []uint32
	Layers string // of Frame, as written in the file
	Frame  []byte
	Same   bool // Frame is the input frame

	Rule        string  // the rule that counted it on the ingress port; "": none
	Leg         Leg     // "": the frame is not mail
	Line        string  // the line whose counters counted it; "": none
	Outcome     Outcome // with Line
	Unsolicited bool    // the line's counter of SYN-ACKs without a SYN counted it too
}

// A Leg is a leg of the filter, as the policy spells it.
type Leg string

// The legs.
const (
	UpDst   Leg = "up_dst"
	UpSrc   Leg = "up_src"
	DownSrc Leg = "down_src"
	DownDst Leg = "down_dst"
)

// Up reports whether the leg leads from a subscriber to the network.
func (l Leg) Up() bool { return l == UpDst || l == UpSrc }

// An Outcome is a class of frames that a line's counters distinguish.
type Outcome string

// The outcomes, in the order of the line's counters.
const (
	Passed      Outcome = "passed"
	Monitored   Outcome = "monitored"
	Stopped     Outcome = "stopped"
	Unsolicited Outcome = "unsolicited"
)

// Outcomes lists all of them, each at its index among a line's counters.
var Outcomes = [4]Outcome{Passed, Monitored, Stopped, Unsolicited}

// Unnamed is the Line of a Want for the line that no entry names.
const Unnamed = "unnamed"

// String writes it as in the file, without the layers of the frame.
func (w Want) String() string {
	var b strings.Builder
	switch {
	case len(w.Ports) == 0:
		b.WriteString("drop")
	case w.Same:
		fmt.Fprintf(&b, "%s: same", portList(w.Ports))
	default:
		fmt.Fprintf(&b, "%s: %s", portList(w.Ports), w.Layers)
	}
	sep := " ; "
	for _, a := range []struct{ key, value string }{{"rule", w.Rule}, {"leg", string(w.Leg)}, {"line", w.Line}, {"outcome", string(w.Outcome)}} {
		if a.value != "" {
			fmt.Fprintf(&b, "%s%s=%s", sep, a.key, a.value)
			sep = " "
		}
	}
	if w.Unsolicited {
		b.WriteString(sep + "unsolicited")
	}
	return b.String()
}

func portList(ports []uint32) string {
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = fmt.Sprint(p)
	}
	return strings.Join(words, ",")
}
