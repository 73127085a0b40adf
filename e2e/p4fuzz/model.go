package p4fuzz

import (
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// Answers are the codes with which a switch answers each mutation; OK where it has to take it, or does not notice it.
type Answers map[Mutation]codes.Code

// A Model is what a switch must hold, and judges what is written to it. It takes the updates of a batch in their order, as the switches
// under test do; the specification (section 12.1) lets them choose another, so a client must not rely on it.
type Model struct {
	program *Program
	answers Answers
	habits  Habits

	entries  map[string]*p4v1.TableEntry // by key; what stands in them is canonical
	keys     []string                    // of entries, in an order that a seed repeats
	at       map[string]int              // place of a key in keys
	count    map[uint32]int              // entries by table
	sizes    map[uint32]int              // of tables that hold fewer than the P4Info says
	defaults map[uint32]*p4v1.TableEntry
	groups   map[uint32]*p4v1.MulticastGroupEntry
	texts    map[string]string // what the switch is to show, by key of any kind
}

// NewModel is a switch that has just been given a program.
func NewModel(p *Program, a Answers, h Habits) *Model {
	m := &Model{
		program: p, answers: a, habits: h,
		entries: map[string]*p4v1.TableEntry{}, at: map[string]int{}, count: map[uint32]int{}, sizes: map[uint32]int{},
		defaults: map[uint32]*p4v1.TableEntry{}, groups: map[uint32]*p4v1.MulticastGroupEntry{}, texts: map[string]string{},
	}
	for _, t := range p.tables {
		m.setDefault(t, t.initial, nil)
	}
	return m
}

// A Judgement is what a model says of one update.
type Judgement struct {
	Mutations []Mutation
	Allowed   []codes.Code // any of them is right
	apply     func()
}

// Allows says whether a code is right.
func (j Judgement) Allows(c codes.Code) bool { return slices.Contains(j.Allowed, c) }

// Judge says what is irregular about an update, and how the switch must answer it. It changes nothing.
func (m *Model) Judge(u *p4v1.Update) Judgement {
	var s sight
	if op := u.GetType(); op == p4v1.Update_UNSPECIFIED {
		s.key = append(s.key, NoUpdateType)
	} else if op > p4v1.Update_DELETE || op < 0 {
		s.key = append(s.key, UnknownUpdateType)
	}
	switch e := u.GetEntity().GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		m.lookEntry(&s, u.GetType(), e.TableEntry)
	case *p4v1.Entity_DirectCounterEntry:
		m.lookDirectCounter(&s, u.GetType(), e.DirectCounterEntry)
	case *p4v1.Entity_DirectMeterEntry:
		m.lookDirectMeter(&s, u.GetType(), e.DirectMeterEntry)
	case *p4v1.Entity_PacketReplicationEngineEntry:
		m.lookGroup(&s, u.GetType(), e.PacketReplicationEngineEntry.GetMulticastGroupEntry())
	default:
		s.key = append(s.key, NoEntity)
	}
	j := Judgement{Mutations: slices.Concat(s.key, s.rest)}
	if !slices.ContainsFunc(s.key, m.refused) {
		j.Mutations = append(j.Mutations, s.state...) // a key that is refused is not looked up
	}
	slices.Sort(j.Mutations)
	j.Mutations = slices.Compact(j.Mutations)
	for _, f := range j.Mutations {
		if c := m.answers[f]; c != codes.OK && !slices.Contains(j.Allowed, c) {
			j.Allowed = append(j.Allowed, c)
		}
	}
	if len(j.Allowed) == 0 {
		j.Allowed, j.apply = []codes.Code{codes.OK}, s.apply
	}
	return j
}

func (m *Model) refused(f Mutation) bool { return m.answers[f] != codes.OK }

// A sight is what was found in an update: in its kind and key, in the rest of it, and in how it meets what is installed.
type sight struct {
	key, rest, state []Mutation
	apply            func()
}

func (m *Model) insert(e *p4v1.TableEntry) {
	key := m.program.keyText(e)
	if old, ok := m.at[key]; ok {
		m.entries[m.keys[old]] = e
	} else {
		m.at[key] = len(m.keys)
		m.keys = append(m.keys, key)
		m.entries[key] = e
		m.count[e.GetTableId()]++
	}
	m.setText(e)
}

func (m *Model) setText(e *p4v1.TableEntry) {
	text := m.program.entryText(e)
	if m.habits.NoIsConst {
		text = strings.TrimSuffix(text, isConst)
	}
	m.texts[m.program.keyText(e)] = text
}

func (m *Model) remove(key string) {
	i, last := m.at[key], len(m.keys)-1
	m.keys[i] = m.keys[last]
	m.at[m.keys[i]] = i
	m.keys = m.keys[:last]
	m.count[m.entries[key].GetTableId()]--
	delete(m.at, key)
	delete(m.entries, key)
	delete(m.texts, key)
}

// setDefault takes nil for the program's own.
func (m *Model) setDefault(t *table, a *p4v1.Action, metadata []byte) {
	if a == nil {
		a = t.initial
	}
	if a == nil {
		return // nobody knows it
	}
	e := &p4v1.TableEntry{TableId: t.id, IsDefaultAction: true, IsConst: t.constDefault, Metadata: metadata, Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}}
	m.defaults[t.id] = e
	m.setText(e)
}

func (m *Model) setGroup(g *p4v1.MulticastGroupEntry) {
	m.groups[g.GetMulticastGroupId()] = g
	m.texts[groupKey(g)] = groupText(g)
}

func (m *Model) removeGroup(id uint32) {
	delete(m.texts, groupKey(m.groups[id]))
	delete(m.groups, id)
}

// size is how many entries a table holds.
func (m *Model) size(t *table) int {
	if n, ok := m.sizes[t.id]; ok {
		return n
	}
	return t.size
}

// Adopt takes over what the program itself installs, from a first reading. To a table with entries of its own, p4c gives just their number as
// its size, whatever the P4Info says.
func (m *Model) Adopt(entities []*p4v1.Entity) {
	for _, x := range entities {
		if e := x.GetTableEntry(); e != nil && !e.GetIsDefaultAction() {
			e = clone(e)
			e.IsConst = e.GetIsConst() || m.program.byID[e.GetTableId()].isConst
			m.insert(e)
			m.sizes[e.GetTableId()] = m.count[e.GetTableId()]
		}
	}
}

// Installed is how many entries and groups there are.
func (m *Model) Installed() int { return len(m.keys) + len(m.groups) }

// Compare returns an error that names every difference between what a switch showed and what it must hold.
func (m *Model) Compare(entities []*p4v1.Entity) error {
	var faults []string
	seen := map[string]bool{}
	for _, x := range entities {
		key, text := m.program.describe(x)
		switch want, ok := m.texts[key]; {
		case seen[key]:
			faults = append(faults, fmt.Sprintf("shown twice: %s", key))
		case x.GetTableEntry().GetIsDefaultAction() && !ok:
			continue // the P4Info does not say what it is
		case !ok:
			faults = append(faults, fmt.Sprintf("should not be there: %s%s", key, text))
		case want != text:
			faults = append(faults, fmt.Sprintf("%s is%s, should be%s", key, text, want))
		}
		seen[key] = true
	}
	for key, want := range m.texts {
		if !seen[key] {
			faults = append(faults, fmt.Sprintf("missing: %s%s", key, want))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	const most = 8
	text := ""
	for _, f := range faults[:min(most, len(faults))] {
		text += "\n  " + f
	}
	return fmt.Errorf("the switch and the model differ in %d places:%s", len(faults), text)
}
