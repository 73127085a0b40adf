package pipeline

// A MailOutcome is what happened to a mail segment. The data plane counts the outcomes for each line.
type MailOutcome uint8

// The outcomes. Every frame that a rule decides is counted as Passed, Monitored or Stopped. Unsolicited is counted in addition.
const (
	Passed      MailOutcome = 0
	Monitored   MailOutcome = 1
	Stopped     MailOutcome = 2
	Unsolicited MailOutcome = 3 // a SYN-ACK from port 25 without a preceding SYN, which is a sign of triangular spam
)

// outcomeBits is the number of low-order bits for the outcome in an index of the counter line_mail. The higher bits are the line
// index.
const outcomeBits = 2

// LineMailCell returns the P4Runtime id of the counter line_mail and the index of the cell for a line and an outcome.
func LineMailCell(line LineIndex, outcome MailOutcome) (counter uint32, index int64) {
	return lineMailCounter, int64(line)<<outcomeBits | int64(outcome)
}
