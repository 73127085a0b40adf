package demo

// A Report is what the demo saw. It is also its JSON form.
type Report struct {
	Phases []Phase `json:"phases"`
}

// A Phase is one rule set in force, and the mail that was sent under it.
type Phase struct {
	Phase     string    `json:"phase"`
	Effective string    `json:"effective"`
	Attempts  []Attempt `json:"attempts"`
	Counters  []Counter `json:"counters"`
}

// An Attempt is one mail from a subscriber to a server.
type Attempt struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Port   uint16 `json:"port"`
	Family string `json:"family"` // "ipv4" or "ipv6"
	Result Result `json:"result"`
	// Rule is the rule whose counter moved on the subscriber's interface while the mail was under way, Action what that rule does.
	Rule   string `json:"rule"`
	Action string `json:"action"`
	// Want is what the policy says; an attempt with another result or rule is a fault.
	Want Expected `json:"want"`
	// Error says what went wrong when the result is neither delivered nor blocked.
	Error string `json:"error,omitempty"`
}

// A Result is how an attempt ended for the sender.
type Result string

// The results. Failed is anything that is neither a mail in the server's box nor a connection that could not be made.
const (
	Delivered Result = "delivered"
	Blocked   Result = "blocked"
	Failed    Result = "failed"
)

// Expected is an attempt's outcome by the policy's text.
type Expected struct {
	Result Result `json:"result"`
	Rule   string `json:"rule"`
	Action string `json:"action"`
}

// OK says whether the attempt went as the policy says.
func (a Attempt) OK() bool { return Expected{a.Result, a.Rule, a.Action} == a.Want }

// A Counter is one rule on one interface: what the switch counted, read over gNMI, and what the subscriber's own network card sent.
type Counter struct {
	Interface string `json:"interface"`
	Rule      string `json:"rule"`
	Action    string `json:"action"`
	Packets   uint64 `json:"packets"`
	Octets    uint64 `json:"octets"`
	Sent      uint64 `json:"sent"`
	SentBytes uint64 `json:"sentOctets"`
}

// OK says whether the switch counted just what was sent.
func (c Counter) OK() bool { return c.Packets == c.Sent && c.Octets == c.SentBytes }

// Count returns how many attempts and counters there are and how many of each are as they should be.
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

// OK says whether everything went as the policy says, and anything went at all.
func (r *Report) OK() bool {
	attempts, attemptsOK, counters, countersOK := r.Count()
	return attempts > 0 && counters > 0 && attempts == attemptsOK && counters == countersOK
}
