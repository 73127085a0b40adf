package check

import (
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
)

// A Question asks for the outcome of a connection that a subscriber opens.
type Question struct {
	// Line is the name of a line. If Line is empty, the question is about the line with the address From. If no line has that address, or if From is
	// the zero value too, it is about an unnamed line.
	Line string `json:"line,omitempty"`
	// From is the subscriber's address. If it is the zero value, or if Line is set and From is of another family than the server's address, it
	// is the line's first address of the server's family.
	From netip.Addr `json:"from,omitzero"`
	// Switch is the name of the switch of an unnamed line. It may be empty if From is set and the inventory has only one switch.
	Switch string `json:"switch,omitempty"`
	// To is the name or the address of the server, and Port is its TCP port, from 1 to 65535.
	To   string `json:"to"`
	Port uint16 `json:"port"`
	// At is the time for which to answer. The zero value means the current time.
	At time.Time `json:"at,omitzero"`
	// Phase, if not empty, is the phase to assume for every line, instead of the phases in force at At.
	Phase string `json:"phase,omitempty"`
	// Trace requests Result.Trace.
	Trace bool `json:"trace,omitempty"`
}

// An Outcome is the result of a connection attempt.
type Outcome string

// The outcomes in order, from best to worst.
const (
	Delivered Outcome = "delivered"
	Monitored Outcome = "monitored" // the connection passes, and is counted as a connection that a drop would stop
	Limited   Outcome = "limited"   // the connection passes as long as the line stays within its rate
	Rejected  Outcome = "rejected"  // the connection is stopped, and the subscriber receives an ICMP error
	Blocked   Outcome = "blocked"   // a segment in either direction is dropped without an error
)

var outcomes = []Outcome{Delivered, Monitored, Limited, Rejected, Blocked}

// rank returns the rank of an outcome. A higher rank is a worse outcome.
func (o Outcome) rank() int {
	for i, x := range outcomes {
		if x == o {
			return i
		}
	}
	return len(outcomes)
}

// Passes reports whether the connection passes. A limited connection passes, although only within the line's rate.
func (o Outcome) Passes() bool { return o.rank() <= Limited.rank() }

// An Answer describes how a line's switch treats a connection.
type Answer struct {
	// Outcome is the worst outcome in Results, and Best is the best outcome. They may differ if the server has several addresses.
	Outcome Outcome `json:"outcome"`
	Best    Outcome `json:"best"`
	// Line is the name of the line. It is empty for an unnamed line.
	Line  string `json:"line,omitempty"`
	Group Named  `json:"lineGroup,omitzero"`
	// Switch is the name of the line's switch.
	Switch string `json:"switch"`
	To     string `json:"to"`
	Port   uint16 `json:"port"`
	// At is the time for which the question was answered. Phase is the phase in the question. If the question has none, Phase is the phase in force
	// at that time for the line's group on its switch.
	At      time.Time `json:"at"`
	Phase   Phase     `json:"phase"`
	Results []Result  `json:"results"`
	// Notes are further remarks in full sentences.
	Notes []string `json:"notes,omitempty"`
}

// Named holds the name of a policy object and its title, which may be empty.
type Named struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
}

// A Phase is a phase with the time from which it is in force for the line, by its date or by an activation. The time may be in the
// future.
type Phase struct {
	Named
	Since time.Time `json:"since"`
}

// A Result is the outcome of the connection to one address of the server.
type Result struct {
	From    netip.Addr `json:"from"`
	To      netip.Addr `json:"to"`
	Outcome Outcome    `json:"outcome"`
	// Rule is the rule that decided. If Rule is nil, no rule matches the port and the connection passes.
	Rule *Rule `json:"rule,omitempty"`
	// Leg is the leg on which Rule decided the outcome.
	Leg policy.Leg `json:"leg,omitempty"`
	// Service and Remote are the service and the remote class that the pipeline found. Remote is the zero value if the server is in no
	// class.
	Service string `json:"service,omitempty"`
	Remote  Named  `json:"remote,omitzero"`
	// Exemption is the exemption that lets the connection pass, or nil.
	Exemption *Exemption `json:"exemption,omitempty"`
	// Since is the phase that began the current period with this outcome, and Next is the next change of outcome, or nil. Both assume
	// that the exemptions at the time of the question do not change.
	Since Phase         `json:"since"`
	Next  *LaterOutcome `json:"next,omitempty"`
	// Trace contains the events of the two segments in the pipeline if the question requested them.
	Trace *Trace `json:"trace,omitempty"`

	phase  string         // the phase whose rules decided
	leases []policy.Lease // the leases with which the connection would pass, if it does not
}

// Worst returns the first result with the answer's outcome.
func (a *Answer) Worst() *Result {
	for i := range a.Results {
		if a.Results[i].Outcome == a.Outcome {
			return &a.Results[i]
		}
	}
	return nil
}

// Same reports whether two results have the same outcome, since the same time, and the same next change, whatever rules decide.
func (r *Result) Same(x *Result) bool {
	next := r.Next == nil && x.Next == nil
	if r.Next != nil && x.Next != nil {
		next = r.Next.Outcome == x.Next.Outcome && r.Next.Name == x.Next.Name && r.Next.Since.Equal(x.Next.Since)
	}
	return next && r.Outcome == x.Outcome && r.Since.Name == x.Since.Name && r.Since.Since.Equal(x.Since.Since)
}

// A Rule is a rule of the policy with its meaning in words.
type Rule struct {
	ID     pipeline.RuleID `json:"id"`
	Name   string          `json:"name"`
	Action policy.Action   `json:"action"`
	Text   string          `json:"text"`
}

// An Exemption is an exemption in the policy. Owner, Reason and Ticket are internal to the NOC.
type Exemption struct {
	Line    string       `json:"line,omitempty"`
	Prefix  netip.Prefix `json:"prefix,omitzero"`
	Expires time.Time    `json:"expires"` // the time at which the exemption ends
	Owner   string       `json:"owner,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Ticket  string       `json:"ticket,omitempty"`
}

// A LaterOutcome is a future outcome, with the phase that causes it and the time at which it begins.
type LaterOutcome struct {
	Phase
	Outcome Outcome `json:"outcome"`
	Rule    string  `json:"rule,omitempty"`
}

// A Trace contains the first two segments of a connection and their events in the pipeline.
type Trace struct {
	Frame      engine.Bits    `json:"frame"` // the SYN
	Up         []engine.Event `json:"up"`
	ReplyFrame engine.Bits    `json:"replyFrame"` // the SYN-ACK
	Down       []engine.Event `json:"down"`
}
