package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// The rules that stand before every phase's, in this order.
const (
	RuleRelay      = "relay"      // mail to the ISP's own relays passes
	RuleSubmission = "submission" // submission to any server passes: RFC 5068, invariant I9
	RuleExempt     = "exempt"     // mail of an exempt address to any server passes
)

// The rules that the pipeline itself applies, where no other was asked or none matched. Their ids are the pipeline's.
const (
	RuleFailClosed    = "fail-closed"    // no rule matched
	RuleTinyFragment  = "tiny-fragment"  // TCP cut off before its ports
	RuleLaterFragment = "later-fragment" // the knob LaterFragments of line groups
	RuleUndetermined  = "undetermined"   // the knob Undetermined of line groups
	RuleSpoofed       = "spoofed"        // the source check of line groups
)

// standing are the names of the rules that every phase begins with.
func standing() []string { return []string{RuleRelay, RuleSubmission, RuleExempt} }

// builtIn are the names that a policy's rules cannot have.
func builtIn() []string {
	return append(standing(), RuleFailClosed, RuleTinyFragment, RuleLaterFragment, RuleUndetermined, RuleSpoofed)
}

// maxRules is how many names the phases of one policy can have between them: an id each, beside the standing rules.
const maxRules = int(pipeline.LastRule-pipeline.FirstRule) + 1 - 3

// RuleIDs are the ids of the standing rules and of all names that the phases' rules have, in order of first appearance. They are the
// same in all phases, so that a counter goes on from phase to phase, and appending a phase changes none.
func (p *Policy) RuleIDs() map[string]pipeline.RuleID {
	ids := make(map[string]pipeline.RuleID)
	add := func(name string) {
		if _, known := ids[name]; !known {
			ids[name] = pipeline.FirstRule + pipeline.RuleID(len(ids))
		}
	}
	for _, name := range standing() {
		add(name)
	}
	for _, ph := range p.Phases {
		for _, r := range ph.Rules {
			add(r.Name)
		}
	}
	return ids
}

// verdictEntries are the rules of a phase, behind the standing ones, and the knobs of line groups. The rules' priorities descend in their
// order; the entries of one rule never match the same segment, and share theirs.
func verdictEntries(p *Policy, ph *Phase) (map[pipeline.VerdictKey]pipeline.Verdict, map[pipeline.RuleID]Rule) {
	b := &builder{
		ids:      p.RuleIDs(),
		priority: int32(len(standing()) + len(ph.Rules)),
		entries:  make(map[pipeline.VerdictKey]pipeline.Verdict),
		rules:    pipelineRules(p),
	}
	b.relay(p)
	b.submission(p)
	b.exempt(p)
	for _, r := range ph.Rules {
		b.phaseRule(p, ph, r)
	}
	b.knobs(p)
	return b.entries, b.rules
}

// verdicts is the number of entries that verdictEntries would make. To validate a policy it need not make them.
func (p *Policy) verdicts(ph *Phase) int {
	relays := 0
	for _, r := range p.Remotes {
		if r.Relay {
			relays++
		}
	}
	n := relays*len(p.servicesWith(isMailPort)) + len(p.servicesWith(isSubmissionPort)) + len(p.servicesWith(isSMTPPort))
	for _, r := range ph.Rules {
		n += len(p.legs(r)) * max(1, len(r.Groups))
	}
	for _, g := range p.LineGroups {
		if g.undetermined() != DefaultUndetermined {
			n++
		}
		if g.laterFragments() != DefaultLaterFragments {
			n++
		}
	}
	return n
}

// A builder collects the entries of rules, each rule with a lower priority than the one before.
type builder struct {
	ids      map[string]pipeline.RuleID
	priority int32 // of the next rule
	entries  map[pipeline.VerdictKey]pipeline.Verdict
	rules    map[pipeline.RuleID]Rule
}

// add gives a rule its entries, one a match. The matches are completed with the priority.
func (b *builder) add(name string, action Action, text string, matches []pipeline.VerdictKey) {
	id := b.ids[name]
	verdict, _ := action.verdict()
	for _, key := range matches {
		key.Priority = b.priority
		b.entries[key] = pipeline.Verdict{Action: verdict, Rule: id}
	}
	b.rules[id] = Rule{ID: id, Name: name, Action: action, Text: text}
	b.priority--
}

// The standing rules are for every leg: what they permit, they permit both ways, whoever opened the connection.

func (b *builder) relay(p *Policy) {
	var matches []pipeline.VerdictKey
	var relays []string
	mail := p.servicesWith(isMailPort)
	for i, r := range p.Remotes {
		if !r.Relay {
			continue
		}
		relays = append(relays, r.Name)
		for _, s := range mail {
			matches = append(matches, pipeline.VerdictKey{Service: pipeline.Exactly(s), RemoteClass: pipeline.Exactly(pipeline.Class(i + 1))})
		}
	}
	b.add(RuleRelay, Permit, fmt.Sprintf("mail of every line to the ISP's own relays (%s) passes: %s",
		strings.Join(relays, ", "), p.describe(mail)), matches)
}

func (b *builder) submission(p *Policy) {
	var matches []pipeline.VerdictKey
	submission := p.servicesWith(isSubmissionPort)
	for _, s := range submission {
		matches = append(matches, pipeline.VerdictKey{Service: pipeline.Exactly(s)})
	}
	b.add(RuleSubmission, Permit, fmt.Sprintf("submission of every line to any server passes: %s", p.describe(submission)), matches)
}

func (b *builder) exempt(p *Policy) {
	var matches []pipeline.VerdictKey
	smtp := p.servicesWith(isSMTPPort)
	for _, s := range smtp {
		matches = append(matches, pipeline.VerdictKey{Service: pipeline.Exactly(s), SubscriberClass: pipeline.Exactly(SubscriberExempt)})
	}
	b.add(RuleExempt, Permit, fmt.Sprintf("mail of an exempt address to any server passes: %s", p.describe(smtp)), matches)
}

// phaseRule has an entry for each leg and line group.
func (b *builder) phaseRule(p *Policy, ph *Phase, r PhaseRule) {
	_, service := p.service(r.Service)
	key := pipeline.VerdictKey{Service: pipeline.Exactly(service)}
	if !r.anyRemote() {
		_, class := p.remote(r.Remote)
		key.RemoteClass = pipeline.Exactly(class)
	}
	groups := []pipeline.Match[pipeline.LineGroup]{{}}
	if len(r.Groups) > 0 {
		groups = nil
		for _, g := range r.Groups {
			groups = append(groups, pipeline.Exactly(p.group(g)))
		}
	}
	var matches []pipeline.VerdictKey
	for _, leg := range p.legs(r) {
		code, _ := leg.code()
		key.Leg = pipeline.Exactly(code)
		for _, key.Group = range groups {
			matches = append(matches, key)
		}
	}
	b.add(r.Name, r.Action, p.sentence(ph, r), matches)
}

// sentence is the text of a phase's rule.
func (p *Policy) sentence(ph *Phase, r PhaseRule) string {
	_, service := p.service(r.Service)
	of := "every line"
	if len(r.Groups) > 0 {
		of = "lines of " + strings.Join(r.Groups, ", ")
	}
	server := "any server"
	if !r.anyRemote() {
		server = r.Remote
	}
	where := "to " + server
	if r.Legs != nil {
		where = fmt.Sprintf("with %s, on %s,", server, strings.Join(names(r.Legs, Leg.name), ", "))
	}
	outcome := r.Action.outcome()
	if r.Action == Reject && !slices.Contains(p.legs(r), UpDst) {
		outcome = Drop.outcome() // the switch rejects on no other leg
	}
	if ph.SynOnly && (r.Action == Drop || r.Action == Reject) {
		outcome += "; in the drain, segments without SYN pass and are counted"
	}
	return fmt.Sprintf("%s of %s %s %s", p.describe([]pipeline.Service{service}), of, where, outcome)
}

// outcome is an action as the end of a sentence.
func (a Action) outcome() string {
	switch a {
	case Permit:
		return "passes"
	case Monitor:
		return "passes, and is counted as what a drop would stop"
	case Limit:
		return "passes, but for new connections above the line's rate, which are dropped"
	case Reject:
		return "is dropped, and a line's new connection is answered with an ICMP error"
	case Drop:
		return "is dropped"
	}
	return "is left alone"
}

// The ports whose meaning is fixed, whatever a policy calls their services.
const (
	PortSMTP        TCPPort = 25
	PortSubmission  TCPPort = 587 // RFC 6409
	PortSubmissions TCPPort = 465 // RFC 8314
)

// has reports whether a service has a port for which is holds.
func (s Service) has(is func(TCPPort) bool) bool { return slices.ContainsFunc(s.Ports, is) }

func isSMTPPort(port TCPPort) bool       { return port == PortSMTP }
func isSubmissionPort(port TCPPort) bool { return port == PortSubmission || port == PortSubmissions }
func isMailPort(port TCPPort) bool       { return isSMTPPort(port) || isSubmissionPort(port) }

// servicesWith are the numbers of the services that have a port for which is holds.
func (p *Policy) servicesWith(is func(TCPPort) bool) []pipeline.Service {
	var found []pipeline.Service
	for i, s := range p.Services {
		if s.has(is) {
			found = append(found, pipeline.Service(i+1))
		}
	}
	return found
}

// describe lists services by name and TCP port.
func (p *Policy) describe(services []pipeline.Service) string {
	texts := make([]string, 0, len(services))
	for _, number := range services {
		s := p.Services[number-1]
		ports := make([]string, len(s.Ports))
		for i, port := range s.Ports {
			ports[i] = fmt.Sprint(port)
		}
		texts = append(texts, fmt.Sprintf("%s (TCP %s)", s.Name, strings.Join(ports, ", ")))
	}
	return strings.Join(texts, ", ")
}
