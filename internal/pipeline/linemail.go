package pipeline

import p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

// An Outcome is what became of a line's mail segment, as the data plane counts them for each line.
type Outcome uint8

// The outcomes. Every frame that a rule decides has one of the first three; Unsolicited comes on top.
const (
	Passed      Outcome = 0
	Monitored   Outcome = 1
	Stopped     Outcome = 2
	Unsolicited Outcome = 3 // a SYN-ACK from port 25 whose SYN never went up: the trace of triangular spam
)

// outcomeBits is how many low bits of the index of the counter line_mail are the outcome; the bits above are the line.
const outcomeBits = 2

// LineMailRead is the request for the counter of one line and outcome.
func LineMailRead(line LineIndex, outcome Outcome) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{
		CounterId: lineMailCounter, Index: &p4v1.Index{Index: int64(line)<<outcomeBits | int64(outcome)},
	}}}
}
