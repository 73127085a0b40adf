package reconcile

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
)

// The source check has no epoch, and stops packets whatever the rules permit. During a change a check is therefore on if either policy
// has it: it begins before the flip and ends after it. Meanwhile it passes only addresses that both policies pass. The addresses of a
// line that gets the check change before the flip, and those of a line that loses the check change after it. For a line that is checked
// before and after, a range is added before the flip only if an old range of the line contains it. A range is removed after the flip only
// if a new range of the line contains it.

// checks reports, for each line index, whether the line's packets with a foreign source address are dropped.
func checks(entries []pipeline.Entry) map[pipeline.LineIndex]bool {
	groups := map[pipeline.LineGroup]bool{}
	for _, e := range entries {
		if is, drops := e.IsSourceCheck(); is && drops {
			groups[e.CheckedGroup()] = true
		}
	}
	lines := map[pipeline.LineIndex]bool{}
	if len(groups) == 0 {
		return lines
	}
	for _, e := range entries {
		if line := e.LineIndex(); line != 0 {
			_, group, _ := e.Number()
			lines[line] = groups[pipeline.LineGroup(group)]
		}
	}
	return lines
}

// A sourceOrder groups address ranges by the moment at which they are added or removed.
type sourceOrder struct {
	addEarly, removeEarly, addLate, removeLate []pipeline.Entry
	matter                                     bool // whether the order affects verdicts, because ranges of a checked line change late or early
}

// orderSources returns the address ranges in added and removed, grouped by moment.
func orderSources(have, want, added, removed []pipeline.Entry) (o sourceOrder) {
	if !slices.ContainsFunc(added, pipeline.Entry.IsSource) && !slices.ContainsFunc(removed, pipeline.Entry.IsSource) {
		return o
	}
	before, after := checks(have), checks(want)
	old, new := rangesOf(have), rangesOf(want)
	for _, e := range added {
		line := e.SourceLine()
		switch {
		case line == 0:
		case !before[line] || after[line] && old[line].cover(e.SourcePrefix()):
			o.addEarly = append(o.addEarly, e)
		default:
			o.addLate = append(o.addLate, e)
			o.matter = o.matter || after[line]
		}
	}
	for _, e := range removed {
		line := e.SourceLine()
		switch {
		case line == 0:
		case !after[line] || before[line] && new[line].cover(e.SourcePrefix()):
			o.removeLate = append(o.removeLate, e)
		default:
			o.removeEarly = append(o.removeEarly, e)
			o.matter = o.matter || before[line]
		}
	}
	return o
}

// ranges is the list of address ranges of one line.
type ranges []netip.Prefix

func rangesOf(entries []pipeline.Entry) map[pipeline.LineIndex]ranges {
	all := map[pipeline.LineIndex]ranges{}
	for _, e := range entries {
		if line := e.SourceLine(); line != 0 {
			all[line] = append(all[line], e.SourcePrefix())
		}
	}
	return all
}

// cover reports whether one of the ranges contains p.
func (r ranges) cover(p netip.Prefix) bool {
	for _, x := range r {
		if x.Bits() <= p.Bits() && x.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
