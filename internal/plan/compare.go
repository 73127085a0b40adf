package plan

import (
	"cmp"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
	op25bv1 "op25b/proto/op25b/v1"
)

// A standing is what packets meet in a switch: its entries without the rule sets that are not in force.
type standing struct {
	fixed   map[pipeline.Key]pipeline.Entry // by key
	rules   map[pipeline.Key]pipeline.Entry // by key without the epoch
	epoch   pipeline.Epoch
	running pipeline.Entry // that has epoch, and the drain
}

// standingOf sorts everything read from a switch.
func standingOf(entries []pipeline.Entry) standing {
	s := standing{fixed: make(map[pipeline.Key]pipeline.Entry, len(entries)), rules: make(map[pipeline.Key]pipeline.Entry), running: pipeline.EpochEntry(0, false)}
	for _, e := range entries {
		if epoch, ok := e.IsRunningEpoch(); ok {
			s.epoch, s.running = epoch, e
		}
	}
	for _, e := range entries {
		if _, ok := e.IsRunningEpoch(); ok {
			continue
		}
		switch epoch, isRule := e.Epoch(); {
		case !isRule:
			s.fixed[e.Key] = e
		case epoch == s.epoch:
			s.rules[e.RuleKey()] = e
		}
	}
	return s
}

// entriesOf are what a switch has that holds a state, its rules under an epoch.
func entriesOf(state *pipeline.State, epoch pipeline.Epoch) ([]pipeline.Entry, error) {
	fixed, err := state.Entries()
	if err != nil {
		return nil, err
	}
	rules, err := pipeline.RuleEntries(state.Verdicts, epoch)
	if err != nil {
		return nil, err
	}
	return append(append(fixed, rules...), pipeline.EpochEntry(epoch, state.SynOnly)), nil
}

// heldBy are what a switch has that was brought to a state: the rule sets for later, too.
func heldBy(state *pipeline.State) ([]pipeline.Entry, error) {
	all, err := entriesOf(state, 1)
	for i, set := range state.Staged {
		if err != nil {
			break
		}
		var rules []pipeline.Entry
		rules, err = pipeline.RuleEntries(set, pipeline.Epoch(i+2))
		all = append(all, rules...)
	}
	return all, err
}

// has says whether an entry's place is taken in it.
func (s standing) has(e pipeline.Entry) bool {
	if _, isRule := e.Epoch(); isRule {
		_, has := s.rules[e.RuleKey()]
		return has
	}
	_, has := s.fixed[e.Key]
	return has
}

// A difference is how one standing differs from another.
type difference struct {
	added, removed []pipeline.Entry
	changed        []reconcile.Change
}

// compare says what is in b and not in a, and so on. Entries that keep speaks for are not missed in b; keep may be nil. A default action is
// never added nor removed, only changed; Old is zero if a switch did not report it.
func compare(a, b standing, keep func(pipeline.Entry) bool) difference {
	var d difference
	d.compare(a.fixed, b.fixed, keep)
	changed := len(d.changed)
	d.compare(a.rules, b.rules, nil)
	for i := range d.changed[changed:] {
		rule := &d.changed[changed+i]
		rule.Old = rule.Old.InEpoch(b.epoch) // so that the two differ in what they do, and in nothing else
	}
	// The number of the epoch is nobody's business; whether it drains is.
	if was, is := a.drains(), b.drains(); was != is {
		d.changed = append(d.changed, reconcile.Change{Old: pipeline.EpochEntry(b.epoch, was), New: pipeline.EpochEntry(b.epoch, is)})
	}
	byPlace := func(x, y pipeline.Entry) int {
		return x.Key.Compare(y.Key)
	}
	slices.SortFunc(d.added, byPlace)
	slices.SortFunc(d.removed, byPlace)
	slices.SortFunc(d.changed, func(x, y reconcile.Change) int { return byPlace(x.New, y.New) })
	return d
}

func (d *difference) compare(a, b map[pipeline.Key]pipeline.Entry, keep func(pipeline.Entry) bool) {
	for key, is := range b {
		switch was, there := a[key]; {
		case there && was.Value != is.Value:
			d.changed = append(d.changed, reconcile.Change{Old: was, New: is})
		case !there && is.IsDefault():
			d.changed = append(d.changed, reconcile.Change{New: is})
		case !there:
			d.added = append(d.added, is)
		}
	}
	for key, was := range a {
		if _, there := b[key]; !there && !was.IsDefault() && (keep == nil || !keep(was)) {
			d.removed = append(d.removed, was)
		}
	}
}

// drains says whether rules are for new connections alone.
func (s standing) drains() bool { return s.running.Value == pipeline.EpochEntry(s.epoch, true).Value }

// message is the difference with its first entries: what was removed, what changed, what was added, table by table.
func (d difference) message(most int) *op25bv1.Difference {
	m := &op25bv1.Difference{Added: uint64(len(d.added)), Changed: uint64(len(d.changed)), Removed: uint64(len(d.removed))}
	type placed struct {
		rank, kind int
		change     *op25bv1.EntryChange
	}
	all := make([]placed, 0, 3*most)
	for _, e := range d.removed[:min(most, len(d.removed))] {
		all = append(all, placed{e.Rank(), 0, &op25bv1.EntryChange{Kind: Removed, Table: e.Table(), Old: e.String()}})
	}
	for _, c := range d.changed[:min(most, len(d.changed))] {
		old := ""
		if !c.Old.IsZero() {
			old = c.Old.String()
		}
		all = append(all, placed{c.New.Rank(), 1, &op25bv1.EntryChange{Kind: Changed, Table: c.New.Table(), Old: old, New: c.New.String()}})
	}
	for _, e := range d.added[:min(most, len(d.added))] {
		all = append(all, placed{e.Rank(), 2, &op25bv1.EntryChange{Kind: Added, Table: e.Table(), New: e.String()}})
	}
	slices.SortStableFunc(all, func(x, y placed) int { return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.kind, y.kind)) })
	for _, x := range all[:min(most, len(all))] {
		m.Entries = append(m.Entries, x.change)
	}
	m.Truncated = uint64(len(m.Entries)) < size(m)
	return m
}

// The values of EntryChange.kind.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)
