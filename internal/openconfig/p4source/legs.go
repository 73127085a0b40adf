package p4source

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"

	"op25b/internal/openconfig"
)

// A LegSum adds up the counters of a table's entries by epoch, leg and rule. The zero value is empty.
type LegSum struct {
	sums map[legKey]openconfig.Tally
}

type legKey struct {
	epoch uint8
	leg   openconfig.Leg
	rule  uint32
}

// Add adds an entry with these values, in big-endian bytes. leg is nil if the entry matches every leg. Add ignores an entry with a value that
// is too large.
func (s *LegSum) Add(epoch, leg, rule []byte, t openconfig.Tally) {
	e, l, r := number(epoch), number(leg), number(rule)
	if e > 255 || l > 255 || r > 1<<32-1 {
		return
	}
	if s.sums == nil {
		s.sums = make(map[legKey]openconfig.Tally)
	}
	k := legKey{uint8(e), openconfig.Leg(l), uint32(r)}
	was := s.sums[k]
	s.sums[k] = openconfig.Tally{Packets: was.Packets + t.Packets, Octets: was.Octets + t.Octets}
}

// Entries returns the sums, ordered by epoch, leg and rule.
func (s *LegSum) Entries() []openconfig.LegEntry {
	var all []openconfig.LegEntry
	for k, t := range s.sums {
		all = append(all, openconfig.LegEntry{Epoch: k.epoch, Leg: k.leg, SequenceID: k.rule, Matched: t})
	}
	slices.SortFunc(all, func(a, b openconfig.LegEntry) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.SequenceID, b.SequenceID))
	})
	return all
}

// number returns the value of a big-endian number, or the largest uint64 if the number has more than 64 bits.
func number(b []byte) (n uint64) {
	for _, c := range b {
		if n>>56 != 0 {
			return 1<<64 - 1
		}
		n = n<<8 | uint64(c)
	}
	return n
}

// readLegs reads the table's entries and their counters in one request. bmv2 supports a request for the counters of one table, but not for
// those of all tables. An entry that is written or removed during the request may be left out.
func (s *Source) readLegs(ctx context.Context, layout *LegLayout) ([]openconfig.LegEntry, error) {
	of := func() *p4v1.TableEntry { return &p4v1.TableEntry{TableId: layout.TableID} }
	answer, err := s.read(ctx, []*p4v1.Entity{
		{Entity: &p4v1.Entity_TableEntry{TableEntry: of()}},
		{Entity: &p4v1.Entity_DirectCounterEntry{DirectCounterEntry: &p4v1.DirectCounterEntry{TableEntry: of()}}},
	})
	if err != nil {
		return nil, fmt.Errorf("table %q with counter %q: %w", layout.TableName, layout.CounterName, err)
	}
	counts := make(map[string]openconfig.Tally)
	var entries []*p4v1.TableEntry
	for _, e := range answer {
		t, c := e.GetTableEntry(), e.GetDirectCounterEntry()
		if t == nil && c == nil || t.GetTableId()+c.GetTableEntry().GetTableId() != layout.TableID {
			return nil, fmt.Errorf("%w: table %q with counter %q: got %v", ErrRead, layout.TableName, layout.CounterName, e)
		}
		if t != nil {
			entries = append(entries, t)
			continue
		}
		tally, err := tallyOf(c.GetData())
		if err != nil {
			return nil, fmt.Errorf("%w: counter %q: %w", ErrRead, layout.CounterName, err)
		}
		counts[entryText(c.GetTableEntry())] = tally
	}
	var sum LegSum
	for _, t := range entries {
		tally, counted := counts[entryText(t)]
		a := t.GetAction().GetAction()
		p, ok := layout.Rule[a.GetActionId()]
		if !counted || !ok {
			continue
		}
		var epoch, leg, rule []byte
		for _, m := range t.GetMatch() {
			switch m.GetFieldId() {
			case layout.Epoch.ID:
				epoch = m.GetExact().GetValue()
			case layout.Leg.ID:
				if leg = m.GetExact().GetValue(); leg == nil {
					leg = m.GetTernary().GetValue()
				}
			}
		}
		for _, v := range a.GetParams() {
			if v.GetParamId() == p.ID {
				rule = v.GetValue()
			}
		}
		sum.Add(epoch, leg, rule, tally)
	}
	return sum.Entries(), nil
}

// entryText identifies a table entry by its matches, in the order of their fields, and its priority.
func entryText(e *p4v1.TableEntry) string {
	key := &p4v1.TableEntry{Priority: e.GetPriority(), Match: slices.Clone(e.GetMatch())}
	slices.SortFunc(key.Match, func(a, b *p4v1.FieldMatch) int { return cmp.Compare(a.GetFieldId(), b.GetFieldId()) })
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(key)
	if err != nil { // marshalling a received message never fails
		panic(err)
	}
	return string(b)
}
