package vectors

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Vector is a sequence of frames with their expected results.
type Vector struct {
	ID    string // unique in the folder
	Title string // describes the behaviour that the vector demonstrates
	Theme string // the name of the file, without its extension
	Phase string // the phase of the policy in which the vector is played
	At    Pos
	// Evasion states whether the vector is an attempt to evade the filter, which must be stopped. Twin is the id of a
	// similar vector that must pass.
	Evasion bool
	Twin    string
	// SameSecond states whether all steps must be within one clock second of the switch.
	SameSecond bool
	// Subscribers lists the entries for subscribers that the switch has in addition to those of the documents. If there are any, the switch's
	// clock starts shortly before the first step.
	Subscribers []Subscriber
	// Timed states whether the steps have a Second, so that only a switch whose clock can be set can play them.
	Timed bool
	Steps []Step
}

// A Subscriber is an entry that exempts the addresses of a prefix, or gives them a lease.
type Subscriber struct {
	Prefix netip.Prefix
	Lease  string // the name of the lease; "" means an exemption
	Line   string // the only line to which the entry applies; "" means every line
	Until  uint32 // the second of the switch's clock from which on the entry does not apply; 0 means that it has no end
}

// A Step is one frame and its expected result.
type Step struct {
	At     Pos
	Second uint32 // the second of the switch's clock, if the vector is Timed
	In     uint32 // the input port
	Layers string // the frame's layers, as written in the file
	Frame  []byte
	Want   Want
}

// A Want is the expected result of a frame.
type Want struct {
	// Ports lists the output ports of Frame in ascending order. If Ports is empty, the frame must be dropped.
	Ports  []uint32
	Layers string // the layers of Frame, as written in the file
	Frame  []byte
	Same   bool // whether Frame equals the input frame

	Rule        string  // the rule whose counter on the input port must count the frame; "" if none
	Leg         Leg     // "" if the frame is not mail
	Line        string  // the line whose counters must count the frame; "" if none
	Outcome     Outcome // "" if no counter of an outcome must count the frame
	Unsolicited bool    // whether the line's counter of SYN-ACKs without a SYN must also count the frame
}

// A Leg is a leg of the filter, with the name that a policy uses.
type Leg string

// The legs, with the names that a policy uses.
const (
	UpDst   Leg = "up_dst"
	UpSrc   Leg = "up_src"
	DownSrc Leg = "down_src"
	DownDst Leg = "down_dst"
)

// Up reports whether frames of the leg go from a subscriber to the network.
func (l Leg) Up() bool { return l == UpDst || l == UpSrc }

// An Outcome is a class of frames for which each line has a counter.
type Outcome string

// The outcomes, in the order of a line's counters.
const (
	Passed      Outcome = "passed"
	Monitored   Outcome = "monitored"
	Stopped     Outcome = "stopped"
	Unsolicited Outcome = "unsolicited"
)

// Outcomes lists all outcomes, in the order of a line's counters.
var Outcomes = [4]Outcome{Passed, Monitored, Stopped, Unsolicited}

// Unnamed is the value of Want.Line for the unnamed line, whose counters count the frames of lines without an entry.
const Unnamed = "unnamed"

// String returns the expected result in the notation of the file.
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
