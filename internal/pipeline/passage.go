package pipeline

import "strings"

// A Passage is what the pipeline found out about a frame. It is put together from a switch's trace of the frame, table by table, so that
// nobody works it out a second time.
type Passage struct {
	Line       Line
	Leg        Leg           // 0: no service was asked
	Service    Service       // likewise
	Remote     Class         // 0: any other server
	Subscriber Class         // 0: ordinary
	Action     VerdictAction // of the rule that the verdict table hit; 0 is none
	Rule       RuleID        // under which the frame was counted; RuleNone is none
}

// Applied notes that a table was applied and what it ran. Both names are the program's, in full; key returns a field of the key that the frame
// had, param one of the action's parameters.
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

// Counted notes a cell of a counter that the frame went into; the counter has the program's name, in full.
func (p *Passage) Counted(counter string, cell uint64) {
	if alias(counter) == "port_rule" {
		p.Rule = RuleID(cell & (1<<ruleBits - 1))
	}
}

// alias is the last word of a name in the program, which is what the P4Info calls its alias.
func alias(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
