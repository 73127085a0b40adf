package compile

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A builder collects the verdict entries of rules. Each rule has a lower priority than the rule before it. The entries of one rule
// have the same priority and never match the same segment.
type builder struct {
	policy   *policy.Policy
	numbers  *Numbers
	priority int32 // the priority of the next rule
	entries  map[pipeline.VerdictKey]pipeline.Verdict
}

// verdictEntries returns the entries of the phases' rules for own servers, of the standing rules, of the phases' other rules, and of the line
// groups' knobs.
func verdictEntries(n *Numbers, m *mix) map[pipeline.VerdictKey]pipeline.Verdict {
	own, rest := m.split()
	ownRules, rules := own.rules(), rest.rules()
	b := &builder{
		policy: m.policy, numbers: n,
		priority: int32(1 + len(ownRules) + len(policy.StandingRules()) + len(rules)),
		entries:  make(map[pipeline.VerdictKey]pipeline.Verdict),
	}
	b.exemptToOwn()
	for _, r := range ownRules {
		b.phaseRule(r)
	}
	b.relay()
	b.submission()
	b.exempt()
	for _, r := range rules {
		b.phaseRule(r)
	}
	b.knobs()
	return b.entries
}

// add adds a rule with one entry for each match.
func (b *builder) add(name string, action policy.Action, matches []pipeline.VerdictKey) {
	verdict, _ := action.Code()
	for _, key := range matches {
		key.Priority = b.priority
		b.entries[key] = pipeline.Verdict{Action: verdict, Rule: b.numbers.rule(name)}
	}
	b.priority--
}

// The entries of the standing rules do not match on the leg. They permit both directions, whichever end opened the connection.

// exemptToOwn adds the rule exempt for own servers, which the rules for own servers must not decide.
func (b *builder) exemptToOwn() {
	var matches []pipeline.VerdictKey
	for _, r := range b.policy.Remotes {
		if !r.Own {
			continue
		}
		for _, s := range b.policy.ServicesWith(policy.TCPPort.IsSMTP) {
			matches = append(matches, pipeline.VerdictKey{
				Service: pipeline.Exactly(b.numbers.service(s.Name)), RemoteClass: pipeline.Exactly(b.numbers.remote(r.Name)),
				SubscriberClass: pipeline.Exactly(SubscriberExempt),
			})
		}
	}
	b.add(policy.RuleExempt, policy.Permit, matches)
}

func (b *builder) relay() {
	var matches []pipeline.VerdictKey
	for _, r := range b.policy.Remotes {
		if !r.Ours() {
			continue
		}
		for _, s := range b.policy.ServicesWith(policy.TCPPort.IsMail) {
			matches = append(matches, pipeline.VerdictKey{
				Service: pipeline.Exactly(b.numbers.service(s.Name)), RemoteClass: pipeline.Exactly(b.numbers.remote(r.Name)),
			})
		}
	}
	b.add(policy.RuleRelay, policy.Permit, matches)
}

func (b *builder) submission() {
	var matches []pipeline.VerdictKey
	for _, s := range b.policy.ServicesWith(policy.TCPPort.IsSubmission) {
		matches = append(matches, pipeline.VerdictKey{Service: pipeline.Exactly(b.numbers.service(s.Name))})
	}
	b.add(policy.RuleSubmission, policy.Permit, matches)
}

func (b *builder) exempt() {
	var matches []pipeline.VerdictKey
	for _, s := range b.policy.ServicesWith(policy.TCPPort.IsSMTP) {
		matches = append(matches, pipeline.VerdictKey{
			Service: pipeline.Exactly(b.numbers.service(s.Name)), SubscriberClass: pipeline.Exactly(SubscriberExempt),
		})
	}
	b.add(policy.RuleExempt, policy.Permit, matches)
}

// phaseRule adds an entry for each target of a rule.
func (b *builder) phaseRule(r placed) {
	key := pipeline.VerdictKey{Service: pipeline.Exactly(b.numbers.service(r.Service))}
	if !r.ForAnyRemote() {
		key.RemoteClass = pipeline.Exactly(b.numbers.remote(r.Remote))
	}
	var matches []pipeline.VerdictKey
	for _, t := range r.targets {
		code, _ := t.leg.Code()
		key.Leg, key.Group = pipeline.Exactly(code), pipeline.Match[pipeline.LineGroup]{}
		if !t.any {
			key.Group = pipeline.Exactly(b.numbers.group(t.group)) // 0 for unnamed lines
		}
		switch {
		case !r.Leased():
		case t.lease == "":
			key.SubscriberClass = pipeline.Exactly(SubscriberExempt)
		default:
			key.SubscriberClass = pipeline.Exactly(b.numbers.lease(t.lease))
		}
		matches = append(matches, key)
	}
	b.add(r.Name, r.Action, matches)
}

// knobPriority can be any priority, because no other entry matches the services of the knobs.
const knobPriority = 1

// knobs adds an entry for each knob that differs from its default. The pipeline applies the defaults without an entry.
func (b *builder) knobs() {
	for _, g := range b.policy.LineGroups {
		b.knob(g, pipeline.ServiceUndetermined, g.UndeterminedAction(), policy.DefaultUndetermined, pipeline.RuleUndetermined)
		b.knob(g, pipeline.ServiceLaterFragment, g.LaterFragmentsAction(), policy.DefaultLaterFragments, pipeline.RuleLaterFragment)
	}
}

func (b *builder) knob(g policy.LineGroup, service pipeline.Service, action, byDefault policy.Action, rule pipeline.RuleID) {
	if action == byDefault {
		return
	}
	verdict, _ := action.Code()
	key := pipeline.VerdictKey{
		Group: pipeline.Exactly(b.numbers.group(g.Name)), Leg: pipeline.Exactly(pipeline.UpDst), Service: pipeline.Exactly(service), Priority: knobPriority,
	}
	b.entries[key] = pipeline.Verdict{Action: verdict, Rule: rule}
}

// meanings returns the rules of the phases in force, the standing rules, and the rules built into the pipeline, by id. drain means
// that drops and rejects stop only new connections.
func meanings(n *Numbers, m *mix, drain bool) map[pipeline.RuleID]Rule {
	p := m.policy
	rules := pipelineRules(p)
	add := func(name string, action policy.Action, text string) {
		rules[n.rule(name)] = Rule{ID: n.rule(name), Name: name, Action: action, Text: text}
	}
	var relays []string
	for _, r := range p.Remotes {
		if r.Ours() {
			relays = append(relays, r.Name)
		}
	}
	unless := ""
	if own := m.ownRules(); len(own) > 0 {
		unless = fmt.Sprintf(" unless rules for own servers decide before (%s)", strings.Join(own, ", "))
	}
	add(policy.RuleRelay, policy.Permit, fmt.Sprintf("mail of every line to the ISP's own relays (%s) passes%s: %s",
		strings.Join(relays, ", "), unless, describe(p.ServicesWith(policy.TCPPort.IsMail)...)))
	add(policy.RuleSubmission, policy.Permit, fmt.Sprintf("submission of every line to any server passes%s: %s", unless, describe(p.ServicesWith(policy.TCPPort.IsSubmission)...)))
	add(policy.RuleExempt, policy.Permit, fmt.Sprintf("mail of an exempt address to any server passes: %s", describe(p.ServicesWith(policy.TCPPort.IsSMTP)...)))
	for _, ph := range m.phases {
		for _, r := range ph.Rules {
			if _, done := rules[n.rule(r.Name)]; done {
				continue
			}
			if action, text, somewhere := m.meaning(r, drain); somewhere {
				add(r.Name, action, text)
			}
		}
	}
	return rules
}

// ownRules returns the names of the rules for own servers in the phases in force that decide ports which the standing rules permit.
func (m *mix) ownRules() []string {
	var names []string
	for _, ph := range m.phases {
		for _, r := range ph.Rules {
			mail := slices.ContainsFunc(m.policy.ServicesWith(policy.TCPPort.IsMail), func(s policy.Service) bool { return s.Name == r.Service })
			if mail && m.policy.ForOwn(r) && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// meaning combines the rules with the same name in the phases in force. strictest is the strictest of their actions, and text has a
// clause for each phase. somewhere is false if the rules apply to no line.
func (m *mix) meaning(r policy.PhaseRule, drain bool) (strictest policy.Action, text string, somewhere bool) {
	everywhere := true
	var texts []string
	for i, ph := range m.phases {
		x, ok := ph.Rule(r.Name)
		everywhere = everywhere && ok && same(m.policy, x, r)
		if !ok {
			continue
		}
		of := m.scope(ph, x, i == 0)
		if of == "" {
			continue
		}
		if texts == nil || strictness(x.Action) > strictness(strictest) {
			strictest = x.Action
		}
		texts = append(texts, fmt.Sprintf("%s (phase %s)", sentence(m.policy, x, of, drain), ph.Name))
	}
	if everywhere {
		of := "every line"
		if len(r.Groups) > 0 {
			of = "lines of " + strings.Join(r.Groups, ", ")
		}
		return r.Action, sentence(m.policy, r, of, drain), true
	}
	return strictest, strings.Join(texts, "; "), texts != nil
}

// scope describes the lines to which a phase's rule applies, or returns "" if there are none.
func (m *mix) scope(ph *policy.Phase, r policy.PhaseRule, byDefault bool) string {
	if byDefault && len(r.Groups) == 0 {
		return "every other line"
	}
	var groups []string
	for _, g := range m.groups {
		if m.of[g] == ph && r.ForGroup(g) {
			groups = append(groups, g)
		}
	}
	if groups == nil {
		return ""
	}
	return "lines of " + strings.Join(groups, ", ")
}

// sentence describes a phase's rule. The parameter of describes the lines to which the rule applies.
func sentence(p *policy.Policy, r policy.PhaseRule, of string, drain bool) string {
	server := "any server"
	if !r.ForAnyRemote() {
		server = r.Remote
	}
	if r.Leased() {
		of += fmt.Sprintf(" with a lease (%s) or an exemption", strings.Join(policy.Names(p.LeasesOf(r)), ", "))
	}
	where := "to " + server
	if r.Legs != nil {
		where = fmt.Sprintf("with %s, on %s,", server, strings.Join(policy.Names(r.Legs), ", "))
	}
	outcome := outcomeText(r.Action)
	if r.Action == policy.Reject && !p.CanReject(r) {
		outcome = outcomeText(policy.Drop) // the switch can reject only on UpDst
	}
	if drain && (r.Action == policy.Drop || r.Action == policy.Reject) {
		outcome += "; in the drain, segments without SYN pass and are counted"
	}
	return fmt.Sprintf("%s of %s %s %s", describe(*p.Service(r.Service)), of, where, outcome)
}

// describe lists services by name and TCP port.
func describe(services ...policy.Service) string {
	texts := make([]string, len(services))
	for i, s := range services {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}
