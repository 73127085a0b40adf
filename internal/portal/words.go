package portal

import (
	"strconv"
	"strings"

	"op25b/internal/check"
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
	case r.Relay:
		return b.T("own servers")
	}
	return b.T("servers of", b.remoteTitle(r))
}

// ruleText describes what a rule of a phase does, in a sentence.
func (b base) ruleText(p *policy.Policy, rule policy.PhaseRule) string {
	ports := make([]string, 0, 4)
	if s := p.Service(rule.Service); s != nil {
		for _, port := range s.Ports {
			ports = append(ports, b.number(int(port)))
		}
	}
	to := b.T("every server")
	if !rule.ForAnyRemote() {
		to = b.classTitle(p.Remote(rule.Remote))
	}
	return b.T("rule sentence", to, strings.Join(ports, b.T("list comma")), b.actionText(rule.Action))
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
		return b.T("rule relay")
	case policy.RuleSubmission:
		return b.T("rule submission")
	case policy.RuleExempt:
		return b.T("rule exempt")
	}
	if ph, ok := p.Phase(phase); ok {
		if r, ok := ph.Rule(name); ok {
			return b.ruleText(p, r)
		}
	}
	return b.T("rule other", name)
}

// reason describes since when and by which rule a result is as it is.
func (b base) reason(p *policy.Policy, r *check.Result, sure bool) []string {
	all := []string{b.T("since planned", b.Day(r.Since.Since), b.phaseTitle(p, r.Since.Name))}
	if sure {
		all[0] = b.T("since", b.Day(r.Since.Since), b.phaseTitle(p, r.Since.Name))
	}
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

// confirmed returns the confirmation for lines of a phase. It gives numbers only if each switch is counted once.
func (v *visit) confirmed(lines []published.State, phase string) confirmation {
	switches, once := switchesOf(lines)
	seen, everywhere := 0, true
	for _, s := range lines {
		if s.Phase == phase {
			seen += int(s.Confirmed)
		}
		everywhere = everywhere && (s.Switches == 0 || s.Phase == phase && s.Everywhere())
	}
	switch {
	case phase == "":
		return confirmation{false, v.T("no phase")}
	case !v.Current:
		return confirmation{false, v.T("confirmed then", v.At(v.Confirmed))}
	case switches == 0:
		return confirmation{false, v.T("no switches")}
	case everywhere:
		return confirmation{true, v.T("confirmed")}
	case once:
		return confirmation{false, v.T("confirmed partly", v.number(switches), v.number(seen))}
	}
	return confirmation{false, v.T("confirmed not everywhere")}
}

// switchesOf returns the number of switches that have lines of given kinds. Several kinds of line in an area are mostly on the same switches,
// so the largest number of the area counts. once is true if no area has several kinds, so that the number is exact.
func switchesOf(lines []published.State) (n int, once bool) {
	most := map[string]uint32{}
	once = true
	for _, s := range lines {
		if _, again := most[s.Area]; again {
			once = false
		}
		most[s.Area] = max(most[s.Area], s.Switches)
	}
	for _, m := range most {
		n += int(m)
	}
	return n, once
}

// headline returns the words of a status: a mark and a headline, so that the status is not shown by colour alone.
func (v *visit) headline(c *answer.Case, sure bool) (mark, head string) {
	switch c.Status {
	case answer.Unaffected:
		return "✓", v.T("is unaffected")
	case answer.Later:
		return "!", v.T("is later", v.Day(c.Next.Since))
	case answer.Depends:
		return "!", v.T("is depends")
	}
	if !sure {
		return "!", v.T("is probably affected")
	}
	return "✕", v.T("is affected")
}

// number formats a number, with the digits of both languages.
func (b base) number(n int) string { return strconv.Itoa(n) }
