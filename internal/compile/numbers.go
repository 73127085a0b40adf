package compile

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// NumbersVersion is the version of the stored form of Numbers.
const NumbersVersion = 1

// Numbers maps each name in the documents to its numeric id on the switches, because table entries and counters contain only numbers. A
// name keeps its number in later versions of the documents, even if its position in a list changes or if it is absent for a time.
//
// Numbers is stored as JSON with the documents. Its maps are read-only.
type Numbers struct {
	Version    int              `json:"version"`
	LineGroups Given            `json:"lineGroups"`       // 1 to 255
	Services   Given            `json:"services"`         // 1 to pipeline.LastService
	Remotes    Given            `json:"remotes"`          // 1 to 255
	Leases     Given            `json:"leases,omitempty"` // from the first class after SubscriberExempt to 255
	Rules      Given            `json:"rules"`            // from the first id after the standing rules to pipeline.LastRule
	Lines      map[string]Given `json:"lines"`            // by switch; 1 to pipeline.MaxLineIndex
}

// Given maps the names of one kind to their numbers.
type Given map[string]Numbered

// A Numbered is the number of one name.
type Numbered struct {
	Number uint16 `json:"number"`
	// Gone is 0 while the documents have the name. In the first numbering without the name, Gone is 1, and each further numbering adds 1.
	Gone uint32 `json:"gone,omitempty"`
	// Place is the place of a line that is present (see linePlace). A new name at the place of a line that has just left is recognised as a
	// rename.
	Place string `json:"place,omitempty"`
}

// A span is the range of numbers for one kind of name.
type span struct {
	kind        string
	first, last uint16
}

var (
	groupSpan   = span{"line group", 1, policy.MaxLineGroups}
	serviceSpan = span{"service", 1, uint16(policy.MaxServices)}
	remoteSpan  = span{"remote class", 1, policy.MaxRemotes}
	leaseSpan   = span{"lease", uint16(SubscriberExempt) + 1, math.MaxUint8}
	lineSpan    = span{"line", 1, uint16(pipeline.MaxLineIndex)}
)

// ruleSpan returns the range of ids for the rules of phases, which begins after the ids of the standing rules.
func ruleSpan() span {
	return span{"rule", uint16(pipeline.FirstRule) + uint16(len(policy.StandingRules())), uint16(pipeline.LastRule)}
}

// Number assigns numbers to the names in the documents. A name that has a number in prev keeps it, even while the documents do not have the
// name. A new name gets the lowest unused number. If no number is unused, Number forgets the name that has been absent the longest and
// reuses its number. If prev is nil, names are numbered in the order of the documents, and rules in order of first appearance.
//
// A line whose name changes keeps its index. Number recognises a rename if a line leaves the documents and a new line appears at the same
// place (port, VLANs and PPPoE session) in the same revision.
//
// Number returns ErrNumbers if prev is inconsistent, and ErrNoNumber if the documents have more names of one kind than there are numbers.
func Number(prev *Numbers, b *policy.Bundle) (*Numbers, error) {
	n, err := numberPolicy(prev, b.Policy)
	if err != nil {
		return nil, err
	}
	if prev == nil {
		prev = &Numbers{}
	}
	for name, was := range prev.Lines {
		n.Lines[name] = was
	}
	for i := range b.Inventory.Switches {
		sw := &b.Inventory.Switches[i]
		if n.Lines[sw.Name], err = numberLines(prev.Lines[sw.Name], sw); err != nil {
			return nil, err
		}
	}
	for name, was := range prev.Lines {
		if _, there := b.Inventory.Switch(name); !there {
			n.Lines[name], _ = lineSpan.give(was, nil, nil) // cannot fail without new names
		}
	}
	return n, nil
}

// numberPolicy numbers the names in a policy, whose numbers are the same on all switches.
func numberPolicy(prev *Numbers, p *policy.Policy) (*Numbers, error) {
	if prev == nil {
		prev = &Numbers{Version: NumbersVersion}
	}
	if err := prev.check(); err != nil {
		return nil, err
	}
	n := &Numbers{Version: NumbersVersion, Lines: make(map[string]Given, len(prev.Lines))}
	for _, x := range []struct {
		of    span
		was   Given
		Names []string
		is    *Given
	}{
		{groupSpan, prev.LineGroups, policy.Names(p.LineGroups), &n.LineGroups},
		{serviceSpan, prev.Services, policy.Names(p.Services), &n.Services},
		{remoteSpan, prev.Remotes, policy.Names(p.Remotes), &n.Remotes},
		{leaseSpan, prev.Leases, policy.Names(p.Leases), &n.Leases},
		{ruleSpan(), prev.Rules, ruleNames(p), &n.Rules},
	} {
		var err error
		if *x.is, err = x.of.give(x.was, x.Names, nil); err != nil {
			return nil, err
		}
	}
	if len(n.Leases) == 0 {
		n.Leases = nil // as it is read from the stored form
	}
	return n, nil
}

// numberLines numbers the lines of one switch.
func numberLines(prev Given, sw *policy.Switch) (Given, error) {
	places := make([]string, len(sw.Lines))
	for i, l := range sw.Lines {
		places[i] = linePlace(l)
	}
	given, err := lineSpan.give(prev, policy.Names(sw.Lines), places)
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", sw.Name, err)
	}
	return given, nil
}

// linePlace returns the place of a line in the form that Numbers stores. A port's name contains no blanks.
func linePlace(l policy.Line) string {
	return fmt.Sprintf("%s %d %d %d", l.Port, l.VLAN, l.InnerVLAN, l.PPPoE)
}

// ruleNames returns the names of the rules in all phases, in order of first appearance.
func ruleNames(p *policy.Policy) []string {
	var all []string
	seen := make(map[string]bool)
	for _, ph := range p.Phases {
		for _, r := range ph.Rules {
			if !seen[r.Name] {
				seen[r.Name] = true
				all = append(all, r.Name)
			}
		}
	}
	return all
}

// give numbers the names of one kind. places is nil or has a place for each name.
func (s span) give(prev Given, names, places []string) (Given, error) {
	next := make(Given, max(len(prev), len(names)))
	var fresh []int // positions of names that have no number yet
	place := func(i int) string {
		if places == nil {
			return ""
		}
		return places[i]
	}
	for i, name := range names {
		if was, known := prev[name]; known {
			next[name] = Numbered{Number: was.Number, Place: place(i)}
		} else {
			fresh = append(fresh, i)
		}
	}
	left := make(map[string]string) // names of the lines that left in this numbering, by place
	for name, was := range prev {
		if _, there := next[name]; there {
			continue
		}
		next[name] = Numbered{Number: was.Number, Gone: was.Gone + 1}
		if was.Place != "" { // Place is empty if the line left in an earlier numbering
			left[was.Place] = name
		}
	}
	fresh = slices.DeleteFunc(fresh, func(i int) bool {
		old, renamed := left[place(i)]
		if renamed {
			next[names[i]] = Numbered{Number: next[old].Number, Place: place(i)}
			delete(next, old)
			delete(left, place(i))
		}
		return renamed
	})
	return next, s.giveNew(next, names, place, fresh)
}

// giveNew assigns numbers to the names at the positions in fresh.
func (s span) giveNew(next Given, names []string, place func(int) string, fresh []int) error {
	if len(fresh) == 0 {
		return nil
	}
	used := make(map[uint16]bool, len(next))
	for _, x := range next {
		used[x.Number] = true
	}
	number := s.first
	var gone []string // the names that may be forgotten, the longest absent first; computed on demand
	for _, i := range fresh {
		for number <= s.last && used[number] {
			number++
		}
		if number <= s.last {
			used[number] = true
			next[names[i]] = Numbered{Number: number, Place: place(i)}
			continue
		}
		if gone == nil {
			gone = longestGone(next)
		}
		if len(gone) == 0 {
			return fmt.Errorf("%w for %s %q: there are %d, and a switch can number %d", ErrNoNumber, s.kind, names[i], len(names), int(s.last-s.first)+1)
		}
		next[names[i]] = Numbered{Number: next[gone[0]].Number, Place: place(i)}
		delete(next, gone[0])
		gone = gone[1:]
	}
	return nil
}

// longestGone returns the names that are absent from the documents, the longest absent first.
func longestGone(given Given) []string {
	gone := make([]string, 0, len(given))
	for name, x := range given {
		if x.Gone > 0 {
			gone = append(gone, name)
		}
	}
	slices.SortFunc(gone, func(a, b string) int {
		return cmp.Or(cmp.Compare(given[b].Gone, given[a].Gone), cmp.Compare(given[a].Number, given[b].Number))
	})
	return gone
}

// check returns ErrNumbers if n has an unsupported version, if a number is outside its span, or if two names have the same number.
func (n *Numbers) check() error {
	if n.Version != NumbersVersion {
		return fmt.Errorf("%w: they have version %d, and %d is read here", ErrNumbers, n.Version, NumbersVersion)
	}
	for _, x := range []struct {
		of    span
		given Given
	}{{groupSpan, n.LineGroups}, {serviceSpan, n.Services}, {remoteSpan, n.Remotes}, {leaseSpan, n.Leases}, {ruleSpan(), n.Rules}} {
		if err := x.of.check(x.given); err != nil {
			return err
		}
	}
	for _, sw := range slices.Sorted(maps.Keys(n.Lines)) {
		if err := lineSpan.check(n.Lines[sw]); err != nil {
			return fmt.Errorf("switch %q: %w", sw, err)
		}
	}
	return nil
}

func (s span) check(given Given) error {
	of := make(map[uint16]string, len(given))
	for name, x := range given {
		if x.Number < s.first || x.Number > s.last {
			return fmt.Errorf("%w: %s %q has number %d; valid are %d to %d", ErrNumbers, s.kind, name, x.Number, s.first, s.last)
		}
		if other, again := of[x.Number]; again {
			return fmt.Errorf("%w: %s %q has number %d, which is %q's too", ErrNumbers, s.kind, max(name, other), x.Number, min(name, other))
		}
		of[x.Number] = name
	}
	return nil
}

// knows returns ErrNumbers if one of the names has no number. The error names the first of them.
func (s span) knows(given Given, names []string) error {
	for _, name := range names {
		if _, ok := given[name]; !ok {
			return fmt.Errorf("%w: %s %q has none; they are of other documents: number these first", ErrNumbers, s.kind, name)
		}
	}
	return nil
}

// knowsPolicy returns ErrNumbers if a name in a policy has no number.
func (n *Numbers) knowsPolicy(p *policy.Policy) error {
	return cmp.Or(
		groupSpan.knows(n.LineGroups, policy.Names(p.LineGroups)),
		serviceSpan.knows(n.Services, policy.Names(p.Services)),
		remoteSpan.knows(n.Remotes, policy.Names(p.Remotes)),
		leaseSpan.knows(n.Leases, policy.Names(p.Leases)),
		ruleSpan().knows(n.Rules, ruleNames(p)),
	)
}

func (n *Numbers) group(name string) pipeline.LineGroup {
	return pipeline.LineGroup(n.LineGroups[name].Number)
}

func (n *Numbers) service(name string) pipeline.Service {
	return pipeline.Service(n.Services[name].Number)
}

func (n *Numbers) remote(name string) pipeline.Class { return pipeline.Class(n.Remotes[name].Number) }

// lease returns the subscriber class of a lease.
func (n *Numbers) lease(name string) pipeline.Class { return pipeline.Class(n.Leases[name].Number) }

// rule returns the id of a standing rule or of a phase's rule.
func (n *Numbers) rule(name string) pipeline.RuleID {
	if i := slices.Index(policy.StandingRules(), name); i >= 0 {
		return pipeline.FirstRule + pipeline.RuleID(i)
	}
	return pipeline.RuleID(n.Rules[name].Number)
}

// RuleIDs returns the id of every rule that a switch may count: the standing rules, the rules of phases, also of those that have left the
// documents, and the rules that are built into the pipeline.
func (n *Numbers) RuleIDs() map[string]pipeline.RuleID {
	ids := map[string]pipeline.RuleID{
		policy.RuleFailClosed: pipeline.RuleFailClosed, policy.RuleTinyFragment: pipeline.RuleTinyFragment,
		policy.RuleLaterFragment: pipeline.RuleLaterFragment, policy.RuleUndetermined: pipeline.RuleUndetermined,
		policy.RuleSpoofed: pipeline.RuleSpoofed,
	}
	for name, given := range n.Rules {
		ids[name] = pipeline.RuleID(given.Number)
	}
	for _, name := range policy.StandingRules() {
		ids[name] = n.rule(name)
	}
	return ids
}
