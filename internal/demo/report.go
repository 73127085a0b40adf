package demo

// A Report contains the result of a play.
type Report struct {
	Phases []Phase `json:"phases"`
}

// A Phase contains the outcomes of one phase.
type Phase struct {
	Phase     string    `json:"phase"`
	Effective string    `json:"effective"`
	Attempts  []Attempt `json:"attempts"`
	Counters  []Counter `json:"counters"`
}

// An Attempt is one mail from a subscriber to a server, or one look into the subscriber's mailbox.
type Attempt struct {
	From string `json:"from"`
	To   string `json:"to"`
	Port uint16 `json:"port"`
	// After is "login" if the subscriber has fetched mail by POP3 before, which opens the port by a lease.
	After  string `json:"after,omitempty"`
	Family string `json:"family"` // "ipv4" or "ipv6"
	Result Result `json:"result"`
	// Rule is the rule whose counter changed on the subscriber's interface during the attempt, or empty if no counter changed. Action is
	// that rule's action.
	Rule   string `json:"rule"`
	Action string `json:"action"`
	// Want is the outcome that the policy requires. Any other result or rule is a fault.
	Want Expected `json:"want"`
	// Error is the sender's error. It is set only if Result is Failed.
	Error string `json:"error,omitempty"`
}

// A Result is how an attempt ended for the sender.
type Result string

// Delivered means that the server has stored the mail, Read that the mailbox was read, and Blocked that no connection could be established.
// Any other outcome is Failed.
const (
	Delivered Result = "delivered"
	Read      Result = "read"
	Blocked   Result = "blocked"
	Failed    Result = "failed"
)

// An Expected is the outcome that the policy requires for an attempt.
type Expected struct {
	Result Result `json:"result"`
	Rule   string `json:"rule"`
	Action string `json:"action"`
}

// OK reports whether the outcome matches the policy.
func (a Attempt) OK() bool { return Expected{a.Result, a.Rule, a.Action} == a.Want }

// A Counter compares the frames that the switch counted for one rule on one interface with the frames that the hosts sent. The counted
// numbers are read over gNMI.
type Counter struct {
	Interface string `json:"interface"`
	Rule      string `json:"rule"`
	Action    string `json:"action"`
	Packets   uint64 `json:"packets"`
	Octets    uint64 `json:"octets"`
	Sent      uint64 `json:"sent"`
	SentBytes uint64 `json:"sentOctets"`
}

// OK reports whether the switch counted exactly the frames that were sent.
func (c Counter) OK() bool { return c.Packets == c.Sent && c.Octets == c.SentBytes }

// Count returns the numbers of attempts and counters, and how many of each are OK.
func (r *Report) Count() (attempts, attemptsOK, counters, countersOK int) {
	for _, p := range r.Phases {
		for _, a := range p.Attempts {
			attempts++
			if a.OK() {
				attemptsOK++
			}
		}
		for _, c := range p.Counters {
			counters++
			if c.OK() {
				countersOK++
			}
		}
	}
	return attempts, attemptsOK, counters, countersOK
}

// OK reports whether the report has attempts and counters, and all of them are OK.
func (r *Report) OK() bool {
	attempts, attemptsOK, counters, countersOK := r.Count()
	return attempts > 0 && counters > 0 && attempts == attemptsOK && counters == countersOK
}
