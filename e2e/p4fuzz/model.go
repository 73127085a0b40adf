package p4fuzz

import (
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
)

// Answers maps each mutation to the switch's answer. OK means that the switch accepts the mutation, either because it must or because it
// does not detect the mutation.
type Answers map[Mutation]codes.Code

// A Model contains the expected state of a switch and judges writes to that switch. It processes the updates of a batch in order, as the
// switches under test do. Clients must not rely on this order, because the specification permits other orders (section 12.1).
type Model struct {
	program *Program
	answers Answers
	habits  Habits

	entries  map[string]*p4v1.TableEntry // the entries in canonical form, by key
	keys     []string                    // the keys of entries, in an order that depends only on the seed
	at       map[string]int              // the index of each key in keys
	count    map[uint32]int              // the number of entries, by table
	sizes    map[uint32]int              // the sizes of tables that can hold fewer entries than the P4Info states
	defaults map[uint32]*p4v1.TableEntry
	groups   map[uint32]*p4v1.MulticastGroupEntry
	texts    map[string]string // the expected text of each entity in a read, by key
}

// NewModel returns the model of a switch to which the program has just been pushed.
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

// A Judgement is the model's prediction for one update.
type Judgement struct {
	Mutations []Mutation
	Allowed   []codes.Code // the codes that the switch may return
	apply     func()
}

// Allows reports whether the switch may return the code.
func (j Judgement) Allows(c codes.Code) bool { return slices.Contains(j.Allowed, c) }

// Judge returns the irregularities of an update and the permitted answers. It leaves the model unchanged.
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
		j.Mutations = append(j.Mutations, s.state...) // only now, because a switch that refuses the key does not look up the entry
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

// A sight contains the irregularities of an update. key contains those of its type and key, rest those of its other parts, and state those
// with regard to the installed entries.
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

// setDefault sets a table's default entry. If a is nil, it restores the program's own default action.
func (m *Model) setDefault(t *table, a *p4v1.Action, metadata []byte) {
	if a == nil {
		a = t.initial
	}
	if a == nil {
		return // the P4Info does not contain the program's default action
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

// size returns the number of entries that a table can hold.
func (m *Model) size(t *table) int {
	if n, ok := m.sizes[t.id]; ok {
		return n
	}
	return t.size
}

// Adopt records the program's own entries, which a first read has returned. p4c sets the size of a table with such entries to their number,
// and ignores the size in the P4Info.
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

// Installed returns the number of installed entries and multicast groups.
func (m *Model) Installed() int { return len(m.keys) + len(m.groups) }

// Compare compares the entries read from a switch with the expected entries. Its error lists the differences.
func (m *Model) Compare(entities []*p4v1.Entity) error {
	var faults []string
	seen := map[string]bool{}
	for _, x := range entities {
		key, text := m.program.describe(x)
		switch want, ok := m.texts[key]; {
		case seen[key]:
			faults = append(faults, fmt.Sprintf("shown twice: %s", key))
		case x.GetTableEntry().GetIsDefaultAction() && !ok:
			continue // the P4Info does not contain the default action
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
