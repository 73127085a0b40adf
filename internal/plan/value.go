package plan

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/prove"
	"op25b/internal/reconcile"
)

// A Plan describes what a change of intent would do to the fleet.
type Plan struct {
	// Base is the revision on which the plan is based, or 0 if there was none.
	Base uint64
	Time time.Time
	// Policy and UTCOffset are the name and the UTC offset of the proposed policy.
	Policy    string
	UTCOffset policy.Offset
	// Documents lists the documents that the proposal changes, ordered by name.
	Documents []DocumentDiff
	// Switches lists the switches in the order of the proposed inventory, followed by the switches that the proposal removes.
	Switches []*SwitchPlan
	Totals   Totals
	// Proof is the result of the proof on the twin. It is nil if ProofErr says why there is none. Apply refuses a change that is not proved.
	Proof    *prove.Result
	ProofErr error
	// Changes reports whether the plan changes a document, or entries of a switch that affect packets.
	Changes bool
	// Removals lists the removals that make the plan a mass change; see Request.Mass.
	Removals []Removal
	// Notes are sentences that warn the operator before the change.
	Notes []string
}

// Totals contains sums over all switches of a plan.
type Totals struct {
	Switches        int
	SwitchesChanged int // switches that would get updates
	SwitchesDrifted int
	SwitchesUnread  int
	SwitchesRefused int
	SwitchesWaiting int
	SwitchesGone    int
	// Added, Changed and Removed count the entries in SwitchPlan.Change. Drifted counts the entries in SwitchPlan.Drift.
	Added, Changed, Removed, Drifted int
	Updates                          int
	// Stops and Opens count the sentences in SwitchPlan.Meaning that have these severities.
	Stops, Opens int
}

// A SwitchPlan is the plan for one switch.
type SwitchPlan struct {
	Switch  string
	Address string // host:port of the switch's P4Runtime server
	// Standing is the result of reading the switch. Reason explains any standing other than Read.
	Standing Standing
	Reason   string
	// Err is the reason why nothing would be written to the switch. Either the switch would refuse the change, or the proposal has no state
	// for the switch.
	Err error
	// AppliedRevision is the revision that was last applied to the switch, or 0 if it is unknown.
	AppliedRevision uint64
	// PhaseBefore and PhaseAfter are the phases in force according to AppliedRevision and to the proposal. They are zero if unknown.
	PhaseBefore, PhaseAfter policy.InForce
	// Drift is the difference between the state of AppliedRevision and the entries of the switch. It is nil if either is unknown.
	Drift *EntryDiff
	// Change is the difference between the entries of the switch before and after the change. It ignores the epochs of rules. It is nil if
	// nothing can be written to the switch; see Err.
	Change *EntryDiff
	// Updates is the number of updates in Steps. It may exceed the number of entries in Change, because a changed rule set is written
	// completely under a new epoch.
	Updates int
	Steps   []StepCount
	// Tables lists each table of limited size with its number of entries after the change.
	Tables []reconcile.Fill
	// Meaning describes the consequences for mail. Sentences about stopped mail come first.
	Meaning []meaning.Sentence
}

// Drifted reports whether the switch differs from the state that it was last brought to.
func (s *SwitchPlan) Drifted() bool { return s.Drift.Size() > 0 }

// Waits reports whether Err means that no phase has begun yet. The switch does not refuse the change in this case.
func (s *SwitchPlan) Waits() bool { return errors.Is(s.Err, intent.ErrNoPhase) }

// A Standing is the result of an attempt to read a switch.
type Standing string

// The results of reading a switch.
const (
	Read        Standing = "read"
	Unreachable Standing = "unreachable"
	Empty       Standing = "empty"         // the switch runs no program
	Other       Standing = "other-program" // the switch runs another program; op25b would replace it and remove all entries
	Gone        Standing = "gone"          // the proposed inventory does not have the switch
)

// A StepCount is the number of updates in one step.
type StepCount struct {
	Why     string
	Updates int
}

// An EntryDiff counts the entries in which two states differ, and lists some of them.
type EntryDiff struct {
	Added, Changed, Removed int
	// Foreign counts the foreign entries among the Added entries of a drift. Entries that the proposal also has are not foreign.
	Foreign int
	// Entries lists the first differences, up to the requested number. They are ordered by table, and within a table by kind: removed,
	// changed, added. Entries of sessions are not listed.
	Entries []EntryChange
}

// Size returns the number of entries that differ. It returns 0 if d is nil.
func (d *EntryDiff) Size() int {
	if d == nil {
		return 0
	}
	return d.Added + d.Changed + d.Removed
}

// Truncated reports whether Entries omits some of the entries that differ.
func (d *EntryDiff) Truncated() bool { return len(d.Entries) < d.Size() }

// An EntryChange is one entry before and after a change. Old is zero if the entry was added, or if it is a default entry that the switch did
// not report. New is zero if the entry was removed.
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

// A ChangeKind says whether an entry was added, changed or removed.
type ChangeKind string

// The kinds of change.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// entryDiff returns an EntryDiff with the first entries of a difference, whose lists must be ordered by key. Entries that a session of one of the
// lines has, or could have, are counted but not listed (I8).
func entryDiff(d reconcile.Difference, most int, lines ...*compile.SessionLines) *EntryDiff {
	secret := func(e pipeline.Entry) bool {
		return slices.ContainsFunc(lines, func(l *compile.SessionLines) bool { return l.Owns(e) })
	}
	all := make([]EntryChange, 0, 3*most)
	list := func(n int, at func(int) EntryChange) {
		for i, left := 0, most; i < n && left > 0; i++ {
			if c := at(i); !secret(c.entry()) {
				all = append(all, c)
				left--
			}
		}
	}
	list(len(d.Removed), func(i int) EntryChange { return EntryChange{Kind: Removed, Old: d.Removed[i]} })
	list(len(d.Changed), func(i int) EntryChange { return EntryChange{Changed, d.Changed[i].Old, d.Changed[i].New} })
	list(len(d.Added), func(i int) EntryChange { return EntryChange{Kind: Added, New: d.Added[i]} })
	// The sort is stable, so that entries of one table stay in the order of their kinds.
	slices.SortStableFunc(all, func(x, y EntryChange) int { return cmp.Compare(x.entry().Rank(), y.entry().Rank()) })
	return &EntryDiff{Added: len(d.Added), Changed: len(d.Changed), Removed: len(d.Removed), Entries: slices.Clone(all[:min(most, len(all))])}
}
