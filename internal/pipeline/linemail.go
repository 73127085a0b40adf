package pipeline

// A MailOutcome is the outcome of a line's mail segment. The data plane counts them for each line.
type MailOutcome uint8

// The outcomes. Every frame that a rule decides has one of the first three; Unsolicited is counted in addition.
const (
	Passed      MailOutcome = 0
	Monitored   MailOutcome = 1
	Stopped     MailOutcome = 2
	Unsolicited MailOutcome = 3 // a SYN-ACK from port 25 without a SYN before it: a sign of triangular spam
)

// outcomeBits is how many low bits of the index of the counter line_mail are the outcome; the bits above are the line.
const outcomeBits = 2

// LineMailCell is the cell of a line and outcome in the counter line_mail, which has the P4Runtime id counter.
func LineMailCell(line LineIndex, outcome MailOutcome) (counter uint32, index int64) {
	return lineMailCounter, int64(line)<<outcomeBits | int64(outcome)
}
