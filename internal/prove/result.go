package prove

import (
	"fmt"
	"time"
)

// A Result is the outcome of the proof of a change of one or several switches.
type Result struct {
	Switches int // the switches for which the proof holds
	Contents int // the distinct contents among them
	Known    int // those of the contents that had been proved before
	Packets  int // the packets that were tried
	States   int // the states within the changes in which packets were tried
	Took     time.Duration
	// Limited is true if not all packets were tried, because they were too many.
	Limited bool

	Tables     []Table
	Unhit      []Unhit // up to MaxUnhit
	UnhitCount int

	// Disagreements is the number of packets that were not judged alike, of which Counterexamples shows some. A change with any is refused.
	Disagreements   int
	Counterexamples []*Counterexample
}

// Err returns ErrDisproved with the first counterexample if packets were not judged alike.
func (r *Result) Err() error {
	if r == nil || r.Disagreements == 0 {
		return nil
	}
	if len(r.Counterexamples) == 0 {
		return fmt.Errorf("%w: %d packets", ErrDisproved, r.Disagreements)
	}
	c := r.Counterexamples[0]
	return fmt.Errorf("%w: switch %q: %v", ErrDisproved, c.Switch, c)
}

// Hit returns the number of entries and how many of them packets have hit.
func (r *Result) Hit() (hit, entries int) {
	for _, t := range r.Tables {
		hit, entries = hit+t.Hit, entries+t.Entries
	}
	return hit, entries
}

// add adds the result of another switch.
func (r *Result) add(x *Result) {
	r.Packets, r.States, r.Disagreements = r.Packets+x.Packets, r.States+x.States, r.Disagreements+x.Disagreements
	r.Limited = r.Limited || x.Limited
	for len(r.Tables) < len(x.Tables) {
		r.Tables = append(r.Tables, Table{Name: x.Tables[len(r.Tables)].Name})
	}
	for i := range x.Tables {
		t := &r.Tables[i]
		t.Entries, t.Hit, t.Missed = t.Entries+x.Tables[i].Entries, t.Hit+x.Tables[i].Hit, t.Missed || x.Tables[i].Missed
	}
	r.UnhitCount += x.UnhitCount
	r.Unhit = append(r.Unhit, x.Unhit[:min(len(x.Unhit), MaxUnhit-len(r.Unhit))]...)
	r.Counterexamples = append(r.Counterexamples, x.Counterexamples[:min(len(x.Counterexamples), MaxCounterexamples-len(r.Counterexamples))]...)
}
