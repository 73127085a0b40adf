package pipeline

import "strings"

// A Passage contains the results of the pipeline's table look-ups for one frame. It is built table by table from a switch's trace of the
// frame.
type Passage struct {
	Line       Line
	Leg        Leg           // 0 if no service was looked up
	Service    Service       // 0 if no service was looked up
	Remote     Class         // 0 for servers in no class
	Subscriber Class         // 0 for a subscriber without an exemption
	Action     VerdictAction // the verdict of the rule that matched, or 0 if no rule matched
	Rule       RuleID        // the rule under which the frame was counted, or RuleNone if it was not counted
}

// Applied records that the frame was looked up in a table and an action ran. table and action are full names in the program. key returns
// a field of the frame's key, and param returns a parameter of the action, by name.
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

// Counted records the cell in which a counter counted the frame. counter is its full name in the program.
func (p *Passage) Counted(counter string, cell uint64) {
	if alias(counter) == "port_rule" {
		p.Rule = RuleID(cell & (1<<ruleBits - 1))
	}
}

// alias returns the last component of a full name, which is the alias in the P4Info.
func alias(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }
