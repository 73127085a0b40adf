package compile

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// pipelineRules returns the rules that are built into the pipeline. If the line groups determine a rule's action, Action is the
// strictest of their settings.
func pipelineRules(p *policy.Policy) map[pipeline.RuleID]Rule {
	rules := make(map[pipeline.RuleID]Rule)
	fixed := func(id pipeline.RuleID, name, text string) {
		rules[id] = Rule{ID: id, Name: name, Action: policy.Drop, Text: text}
	}
	varying := func(id pipeline.RuleID, name, what string, byDefault policy.Action, otherwise string, of func(policy.LineGroup) policy.Action) {
		action, apart := setApart(p, byDefault, of)
		rules[id] = Rule{ID: id, Name: name, Action: action, Text: what + " " + otherwise + apart}
	}
	fixed(pipeline.RuleFailClosed, policy.RuleFailClosed, "what a line sends to port 25, and what comes to it from port 25, is dropped where no rule speaks of it")
	fixed(pipeline.RuleTinyFragment, policy.RuleTinyFragment, "TCP from a line that is cut off before its ports is dropped")
	varying(pipeline.RuleLaterFragment, policy.RuleLaterFragment, "a fragment from a line that TCP may be in, but not its ports,",
		policy.DefaultLaterFragments, "passes uncounted", policy.LineGroup.LaterFragmentsAction)
	varying(pipeline.RuleUndetermined, policy.RuleUndetermined, "what comes from a line and cannot be read to its TCP ports",
		policy.DefaultUndetermined, "is dropped", policy.LineGroup.UndeterminedAction)
	varying(pipeline.RuleSpoofed, policy.RuleSpoofed, "what comes from a line with a source address that is not the line's",
		policy.Permit, "is not looked for", func(g policy.LineGroup) policy.Action { return g.SourceCheck.Action() })
	return rules
}

// setApart returns the strictest action of all line groups and of the default, which applies to unnamed lines. text continues a sentence
// and lists the line groups whose action is not the default.
func setApart(p *policy.Policy, byDefault policy.Action, of func(policy.LineGroup) policy.Action) (strictest policy.Action, text string) {
	strictest = byDefault
	var b strings.Builder
	for _, action := range []policy.Action{policy.Permit, policy.Monitor, policy.Drop} {
		var groups []string
		for _, g := range p.LineGroups {
			if of(g) == action && action != byDefault {
				groups = append(groups, g.Name)
			}
		}
		if groups == nil {
			continue
		}
		if byDefault != policy.Drop {
			strictest = action // the loop visits actions by ascending strictness
		}
		fmt.Fprintf(&b, "; on lines of %s it %s", strings.Join(groups, ", "), outcomeText(action))
	}
	return strictest, b.String()
}

// strictness ranks an action by how much traffic it stops.
func strictness(a policy.Action) int {
	return slices.Index([]policy.Action{policy.Permit, policy.Monitor, policy.Limit, policy.Reject, policy.Drop}, a)
}

// outcomeText describes an action in words that end a sentence.
func outcomeText(a policy.Action) string {
	switch a {
	case policy.Permit:
		return "passes"
	case policy.Monitor:
		return "passes, and is counted as what a drop would stop"
	case policy.Limit:
		return "passes, but for new connections above the line's rate, which are dropped"
	case policy.Reject:
		return "is dropped, and a line's new connection is answered with an ICMP error"
	case policy.Drop:
		return "is dropped"
	}
	return "is left alone"
}
