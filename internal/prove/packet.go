package prove

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/reference"
)

// A Packet is a frame with what the documents demand of the switch. It depends on no twin, so it can be tried elsewhere, such as on the switch.
type Packet struct {
	Port  pipeline.Port // where the frame enters the switch
	Frame []byte        // without FCS
	About string        // who sends what to whom
	Want  Outcome
}

// An Outcome is what a switch does with a frame.
type Outcome struct {
	Passes bool
	// Rejected is true if the sender gets an ICMP error. The error is then the only output.
	Rejected bool
	Action   string // permit, monitor, limit, reject or drop; empty if no rule decides
	Rule     string // the name of the rule; empty if no rule decides
	RuleID   pipeline.RuleID
	Leg      string // empty if the frame is not mail
	Line     string // empty for the unnamed line
	Index    pipeline.LineIndex
	Out      []pipeline.Port // where the frame, or the ICMP error, leaves, in ascending order
}

// String returns the outcome as "drop by rule direct-mail" or "passes, no rule decides, to port 9".
func (o Outcome) String() string {
	var b strings.Builder
	switch {
	case o.Action != "":
		fmt.Fprintf(&b, "%s by rule %s", o.Action, o.Rule)
	case o.Passes:
		b.WriteString("passes, no rule decides")
	default:
		b.WriteString("is not forwarded")
	}
	switch {
	case o.Rejected:
		b.WriteString(", answered by ICMP")
	case len(o.Out) == 0 && (o.Action == "permit" || o.Action == "monitor" || o.Action == ""):
		b.WriteString(", to no port")
	case len(o.Out) == 1:
		fmt.Fprintf(&b, ", to port %d", o.Out[0])
	case len(o.Out) > 1:
		fmt.Fprintf(&b, ", to ports %s", strings.Trim(fmt.Sprint(o.Out), "[]"))
	}
	if o.Line != "" {
		fmt.Fprintf(&b, ", counted for line %s", o.Line)
	}
	return b.String()
}

// numbers maps the names of a compiled state to the numbers on the switch.
type numbers struct {
	rules map[string]pipeline.RuleID
	lines map[string]pipeline.LineIndex
}

func numbersOf(c *compile.Compiled) numbers {
	n := numbers{make(map[string]pipeline.RuleID, len(c.Rules)), make(map[string]pipeline.LineIndex, len(c.Lines))}
	for id, r := range c.Rules {
		n.rules[r.Name] = id
	}
	for index, name := range c.Lines {
		n.lines[name] = index
	}
	return n
}

// want returns what the model's decision demands.
func (n *numbers) want(d *reference.Decision) Outcome {
	o := Outcome{Passes: d.Passes, Rejected: d.Rejected, Out: portsOf(d.Out)}
	if !d.Asked {
		return o
	}
	o.Action, o.Rule, o.RuleID, o.Leg = string(d.Verdict), d.RuleName, n.rules[d.RuleName], string(d.Leg)
	o.Line, o.Index = d.Line, n.lines[d.Line]
	return o
}

func portsOf(out []reference.Output) []pipeline.Port {
	var ports []pipeline.Port
	for _, f := range out {
		ports = append(ports, pipeline.Port(f.Port))
	}
	slices.Sort(ports)
	return ports
}

// about describes a shot.
func (s *shot) about() string {
	what := "TCP segment"
	switch {
	case s.shape == ofLater:
		what = "later fragment"
	case s.shape == ofTiny:
		what = "tiny fragment"
	case s.shape == ofUnclear:
		what = "frame of impossible length"
	case s.flags == flagSYN:
		what = "SYN"
	case s.flags == flagSYN|flagACK:
		what = "SYN-ACK"
	case s.flags == flagACK:
		what = "ACK"
	}
	line := "an unnamed line"
	if s.line != "" {
		line = "line " + s.line
	}
	ends := fmt.Sprintf("%v to %v", s.from, s.to)
	if s.outerFrom.IsValid() {
		ends += fmt.Sprintf(", inside a tunnel from %v to %v", s.outerFrom, s.outerTo)
	}
	direction := "to " + line
	if s.up {
		direction = "from " + line
	}
	text := fmt.Sprintf("%s %s, %s, in at port %d", what, direction, ends, s.port)
	if s.vlans.OuterVID != 0 {
		text += fmt.Sprintf(", VLAN %d", s.vlans.OuterVID)
	}
	if s.vlans.InnerVID != 0 {
		text += fmt.Sprintf(", inner VLAN %d", s.vlans.InnerVID)
	}
	if s.session != 0 {
		text += fmt.Sprintf(", PPPoE session %d", s.session)
	}
	if s.lease != "" {
		text += fmt.Sprintf(", with lease %s", s.lease)
	}
	return text
}
