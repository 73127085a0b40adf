package reconcile

import (
	"cmp"
	"fmt"
	"slices"

	"op25b/internal/pipeline"
)

// A Step is a set of updates that may be sent together and in any order. Steps are sent one after another. The plan remains safe if the
// switch or the controller crashes between any two updates.
type Step struct {
	Why     string // the purpose of the step, for logs and plans
	Updates []pipeline.Update
}

// A Plan contains the updates that bring a switch to its desired state. A plan without steps means that there is nothing to write (I5).
type Plan struct {
	Steps []Step
	// Running is the epoch that is in force after the last step.
	Running pipeline.Epoch
	// Added, Changed and Removed are the differences between the switch before the first and after the last step, in the order of
	// pipeline.Entry.Rank. They exclude entries that exist only during the change.
	Added, Removed []pipeline.Entry
	Changed        []Change
	// Kept lists the undesired entries for which Options.Keep returned true.
	Kept []pipeline.Entry
	// Tables lists every table of limited size with its number of entries after the last step, in the order of pipeline.Entry.Rank.
	Tables []Fill
}

// A Change is an entry before and after its value changes.
type Change struct{ Old, New pipeline.Entry }

// Updates returns the number of updates in all steps.
func (p *Plan) Updates() int {
	n := 0
	for _, s := range p.Steps {
		n += len(s.Updates)
	}
	return n
}

// text returns the text for an entry in errors.
func (o Options) text(e pipeline.Entry) string {
	if o.Name == nil {
		return e.String()
	}
	return o.Name(e)
}

// Options contains the options of Make and Apply. With the zero value, no undesired entry stays.
type Options struct {
	// Keep, if not nil, reports whether an undesired entry stays. It is not called for rules, because only the rules of the desired state
	// may be in force.
	Keep func(pipeline.Entry) bool
	// Layer, if not nil, returns further desired entries, given all entries of the switch. An entry of the state replaces an entry of the
	// layer with the same key.
	Layer func(have []pipeline.Entry) []pipeline.Entry
	// End, if not nil, returns a desired entry with its end in the clock of the switch, given the entry that the switch has under the same key, or
	// the zero Entry. It changes nothing else, and returns an entry without an end as it is. It is not called for rules.
	End func(want, have pipeline.Entry) pipeline.Entry
	// Name returns the text for an entry in errors; nil means its String method.
	Name func(pipeline.Entry) string
	// Planned, if not nil, is called by Apply before the first write of each plan that has steps.
	Planned func(*Plan)
	// Progress, if not nil, is called by Apply after each step, in Apply's goroutine.
	Progress func(Progress)
}

// Make returns the plan that brings a switch with the entries have to the state want, in the order that the package comment describes. have
// must list all entries of the switch. If the desired rule set is not in force, one MODIFY puts it in force. Unless the switch already has
// the rule set, it is first written completely under an unused epoch. The previous rule set stays in the switch. Older rule sets that are
// not staged are removed when the next rule set is written.
//
// Make returns ErrNoRoom if a table cannot hold the entries of every step (I10); the message states the table, its size and the number of
// entries. Make returns pipeline.ErrInvalid if an entry violates a restriction of the program. A nil contract means that there are no sizes
// and no restrictions.
func Make(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract, opts Options) (*Plan, error) {
	t, err := aim(want, contract)
	if err != nil {
		return nil, err
	}
	return t.plan(have, opts)
}

// A target is a desired state as entries that satisfy the contract.
type target struct {
	contract *pipeline.Contract
	fixed    []pipeline.Entry   // all entries except rules
	rules    []pipeline.Entry   // the rules to put in force, under anyEpoch
	staged   [][]pipeline.Entry // the staged rule sets, under anyEpoch
	synOnly  bool
}

func aim(want *pipeline.State, contract *pipeline.Contract) (*target, error) {
	if err := Room(want, contract); err != nil {
		return nil, err
	}
	t := &target{contract: contract, synOnly: want.SynOnly}
	var err error
	if t.fixed, err = contract.Entries(want); err != nil {
		return nil, err
	}
	if t.rules, err = pipeline.RuleEntries(want.Verdicts, anyEpoch); err != nil {
		return nil, err
	}
	if t.staged, err = stagedRules(want.Staged, t.rules); err != nil {
		return nil, err
	}
	for _, entries := range append(slices.Clone(t.staged), t.rules) {
		if err := contract.Allows(entries); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *target) plan(have []pipeline.Entry, opts Options) (*Plan, error) {
	plan, _, err := t.planFrom(have, opts)
	return plan, err
}

// planFrom is like plan, and also returns the present content of the switch.
func (t *target) planFrom(have []pipeline.Entry, opts Options) (*Plan, *actual, error) {
	t, err := t.with(have, opts.Layer)
	if err != nil {
		return nil, nil, err
	}
	m := &maker{target: t, now: split(have), plan: &Plan{}}
	plan, err := m.make(have, opts)
	return plan, m.now, err
}

// with returns the target with the entries of a layer.
func (t *target) with(have []pipeline.Entry, layer func([]pipeline.Entry) []pipeline.Entry) (*target, error) {
	if layer == nil {
		return t, nil
	}
	more := layer(have)
	if len(more) == 0 {
		return t, nil
	}
	if err := t.contract.Allows(more); err != nil {
		return nil, err
	}
	whole := *t
	whole.fixed = pipeline.Merge(t.fixed, more)
	return &whole, nil
}

func (m *maker) make(have []pipeline.Entry, opts Options) (*Plan, error) {
	m.compare(opts.Keep, opts.End)
	if err := m.decide(); err != nil {
		return nil, err
	}
	m.order()
	var err error
	if m.count, err = fits(have, m.plan.Steps, m.contract); err != nil {
		return nil, err
	}
	m.stage()
	m.plan.Tables = fills(m.count, m.contract)
	return m.plan, nil
}

// stagedRules returns the rules of each staged set under anyEpoch. It omits empty sets, duplicates, and the set in force.
func stagedRules(sets []map[pipeline.VerdictKey]pipeline.Verdict, inForce []pipeline.Entry) ([][]pipeline.Entry, error) {
	staged := make([][]pipeline.Entry, 0, len(sets))
	for _, set := range sets {
		rules, err := pipeline.RuleEntries(set, anyEpoch)
		if err != nil {
			return nil, err
		}
		same := func(other []pipeline.Entry) bool { return sameRules(other, rules) }
		if len(rules) > 0 && !same(inForce) && !slices.ContainsFunc(staged, same) {
			staged = append(staged, rules)
		}
	}
	return staged, nil
}

func sameRules(a, b []pipeline.Entry) bool {
	return slices.EqualFunc(a, b, func(x, y pipeline.Entry) bool { return x.RuleKey() == y.RuleKey() && x.Value == y.Value })
}

// A maker contains the state of one call of Make.
type maker struct {
	*target
	now *actual

	// The results of compare, which exclude rules.
	added, removed []pipeline.Entry
	changed        []Change

	// The results of decide.
	epoch   pipeline.Epoch // the epoch in force after the change
	flip    bool
	fresh   bool // the rules must be written under epoch
	again   bool // the desired rules are in force already, but are written again under epoch because the change needs a flip
	moves   []*move
	sources sourceOrder
	aliases *aliases

	plan  *Plan
	count map[pipeline.Table]int64 // the number of entries in each table after the steps so far
}

// compare finds the entries other than rules that must be added, changed or removed.
func (m *maker) compare(keep func(pipeline.Entry) bool, end func(want, have pipeline.Entry) pipeline.Entry) {
	d := compare(m.now.fixed, m.fixed, keep, end)
	for i := range d.Changed {
		if c := &d.Changed[i]; c.Old.IsZero() { // the switch has the default action but did not report it
			c.Old = c.New
		}
	}
	m.added, m.removed, m.changed, m.plan.Kept = d.Added, d.Removed, d.Changed, d.Kept
	slices.SortStableFunc(m.removed, func(a, b pipeline.Entry) int { return cmp.Compare(a.Rank(), b.Rank()) })
	slices.SortStableFunc(m.plan.Kept, func(a, b pipeline.Entry) int { return cmp.Compare(a.Rank(), b.Rank()) })
}

// decide chooses the epoch of the rules and the moment of each move.
func (m *maker) decide() error {
	epoch, there := m.now.epochOf(m.rules)
	after := append(m.fixed[:len(m.fixed):len(m.fixed)], m.plan.Kept...)
	m.moves = moves(m.added, m.removed, m.changed, m.now.fixed, after)
	ways := schedule(m.moves, read(m.now.rules[m.now.running], m.now.fixed), read(m.rules, after))
	if m.sources = orderSources(m.now.fixed, after, m.added, m.removed); m.sources.matter {
		ways++
	}
	if m.checksChange() {
		ways++
	}
	if there && epoch == m.now.running && ways > 1 {
		there, m.again = false, true
	}
	if !there {
		var err error
		if epoch, err = m.now.free(nil); err != nil {
			return err
		}
		m.fresh = true
	}
	m.epoch, m.flip = epoch, epoch != m.now.running
	if !m.flip || !slices.ContainsFunc(m.moves, func(x *move) bool { return x.when == middle }) {
		return nil
	}
	m.aliases = newAliases(m.now.have, m.fixed, m.rules)
	for _, x := range m.moves {
		if x.when != middle {
			continue
		}
		n, err := m.aliases.number(alias{x.d, x.from.n, x.to.n})
		if err != nil {
			return err
		}
		x.standAs(number{n, x.meanwhile()})
	}
	return nil
}

// checksChange reports whether any source check changes.
func (m *maker) checksChange() bool {
	is := func(e pipeline.Entry) bool { check, _ := e.IsSourceCheck(); return check }
	return slices.ContainsFunc(m.added, is) || slices.ContainsFunc(m.removed, is) ||
		slices.ContainsFunc(m.changed, func(c Change) bool { return is(c.New) })
}

// stage adds the staged rule sets that the switch does not have, as far as there is room for them.
func (m *maker) stage() {
	taken := map[pipeline.Epoch]bool{m.epoch: true}
	for _, rules := range m.staged {
		if _, there := m.now.epochOf(rules); there {
			continue
		}
		table := rules[0].Key.Table()
		if size, ok := m.contract.Size(table); ok && m.count[table]+int64(len(rules)) > size {
			continue
		}
		epoch, err := m.now.free(taken)
		if err != nil {
			return
		}
		taken[epoch] = true
		m.count[table] += int64(len(rules))
		added := under(epoch, rules)
		m.plan.Added = append(m.plan.Added, added...)
		m.step(fmt.Sprintf("write a rule set for later as epoch %d", epoch), pipeline.Insert, added)
	}
}

// anyEpoch is a placeholder epoch for rules that are only compared.
const anyEpoch = pipeline.Epoch(1)

// under returns copies of the rules under the given epoch.
func under(epoch pipeline.Epoch, rules []pipeline.Entry) []pipeline.Entry {
	all := make([]pipeline.Entry, len(rules))
	for i, r := range rules {
		all[i] = r.InEpoch(epoch)
	}
	return all
}
