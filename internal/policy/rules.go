package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// The rules that stand before every phase's, in this order, and the one that the pipeline itself applies where none matched.
const (
	RuleRelay      = "relay"       // mail to the ISP's own relays passes
	RuleSubmission = "submission"  // submission to any server passes: RFC 5068, invariant I9
	RuleExempt     = "exempt"      // mail of an exempt address to any server passes
	RuleFailClosed = "fail-closed" // no rule matched
)

// standing are the names of the rules that every phase begins with.
func standing() []string { return []string{RuleRelay, RuleSubmission, RuleExempt} }

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

// verdictEntries are the rules of a phase, behind the standing ones. The rules' priorities descend in their order; the entries of one
// rule never match the same segment, and share theirs.
func verdictEntries(p *Policy, ph *Phase) (map[pipeline.VerdictKey]pipeline.Verdict, map[pipeline.RuleID]Rule) {
	b := &builder{
		ids:      p.RuleIDs(),
		priority: int32(len(standing()) + len(ph.Rules)),
		entries:  make(map[pipeline.VerdictKey]pipeline.Verdict),
		rules: map[pipeline.RuleID]Rule{pipeline.RuleFailClosed: {
			ID: pipeline.RuleFailClosed, Name: RuleFailClosed, Action: Drop,
			Text: "no rule matched, or the ports could not be read: a subscriber's mail to port 25 is dropped",
		}},
	}
	b.relay(p)
	b.submission(p)
	b.exempt(p)
	for _, r := range ph.Rules {
		b.phaseRule(p, r)
	}
	return b.entries, b.rules
}

// A builder collects the entries of rules, each rule with a lower priority than the one before.
type builder struct {
	ids      map[string]pipeline.RuleID
	priority int32 // of the next rule
	entries  map[pipeline.VerdictKey]pipeline.Verdict
	rules    map[pipeline.RuleID]Rule
}

// add gives a rule its entries, one a match. The matches are completed with the leg and the priority.
func (b *builder) add(name string, action Action, text string, matches []pipeline.VerdictKey) {
	id := b.ids[name]
	verdict, _ := action.verdict()
	for _, key := range matches {
		key.Leg = pipeline.Exactly(pipeline.UpDst)
		key.Priority = b.priority
		b.entries[key] = pipeline.Verdict{Action: verdict, Rule: id}
	}
	b.rules[id] = Rule{ID: id, Name: name, Action: action, Text: text}
	b.priority--
}

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

func (b *builder) phaseRule(p *Policy, r PhaseRule) {
	_, service := p.service(r.Service)
	key := pipeline.VerdictKey{Service: pipeline.Exactly(service)}
	to := "any server"
	if !r.anyRemote() {
		_, class := p.remote(r.Remote)
		key.RemoteClass = pipeline.Exactly(class)
		to = r.Remote
	}
	of, matches := "every line", []pipeline.VerdictKey{key}
	if len(r.Groups) > 0 {
		of, matches = "lines of "+strings.Join(r.Groups, ", "), nil
		for _, g := range r.Groups {
			key.Group = pipeline.Exactly(p.group(g))
			matches = append(matches, key)
		}
	}
	b.add(r.Name, r.Action, fmt.Sprintf("%s of %s to %s %s", p.describe([]pipeline.Service{service}), of, to, r.Action.outcome()), matches)
}

// outcome is an action as the end of a sentence.
func (a Action) outcome() string {
	switch a {
	case Permit:
		return "passes"
	case Monitor:
		return "passes, and is counted as what a drop would stop"
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

func isSMTPPort(port TCPPort) bool       { return port == PortSMTP }
func isSubmissionPort(port TCPPort) bool { return port == PortSubmission || port == PortSubmissions }
func isMailPort(port TCPPort) bool       { return isSMTPPort(port) || isSubmissionPort(port) }

// servicesWith are the numbers of the services that have a port for which is holds.
func (p *Policy) servicesWith(is func(TCPPort) bool) []pipeline.Service {
	var found []pipeline.Service
	for i, s := range p.Services {
		if slices.ContainsFunc(s.Ports, is) {
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
