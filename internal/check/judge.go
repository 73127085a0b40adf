package check

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
)

// A verdict is the outcome of a connection on one loaded pipeline.
type verdict struct {
	outcome Outcome
	met     pipeline.Passage // the entries that matched in the direction that decided the outcome
	down    bool             // true if the SYN-ACK decided
	trace   Trace
}

// judge sends the SYN from the line and the SYN-ACK to the line through the pipeline. The SYN decides if it is stopped. Otherwise the
// segment with the worse outcome decides.
func judge(l *loaded, s *subscriber, from netip.Addr, to netip.AddrPort) verdict {
	syn, synAck := s.access.syn(from, to), s.access.synAck(from, to)
	passages := l.play.Play(
		softswitch.Frame{Port: uint32(s.access.port), Bytes: syn},
		softswitch.Frame{Port: uint32(s.server), Bytes: synAck},
	)
	v := verdict{trace: Trace{Frame: syn, Up: passages[0].Trace, ReplyFrame: synAck, Down: passages[1].Trace}}
	up, down := met(passages[0].Trace), met(passages[1].Trace)

	upOutcome := Blocked
	for _, f := range passages[0].Out {
		switch {
		case l.compiled.State.Ports[pipeline.Port(f.Port)] == pipeline.Network:
			upOutcome = passing(&up)
		case f.Port == uint32(s.access.port) && s.access.prohibits(f.Bytes, to.Addr().Is6()):
			upOutcome = Rejected
		}
	}
	downOutcome := Blocked
	for _, f := range passages[1].Out {
		if f.Port == uint32(s.access.port) {
			downOutcome = passing(&down)
		}
	}
	v.outcome, v.met = upOutcome, up
	if upOutcome.Passes() && downOutcome.rank() > upOutcome.rank() {
		v.outcome, v.met, v.down = downOutcome, down, true
	}
	return v
}

// A flow identifies a connection whose verdict a pipeline remembers.
type flow struct {
	access access
	server pipeline.Port
	from   netip.Addr
	to     netip.AddrPort
}

// maxJudged is the number of verdicts that a loaded pipeline remembers. A verdict takes about 300 bytes.
const maxJudged = 1024

// judged is like judge, but remembers verdicts, because many questions are about the same few servers. A frame has the same verdict each time:
// see softswitch.Rehearsal. Traces are not remembered.
func (l *loaded) judged(s *subscriber, from netip.Addr, to netip.AddrPort, trace bool) verdict {
	if trace {
		return judge(l, s, from, to)
	}
	f := flow{s.access, s.server, from, to}
	l.mu.Lock()
	v, known := l.verdicts[f]
	l.mu.Unlock()
	if known {
		return v
	}
	v = judge(l, s, from, to)
	v.trace = Trace{}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verdicts == nil || len(l.verdicts) >= maxJudged {
		l.verdicts = make(map[flow]verdict)
	}
	l.verdicts[f] = v
	return v
}

// passing returns the outcome for a segment that passed.
func passing(p *pipeline.Passage) Outcome {
	switch {
	case p.Action == pipeline.Limit:
		return Limited
	case p.Action == pipeline.Monitor || p.Rule == pipeline.RuleSpoofed:
		return Monitored
	}
	return Delivered
}

// met reads the entries that matched a segment from the segment's trace.
func met(trace []engine.Event) pipeline.Passage {
	var p pipeline.Passage
	for i := range trace {
		switch e := &trace[i]; {
		case e.Kind == engine.EventTable:
			p.Applied(e.Name, e.Action, in(e.Fields), in(e.Args))
		case e.Kind == engine.EventCounter && e.Index != nil:
			p.Counted(e.Name, *e.Index)
		}
	}
	return p
}

func in(values []engine.Value) func(name string) uint64 {
	return func(name string) uint64 {
		for i := range values {
			if values[i].Name == name {
				return values[i].Value.Uint64()
			}
		}
		return 0
	}
}

// result answers a question for one of the server's addresses. It evaluates the question's span and the spans before and after it, with
// the exemptions in force at the time of the question.
func (c *Checker) result(q *Question, s *subscriber, h *history, from, to netip.Addr) (*Result, error) {
	server := netip.AddrPortFrom(to, q.Port)
	ask := func(x *span) (*loaded, verdict, error) {
		l, err := c.load(s.sw.Name, x.in, q.At, "")
		if err != nil {
			return nil, verdict{}, err
		}
		return l, l.judged(s, from, server, q.Trace), nil
	}
	l, v, err := ask(&h.asked)
	if err != nil {
		return nil, err
	}
	r := &Result{From: from, To: to, Outcome: v.outcome, phase: l.phase(&v)}
	r.Since = c.phaseOf(r.phase, h.asked.since)
	if err := c.explain(r, l, &v, s, q.At); err != nil {
		return nil, err
	}
	if q.Trace {
		r.Trace = &v.trace
	}
	if r.leases, err = c.leasesThatOpen(r, s, h.asked.in, server, q.At); err != nil {
		return nil, err
	}
	if h.at < 0 {
		return r, nil
	}
	// ErrInvalid means that the switch has no room for the phases of a span, so these phases are never in force and the span is skipped.
	r.Since = c.phaseOf(r.phase, h.spans[h.at].since)
	for _, x := range slices.Backward(h.spans[:h.at]) {
		then, before, err := ask(&x)
		if errors.Is(err, policy.ErrInvalid) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !before.like(&v) {
			break
		}
		r.Since = c.phaseOf(then.phase(&before), x.since)
	}
	for _, x := range h.spans[h.at+1:] {
		then, after, err := ask(&x)
		if errors.Is(err, policy.ErrInvalid) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !after.like(&v) {
			r.Next = &LaterOutcome{Phase: c.phaseOf(then.phase(&after), x.since), Outcome: after.outcome, Rule: then.compiled.Rules[after.met.Rule].Name}
			break
		}
	}
	return r, nil
}

// like reports whether two verdicts have the same outcome, caused by the same rule in the same direction.
func (v *verdict) like(w *verdict) bool {
	return v.outcome == w.outcome && v.met.Rule == w.met.Rule && v.down == w.down
}

// phase returns the phase whose rules decided. It is the phase of the line group that the pipeline found.
func (l *loaded) phase(v *verdict) string {
	return l.compiled.InForce.Phase(l.compiled.LineGroups[v.met.Line.Group].Name)
}

// load returns the pipeline of a switch on which given phases are in force at a given time, and on which all subscribers have a lease unless the
// lease is "".
func (c *Checker) load(sw string, in policy.InForce, at time.Time, lease string) (*loaded, error) {
	p := place{sw: sw, in: in.String(), lease: lease}
	p.expired, _ = slices.BinarySearchFunc(c.ends(), at, func(end, at time.Time) int {
		if end.After(at) {
			return 1
		}
		return -1
	})
	return c.at(p, func() (*compile.Compiled, error) {
		compiler, err := c.compiler()
		if err != nil {
			return nil, err
		}
		return compiler.Compile(sw, in, at)
	})
}

// explain adds the rule, leg, service, remote class and exemption to a result, according to the entries that matched.
func (c *Checker) explain(r *Result, l *loaded, v *verdict, s *subscriber, at time.Time) error {
	if v.met.Rule == pipeline.RuleNone {
		return nil
	}
	compiler, err := c.compiler()
	if err != nil {
		return err
	}
	rules, err := compiler.RulesOf(r.phase, l.compiled.State.SynOnly)
	if err != nil {
		return err
	}
	rule := rules[v.met.Rule]
	r.Rule = &Rule{rule.ID, rule.Name, rule.Action, rule.Text}
	r.Leg = policy.UpDst
	if v.down {
		r.Leg = policy.DownSrc
	}
	r.Service = l.compiled.Services[v.met.Service].Name
	if class, ok := l.compiled.Remotes[v.met.Remote]; ok {
		r.Remote = Named{class.Name, class.Title}
	}
	if v.met.Subscriber == compile.SubscriberExempt && rule.Name == policy.RuleExempt {
		r.Exemption = c.exemption(s, r.From, at)
	}
	return nil
}

// exemption returns the exemption that applies to an address of the subscriber. If several apply, it returns the one that ends last.
func (c *Checker) exemption(s *subscriber, from netip.Addr, at time.Time) *Exemption {
	var found *Exemption
	for i := range c.policy.Exemptions {
		e := &c.policy.Exemptions[i]
		ends := c.policy.Ends(e)
		mine := e.Line != "" && s.line != nil && e.Line == s.line.Name || e.Line == "" && e.Prefix.Contains(from)
		if !mine || !at.Before(ends) || found != nil && !ends.After(found.Expires) {
			continue
		}
		found = &Exemption{e.Line, e.Prefix, ends, e.Owner, e.Reason, e.Ticket}
	}
	return found
}
