package reconcile

import (
	"fmt"
	"slices"

	"op25b/internal/pipeline"
)

// actual contains the entries of a switch, grouped for Make.
type actual struct {
	have         []pipeline.Entry
	fixed        []pipeline.Entry // all entries except rules and the running epoch
	running      pipeline.Epoch
	runningEntry pipeline.Entry                                     // the entry that sets the running epoch
	rules        map[pipeline.Epoch][]pipeline.Entry                // the rules of each epoch
	sets         map[pipeline.Epoch]map[pipeline.Key]pipeline.Value // the values of each epoch's rules, by RuleKey
}

func split(have []pipeline.Entry) *actual {
	a := &actual{
		have: have, fixed: make([]pipeline.Entry, 0, len(have)), runningEntry: pipeline.EpochEntry(0, false),
		rules: map[pipeline.Epoch][]pipeline.Entry{}, sets: map[pipeline.Epoch]map[pipeline.Key]pipeline.Value{},
	}
	for _, e := range have {
		if in, ok := e.IsRunningEpoch(); ok {
			a.running, a.runningEntry = in, e
			continue
		}
		in, ok := e.Epoch()
		if !ok {
			a.fixed = append(a.fixed, e)
			continue
		}
		if a.sets[in] == nil {
			a.sets[in] = map[pipeline.Key]pipeline.Value{}
		}
		a.rules[in] = append(a.rules[in], e)
		a.sets[in][e.RuleKey()] = e.Value
	}
	return a
}

// epochOf returns the epoch under which the switch has exactly these rules. If there are several, epochOf
// prefers the running epoch.
func (a *actual) epochOf(rules []pipeline.Entry) (epoch pipeline.Epoch, ok bool) {
	if a.holds(a.running, rules) {
		return a.running, true
	}
	for e := range pipeline.Epoch(255) {
		if a.holds(e+1, rules) {
			return e + 1, true
		}
	}
	return 0, false
}

// holds reports whether the rules under epoch e are exactly these rules.
func (a *actual) holds(e pipeline.Epoch, rules []pipeline.Entry) bool {
	set := a.sets[e]
	if e == 0 || len(set) != len(rules) {
		return false
	}
	return !slices.ContainsFunc(rules, func(r pipeline.Entry) bool {
		v, ok := set[r.RuleKey()]
		return !ok || v != r.Value
	})
}

// free returns the next epoch after the running one that has no rules and is not in taken.
func (a *actual) free(taken map[pipeline.Epoch]bool) (pipeline.Epoch, error) {
	for e := a.running + 1; e != a.running; e++ { // the type wraps around after 255
		if e != 0 && len(a.rules[e]) == 0 && !taken[e] {
			return e, nil
		}
	}
	return 0, fmt.Errorf("%w: every epoch from 1 to 255 holds a rule set", ErrNoRoom)
}
