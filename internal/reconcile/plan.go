// Package reconcile works out how a switch gets from the entries it has to the entries it should have, and takes it there.
//
// The plan is pure: no clock, no network, no logger. Apply is the rim around it: read, plan, write step by step, read back. Neither knows
// what an entry means; pipeline does.
package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

// A Step is one set of updates that may be sent together, in any order. Steps are sent one after the other; between two of them the
// switch may crash, and so may we.
type Step struct {
	Why     string // for the log line and the plan view
	Updates []*p4v1.Update
}

// A Plan takes a switch from what it has to what it should have. A plan without steps means that nothing has to be written (I5).
type Plan struct {
	Steps []Step
	// Running is the epoch in force once the plan is done.
	Running pipeline.Epoch
	// Added, Changed and Removed are the entries that differ, in the order in which they are written.
	Added, Changed, Removed []pipeline.Entry
}

// Make returns the plan that turns have, everything read from the switch, into want.
//
// Make before break. A rule set that differs from the running one is written whole under an epoch that is not in force, and one MODIFY
// of the running epoch takes it in force; until then every packet meets the old set, after it the new one. Addresses and lines are
// added before that moment and removed after it, so that none is missing while one of the two sets needs it (I1, I2). The rule set that
// was in force stays in the switch: it is what a rollback goes back to. Older ones are removed first, as nothing asks them. The addresses
// that a line may use stand before the line does and until after it, and the check that asks for them is the last to begin and the first
// to end.
//
// Before any step it returns ErrNoRoom, naming the table, its size and the need, if a table cannot hold what it would have to (I10), and
// pipeline.ErrInvalid if an entry breaks a restriction of the program's contract. A nil contract has neither sizes nor restrictions.
func Make(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract) (*Plan, error) {
	now := split(have)
	epoch, known, err := now.epochFor(want)
	if err != nil {
		return nil, err
	}
	entries, err := want.Entries(epoch)
	if err != nil {
		return nil, err
	}
	if err := contract.Allows(entries); err != nil {
		return nil, err
	}
	p := &Plan{Running: epoch}
	var add, change, remove, rules, newSources, oldSources, newChecks, looser, stricter, noChecks []pipeline.Entry

	wanted := make(map[string]bool, len(entries))
	for _, e := range entries {
		wanted[e.Key] = true
		old, ok := now.byKey[e.Key]
		_, isRule := e.Epoch()
		isCheck, drops := e.IsSourceCheck()
		switch {
		case ok && old.Value == e.Value:
		case ok && isCheck && drops:
			stricter = append(stricter, e)
		case ok && isCheck:
			looser = append(looser, e)
		case isCheck:
			newChecks = append(newChecks, e)
		case ok, e.IsDefault():
			change = append(change, e)
		case e.IsSource():
			newSources = append(newSources, e)
		case isRule:
			rules = append(rules, e)
		default:
			add = append(add, e)
		}
	}
	flip, drain := epoch != now.running, now.runningValue != pipeline.EpochEntry(epoch, want.SynOnly).Value
	var stale []pipeline.Entry
	for _, e := range have {
		if wanted[e.Key] {
			continue
		}
		if e.IsDefault() {
			continue
		}
		if in, ok := e.Epoch(); ok {
			if in != epoch && in != now.running && flip && !known {
				stale = append(stale, e)
			}
			continue // of the running epoch nothing is ever removed: epochFor would have chosen another
		}
		switch isCheck, _ := e.IsSourceCheck(); {
		case isCheck:
			noChecks = append(noChecks, e)
		case e.IsSource():
			oldSources = append(oldSources, e)
		default:
			remove = append(remove, e)
		}
	}
	slices.SortStableFunc(remove, func(a, b pipeline.Entry) int { return cmp.Compare(b.Rank(), a.Rank()) })

	p.step("remove rule sets that are not in force", p4v1.Update_DELETE, stale)
	p.step("end source checks", p4v1.Update_DELETE, noChecks)
	p.step("make source checks watch instead of drop", p4v1.Update_MODIFY, looser)
	p.step("add the lines' own addresses", p4v1.Update_INSERT, newSources)
	p.step("add forwarding, lines and addresses", p4v1.Update_INSERT, add)
	p.step("change forwarding, lines and addresses", p4v1.Update_MODIFY, change)
	p.step(fmt.Sprintf("write the rule set of epoch %d", epoch), p4v1.Update_INSERT, rules)
	if flip || drain {
		why := fmt.Sprintf("put epoch %d in force in place of %d", epoch, now.running)
		if !flip {
			why = fmt.Sprintf("change how epoch %d is in force", epoch)
		}
		running := pipeline.EpochEntry(epoch, want.SynOnly)
		p.step(why, p4v1.Update_MODIFY, []pipeline.Entry{running})
		change = append(change, running)
	}
	p.step("remove forwarding, lines and addresses", p4v1.Update_DELETE, remove)
	p.step("remove the lines' own addresses", p4v1.Update_DELETE, oldSources)
	p.step("make source checks drop", p4v1.Update_MODIFY, stricter)
	p.step("begin source checks", p4v1.Update_INSERT, newChecks)
	p.Added = slices.Concat(newSources, add, rules, newChecks)
	p.Changed = slices.Concat(looser, change, stricter)
	p.Removed = slices.Concat(stale, noChecks, remove, oldSources)
	return p, fits(have, stale, p.Added, contract)
}

func (p *Plan) step(why string, kind p4v1.Update_Type, entries []pipeline.Entry) {
	if len(entries) == 0 {
		return
	}
	s := Step{Why: why, Updates: make([]*p4v1.Update, len(entries))}
	for i, e := range entries {
		s.Updates[i] = &p4v1.Update{Type: kind, Entity: e.Entity}
	}
	p.Steps = append(p.Steps, s)
}

// fits says whether every table has room at the fullest moment of the plan: all that is added stands beside all that is removed last.
func fits(have, stale, add []pipeline.Entry, contract *pipeline.Contract) error {
	count := map[string]int64{}
	for _, e := range have {
		count[e.Table()]++
	}
	for _, e := range stale {
		count[e.Table()]--
	}
	for _, e := range add {
		count[e.Table()]++
	}
	for _, table := range slices.Sorted(maps.Keys(count)) {
		if size, ok := contract.Size(table); ok && count[table] > size {
			return fmt.Errorf("table %q: %w: %d entries, %d wanted at once; nothing was written", table, ErrNoRoom, size, count[table])
		}
	}
	return nil
}

// A standing is what a switch has, sorted for Make.
type standing struct {
	byKey        map[string]pipeline.Entry
	running      pipeline.Epoch
	runningValue string                               // of the running epoch's entry
	rules        map[pipeline.Epoch]map[string]string // verdicts of an epoch: key to value
}

func split(have []pipeline.Entry) standing {
	s := standing{byKey: make(map[string]pipeline.Entry, len(have)), rules: map[pipeline.Epoch]map[string]string{}}
	for _, e := range have {
		s.byKey[e.Key] = e
		if in, ok := e.IsRunningEpoch(); ok {
			s.running, s.runningValue = in, e.Value
		}
		if in, ok := e.Epoch(); ok {
			if s.rules[in] == nil {
				s.rules[in] = map[string]string{}
			}
			s.rules[in][e.Key] = e.Value
		}
	}
	return s
}

// epochFor chooses the epoch that want's rules stand in: the running one if it holds just these rules, else another that does (known is
// true: what a rollback finds), else one that holds nothing.
func (s standing) epochFor(want *pipeline.State) (epoch pipeline.Epoch, known bool, err error) {
	candidates := []pipeline.Epoch{s.running}
	for e := range s.rules {
		candidates = append(candidates, e)
	}
	slices.Sort(candidates[1:])
	for _, e := range candidates {
		same, err := s.holds(e, want)
		if err != nil {
			return 0, false, err
		}
		if same {
			return e, true, nil
		}
	}
	for e := s.running + 1; e != s.running; e++ { // wraps past 255
		if e != 0 && len(s.rules[e]) == 0 {
			return e, false, nil
		}
	}
	return 0, false, fmt.Errorf("%w: every epoch from 1 to 255 holds a rule set", ErrNoRoom)
}

// holds says whether the rules of epoch e are just those of want.
func (s standing) holds(e pipeline.Epoch, want *pipeline.State) (bool, error) {
	if e == 0 {
		return false, nil
	}
	rules := pipeline.State{Verdicts: want.Verdicts}
	entries, err := rules.Entries(e)
	if err != nil {
		return false, err
	}
	entries = slices.DeleteFunc(entries, pipeline.Entry.IsDefault)
	if len(entries) != len(s.rules[e]) {
		return false, nil
	}
	for _, x := range entries {
		if v, ok := s.rules[e][x.Key]; !ok || v != x.Value {
			return false, nil
		}
	}
	return true, nil
}
