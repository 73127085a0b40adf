package plan

import (
	"slices"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

// An effective contains the entries of a switch that affect packets. It excludes rule sets that are not in force. Both lists are ordered by
// key.
type effective struct {
	fixed   []pipeline.Entry
	rules   []pipeline.Entry // the rules of the running epoch
	epoch   pipeline.Epoch
	running pipeline.Entry // the entry that sets the epoch and the drain
}

// effectiveOf selects and sorts the effective entries among those read from a switch. The entries of exemptions and leases are without their ends,
// which are in the clock of the switch: the documents say when an exemption ends.
func effectiveOf(entries []pipeline.Entry) effective {
	x := effective{fixed: make([]pipeline.Entry, 0, len(entries)), running: pipeline.EpochEntry(0, false)}
	for _, e := range entries {
		if epoch, ok := e.IsRunningEpoch(); ok {
			x.epoch, x.running = epoch, e
		}
	}
	for _, e := range entries {
		if _, ok := e.IsRunningEpoch(); ok {
			continue
		}
		switch epoch, isRule := e.Epoch(); {
		case !isRule:
			if _, is := e.IsSubscriber(); is {
				e = e.WithUntil(0)
			}
			x.fixed = append(x.fixed, e)
		case epoch == x.epoch:
			x.rules = append(x.rules, e)
		}
	}
	slices.SortFunc(x.fixed, byKey)
	slices.SortFunc(x.rules, byKey)
	return x
}

func byKey(a, b pipeline.Entry) int { return a.Key.Compare(b.Key) }

// entriesOf returns the entries of a switch in the given state, with the rules under the given epoch.
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

// withLayer returns the entries of a switch in the given state, like entriesOf. It includes the entries that the switch keeps by sessions, given
// its present entries. So the plan does not depend on sessions.
func withLayer(c *compile.Compiled, epoch pipeline.Epoch, have []pipeline.Entry) ([]pipeline.Entry, error) {
	all, err := entriesOf(&c.State, epoch)
	if layer := c.Sessions.Held(have); len(layer) > 0 {
		slices.SortFunc(all, byKey)
		all = pipeline.Merge(all, layer)
	}
	return all, err
}

// heldBy returns the entries that a switch has after it was brought to the given state, including the staged rule sets.
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

// has reports whether x has an entry with the same key as e. The epochs of rules are ignored.
func (x effective) has(e pipeline.Entry) bool {
	all := x.fixed
	if _, isRule := e.Epoch(); isRule {
		all, e = x.rules, e.InEpoch(x.epoch)
	}
	_, has := slices.BinarySearchFunc(all, e, byKey)
	return has
}

// compare returns the changes that turn a into b, in lists ordered by key. keep is as in reconcile.Compare. The epochs of rules are ignored.
func compare(a, b effective, keep func(pipeline.Entry) bool) reconcile.Difference {
	d := reconcile.Compare(a.fixed, b.fixed, keep)
	old := make([]pipeline.Entry, len(a.rules))
	for i, e := range a.rules {
		old[i] = e.InEpoch(b.epoch)
	}
	rules := reconcile.Compare(old, b.rules, nil)
	for _, e := range rules.Removed {
		d.Removed = append(d.Removed, e.InEpoch(a.epoch))
	}
	d.Added, d.Changed = append(d.Added, rules.Added...), append(d.Changed, rules.Changed...)
	// The number of the epoch does not affect packets, but the drain does.
	if was, is := a.drains(), b.drains(); was != is {
		d.Changed = append(d.Changed, reconcile.Change{Old: pipeline.EpochEntry(b.epoch, was), New: pipeline.EpochEntry(b.epoch, is)})
	}
	slices.SortFunc(d.Added, byKey)
	slices.SortFunc(d.Removed, byKey)
	slices.SortFunc(d.Changed, func(x, y reconcile.Change) int { return byKey(x.New, y.New) })
	return d
}

// drains reports whether the rules in force stop only new connections.
func (x effective) drains() bool { return x.running.Value == pipeline.EpochEntry(x.epoch, true).Value }
