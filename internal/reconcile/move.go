package reconcile

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"op25b/internal/pipeline"
)

// A moment is the time at which an entry changes. See the package comment.
type moment uint8

const (
	early moment = iota // before the flip and before the middle
	middle
	late    // after the flip and after the middle
	byAlias // early to the alias, and late to the final number
)

// A move adds, changes or removes one entry that assigns a number.
type move struct {
	d        pipeline.Dimension
	from, to number          // the numbers of the packets that the entry matches, before and after
	old, new *pipeline.Entry // old is nil for an added entry, and new is nil for a removed entry
	when     moment
	// stand is the temporary entry between early and late if when is byAlias. It is nil until standAs sets it.
	stand *pipeline.Entry
}

// A number is the number that an entry assigns to packets, and that rules match.
type number struct {
	n    uint8
	home pipeline.LineIndex // for a subscriber's class, the only line to which the class applies; 0 means every line
}

func numberOf(e pipeline.Entry, ok bool) number {
	_, n, numbered := e.Number()
	if !ok || !numbered || n == 0 {
		return number{}
	}
	return number{n, e.Home()}
}

// entry returns the new entry, or the old entry if the move removes it.
func (m *move) entry() pipeline.Entry {
	if m.new != nil {
		return *m.new
	}
	return *m.old
}

// moves returns a move for each added, removed or changed entry that assigns a number. before and after are all entries of the switch
// before and after the change.
func moves(added, removed []pipeline.Entry, changed []Change, before, after []pipeline.Entry) []*move {
	slab := make([]move, 0, len(added)+len(changed)+len(removed))
	add := func(old, new *pipeline.Entry) {
		of := new
		if of == nil {
			of = old
		}
		if d, _, ok := of.Number(); ok {
			slab = append(slab, move{d: d, old: old, new: new})
		}
	}
	for i := range added {
		add(nil, &added[i])
	}
	for i := range changed {
		add(&changed[i].Old, &changed[i].New)
	}
	for i := range removed {
		add(&removed[i], nil)
	}
	all := make([]*move, len(slab))
	for i := range slab {
		all[i] = &slab[i]
	}
	// The indexes are large and often not needed, so they are built on demand.
	was := sync.OnceValue(func() *pipeline.Index { return pipeline.NewIndex(before) })
	is := sync.OnceValue(func() *pipeline.Index { return pipeline.NewIndex(after) })
	for _, m := range all {
		if m.old != nil {
			m.from = numberOf(*m.old, true)
		} else {
			m.from = numberOf(was().Under(*m.new))
		}
		if m.new != nil {
			m.to = numberOf(*m.new, true)
		} else {
			m.to = numberOf(is().Under(*m.old))
		}
	}
	return all
}

// numbers describes how a rule set treats each number.
type numbers struct {
	rules []pipeline.Entry
	named [pipeline.Dimensions]map[uint8][]says // the rules that match each number
	top   int32                                 // the highest priority of any rule that can stop packets
	check map[uint8]pipeline.Value              // the source checks of line groups, by the group's number
}

// says is a rule that matches a number, with the number removed so that rules for different numbers can be compared.
type says struct {
	where pipeline.Key // the rule's match without the number
	does  pipeline.Value
}

func read(rules, fixed []pipeline.Entry) *numbers {
	n := &numbers{rules: rules, check: map[uint8]pipeline.Value{}}
	for _, e := range fixed {
		if is, _ := e.IsSourceCheck(); is {
			n.check[uint8(e.CheckedGroup())] = e.Value
		}
	}
	for d := range pipeline.Dimensions {
		n.named[d] = map[uint8][]says{}
		for _, r := range rules {
			if number, ok := r.Names(d); ok {
				n.named[d][number] = append(n.named[d][number], says{r.Naming(d, 0).RuleKey(), r.Value})
			}
		}
		for _, all := range n.named[d] {
			slices.SortFunc(all, func(a, b says) int { return a.where.Compare(b.where) })
		}
	}
	for _, r := range rules {
		if !r.Lets() {
			n.top = max(n.top, r.Priority())
		}
	}
	return n
}

// alike reports whether the rules and the source checks treat two numbers of a dimension alike.
func (n *numbers) alike(d pipeline.Dimension, a, b uint8) bool {
	return a == b || slices.Equal(n.named[d][a], n.named[d][b]) && (d != pipeline.ByGroup || n.check[a] == n.check[b])
}

// unnamed reports whether no rule matches a number of a dimension.
func (n *numbers) unnamed(d pipeline.Dimension, a uint8) bool { return len(n.named[d][a]) == 0 }

// permits returns the matches, without the number, of the rules that match a number. ok is true only if there are such rules, they pass
// all packets, they have a higher priority than every rule that stops packets, and they match no dimension other than d and the service.
func (n *numbers) permits(d pipeline.Dimension, a uint8) (matches map[pipeline.Key]bool, ok bool) {
	matches = map[pipeline.Key]bool{}
	for _, r := range n.rules {
		if number, named := r.Names(d); !named || number != a {
			continue
		}
		if !r.Lets() || r.Priority() <= n.top || !r.NamesOnly(d, pipeline.ByService) {
			return nil, false
		}
		matches[r.Naming(d, 0).RuleMatch()] = true
	}
	return matches, len(matches) > 0
}

// privileged reports whether the rules of both policies only permit a number, permit the same traffic for it, and check its sources
// alike. The source check matters because it stops packets that rules permit, and may change before a line gets or loses the number.
func privileged(d pipeline.Dimension, a uint8, old, new *numbers) bool {
	before, ok := old.permits(d, a)
	after, still := new.permits(d, a)
	return ok && still && maps.Equal(before, after) && (d != pipeline.ByGroup || old.check[a] == new.check[a])
}

type numberOfDimension struct {
	d pipeline.Dimension
	n uint8
}

// schedule chooses the moment of each move in a change from the rules old to the rules new. A move that makes a difference at any other
// moment is made in the middle. schedule returns the number of dimensions in which the order of moves matters.
func schedule(all []*move, old, new *numbers) (dimensions int) {
	left := map[pipeline.Dimension]bool{}
	nested := overlapping(all)
	known := map[numberOfDimension]bool{}
	privileged := func(d pipeline.Dimension, n uint8) bool {
		is, asked := known[numberOfDimension{d, n}]
		if !asked {
			is = privileged(d, n, old, new)
			known[numberOfDimension{d, n}] = is
		}
		return is
	}
	servicesMove := slices.ContainsFunc(all, func(m *move) bool { return m.d == pipeline.ByService && m.from != m.to })
	for _, m := range all {
		alone := !nested[m] && !servicesMove
		switch {
		case m.from == m.to && m.new == nil:
			m.when = late
		case m.from == m.to:
			m.when = early
		// A packet without a service passes, unless it is to or from port 25 of a server, and that port always has a service. The only
		// possible harm is therefore to stop packets of a port before it gets a service, or after it has lost it.
		case m.d == pipeline.ByService && m.old == nil:
			m.when = late
			left[m.d] = true
		case m.d == pipeline.ByService && m.new == nil:
			m.when = early
			left[m.d] = true
		// While a prefix is absent, its addresses match the surrounding prefix, which may also be about to change. A prefix is therefore
		// never removed early and never added late.
		case m.new != nil && m.sameHome() && old.alike(m.d, m.from.n, m.to.n):
			m.when = early
		case m.old != nil && m.sameHome() && new.alike(m.d, m.from.n, m.to.n):
			m.when = late
		case alone && m.gains(old) && privileged(m.d, m.to.n):
			m.when = early
			if m.new == nil {
				m.standAs(m.to)
			}
		case alone && m.loses(new) && privileged(m.d, m.from.n):
			m.when = late
			if m.old == nil {
				m.standAs(m.from)
			}
		default:
			m.when = middle
			left[m.d] = true
		}
	}
	return len(left)
}

// sameHome reports whether the move affects all lines in the same way.
func (m *move) sameHome() bool { return m.from.home == m.to.home || m.from.n == 0 || m.to.n == 0 }

// gains reports whether the move gives a class to some lines, and takes from no line a class that rules name.
func (m *move) gains(old *numbers) bool {
	return old.unnamed(m.d, m.from.n) && m.sameHome() || m.from.n == m.to.n && m.to.home == 0
}

// loses reports whether the move takes a class from some lines, and gives no line a class that rules name.
func (m *move) loses(new *numbers) bool {
	return new.unnamed(m.d, m.to.n) && m.sameHome() || m.from.n == m.to.n && m.from.home == 0
}

// meanwhile returns the line to which the alias applies. If the move is between a class of one line and a class of every line, the alias
// applies to every line. This is safe because rules only permit such classes, and one of the two policies permits them for every line.
func (m *move) meanwhile() pipeline.LineIndex {
	if !m.sameHome() && (m.from.home == 0 || m.to.home == 0) {
		return 0
	}
	return m.entry().Home()
}

// standAs makes the move by alias: the entry has the number n between early and late.
func (m *move) standAs(n number) {
	stand := m.entry().WithNumber(n.n)
	if m.d == pipeline.BySubscriber {
		stand = stand.WithHome(n.home)
	}
	m.when, m.stand = byAlias, &stand
}

// overlapping returns the moves whose prefix contains, or is contained in, the prefix of another move of the same dimension.
func overlapping(all []*move) map[*move]bool {
	nested := map[*move]bool{}
	if !lengthsDiffer(func(yield func(pipeline.Entry) bool) {
		for _, m := range all {
			if m.from != m.to && !yield(m.entry()) {
				return
			}
		}
	}) {
		return nested
	}
	type key struct {
		d pipeline.Dimension
		p netip.Prefix
	}
	var entries []pipeline.Entry
	at := map[key]*move{}
	for _, m := range all {
		if p, ok := m.entry().Prefix(); ok && m.from != m.to {
			at[key{m.d, p}] = m
			entries = append(entries, m.entry())
		}
	}
	index := pipeline.NewIndex(entries)
	for k, m := range at {
		if outer, ok := index.Around(k.d, k.p); ok {
			nested[m], nested[at[key{k.d, outer}]] = true, true
		}
	}
	return nested
}
