package meaning

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"op25b/internal/compile"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/view/prose"
)

// A standingLine is a line in the compiled state of a switch.
type standingLine struct {
	name, group string
	key         pipeline.LineKey
	index       pipeline.LineIndex
}

func linesByName(c *compile.Compiled) map[string]standingLine {
	all := make(map[string]standingLine, len(c.State.Lines))
	for key, line := range c.State.Lines {
		name := c.Lines[line.Index]
		all[name] = standingLine{name, c.LineGroups[line.Group].Name, key, line.Index}
	}
	return all
}

// lines reports added and removed lines, and lines whose group, place, name or addresses change. An added line counts as an unnamed line
// before the change, and a removed line as an unnamed line after the change.
func (w *words) lines() {
	was, is := w.wasLines, w.isLines
	renamed := w.renamed(was, is)
	said := newTally()
	var moved, called []item
	for _, name := range slices.Sorted(maps.Keys(is)) {
		now := is[name]
		old, there := was[name]
		switch {
		case there && old.group != now.group:
			said.add(name, old.group, now.group, "moved from "+old.group+" to "+now.group)
		case !there && renamed[name] != "":
			if old = was[renamed[name]]; old.group != now.group {
				said.add(name, old.group, now.group, "moved from "+old.group+" to "+now.group)
			}
		case !there:
			said.add(name, "", now.group, "added to "+now.group)
		}
		if there && old.key != now.key {
			text := fmt.Sprintf("line %s moved from %s to %s", name, placeText(old.key), placeText(now.key))
			moved = append(moved, item{severity: Neutral, what: "lines moved to another place", name: name, text: text})
		}
	}
	w.each(OfLine, moved)
	oldNames := make(map[string]bool, len(renamed))
	for _, name := range renamed {
		oldNames[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[name]; !there && !oldNames[name] {
			said.add(name, was[name].group, "", "removed from "+was[name].group)
		}
	}
	for _, way := range said.order {
		var e effect
		if !w.empty() { // for an empty switch, the sentences about verdicts already state the effect on each group
			for _, s := range w.servers() {
				w.effectOn(&e, way.from, way.to, s.from, s.to)
			}
			w.effectBeside(&e, way.from, way.to)
		}
		names := said.names[way]
		w.sum(OfLine, e.severity(), len(names), "lines "+way.text, "", fmt.Sprintf("%s %s", linesNamed(names), way.text))
	}
	for _, name := range slices.Sorted(maps.Keys(renamed)) {
		text := fmt.Sprintf("line %s is now called %s", renamed[name], name)
		called = append(called, item{severity: Neutral, what: "lines have another name", name: name, text: text})
	}
	w.each(OfLine, called)
	w.addresses(was, is)
}

// renamed maps new names to old names for lines that have been renamed. Such a line has the index and the place of a removed line.
func (w *words) renamed(was, is map[string]standingLine) map[string]string {
	all := make(map[string]string)
	for name, now := range is {
		if _, there := was[name]; there {
			continue
		}
		line, there := w.was.State.Lines[now.key]
		old := w.was.Lines[line.Index]
		if _, still := is[old]; there && !still && line.Index == now.index {
			all[name] = old
		}
	}
	return all
}

// A lineWay is a line's group before and after a change, and the text that describes the change.
type lineWay struct{ from, to, text string }

// A tally collects the names of lines by lineWay.
type tally struct {
	names map[lineWay][]string
	order []lineWay
}

func newTally() *tally { return &tally{names: make(map[lineWay][]string)} }

func (t *tally) add(name, from, to, text string) {
	way := lineWay{from, to, text}
	if t.names[way] == nil {
		t.order = append(t.order, way)
	}
	t.names[way] = append(t.names[way], name)
}

// linesNamed returns a text such as "line a" or "7 lines (a, b, c, d, e and 2 more)".
func linesNamed(list []string) string {
	if len(list) == 1 {
		return "line " + list[0]
	}
	return fmt.Sprintf("%d lines (%s)", len(list), prose.List(list, maxNamed))
}

// placeText describes the place of a line on a switch.
func placeText(k pipeline.LineKey) string {
	text := fmt.Sprintf("port %d", k.Port)
	for _, x := range []struct {
		name  string
		value uint16
	}{{"VLAN", uint16(k.OuterVID)}, {"inner VLAN", uint16(k.InnerVID)}, {"PPPoE session", uint16(k.Session)}} {
		if x.value != 0 {
			text += fmt.Sprintf(", %s %d", x.name, x.value)
		}
	}
	return text
}

// addresses reports lines whose source addresses change while their sources are checked before and after the change.
func (w *words) addresses(was, is map[string]standingLine) {
	sources := func(c *compile.Compiled) map[string][]netip.Prefix {
		all := make(map[string][]netip.Prefix)
		for key := range c.State.Sources {
			all[c.Lines[key.Line]] = append(all[c.Lines[key.Line]], key.Prefix)
		}
		return all
	}
	before, after := sources(w.was), sources(w.is)
	byEffect := make(map[Severity][]string)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] == nil {
			continue // the line is new, or its source was not checked before
		}
		added, removed := missing(after[name], before[name]), missing(before[name], after[name])
		if len(added)+len(removed) == 0 {
			continue
		}
		var e effect
		if w.was.State.SourceChecks[w.old.groups[was[name].group]] == pipeline.SourceDrop && w.is.State.SourceChecks[w.new.groups[is[name].group]] == pipeline.SourceDrop {
			e = effect{stops: len(removed) > 0, opens: len(added) > 0}
		}
		byEffect[e.severity()] = append(byEffect[e.severity()], name)
	}
	for _, severity := range []Severity{Stops, Opens, Neutral} {
		if list := byEffect[severity]; list != nil {
			what := "other addresses for the source check"
			w.sum(OfLine, severity, len(list), "lines: "+what, "", fmt.Sprintf("%s: %s", linesNamed(list), what))
		}
	}
}

// exemptions reports the exemptions that change on this switch.
func (w *words) exemptions() {
	was, is := exemptByName(w.was), exemptByName(w.is)
	var all []item
	add := func(severity Severity, what, before, date string, e compile.Exempt, owner, text string) {
		kind := "exemptions of prefixes "
		if e.Line != "" {
			kind = "exemptions of lines "
		}
		all = append(all, item{severity, kind + what, holder(e.Exemption), text, before, date, owner})
	}
	ended := make(map[string]string, len(w.is.Expired)) // the dates at which exemptions ended, by their holders
	for _, e := range w.is.Expired {
		if who := holder(e); ended[who] == "" {
			ended[who] = e.Expires.String()
		}
	}
	for _, who := range slices.Sorted(maps.Keys(is)) {
		now := is[who]
		old, there := was[who]
		if !there {
			add(w.exemptEffect(w.old, w.wasLines, now, Opens), "added", "until ", now.Expires.String(), now, now.Owner,
				fmt.Sprintf("%s added until %v, owner %s", exemptText(now), now.Expires, now.Owner))
			continue
		}
		added, removed := missing(now.Prefixes, old.Prefixes), missing(old.Prefixes, now.Prefixes)
		var news []string
		severity := Neutral
		if len(added)+len(removed) > 0 {
			news = append(news, plusMinus(len(added), len(removed), "prefix"))
			if len(added) > 0 {
				severity = w.exemptEffect(w.old, w.wasLines, now, Opens)
			}
			if len(removed) > 0 {
				severity = w.exemptEffect(w.new, w.isLines, old, Stops)
			}
		}
		for _, x := range []struct{ key, old, now string }{
			{"until", old.Expires.String(), now.Expires.String()},
			{"owner", old.Owner, now.Owner},
			{"reason", old.Reason, now.Reason},
			{"ticket", orNone(old.Ticket), orNone(now.Ticket)},
			{"review", reviewText(old), reviewText(now)},
		} {
			if x.old != x.now {
				news = append(news, fmt.Sprintf("%s %s -> %s", x.key, x.old, x.now))
			}
		}
		if news != nil {
			add(severity, "changed", "", "", now, "", fmt.Sprintf("%s: %s", exemptText(now), strings.Join(news, ", ")))
		}
	}
	for _, who := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[who]; there {
			continue
		}
		old := was[who]
		how, what := "removed", "removed"
		if ended[who] != "" {
			how, what = "ended "+ended[who], "ended"
		}
		add(w.exemptEffect(w.new, w.isLines, old, Stops), what, "", ended[who], old, old.Owner, fmt.Sprintf("%s %s, owner %s", exemptText(old), how, old.Owner))
	}
	w.each(OfExemption, all)
}

func reviewText(e compile.Exempt) string {
	if e.Review.IsZero() {
		return orNone("")
	}
	return e.Review.String()
}

// orNone returns s, or "none" if s is empty.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// exemptEffect returns the effect on mail of adding or removing an exemption. The effect is Neutral if the switch stops no port 25 mail
// of the exempt lines even without the exemption. Otherwise the effect is does.
func (w *words) exemptEffect(without *judge, lines map[string]standingLine, e compile.Exempt, does Severity) Severity {
	groups := append(slices.Collect(maps.Keys(without.groups)), "")
	if e.Line != "" {
		groups = []string{lines[e.Line].group}
	}
	if slices.ContainsFunc(groups, without.stopsSMTP) {
		return does
	}
	return Neutral
}

// holder returns the line or the prefix that an exemption exempts.
func holder(e policy.Exemption) string {
	if e.Line != "" {
		return "line " + e.Line
	}
	return e.Prefix.String()
}

// exemptText describes an exemption with its holder and its prefixes.
func exemptText(e compile.Exempt) string {
	if e.Line == "" {
		return "exemption of " + holder(e.Exemption)
	}
	return fmt.Sprintf("exemption of %s (%s)", holder(e.Exemption), prose.List(texts(e.Prefixes, netip.Prefix.String), maxNamed))
}

func exemptByName(c *compile.Compiled) map[string]compile.Exempt {
	all := make(map[string]compile.Exempt, len(c.Exempt))
	for _, e := range c.Exempt {
		all[holder(e.Exemption)] = e
	}
	return all
}
