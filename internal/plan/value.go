package plan

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
)

// A Plan is the effect of a change of intent on the fleet.
type Plan struct {
	// Base is the revision that the plan is based on; 0 if there was none.
	Base uint64
	Time time.Time
	// Policy and UTCOffset are the name and the offset of the proposed policy.
	Policy    string
	UTCOffset policy.Offset
	// Documents are the documents that the proposal changes, ordered by name.
	Documents []DocumentDiff
	// Switches are in the order of the proposed inventory, followed by the switches that the inventory no longer has.
	Switches []*SwitchPlan
	Totals   Totals
	// Changes reports whether a document or a switch would change.
	Changes bool
	// Notes are warnings to read before applying, as sentences.
	Notes []string
}

// Totals are sums over the switches of a plan.
type Totals struct {
	Switches        int
	SwitchesChanged int // would be written to
	SwitchesDrifted int
	SwitchesUnread  int
	SwitchesRefused int
	SwitchesWaiting int
	// Added, Changed and Removed count the entries in SwitchPlan.Change. Drifted counts the entries in SwitchPlan.Drift.
	Added, Changed, Removed, Drifted int
	Updates                          int
	// Stops and Opens count the sentences with these severities.
	Stops, Opens int
}

// A SwitchPlan is the plan for one switch.
type SwitchPlan struct {
	Switch  string
	Address string // host:port of its P4Runtime server
	// Standing is the result of reading the switch, and Reason explains a standing other than Read.
	Standing Standing
	Reason   string
	// Err is the reason why nothing would be written to the switch: it would refuse the change, or there is no state to bring it to.
	Err error
	// AppliedRevision is the revision that the switch was last brought to; 0 if not known.
	AppliedRevision uint64
	// PhaseBefore and PhaseAfter are the phases in force by AppliedRevision and by the proposal; zero if not known.
	PhaseBefore, PhaseAfter policy.InForce
	// Drift is the difference between the state of AppliedRevision and the switch; nil if either is not known.
	Drift *EntryDiff
	// Change is the difference between the switch and its state after the change, without the epochs of rules; nil if there is no such state.
	Change *EntryDiff
	// Updates is the number of updates that would be sent, in Steps. There may be more updates than entries in Change, because all rules
	// are written under a new epoch.
	Updates int
	Steps   []StepCount
	// Tables is the fill of each table of limited size after the change.
	Tables []reconcile.Fill
	// Meaning describes the consequences for mail. Consequences that stop mail come first.
	Meaning []meaning.Sentence
}

// Drifted reports whether a switch differs from the state that it was last brought to.
func (s *SwitchPlan) Drifted() bool { return s.Drift.Size() > 0 }

// Waits reports whether Err means that no phase has begun. In this case, the switch would not refuse the change.
func (s *SwitchPlan) Waits() bool { return errors.Is(s.Err, intent.ErrNoPhase) }

// A Standing is the result of reading a switch.
type Standing string

// The standings.
const (
	Read        Standing = "read"
	Unreachable Standing = "unreachable"
	Empty       Standing = "empty"         // the switch runs no program
	Other       Standing = "other-program" // the switch runs another program, which would be replaced with all its entries
	Gone        Standing = "gone"          // the proposed inventory does not have the switch
)

// A StepCount is the number of updates that are sent together.
type StepCount struct {
	Why     string
	Updates int
}

// An EntryDiff counts the entries by which two states differ, and lists the first of them.
type EntryDiff struct {
	Added, Changed, Removed int
	// Foreign counts the entries of Added in a drift that the proposal does not have either.
	Foreign int
	// Entries has at most the requested number of entries, ordered by table, and within a table: removed, changed, added.
	Entries []EntryChange
}

// Size returns the number of entries that differ, or 0 if d is nil.
func (d *EntryDiff) Size() int {
	if d == nil {
		return 0
	}
	return d.Added + d.Changed + d.Removed
}

// Truncated reports whether Entries lacks some of the entries.
func (d *EntryDiff) Truncated() bool { return len(d.Entries) < d.Size() }

// An EntryChange is one entry before and after. Old is zero if the entry was added, or is a default entry that the switch did not report.
// New is zero if the entry was removed.
type EntryChange struct {
	Kind     ChangeKind
	Old, New pipeline.Entry
}

// Table returns the name of the entry's table.
func (c *EntryChange) Table() string { return c.entry().Table() }

func (c *EntryChange) entry() pipeline.Entry {
	if c.Kind == Removed {
		return c.Old
	}
	return c.New
}

// A ChangeKind is the kind of change of an entry.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// entryDiff counts a difference, whose lists are ordered by key, and keeps its first entries.
func entryDiff(d reconcile.Difference, most int) *EntryDiff {
	all := make([]EntryChange, 0, 3*most)
	for _, e := range d.Removed[:min(most, len(d.Removed))] {
		all = append(all, EntryChange{Kind: Removed, Old: e})
	}
	for _, c := range d.Changed[:min(most, len(d.Changed))] {
		all = append(all, EntryChange{Changed, c.Old, c.New})
	}
	for _, e := range d.Added[:min(most, len(d.Added))] {
		all = append(all, EntryChange{Kind: Added, New: e})
	}
	// A stable sort keeps the order of the kinds.
	slices.SortStableFunc(all, func(x, y EntryChange) int { return cmp.Compare(x.entry().Rank(), y.entry().Rank()) })
	return &EntryDiff{Added: len(d.Added), Changed: len(d.Changed), Removed: len(d.Removed), Entries: slices.Clone(all[:min(most, len(all))])}
}
