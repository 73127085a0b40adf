package policy

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// pipelineRules are the rules that the pipeline itself applies. Where line groups have a say, the action is the strictest of theirs.
func pipelineRules(p *Policy) map[pipeline.RuleID]Rule {
	rules := make(map[pipeline.RuleID]Rule)
	fixed := func(id pipeline.RuleID, name, text string) {
		rules[id] = Rule{ID: id, Name: name, Action: Drop, Text: text}
	}
	varying := func(id pipeline.RuleID, name, what string, byDefault Action, otherwise string, of func(LineGroup) Action) {
		action, apart := setApart(p, byDefault, of)
		rules[id] = Rule{ID: id, Name: name, Action: action, Text: what + " " + otherwise + apart}
	}
	fixed(pipeline.RuleFailClosed, RuleFailClosed, "what a line sends to port 25, and what comes to it from port 25, is dropped where no rule speaks of it")
	fixed(pipeline.RuleTinyFragment, RuleTinyFragment, "TCP from a line that is cut off before its ports is dropped")
	varying(pipeline.RuleLaterFragment, RuleLaterFragment, "a fragment from a line that TCP may be in, but not its ports,",
		DefaultLaterFragments, "passes uncounted", LineGroup.LaterFragmentsAction)
	varying(pipeline.RuleUndetermined, RuleUndetermined, "what comes from a line and cannot be read to its TCP ports",
		DefaultUndetermined, "is dropped", LineGroup.UndeterminedAction)
	varying(pipeline.RuleSpoofed, RuleSpoofed, "what comes from a line with a source address that is not the line's",
		Permit, "is not looked for", func(g LineGroup) Action { return g.SourceCheck.Action() })
	return rules
}

// setApart tells of the line groups with another action than the default, as the end of a sentence, and returns the strictest action of
// all: a line that no inventory names has the default.
func setApart(p *Policy, byDefault Action, of func(LineGroup) Action) (strictest Action, text string) {
	strictest = byDefault
	var b strings.Builder
	for _, action := range []Action{Permit, Monitor, Drop} {
		var groups []string
		for _, g := range p.LineGroups {
			if of(g) == action && action != byDefault {
				groups = append(groups, g.Name)
			}
		}
		if groups == nil {
			continue
		}
		if byDefault != Drop {
			strictest = action // ascending
		}
		fmt.Fprintf(&b, "; on lines of %s it %s", strings.Join(groups, ", "), outcomeText(action))
	}
	return strictest, b.String()
}

// strictness orders the actions by how much they stop.
func strictness(a Action) int {
	return slices.Index([]Action{Permit, Monitor, Limit, Reject, Drop}, a)
}

// outcomeText is an action as the end of a sentence.
func outcomeText(a Action) string {
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
