package meaning

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/view/prose"
)

// A Sentence states one consequence of a change, for the operator who approves the change.
type Sentence struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	// Count is the number of lines or exemptions that the sentence sums up. What is the sentence without this number, names and terms, and Terms
	// are the dates and owners of exemptions. All three are zero if the sentence sums nothing up.
	Count int    `json:"count,omitempty"`
	What  string `json:"what,omitempty"`
	Terms string `json:"terms,omitempty"`
}

// A Severity is the effect of a change on mail.
type Severity string

// The severities of a sentence.
const (
	Stops   Severity = "stops"   // some mail that passed is stopped; other mail may newly pass
	Opens   Severity = "opens"   // some mail that was stopped passes, and no mail that passed is stopped
	Neutral Severity = "neutral" // the change neither stops nor opens mail
)

// A Kind is the subject of a sentence.
type Kind string

// The kinds of sentences.
const (
	OfPhase     Kind = "phase"     // phases in force
	OfVerdict   Kind = "verdict"   // outcomes for mail
	OfClass     Kind = "class"     // classes of servers
	OfService   Kind = "service"   // services and their ports
	OfGroup     Kind = "group"     // line groups, their knobs and rates
	OfLine      Kind = "line"      // lines
	OfExemption Kind = "exemption" // exemptions
	OfLease     Kind = "lease"     // leases
	OfSwitch    Kind = "switch"    // ports, stations and addresses of the switch
)

// maxNamed is the number of names that a sentence lists. If there are more, the sentence gives the number of the remaining names.
const maxNamed = 5

// Of returns the consequences of replacing the old state of a switch with the new one. Sentences with severity Stops come first, then
// Opens, then Neutral. A nil old means an empty switch, which stops only mail to or from port 25.
//
// The sentences about mail are complete. If the outcome changes for a line group, TCP port and class of servers, a sentence of kind
// OfVerdict states the change. If the outcome changes in another way for lines with a lease, a sentence states that too. Changes of numbers, and
// changes of priorities that have no effect, are not reported.
//
// If more than single exemptions change, or as many lines are moved or renamed, Of sums them up.
func Of(old, new *compile.Compiled, single int) []Sentence {
	w := &words{old: newJudge(old), new: newJudge(new), was: old, is: new, single: single}
	if old == nil {
		w.was = &compile.Compiled{}
	}
	w.wasLines, w.isLines = linesByName(w.was), linesByName(w.is)
	w.moves, w.stay = w.classMoves()
	w.phases()
	w.verdicts()
	w.classes()
	w.services()
	w.groups()
	w.lines()
	w.exemptions()
	w.leases()
	w.device()
	rank := func(s Sentence) int { return slices.Index([]Severity{Stops, Opens, Neutral}, s.Severity) }
	slices.SortStableFunc(w.sentences, func(a, b Sentence) int { return cmp.Compare(rank(a), rank(b)) })
	return w.sentences
}

// words collects the sentences that describe a change.
type words struct {
	old, new  *judge
	was, is   *compile.Compiled // for an empty switch, was points to a zero Compiled
	wasLines  map[string]standingLine
	isLines   map[string]standingLine
	moves     []classMove
	stay      map[string][]netip.Prefix // the addresses that stay in each class; see classMoves
	single    int                       // the largest number of exemptions or lines that have a sentence each
	sentences []Sentence
}

func (w *words) say(kind Kind, severity Severity, format string, args ...any) {
	w.sentences = append(w.sentences, Sentence{Kind: kind, Severity: severity, Text: fmt.Sprintf(format, args...)})
}

// empty reports whether the old state is that of an empty switch.
func (w *words) empty() bool { return w.was.Switch == "" }

// sharedGroups returns "" for unnamed lines, followed by the line groups that both states have. An empty switch treats all lines
// alike, and therefore counts as having every group.
func (w *words) sharedGroups() []string {
	shared := []string{""}
	for _, name := range slices.Sorted(maps.Keys(w.new.groups)) {
		if _, both := w.old.groups[name]; both || w.empty() {
			shared = append(shared, name)
		}
	}
	return shared
}

// An effect records whether a change stops mail and whether it opens mail.
type effect struct{ stops, opens bool }

func (e *effect) add(old, new policy.Action) {
	e.stops = e.stops || stoppage(new) > stoppage(old)
	e.opens = e.opens || stoppage(new) < stoppage(old)
}

func (e effect) severity() Severity {
	switch {
	case e.stops:
		return Stops
	case e.opens:
		return Opens
	}
	return Neutral
}

// effectOn adds to e the effect on all mail between lines that move from oldGroup to newGroup and servers that move from oldClass to
// newClass.
func (w *words) effectOn(e *effect, oldGroup, newGroup, oldClass, newClass string) {
	for _, port := range w.ports() {
		for _, leg := range policy.Legs() {
			e.add(w.old.port(port, leg, oldGroup, oldClass).action, w.new.port(port, leg, newGroup, newClass).action)
		}
	}
}

// ports returns the TCP ports of all services in either state, in ascending order.
func (w *words) ports() []policy.TCPPort {
	all := maps.Clone(w.new.services)
	maps.Copy(all, w.old.services)
	return slices.Sorted(maps.Keys(all))
}

func (w *words) phases() {
	if was, is := w.was.InForce.String(), w.is.InForce.String(); was != is {
		if w.empty() {
			was = "none"
		}
		w.say(OfPhase, Neutral, "phase in force: %s -> %s", was, is)
	}
	switch was, is := w.was.State.SynOnly, w.is.State.SynOnly; {
	case is && !was:
		w.say(OfPhase, Opens, "drain begins: what rules drop or reject is new connections alone")
	case was && !is:
		w.say(OfPhase, Stops, "drain ends: what rules drop or reject is connections that are open already, too")
	}
}

// linesOf describes the lines of the given groups.
func linesOf(groups []string) string {
	named := slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g == "" })
	switch {
	case len(named) == 0:
		return "lines of no group"
	case len(named) < len(groups):
		return prose.List(named, maxNamed) + " lines and those of no group"
	}
	return prose.List(named, maxNamed) + " lines"
}

// texts renders each item of a list.
func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, item := range list {
		out[i] = text(item)
	}
	return out
}
