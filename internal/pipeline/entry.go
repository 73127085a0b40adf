package pipeline

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// An Entry is one thing that a State is made of on the switch: a table entry, the default action that holds the epoch, or a multicast
// group. Two entries with the same Key are the same place in the switch; if their Value is the same too, nothing has to be written.
type Entry struct {
	Key    string // canonical; comparable between what was compiled and what was read back
	Value  string
	Entity *p4v1.Entity // never changed after it was made

	rank int // place in schema; groups come last
}

// Rank orders entries by their table: what a packet needs to be judged rightly comes before what lets it pass.
func (e Entry) Rank() int { return e.rank }

// Table is the name of the table that the entry is in; "multicast_group" for a group.
func (e Entry) Table() string {
	if e.rank < len(schema) {
		return schema[e.rank].name
	}
	return "multicast_group"
}

// Epoch returns the epoch of a verdict entry, and false for any other.
func (e Entry) Epoch() (Epoch, bool) {
	t := e.Entity.GetTableEntry()
	if t.GetTableId() != verdictTable || t.GetIsDefaultAction() {
		return 0, false
	}
	for _, m := range t.GetMatch() {
		if m.GetFieldId() == 1 {
			return Epoch(toUint(m.GetExact().GetValue())), true
		}
	}
	return 0, false
}

// IsRunningEpoch says whether the entry is the default action that holds the running epoch, and which epoch that is.
func (e Entry) IsRunningEpoch() (Epoch, bool) {
	t := e.Entity.GetTableEntry()
	if t.GetTableId() != runningEpochTable {
		return 0, false
	}
	for _, p := range t.GetAction().GetAction().GetParams() {
		if p.GetParamId() == 1 {
			return Epoch(toUint(p.GetValue())), true
		}
	}
	return 0, true // the default action was reset: the program's own, epoch 0
}

// IsDefault says whether the entry is a table's default action, which is there always: it is changed, never added or removed.
func (e Entry) IsDefault() bool { return e.Entity.GetTableEntry().GetIsDefaultAction() }

// IsSource says whether the entry is an address that a line may use.
func (e Entry) IsSource() bool {
	table := e.Entity.GetTableEntry().GetTableId()
	return table == sourceV4Table || table == sourceV6Table
}

// IsSourceCheck says whether the entry makes the switch look at sources, and whether it then drops what is not the line's own.
func (e Entry) IsSourceCheck() (is, drops bool) {
	t := e.Entity.GetTableEntry()
	return t.GetTableId() == sourceCheckTable, t.GetAction().GetAction().GetActionId() == dropSourceAction
}

// String is the entry in the words of the program: "remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2".
func (e Entry) String() string { return e.Key + " => " + e.Value }

// FromEntity makes an Entry of an entity that a switch returned. What a controller did not write (counters, metadata, idle time) is
// left out. It returns ErrForeign for what no State can hold.
func FromEntity(entity *p4v1.Entity) (Entry, error) {
	switch x := entity.GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		return fromTableEntry(x.TableEntry)
	case *p4v1.Entity_PacketReplicationEngineEntry:
		if g := x.PacketReplicationEngineEntry.GetMulticastGroupEntry(); g != nil {
			return fromGroup(g)
		}
	}
	return Entry{}, fmt.Errorf("%w: %v", ErrForeign, entity)
}

func fromTableEntry(t *p4v1.TableEntry) (Entry, error) {
	rank := slices.IndexFunc(schema, func(s table) bool { return s.id == t.GetTableId() })
	if rank < 0 {
		return Entry{}, fmt.Errorf("%w: table %#x", ErrForeign, t.GetTableId())
	}
	s := schema[rank]
	match := slices.Clone(t.GetMatch())
	slices.SortFunc(match, func(a, b *p4v1.FieldMatch) int { return int(a.GetFieldId()) - int(b.GetFieldId()) })

	var key strings.Builder
	key.WriteString(s.name)
	for _, m := range match {
		i := int(m.GetFieldId()) - 1
		if i < 0 || i >= len(s.keys) {
			return Entry{}, fmt.Errorf("%w: table %q has no key field %d", ErrForeign, s.name, m.GetFieldId())
		}
		fmt.Fprintf(&key, " %s=%s", s.keys[i].name, matchText(m, s.keys[i].width))
	}
	if t.GetIsDefaultAction() {
		key.WriteString(" default")
	}
	if t.GetPriority() != 0 {
		fmt.Fprintf(&key, " priority=%d", t.GetPriority())
	}

	value := "reset"
	a := t.GetAction().GetAction()
	if a != nil {
		var err error
		if value, err = actionText(a); err != nil {
			return Entry{}, fmt.Errorf("%w: table %q: %w", ErrForeign, s.name, err)
		}
	}
	entry := &p4v1.TableEntry{
		TableId: t.GetTableId(), Match: match, Priority: t.GetPriority(),
		IsDefaultAction: t.GetIsDefaultAction(), Action: t.GetAction(),
	}
	if t.GetTableId() == connectionLimitTable {
		entry.MeterConfig = t.GetMeterConfig()
		value += meterText(t.GetMeterConfig())
	}
	return Entry{Key: key.String(), Value: value, rank: rank, Entity: tableEntity(entry)}, nil
}

func meterText(c *p4v1.MeterConfig) string {
	switch {
	case c == nil:
		return " unlimited"
	case c.GetCir() == c.GetPir() && c.GetCburst() == c.GetPburst():
		return fmt.Sprintf(" per_second=%d burst=%d", c.GetCir(), c.GetCburst())
	default:
		return fmt.Sprintf(" cir=%d cburst=%d pir=%d pburst=%d", c.GetCir(), c.GetCburst(), c.GetPir(), c.GetPburst())
	}
}

func fromGroup(g *p4v1.MulticastGroupEntry) (Entry, error) {
	ports := make([]Port, 0, len(g.GetReplicas()))
	for _, r := range g.GetReplicas() {
		switch kind := r.GetPortKind().(type) {
		case *p4v1.Replica_Port:
			ports = append(ports, Port(toUint(kind.Port)))
		default:
			//lint:ignore SA1019 bmv2 answers with the field that P4Runtime 1.4 deprecated
			ports = append(ports, Port(r.GetEgressPort()))
		}
	}
	slices.Sort(ports)
	return groupEntry(g.GetMulticastGroupId(), ports), nil
}

func matchText(m *p4v1.FieldMatch, width int) string {
	switch x := m.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		return valueText(x.Exact.GetValue(), width)
	case *p4v1.FieldMatch_Lpm:
		return fmt.Sprintf("%s/%d", valueText(x.Lpm.GetValue(), width), x.Lpm.GetPrefixLen())
	case *p4v1.FieldMatch_Ternary_:
		return fmt.Sprintf("%s&%s", valueText(x.Ternary.GetValue(), width), valueText(x.Ternary.GetMask(), width))
	default:
		return fmt.Sprintf("%v", x)
	}
}

func actionText(a *p4v1.Action) (string, error) {
	s, ok := actionByID(a.GetActionId())
	if !ok {
		return "", fmt.Errorf("unknown action %#x", a.GetActionId())
	}
	params := slices.Clone(a.GetParams())
	slices.SortFunc(params, func(a, b *p4v1.Action_Param) int { return int(a.GetParamId()) - int(b.GetParamId()) })
	text := s.name
	for _, p := range params {
		i := int(p.GetParamId()) - 1
		if i < 0 || i >= len(s.params) {
			return "", fmt.Errorf("action %q has no parameter %d", s.name, p.GetParamId())
		}
		text += fmt.Sprintf(" %s=%s", s.params[i].name, valueText(p.GetValue(), s.params[i].width))
	}
	return text, nil
}

// valueText prints addresses as people write them and everything else as a number.
func valueText(b []byte, width int) string {
	switch width {
	case 32, 128:
		return addr(b, width).String()
	case 48:
		m := pad(b, 6)
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
	default:
		return fmt.Sprint(toUint(b))
	}
}

// canonical is P4Runtime's canonical bytestring of v: big-endian, no leading zero byte, one byte at least (section 8.4).
func canonical(b []byte) []byte {
	i := 0
	for i < len(b)-1 && b[i] == 0 {
		i++
	}
	return b[i:]
}

func fromUint(v uint64) []byte {
	return canonical(binary.BigEndian.AppendUint64(nil, v))
}

func toUint(b []byte) uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

func pad(b []byte, n int) []byte {
	if len(b) >= n {
		return b[len(b)-n:]
	}
	return append(make([]byte, n-len(b)), b...)
}
