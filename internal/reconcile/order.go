package reconcile

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"

	"op25b/internal/pipeline"
)

// A batch contains the entries to insert, modify and remove at one moment.
type batch struct{ insert, modify, remove []pipeline.Entry }

// split divides a batch into the entries for which the function is returns true, and all others.
func (b *batch) split(is func(pipeline.Entry) bool) (those, others *batch) {
	those, others = &batch{}, &batch{}
	for _, list := range []struct{ from, to, rest *[]pipeline.Entry }{
		{&b.insert, &those.insert, &others.insert}, {&b.modify, &those.modify, &others.modify}, {&b.remove, &those.remove, &others.remove},
	} {
		if !slices.ContainsFunc(*list.from, is) {
			*list.rest = *list.from
			continue
		}
		for _, e := range *list.from {
			if is(e) {
				*list.to = append(*list.to, e)
			} else {
				*list.rest = append(*list.rest, e)
			}
		}
	}
	return those, others
}

// isLine reports whether an entry sets the group or the limit of a line. Source checks depend on the group. A check therefore begins
// after lines have moved to their new group and before they get a class that permits their traffic. It ends in the reverse order. This
// order matters if one policy stops a packet by the check, and the other because the class is missing.
func isLine(e pipeline.Entry) bool {
	d, _, numbered := e.Number()
	return numbered && d == pipeline.ByGroup || e.IsLimit() // a line's limit must be added before the line and removed after it
}

// order builds the steps of the plan.
func (m *maker) order() {
	var at [byAlias]batch // the batches of the moments early, middle and late
	var inChecks, outChecks batch
	var carry []pipeline.Entry // what makes a switch forward that forwards nothing yet
	dark := !slices.ContainsFunc(m.now.fixed, pipeline.Entry.Carries)
	for _, e := range m.added {
		_, _, numbered := e.Number()
		isCheck, _ := e.IsSourceCheck()
		switch {
		case isCheck:
			inChecks.insert = append(inChecks.insert, e)
		case dark && e.Carries():
			carry = append(carry, e)
		case !numbered && !e.IsSource():
			at[early].insert = append(at[early].insert, e)
		}
	}
	for _, c := range m.changed {
		_, _, numbered := c.New.Number()
		isCheck, drops := c.New.IsSourceCheck()
		switch {
		case isCheck && drops:
			inChecks.modify = append(inChecks.modify, c.New)
		case isCheck:
			outChecks.modify = append(outChecks.modify, c.New)
		case !numbered:
			at[early].modify = append(at[early].modify, c.New)
		}
	}
	for _, e := range m.removed {
		_, _, numbered := e.Number()
		isCheck, _ := e.IsSourceCheck()
		switch {
		case isCheck:
			outChecks.remove = append(outChecks.remove, e)
		case !numbered && !e.IsSource():
			at[late].remove = append(at[late].remove, e)
		}
	}
	at[early].insert = slices.Grow(at[early].insert, len(m.moves)) // usually these are all moves and nothing else
	for _, x := range m.moves {
		x.into(&at)
	}
	// Only services are removed early or added late. They have their own steps, because one policy may stop a packet by its service, and
	// the other by its source address.
	newService, noService := at[late].insert, at[early].remove
	at[late].insert, at[early].remove = nil, nil
	var aliasChecks []pipeline.Entry
	if m.aliases != nil {
		aliasChecks = m.aliasChecks()
	}

	inForce := m.now.rules[m.now.running]
	var oldAliases, newAliases, stale []pipeline.Entry
	before, after := "", ""
	if m.flip {
		before, after = " before the rules change", " after the rules have changed"
	}
	if m.aliases != nil {
		oldAliases = m.aliases.rules(m.now.running, inForce, func(a alias) uint8 { return a.from })
		newAliases = m.aliases.rules(m.epoch, m.rules, func(a alias) uint8 { return a.to })
	}
	if m.fresh {
		stale = m.stale()
	}

	m.step("remove rule sets that are not in force", pipeline.Delete, stale)
	m.step(fmt.Sprintf("prepare the rules of epoch %d for the change", m.now.running), pipeline.Insert, oldAliases)
	m.step("add lines' own addresses", pipeline.Insert, m.sources.addEarly)
	m.step("remove lines' own addresses", pipeline.Delete, m.sources.removeEarly)
	m.step("begin source checks of lines that change their group", pipeline.Insert, aliasChecks)
	lines, others := at[early].split(isLine)
	m.batch(lines, before)
	m.step("begin source checks", pipeline.Insert, inChecks.insert)
	m.step("make source checks drop", pipeline.Modify, inChecks.modify)
	m.batch(others, before)
	m.batch(&at[middle], "")
	m.step("stop looking at ports", pipeline.Delete, noService)
	if m.fresh {
		m.step(fmt.Sprintf("write the rule set of epoch %d", m.epoch), pipeline.Insert, under(m.epoch, m.rules))
	}
	m.step(fmt.Sprintf("prepare the rules of epoch %d for the change", m.epoch), pipeline.Insert, newAliases)
	if running := pipeline.EpochEntry(m.epoch, m.synOnly); running.Value != m.now.runningEntry.Value {
		why := fmt.Sprintf("put epoch %d in force in place of %d", m.epoch, m.now.running)
		if !m.flip {
			why = fmt.Sprintf("change how epoch %d is in force", m.epoch)
		}
		m.step(why, pipeline.Modify, []pipeline.Entry{running})
		m.changed = append(m.changed, Change{m.now.runningEntry, running})
	}
	m.step("begin to look at ports", pipeline.Insert, newService)
	lines, others = at[late].split(isLine)
	m.batch(others, after)
	m.step("make source checks watch instead of drop", pipeline.Modify, outChecks.modify)
	m.step("end source checks", pipeline.Delete, outChecks.remove)
	m.batch(lines, after)
	m.step("end source checks of lines that changed their group", pipeline.Delete, aliasChecks)
	m.step("add lines' own addresses", pipeline.Insert, m.sources.addLate)
	m.step("remove lines' own addresses", pipeline.Delete, m.sources.removeLate)
	gone := slices.Concat(newAliases, oldAliases)
	if m.again {
		gone = slices.Concat(newAliases, oldAliases, inForce)
	}
	m.step("remove what was there for the change alone", pipeline.Delete, gone)
	m.step("begin to forward frames", pipeline.Insert, carry)

	byRank := func(a, b pipeline.Entry) int { return cmp.Compare(a.Rank(), b.Rank()) }
	m.plan.Running, m.plan.Added, m.plan.Changed, m.plan.Removed = m.epoch, m.added, m.changed, slices.Concat(m.removed, stale)
	if m.fresh {
		m.plan.Added = slices.Concat(m.added, under(m.epoch, m.rules))
		if m.again {
			m.plan.Removed = slices.Concat(m.plan.Removed, inForce)
		}
	}
	slices.SortStableFunc(m.plan.Added, byRank)
	slices.SortStableFunc(m.plan.Changed, func(a, b Change) int { return byRank(a.New, b.New) })
	slices.SortStableFunc(m.plan.Removed, byRank)
}

// into adds the entries of a move to the batches of its moments.
func (x *move) into(at *[byAlias]batch) {
	b := &at[min(x.when, late)]
	if x.when == byAlias {
		if x.old == nil {
			at[early].insert = append(at[early].insert, *x.stand)
		} else {
			at[early].modify = append(at[early].modify, *x.stand)
		}
		if x.new != nil {
			at[late].modify = append(at[late].modify, *x.new)
		} else {
			at[late].remove = append(at[late].remove, *x.old)
		}
		return
	}
	switch {
	case x.old == nil:
		b.insert = append(b.insert, *x.new)
	case x.new == nil:
		b.remove = append(b.remove, *x.old)
	default:
		b.modify = append(b.modify, *x.new)
	}
}

// aliasChecks returns a source check for each alias of a line group: the stricter of the checks of its two groups.
func (m *maker) aliasChecks() []pipeline.Entry {
	find := func(entries []pipeline.Entry, group uint8) (check pipeline.Entry, ok, drops bool) {
		for _, e := range entries {
			if is, drops := e.IsSourceCheck(); is && e.CheckedGroup() == pipeline.LineGroup(group) {
				return e, true, drops
			}
		}
		return pipeline.Entry{}, false, false
	}
	var checks []pipeline.Entry
	for a, n := range m.aliases.given {
		if a.d != pipeline.ByGroup {
			continue
		}
		old, was, dropped := find(m.now.fixed, a.from)
		check, is, _ := find(m.fixed, a.to)
		if was && (dropped || !is) {
			check = old
		}
		if was || is {
			checks = append(checks, check.ForGroup(pipeline.LineGroup(n)))
		}
	}
	return checks
}

// stale returns the rules of all epochs that are neither in force before the change nor staged.
func (m *maker) stale() []pipeline.Entry {
	keep := map[pipeline.Epoch]bool{m.now.running: true}
	for _, rules := range m.staged {
		if e, there := m.now.epochOf(rules); there {
			keep[e] = true
		}
	}
	var stale []pipeline.Entry
	for _, e := range slices.Sorted(maps.Keys(m.now.rules)) {
		if !keep[e] {
			stale = append(stale, m.now.rules[e]...)
		}
	}
	return stale
}

// batch adds the steps of one moment. A longer prefix is added before the shorter prefix around it, and removed after that prefix. A
// packet thus never has a third number between its old and its new number.
func (m *maker) batch(b *batch, when string) {
	byRank := func(a, b pipeline.Entry) int { return cmp.Compare(a.Rank(), b.Rank()) }
	slices.SortStableFunc(b.insert, byRank)
	slices.SortStableFunc(b.modify, byRank)
	slices.SortStableFunc(b.remove, func(a, b pipeline.Entry) int { return byRank(b, a) })
	for _, level := range byLength(b.insert, -1) {
		m.step("add forwarding, lines, services and addresses"+when, pipeline.Insert, level)
	}
	m.step("change forwarding, lines, services and addresses"+when, pipeline.Modify, b.modify)
	for _, level := range byLength(b.remove, 1) {
		m.step("remove forwarding, lines, services and addresses"+when, pipeline.Delete, level)
	}
}

// byLength groups entries by prefix length, in ascending order if direction is 1 and in descending order if it is -1. An entry without a
// prefix has length 0. If no prefix contains another, byLength returns a single group.
func byLength(entries []pipeline.Entry, direction int) [][]pipeline.Entry {
	if len(entries) == 0 {
		return nil
	}
	if !lengthsDiffer(slices.Values(entries)) {
		return [][]pipeline.Entry{entries}
	}
	levels := map[int][]pipeline.Entry{}
	index := pipeline.NewIndex(entries)
	nested := false
	for _, e := range entries {
		p, ok := e.Prefix()
		length := 0
		if ok {
			length = p.Bits()
			d, _, _ := e.Number()
			_, inside := index.Around(d, p)
			nested = nested || inside
		}
		levels[length] = append(levels[length], e)
	}
	if !nested {
		return [][]pipeline.Entry{entries}
	}
	var all [][]pipeline.Entry
	for _, length := range slices.SortedFunc(maps.Keys(levels), func(a, b int) int { return direction * cmp.Compare(a, b) }) {
		all = append(all, levels[length])
	}
	return all
}

// lengthsDiffer reports whether a table has prefixes of different lengths. If not, no prefix contains another.
func lengthsDiffer(entries iter.Seq[pipeline.Entry]) bool {
	of := map[int]int{} // the prefix length in each table, by rank
	rank, length := -1, 0
	for e := range entries {
		bits := e.PrefixLength()
		if bits == 0 || e.Rank() == rank && bits == length {
			continue
		}
		if first, seen := of[e.Rank()]; seen && first != bits {
			return true
		}
		rank, length = e.Rank(), bits
		of[rank] = length
	}
	return false
}

// step adds a step with one update for each entry. It adds nothing if there are no entries.
func (m *maker) step(why string, kind pipeline.Kind, entries []pipeline.Entry) {
	if len(entries) == 0 {
		return
	}
	s := Step{Why: why, Updates: make([]pipeline.Update, len(entries))}
	for i := range entries {
		s.Updates[i] = pipeline.Update{Kind: kind, Entry: &entries[i]}
	}
	m.plan.Steps = append(m.plan.Steps, s)
}
