package pipeline

// A MailOutcome is the outcome of a mail segment. The data plane counts the outcomes of each line.
type MailOutcome uint8

// The outcomes. Every frame that a rule decides is counted as Passed, Monitored or Stopped. Unsolicited is counted in addition.
const (
	Passed      MailOutcome = 0
	Monitored   MailOutcome = 1
	Stopped     MailOutcome = 2
	Unsolicited MailOutcome = 3 // a SYN-ACK from port 25 without a SYN before it: a sign of triangular spam
)

// outcomeBits is the number of low bits that hold the outcome in an index of the counter line_mail. The bits above hold the line.
const outcomeBits = 2

// LineMailCell returns the P4Runtime id of the counter line_mail, and the index of the cell for a line and outcome.
func LineMailCell(line LineIndex, outcome MailOutcome) (counter uint32, index int64) {
	return lineMailCounter, int64(line)<<outcomeBits | int64(outcome)
}
