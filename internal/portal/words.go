package portal

import (
	"slices"
	"strconv"
	"strings"

	"op25b/internal/check"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/answer"
	"op25b/internal/portal/published"
)

// titled returns the title of an element of the policy, or its name if it has none.
func titled(name, title string) string {
	if title != "" {
		return title
	}
	return name
}

// classTitle describes a class of servers; nil means servers in no class.
func (b base) classTitle(r *policy.Remote) string {
	switch {
	case r == nil:
		return b.T("other servers")
	case r.Ours():
		return b.T("own servers")
	}
	return b.T("servers of", b.remoteTitle(r))
}

// ruleText describes what a rule of a phase does, in a sentence.
func (b base) ruleText(p *policy.Policy, ph *policy.Phase, rule policy.PhaseRule) string {
	ports := make([]string, 0, 4)
	if s := p.Service(rule.Service); s != nil {
		for _, port := range s.Ports {
			ports = append(ports, b.number(int(port)))
		}
	}
	to := b.everyServer(p, ph, rule)
	if !rule.ForAnyRemote() {
		to = b.classTitle(p.Remote(rule.Remote))
	}
	text := b.T("rule sentence", to, strings.Join(ports, b.T("list comma")), b.actionText(rule.Action))
	if stops(rule) && drains(p) {
		which := b.T("open too")
		if ph.SynOnly {
			which = b.T("new only")
		}
		text = b.T("two sentences", text, which)
	}
	return text
}

// stops reports whether a rule stops connections.
func stops(r policy.PhaseRule) bool { return r.Action == policy.Drop || r.Action == policy.Reject }

// drains reports whether a phase of the policy stops new connections only. Then its other phases must be told apart from it.
func drains(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Phases, func(ph policy.Phase) bool { return ph.SynOnly })
}

// everyServer describes the servers to which a rule for every server applies: it never applies to the ISP's own, and rules before it in the phase
// may have decided about others.
func (b base) everyServer(p *policy.Policy, ph *policy.Phase, rule policy.PhaseRule) string {
	ours := slices.ContainsFunc(p.Remotes, func(r policy.Remote) bool { return r.Ours() })
	rest := false
	for _, r := range ph.Rules {
		if r.Name == rule.Name {
			break
		}
		rest = rest || r.Service == rule.Service && !r.ForAnyRemote() && shareGroup(r, rule)
	}
	switch {
	case ours && rest:
		return b.T("other servers not ours")
	case ours:
		return b.T("servers not ours")
	case rest:
		return b.T("other servers")
	}
	return b.T("every server")
}

// shareGroup reports whether two rules apply to a common line group. A rule without groups applies to all.
func shareGroup(a, b policy.PhaseRule) bool {
	return len(a.Groups) == 0 || len(b.Groups) == 0 || slices.ContainsFunc(a.Groups, func(g string) bool { return slices.Contains(b.Groups, g) })
}

func (b base) actionText(a policy.Action) string {
	switch a {
	case policy.Drop:
		return b.T("action drop")
	case policy.Reject:
		return b.T("action reject")
	case policy.Limit:
		return b.T("action limit")
	case policy.Monitor:
		return b.T("action monitor")
	}
	return b.T("action permit")
}

// decided describes the rule that decided a result, in a sentence; empty if no rule did.
func (b base) decided(p *policy.Policy, name, phase string) string {
	switch name {
	case "":
		return ""
	case policy.RuleRelay:
		if closesOwn(p) {
			return b.T("rule relay here")
		}
		return b.T("rule relay")
	case policy.RuleSubmission:
		if closesOwn(p) {
			return b.T("rule submission not ours")
		}
		return b.T("rule submission")
	case policy.RuleExempt:
		return b.T("rule exempt")
	}
	if ph, ok := p.Phase(phase); ok {
		if r, ok := ph.Rule(name); ok {
			return b.ruleText(p, ph, r)
		}
	}
	return b.T("rule other", name)
}

// closesOwn reports whether a phase of the policy stops some service to the ISP's own servers. Then the rules relay and submission do not hold
// for these servers in every phase.
func closesOwn(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Phases, func(ph policy.Phase) bool {
		return slices.ContainsFunc(ph.Rules, func(r policy.PhaseRule) bool {
			return p.ForOwn(r) && (r.Action == policy.Drop || r.Action == policy.Reject || r.Action == policy.Limit)
		})
	})
}

// reason describes since when by the policy and by which rule a result is as it is.
func (b base) reason(p *policy.Policy, r *check.Result) []string {
	all := []string{b.T("since", b.When(r.Since.Since), b.phaseTitle(p, r.Since.Name))}
	if r.Rule != nil {
		if text := b.decided(p, r.Rule.Name, r.Since.Name); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// A confirmation says whether switches confirmed what should be in force.
type confirmation struct {
	Sure bool
	Text string
}

// lineText names the line in a sentence: the visitor's own, or one of a kind. What is true of a kind of line need not be true of the visitor's.
func (b base) lineText(own bool) string {
	if own {
		return b.T("the own line")
	}
	return b.T("such a line")
}

// confirmed returns the confirmation for lines of a phase.
func (v *visit) confirmed(lines []published.State, phase string) confirmation {
	everywhere := !slices.ContainsFunc(lines, func(s published.State) bool { return s.Switches > 0 && (s.Phase != phase || !s.Everywhere()) })
	switch {
	case phase == "" && !v.Current:
		return confirmation{Text: v.T("no phase then", v.At(v.Confirmed))}
	case phase == "":
		return confirmation{Text: v.T("no phase")}
	case !v.Current:
		return confirmation{Text: v.T("confirmed then", v.At(v.Confirmed))}
	case switchesOf(lines) == 0:
		return confirmation{Text: v.T("no switches")}
	case everywhere:
		return confirmation{Sure: true, Text: v.T("confirmed")}
	}
	return confirmation{Text: v.T("confirmed not everywhere")}
}

// switchesOf returns the number of switches that have lines of given kinds. Several kinds of line in an area are mostly on the same switches,
// so the largest number of the area counts.
func switchesOf(lines []published.State) (n int) {
	most := map[string]uint32{}
	for _, s := range lines {
		most[s.Area] = max(most[s.Area], s.Switches)
	}
	for _, m := range most {
		n += int(m)
	}
	return n
}

// headline returns the words of a status: a mark and a headline, so that the status is not shown by colour alone. The headline says from which
// day the line is affected. It also returns the status whose colour the page has: not that of an affected line if nothing changes for a mail
// program that is set up for port 465 or 587, or if the block is not confirmed.
func (v *visit) headline(c *answer.Case, sure bool) (colour answer.Status, mark, head string) {
	colour, mark = answer.Depends, "!"
	switch {
	case c.Status == answer.Unaffected:
		return c.Status, "✓", v.T("is unaffected")
	case c.Status == answer.Later:
		colour, head = c.Status, v.T("is later", v.When(c.Next.Since))
	case c.Status == answer.Depends && c.Stopped != nil:
		head = v.T("is depends since", v.When(c.Stopped.Since.Since))
	case c.Status == answer.Depends:
		head = v.T("is depends")
	case !sure:
		head = v.T("is probably affected", v.When(c.Stopped.Since.Since))
	default:
		head = v.T("is affected", v.When(c.Stopped.Since.Since))
		if !onlyPort25(c) {
			colour, mark = c.Status, "✕"
		}
	}
	if onlyPort25(c) {
		head = v.T("only port 25", head)
	}
	return colour, mark, head
}

// onlyPort25 reports whether nothing changes for a mail program unless it is set up for port 25.
func onlyPort25(c *answer.Case) bool {
	return c.Mailbox != nil && !slices.ContainsFunc(c.Mailbox.Settings, func(s mailbox.Setting) bool { return s.Status != mailbox.Unaffected })
}

// number formats a number, with the digits of both languages.
func (b base) number(n int) string { return strconv.Itoa(n) }
