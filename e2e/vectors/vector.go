package vectors

import (
	"fmt"
	"strings"
)

// A Vector is a sequence of frames, each with its expected result.
type Vector struct {
	ID    string // unique in the folder
	Title string // the behaviour that the vector shows
	Theme string // name of the file, without its extension
	Phase string // phase of the policy in which the vector is played
	At    Pos
	// Evasion marks an attempt to evade the filter, which must be stopped. Twin names a similar vector that must pass.
	Evasion bool
	Twin    string
	// SameSecond marks steps that are valid only within one second of the switch's clock.
	SameSecond bool
	Steps      []Step
}

// A Step is one frame and its expected result.
type Step struct {
	At     Pos
	In     uint32 // input port
	Layers string // layers of the frame, as written in the file
	Frame  []byte
	Want   Want
}

// A Want is the expected result of a frame.
type Want struct {
	// Ports are the output ports of Frame, in ascending order. If Ports is empty, the frame is dropped.
	Ports  []uint32
	Layers string // layers of Frame, as written in the file
	Frame  []byte
	Same   bool // whether Frame is the input frame

	Rule        string  // the rule whose counter on the ingress port counted the frame; "" if none
	Leg         Leg     // "" if the frame is not mail
	Line        string  // the line whose counters counted the frame; "" if none
	Outcome     Outcome // valid if Line is not ""
	Unsolicited bool    // whether the line's counter of SYN-ACKs without a SYN also counted the frame
}

// A Leg is a leg of the filter, spelled as in the policy.
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

// An Outcome is a class of frames that has its own counter on each line.
type Outcome string

// The outcomes, in the order of the line's counters.
const (
	Passed      Outcome = "passed"
	Monitored   Outcome = "monitored"
	Stopped     Outcome = "stopped"
	Unsolicited Outcome = "unsolicited"
)

// Outcomes lists all outcomes, in the order of a line's counters.
var Outcomes = [4]Outcome{Passed, Monitored, Stopped, Unsolicited}

// Unnamed is the Line of a Want for the unnamed line, which counts frames of lines without an entry.
const Unnamed = "unnamed"

// String returns the expected result as written in the file, without the layers of the frame.
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
