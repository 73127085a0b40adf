package prove

import (
	"fmt"
	"slices"
	"strings"

	"op25b/internal/pipeline"
)

// A Counterexample is a packet that is not judged alike, with the entries that show it.
type Counterexample struct {
	Switch string
	Packet Packet
	// Step says when in the change the packet was tried, as "after step 2 of 7, put epoch 2 in force". It is empty for the state after the change.
	Step string
	// Got is what the pipeline does with the packet. It is empty if the pipeline does what the documents demand, and only the words differ.
	Got string
	// Words is what the plan says in words. It is empty if the words agree with the documents.
	Words string
	// Entries is the smallest set of entries with which the pipeline does the same: without any of them, it does something else. It has no
	// entries if the pipeline does it with empty tables.
	Entries []pipeline.Entry
	// Missed lists the tables that have no entry for the packet.
	Missed []string

	kind kind
}

// String returns the counterexample in several lines, for people.
func (c *Counterexample) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", c.Packet.About)
	switch {
	case c.Step != "":
		fmt.Fprintf(&b, "  before and after the change: %s\n  %s: %s\n", c.Packet.Want, c.Step, c.Got)
	default:
		fmt.Fprintf(&b, "  the documents demand: %s\n", c.Packet.Want)
		if c.Got != "" {
			fmt.Fprintf(&b, "  the switch would do:  %s\n", c.Got)
		}
		if c.Words != "" {
			fmt.Fprintf(&b, "  the plan would say:   %s\n", c.Words)
		}
	}
	if c.Got == "" {
		return b.String()
	}
	if len(c.Entries) == 0 {
		b.WriteString("  even with empty tables\n")
	} else {
		b.WriteString("  because of the entries\n")
	}
	for _, e := range c.Entries {
		fmt.Fprintf(&b, "    %v\n", e)
	}
	if len(c.Missed) > 0 {
		fmt.Fprintf(&b, "  no entry for it in: %s\n", strings.Join(c.Missed, ", "))
	}
	return b.String()
}

// smallest returns the smallest set of the twin's entries with which the pipeline treats a packet as it does with all of them, and the tables in which
// the packet hits nothing. Only the entries that the packet hits can matter: an entry that it does not hit is not its longest prefix, or has another
// key. They are at most one for each table, so that removing one after another finds the smallest set.
func (r *run) smallest(s *shot) (entries []pipeline.Entry, missed []string, err error) {
	full := fmt.Sprint(r.twin.play(s.port, s.frame))
	entries, missed = r.twin.decided()
	rule := r.twin.seen(s.port, s.frame).Rule
	small, err := newTwin()
	if err != nil {
		return nil, nil, err
	}
	// Default entries and flood groups are settings of the whole switch, which every set contains.
	var always []pipeline.Entry
	for id := range r.twin.entries {
		if e := r.twin.entries[id]; !e.IsZero() && e.Key.Table().IsGroups() {
			always = append(always, e)
		}
	}
	for _, e := range r.twin.defaults {
		always = append(always, e)
	}
	shows := func(set []pipeline.Entry) (bool, error) {
		if err := small.clear(); err != nil {
			return false, err
		}
		if err := small.load(slices.Concat(always, set)); err != nil {
			return false, err
		}
		return fmt.Sprint(small.play(s.port, s.frame)) == full && small.seen(s.port, s.frame).Rule == rule, nil
	}
	for i := 0; i < len(entries); {
		without := slices.Delete(slices.Clone(entries), i, i+1)
		same, err := shows(without)
		switch {
		case err != nil:
			return nil, nil, err
		case same:
			entries = without
		default:
			i++
		}
	}
	return entries, missed, nil
}

func onlyDefault(alias string) bool {
	for _, t := range pipeline.TablesByRank() {
		if t.String() == alias {
			return t.OnlyDefault()
		}
	}
	return false
}
