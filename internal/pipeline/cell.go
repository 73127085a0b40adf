package pipeline

// A Cell is a cell of one of the program's counters.
type Cell struct {
	Counter string // the alias of the counter
	Index   int
}

// PortRuleCell returns the cell that counts the frames that a rule decided and that entered at a port.
func PortRuleCell(port Port, rule RuleID) Cell {
	return Cell{"port_rule", int(port)<<ruleBits | int(rule)}
}

// OutcomeCell returns the cell that counts the frames of a line by their outcome: 0 passed, 1 monitored, 2 stopped.
func OutcomeCell(line LineIndex, outcome int) Cell {
	return Cell{"line_mail", int(line)<<outcomeBits | outcome}
}

// Alias returns the last component of a full name in the program, which is the alias in the P4Info.
func Alias(name string) string { return alias(name) }
