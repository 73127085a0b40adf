package check

import (
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
)

// A Question is a connection that a subscriber may open.
type Question struct {
	// Line is the name of a line. If Line is empty, From selects the line. If no line has that address, the line is an unnamed line.
	Line string `json:"line,omitempty"`
	// From is the subscriber's address. The default is the line's first address of the server's family.
	From netip.Addr `json:"from,omitzero"`
	// Switch is the switch of an unnamed line. Switch may be empty if the inventory has only one switch.
	Switch string `json:"switch,omitempty"`
	// To is the server, by name or address, and Port its TCP port, 1 to 65535.
	To   string `json:"to"`
	Port uint16 `json:"port"`
	// At is the time to answer for. The zero value means the current time.
	At time.Time `json:"at,omitzero"`
	// Phase, if not empty, replaces the phases in force at At, for every line.
	Phase string `json:"phase,omitempty"`
	// Trace asks for Result.Trace.
	Trace bool `json:"trace,omitempty"`
}

// An Outcome is the result of a connection attempt.
type Outcome string

// The outcomes, from the best to the worst.
const (
	Delivered Outcome = "delivered"
	Monitored Outcome = "monitored" // the connection passes, and is counted as one that a drop would stop
	Limited   Outcome = "limited"   // the connection passes while the line stays within its rate
	Rejected  Outcome = "rejected"  // the connection is stopped, and an ICMP error is sent to the subscriber
	Blocked   Outcome = "blocked"   // a segment is dropped without an error, in either direction
)

var outcomes = []Outcome{Delivered, Monitored, Limited, Rejected, Blocked}

// rank returns the rank of an outcome. Worse outcomes have higher ranks.
func (o Outcome) rank() int {
	for i, x := range outcomes {
		if x == o {
			return i
		}
	}
	return len(outcomes)
}

// Passes reports whether the connection passes, at least within the line's rate.
func (o Outcome) Passes() bool { return o.rank() <= Limited.rank() }

// An Answer describes how the switch of a line treats a connection.
type Answer struct {
	// Outcome is the worst outcome of the results, and Best the best outcome. They may differ if a server has several addresses.
	Outcome Outcome `json:"outcome"`
	Best    Outcome `json:"best"`
	// Line is the name of the line, empty for an unnamed line.
	Line  string `json:"line,omitempty"`
	Group Named  `json:"lineGroup,omitzero"`
	// Switch is the switch of the line.
	Switch string `json:"switch"`
	To     string `json:"to"`
	Port   uint16 `json:"port"`
	// At is the time of the question. Phase is the phase in force at that time for the line's group on its switch, or the phase that the
	// question names.
	At      time.Time `json:"at"`
	Phase   Phase     `json:"phase"`
	Results []Result  `json:"results"`
	// Notes are further remarks, as sentences.
	Notes []string `json:"notes,omitempty"`
}

// Named is the name of a policy object and its title, which may be empty.
type Named struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
}

// A Phase is a phase and the time since which it is, or will be, in force for the line, by its date or by an activation.
type Phase struct {
	Named
	Since time.Time `json:"since"`
}

// A Result is the outcome of the connection to one address of the server.
type Result struct {
	From    netip.Addr `json:"from"`
	To      netip.Addr `json:"to"`
	Outcome Outcome    `json:"outcome"`
	// Rule is the deciding rule. If it is nil, no rule matches the port, and the connection passes.
	Rule *Rule `json:"rule,omitempty"`
	// Leg is the leg on which Rule decided.
	Leg policy.Leg `json:"leg,omitempty"`
	// Service and Remote are the service and the remote class that the pipeline found. Remote is zero for a server in no class.
	Service string `json:"service,omitempty"`
	Remote  Named  `json:"remote,omitzero"`
	// Exemption is the exemption that lets the connection pass, if any.
	Exemption *Exemption `json:"exemption,omitempty"`
	// Since is the phase with which the current period of this outcome began. Next is the next change, if any. Both assume the exemptions
	// in force at the time of the question.
	Since Phase         `json:"since"`
	Next  *LaterOutcome `json:"next,omitempty"`
	// Trace has the events of the two segments in the pipeline, if the question asked for them.
	Trace *Trace `json:"trace,omitempty"`

	phase string // the phase whose rules decided
}

// A Rule is a rule with its meaning.
type Rule struct {
	ID     pipeline.RuleID `json:"id"`
	Name   string          `json:"name"`
	Action policy.Action   `json:"action"`
	Text   string          `json:"text"`
}

// An Exemption is an exemption of the policy. Owner, Reason and Ticket are internal to the NOC.
type Exemption struct {
	Line    string       `json:"line,omitempty"`
	Prefix  netip.Prefix `json:"prefix,omitzero"`
	Expires time.Time    `json:"expires"` // the moment at which the exemption ends
	Owner   string       `json:"owner,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Ticket  string       `json:"ticket,omitempty"`
}

// A LaterOutcome is a later outcome, the phase that causes it, and its time.
type LaterOutcome struct {
	Phase
	Outcome Outcome `json:"outcome"`
	Rule    string  `json:"rule,omitempty"`
}

// A Trace has the two segments of a connection and their events in the pipeline.
type Trace struct {
	Frame      engine.Bits    `json:"frame"` // the SYN
	Up         []engine.Event `json:"up"`
	ReplyFrame engine.Bits    `json:"replyFrame"` // the SYN-ACK
	Down       []engine.Event `json:"down"`
}
