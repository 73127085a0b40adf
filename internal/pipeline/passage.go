package pipeline

import "strings"

// A Passage has the results of the pipeline's look-ups for one frame. It is built from a switch's trace of the frame, table by table.
type Passage struct {
	Line       Line
	Leg        Leg           // 0: no service was looked up
	Service    Service       // likewise
	Remote     Class         // 0: any other server
	Subscriber Class         // 0: ordinary
	Action     VerdictAction // of the rule that the verdict table hit; 0 is none
	Rule       RuleID        // under which the frame was counted; RuleNone is none
}

// Applied records that a table was applied and ran an action. Both names are the program's full names; key returns a field of the frame's key,
// param a parameter of the action.
func (p *Passage) Applied(table, action string, key, param func(name string) uint64) {
	switch ran := alias(action); alias(table) {
	case "line", "session":
		if ran == "set_line" {
			p.Line = Line{Group: LineGroup(param("line_group")), Index: LineIndex(param("line_index"))}
		}
	case "verdict":
		p.Leg, p.Service = Leg(key("leg")), Service(key("service"))
		p.Remote, p.Subscriber = Class(key("remote_class")), Class(key("subscriber_class"))
		for _, m := range verdictMeanings {
			if actions[m.action].name == ran {
				p.Action = m.verdict
			}
		}
	}
}

// Counted records the cell in which a counter, by its full name, counted the frame.
func (p *Passage) Counted(counter string, cell uint64) {
	if alias(counter) == "port_rule" {
		p.Rule = RuleID(cell & (1<<ruleBits - 1))
	}
}

// alias is the last word of a name in the program, as in the P4Info.
func alias(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
