package reconcile

import (
	"maps"
	"net/netip"
	"slices"
	"sync"

	"op25b/internal/pipeline"
)

// A moment is when an entry is changed: see the package comment.
type moment uint8

const (
	early moment = iota // before the flip, and before what is in the middle
	middle
	late    // after the flip, and after what is in the middle
	byAlias // an alias early, and late what it stands for
)

// A move is one entry that gives out numbers and is added, changed or removed.
type move struct {
	d        pipeline.Dimension
	from, to number          // of what the entry matches, before and after
	old, new *pipeline.Entry // nil for one that is added, and for one that is removed
	when     moment
	// stand is what is there between early and late, for byAlias. Where it is nil and an alias is needed one has to be found.
	stand *pipeline.Entry
}

// A number is what rules know something by.
type number struct {
	n    uint8
	home pipeline.LineIndex // the only line that has the number, of a subscriber's class; 0 is any
}

func numberOf(e pipeline.Entry, ok bool) number {
	_, n, numbered := e.Number()
	if !ok || !numbered || n == 0 {
		return number{}
	}
	return number{n, e.Home()}
}

// entry is the move's entry, the new one if there is one.
func (m *move) entry() pipeline.Entry {
	if m.new != nil {
		return *m.new
	}
	return *m.old
}

// moves are the changes of entries that give out numbers, where a switch has the entries before and is to have those after.
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
	// Indexes are large, and often nobody asks them.
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

// numbers says what the rules of one set make of each number.
type numbers struct {
	rules []pipeline.Entry
	named [pipeline.Dimensions]map[uint8][]says // what rules say that name a number, but for the number
	top   int32                                 // the highest priority of a rule that does not let everything pass
	check map[uint8]pipeline.Value              // the source check of each line group that has one
}

// says is what a rule says of a number that it names.
type says struct {
	where pipeline.Key // what it matches beside the number
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

// alike says whether the rules, and the source checks, treat two numbers of a dimension alike.
func (n *numbers) alike(d pipeline.Dimension, a, b uint8) bool {
	return a == b || slices.Equal(n.named[d][a], n.named[d][b]) && (d != pipeline.ByGroup || n.check[a] == n.check[b])
}

// unnamed says whether no rule names a number.
func (n *numbers) unnamed(d pipeline.Dimension, a uint8) bool { return len(n.named[d][a]) == 0 }

// permits returns what the rules that name a number match beside it, if these let everything pass, stand above all that do not, and name no
// number of a dimension other than the service; ok is false otherwise, or if there are none.
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

// privileged says whether both rule sets only ever permit a number, and permit the same by it, and whether both policies check sources by it
// alike: a check stops what rules permit, and it may change while a line has yet to come to the number or is about to leave it.
func privileged(d pipeline.Dimension, a uint8, old, new *numbers) bool {
	before, ok := old.permits(d, a)
	after, still := new.permits(d, a)
	return ok && still && maps.Equal(before, after) && (d != pipeline.ByGroup || old.check[a] == new.check[a])
}

type numberOfDimension struct {
	d pipeline.Dimension
	n uint8
}

// schedule decides when each move is made, if the rules old come before it and new after. It returns in how many dimensions there are moves
// that make a difference at any moment; these are in the middle.
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
		// What is no service passes, but for port 25 of servers, which always is one. So a packet of a port that becomes a service is
		// harmed by nothing but being stopped too early, and one of a port that ceases to be one by being stopped too long.
		case m.d == pipeline.ByService && m.old == nil:
			m.when = late
			left[m.d] = true
		case m.d == pipeline.ByService && m.new == nil:
			m.when = early
			left[m.d] = true
		// A prefix that is taken away leaves its addresses to the one around it, which may itself be about to change; and one that is yet to
		// be added does so too. So what is removed is never removed early, and what is added is never added late.
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

// sameHome says whether all lines go from the same number to the same number by the move.
func (m *move) sameHome() bool { return m.from.home == m.to.home || m.from.n == 0 || m.to.n == 0 }

// gains says whether by the move some lines gain a class, and none loses one that rules name.
func (m *move) gains(old *numbers) bool {
	return old.unnamed(m.d, m.from.n) && m.sameHome() || m.from.n == m.to.n && m.to.home == 0
}

// loses says whether by the move some lines lose a class, and none gains one that rules name.
func (m *move) loses(new *numbers) bool {
	return new.unnamed(m.d, m.to.n) && m.sameHome() || m.from.n == m.to.n && m.from.home == 0
}

// meanwhile is the home of what stands in for the entry. Between a class that is one line's and one that is any line's it is any line's: such
// classes are only ever permits, and one of the two policies permits them to every line.
func (m *move) meanwhile() pipeline.LineIndex {
	if !m.sameHome() && (m.from.home == 0 || m.to.home == 0) {
		return 0
	}
	return m.entry().Home()
}

// standAs has the entry of the move stand, between early and late, as another number.
func (m *move) standAs(n number) {
	stand := m.entry().WithNumber(n.n)
	if m.d == pipeline.BySubscriber {
		stand = stand.WithHome(n.home)
	}
	m.when, m.stand = byAlias, &stand
}

// overlapping are the moves of prefixes that lie within or around the prefix of another move of the same dimension.
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
