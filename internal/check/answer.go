package check

import (
	"net/netip"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch/engine"
)

// A Question is a connection that somebody behind a line may open.
type Question struct {
	// Line is the name of a line. Without it From says which line it is: the one that has the address. An address of no line is an
	// unnamed line's.
	Line string `json:"line,omitempty"`
	// From is the subscriber's address. Absent, it is the first that the line has of the server's family.
	From netip.Addr `json:"from,omitzero"`
	// Switch is the one that an unnamed line is on. It may be absent where there is only one.
	Switch string `json:"switch,omitempty"`
	// To is the server, by name or address, and Port its TCP port, 1 to 65535.
	To   string `json:"to"`
	Port uint16 `json:"port"`
	// At is the moment that is asked about; the zero value is now.
	At time.Time `json:"at,omitzero"`
	// Phase is asked about, in force for every line, instead of those in force at At: what a plan would do.
	Phase string `json:"phase,omitempty"`
	// Trace asks for Result.Trace.
	Trace bool `json:"trace,omitempty"`
}

// An Outcome is what becomes of a connection.
type Outcome string

// The outcomes, from the best to the worst.
const (
	Delivered Outcome = "delivered"
	Monitored Outcome = "monitored" // it passes, and is counted as what a drop would stop
	Limited   Outcome = "limited"   // it passes while the line opens no more than its rate
	Rejected  Outcome = "rejected"  // it is stopped, and the subscriber is told at once by an ICMP error
	Blocked   Outcome = "blocked"   // it is stopped in silence, on the way there or on the way back
)

var outcomes = []Outcome{Delivered, Monitored, Limited, Rejected, Blocked}

// rank is larger the worse an outcome is.
func (o Outcome) rank() int {
	for i, x := range outcomes {
		if x == o {
			return i
		}
	}
	return len(outcomes)
}

// Passes reports whether mail gets through.
func (o Outcome) Passes() bool { return o.rank() <= Limited.rank() }

// An Answer is what the switch of a line does with a connection.
type Answer struct {
	// Outcome is the worst of the results', and Best the best: they differ where a server has several addresses.
	Outcome Outcome `json:"outcome"`
	Best    Outcome `json:"best"`
	// Line is the name of the line, empty for an unnamed one: no line of the inventory has the address.
	Line  string `json:"line,omitempty"`
	Group Named  `json:"lineGroup,omitzero"`
	// Switch is the one that the line is on.
	Switch string `json:"switch"`
	To     string `json:"to"`
	Port   uint16 `json:"port"`
	// At is the moment that was asked about, Phase the one in force then for the line's group on its switch, or asked for.
	At      time.Time `json:"at"`
	Phase   Phase     `json:"phase"`
	Results []Result  `json:"results"`
	// Notes are what else there is to know, as sentences.
	Notes []string `json:"notes,omitempty"`
}

// Named is something of the policy by its name, and the title that people know it by, if it has one.
type Named struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
}

// A Phase is a phase and since when it has been, or will be, in force for the line: by its date, or by an activation before or after it.
type Phase struct {
	Named
	Since time.Time `json:"since"`
}

// A Result is what becomes of the connection to one address of the server.
type Result struct {
	From    netip.Addr `json:"from"`
	To      netip.Addr `json:"to"`
	Outcome Outcome    `json:"outcome"`
	// Rule decided; nil means that no rule speaks of the port, so that it passes.
	Rule *Rule `json:"rule,omitempty"`
	// Leg is the direction that Rule decided about.
	Leg policy.Leg `json:"leg,omitempty"`
	// Service and Remote are what the pipeline took port and server for. Remote is zero for a server in no class.
	Service string `json:"service,omitempty"`
	Remote  Named  `json:"remote,omitzero"`
	// Exemption is the one that let the connection pass.
	Exemption *Exemption `json:"exemption,omitempty"`
	// Since is when it began to be so, without a break until now, and the phase whose rules decided then; Next is the next change, if any.
	// Both take exemptions as they stand at the moment that was asked about.
	Since Phase   `json:"since"`
	Next  *Change `json:"next,omitempty"`
	// Trace is what the two segments met in the pipeline, if it was asked for.
	Trace *Trace `json:"trace,omitempty"`

	phase string // whose rules decided
}

// A Rule is a rule with its meaning.
type Rule struct {
	ID     pipeline.RuleID `json:"id"`
	Name   string          `json:"name"`
	Action policy.Action   `json:"action"`
	Text   string          `json:"text"`
}

// An Exemption is one of the policy's. Owner, Reason and Ticket are the NOC's alone: see ForCustomer.
type Exemption struct {
	Line    string       `json:"line,omitempty"`
	Prefix  netip.Prefix `json:"prefix,omitzero"`
	Expires time.Time    `json:"expires"` // the moment from which it no longer holds
	Owner   string       `json:"owner,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Ticket  string       `json:"ticket,omitempty"`
}

// A Change is what will become of the connection, from when on, and the phase whose rules will decide.
type Change struct {
	Phase
	Outcome Outcome `json:"outcome"`
	Rule    string  `json:"rule,omitempty"`
}

// A Trace is the segments that were sent, and what each met.
type Trace struct {
	Frame      engine.Bits    `json:"frame"` // the SYN
	Up         []engine.Event `json:"up"`
	ReplyFrame engine.Bits    `json:"replyFrame"` // the SYN-ACK
	Down       []engine.Event `json:"down"`
}

// ForCustomer is the answer without what is not the customer's to see: who answers for an exemption and why, and the trace.
func (a *Answer) ForCustomer() *Answer {
	shown := *a
	shown.Results = make([]Result, len(a.Results))
	for i, r := range a.Results {
		r.Trace = nil
		if r.Exemption != nil {
			e := *r.Exemption
			e.Owner, e.Reason, e.Ticket = "", "", ""
			r.Exemption = &e
		}
		shown.Results[i] = r
	}
	return &shown
}
