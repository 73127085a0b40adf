package pipeline

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// An Entry is one thing that a State is made of on the switch: a table entry, the default action that holds the epoch, or a multicast
// group. Two entries with the same Key are the same place in the switch; if their Value is the same too, nothing has to be written.
type Entry struct {
	Key    string       // canonical bytes, not text; comparable between what was compiled and what was read back
	Value  string       // as Key
	Entity *p4v1.Entity // never changed after it was made

	rank int // place in schema; groups come last

	// What the entry gives out, if its action gives out a number: see Number, LineIndex and Home.
	numbered  bool
	dimension Dimension
	number    uint8
	line      LineIndex
	length    uint8 // of the prefix, in a class table
	standard  bool  // a default action
}

// Rank orders entries by their table: what a packet needs to be judged rightly comes before what lets it pass.
func (e Entry) Rank() int { return e.rank }

// Table is the name of the table that the entry is in; "multicast_group" for a group.
func (e Entry) Table() string {
	if e.rank < len(schema) {
		return schema[e.rank].name
	}
	return groupTable
}

// TableOf is the name of the table that an entity of this package is in, as Entry.Table has it.
func TableOf(e *p4v1.Entity) string {
	if rank := rankOf(e.GetTableEntry().GetTableId()); rank >= 0 {
		return schema[rank].name
	}
	return groupTable
}

// Tables are the names of all tables that take entries, not a default action alone, in the order of their rank.
func Tables() []string {
	names := make([]string, 0, len(schema)+1)
	for _, t := range schema {
		if len(t.keys) > 0 {
			names = append(names, t.name)
		}
	}
	return append(names, groupTable)
}

// TablesByRank are the names of all tables, each at the place of its rank.
func TablesByRank() []string {
	names := make([]string, 0, len(schema)+1)
	for _, t := range schema {
		names = append(names, t.name)
	}
	return append(names, groupTable)
}

// groupTable is what multicast groups are called where tables are named.
const groupTable = "multicast_group"

// Epoch returns the epoch of a verdict entry, and false for any other.
func (e Entry) Epoch() (Epoch, bool) {
	if e.rank != verdictRank {
		return 0, false
	}
	t := e.Entity.GetTableEntry()
	for _, m := range t.GetMatch() {
		if m.GetFieldId() == 1 {
			return Epoch(toUint(m.GetExact().GetValue())), true
		}
	}
	return 0, false
}

// IsRunningEpoch says whether the entry is the default action that holds the running epoch, and which epoch that is.
func (e Entry) IsRunningEpoch() (Epoch, bool) {
	if e.rank != runningEpochRank {
		return 0, false
	}
	t := e.Entity.GetTableEntry()
	for _, p := range t.GetAction().GetAction().GetParams() {
		if p.GetParamId() == 1 {
			return Epoch(toUint(p.GetValue())), true
		}
	}
	return 0, true // the default action was reset: the program's own, epoch 0
}

// IsDefault says whether the entry is a table's default action, which is there always: it is changed, never added or removed.
func (e Entry) IsDefault() bool { return e.standard }

// IsSource says whether the entry is an address that a line may use.
func (e Entry) IsSource() bool { return e.rank == sourceV4Rank || e.rank == sourceV6Rank }

// IsSourceCheck says whether the entry makes the switch look at sources, and whether it then drops what is not the line's own.
func (e Entry) IsSourceCheck() (is, drops bool) {
	if e.rank != sourceCheckRank {
		return false, false
	}
	return true, e.Entity.GetTableEntry().GetAction().GetAction().GetActionId() == dropSourceAction
}

// String is the entry in the words of the program: "remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2".
func (e Entry) String() string {
	t := e.Entity.GetTableEntry()
	if t == nil {
		g := e.Entity.GetPacketReplicationEngineEntry().GetMulticastGroupEntry()
		return fmt.Sprintf("multicast_group id=%d => ports %v", g.GetMulticastGroupId(), groupPorts(g))
	}
	s := schema[e.rank]
	var text strings.Builder
	text.WriteString(s.name)
	for _, m := range t.GetMatch() {
		k := s.keys[m.GetFieldId()-1]
		fmt.Fprintf(&text, " %s=%s", k.name, matchText(m, k.width))
	}
	if t.GetIsDefaultAction() {
		text.WriteString(" default")
	}
	if t.GetPriority() != 0 {
		fmt.Fprintf(&text, " priority=%d", t.GetPriority())
	}
	text.WriteString(" => " + actionText(t.GetAction().GetAction()))
	if t.GetTableId() == connectionLimitTable {
		text.WriteString(meterText(t.GetMeterConfig()))
	}
	return text.String()
}

// FromEntity makes an Entry of an entity that a switch returned. What a controller did not write (counters, metadata, idle time) is
// left out. It returns ErrForeign for what no State can hold.
func FromEntity(entity *p4v1.Entity) (Entry, error) {
	switch x := entity.GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		return readTableEntry(x.TableEntry, entity)
	case *p4v1.Entity_PacketReplicationEngineEntry:
		if g := x.PacketReplicationEngineEntry.GetMulticastGroupEntry(); g != nil {
			return fromGroup(g)
		}
	}
	return Entry{}, fmt.Errorf("%w: %v", ErrForeign, entity)
}

func fromTableEntry(t *p4v1.TableEntry) (Entry, error) { return readTableEntry(t, nil) }

// readTableEntry makes an Entry of a table entry. The entity around it, if there is one, is taken over where it has nothing in it but what a
// controller writes.
func readTableEntry(t *p4v1.TableEntry, around *p4v1.Entity) (Entry, error) {
	rank := rankOf(t.GetTableId())
	if rank < 0 {
		return Entry{}, fmt.Errorf("%w: table %#x", ErrForeign, t.GetTableId())
	}
	s := &schema[rank]
	match := t.GetMatch()
	sorted := slices.IsSortedFunc(match, byField)
	if !sorted {
		match = slices.SortedFunc(slices.Values(match), byField)
	}
	var buffer [96]byte
	key := append(buffer[:0], byte(rank))
	if t.GetIsDefaultAction() {
		key[0] |= defaultFlag
	}
	key = binary.BigEndian.AppendUint32(key, uint32(t.GetPriority()))
	for _, m := range match {
		if i := int(m.GetFieldId()) - 1; i < 0 || i >= len(s.keys) {
			return Entry{}, fmt.Errorf("%w: table %q has no key field %d", ErrForeign, s.name, m.GetFieldId())
		}
		key = appendMatch(key, m)
	}
	var content [64]byte
	value, err := appendAction(content[:0], t.GetAction().GetAction())
	if err != nil {
		return Entry{}, fmt.Errorf("%w: table %q: %w", ErrForeign, s.name, err)
	}
	metered := t.GetTableId() == connectionLimitTable
	if metered {
		value = appendMeter(value, t.GetMeterConfig())
	}
	if around == nil || !sorted || hasMore(t, metered) {
		own := &p4v1.TableEntry{
			TableId: t.GetTableId(), Match: match, Priority: t.GetPriority(),
			IsDefaultAction: t.GetIsDefaultAction(), Action: t.GetAction(),
		}
		if metered {
			own.MeterConfig = t.GetMeterConfig()
		}
		around = tableEntity(own)
	}
	e := Entry{Key: string(key), Value: string(value), rank: rank, Entity: around, standard: t.GetIsDefaultAction()}
	if d, param, ok := numberParam(t.GetTableId()); ok {
		e.numbered, e.dimension, e.number = true, d, uint8(paramOf(t, param))
		if d == ByGroup || d == BySubscriber {
			e.line = LineIndex(paramOf(t, lineParam))
		}
		if (d == ByRemote || d == BySubscriber) && len(match) > 0 {
			e.length = uint8(match[0].GetLpm().GetPrefixLen())
		}
	}
	return e, nil
}

// hasMore says whether an entry has more than what a controller of this program writes.
func hasMore(t *p4v1.TableEntry, metered bool) bool {
	return t.GetCounterData() != nil || t.GetMeterCounterData() != nil || t.GetTimeSinceLastHit() != nil || t.GetIdleTimeoutNs() != 0 ||
		len(t.GetMetadata()) > 0 || t.GetIsConst() || t.GetMeterConfig() != nil && !metered
}

func byField(a, b *p4v1.FieldMatch) int { return cmp.Compare(a.GetFieldId(), b.GetFieldId()) }

// defaultFlag marks, in the first byte of a key, a table's default action. There are fewer tables than it.
const defaultFlag = 0x80

// appendMatch appends a match as it compares: field, kind, and what is matched, each value in its canonical form with its length before.
func appendMatch(key []byte, m *p4v1.FieldMatch) []byte {
	key = append(key, byte(m.GetFieldId()))
	switch x := m.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		return appendBytes(append(key, 'e'), x.Exact.GetValue())
	case *p4v1.FieldMatch_Lpm:
		return appendBytes(append(key, 'l', byte(x.Lpm.GetPrefixLen())), x.Lpm.GetValue())
	case *p4v1.FieldMatch_Ternary_:
		return appendBytes(appendBytes(append(key, 't'), x.Ternary.GetValue()), x.Ternary.GetMask())
	default: // no table of the program has one
		return fmt.Appendf(append(key, '?'), "%v", x)
	}
}

func appendBytes(b, value []byte) []byte {
	value = canonical(value)
	return append(append(b, byte(len(value))), value...)
}

// appendAction appends an action and its parameters in their order. No action, which is a default action that was reset, is nothing.
func appendAction(b []byte, a *p4v1.Action) ([]byte, error) {
	if a == nil {
		return b, nil
	}
	s, ok := actionByID(a.GetActionId())
	if !ok {
		return nil, fmt.Errorf("unknown action %#x", a.GetActionId())
	}
	b = append(b, byte(s.id))
	for i := range s.params {
		for _, p := range a.GetParams() {
			if p.GetParamId() == uint32(i+1) {
				b = appendBytes(b, p.GetValue())
			}
		}
	}
	for _, p := range a.GetParams() {
		if i := int(p.GetParamId()) - 1; i < 0 || i >= len(s.params) {
			return nil, fmt.Errorf("action %q has no parameter %d", s.name, p.GetParamId())
		}
	}
	return b, nil
}

func appendMeter(b []byte, c *p4v1.MeterConfig) []byte {
	if c == nil {
		return b
	}
	for _, v := range []int64{shown(c.GetCir()), c.GetCburst(), shown(c.GetPir()), c.GetPburst()} {
		b = binary.AppendVarint(b, v)
	}
	return b
}

// shown is what a switch may show of a rate: bmv2 keeps rates as a fraction of a packet a microsecond, and of one in ninety, such as 249,
// shows one less. Two rates that a switch cannot tell apart count as the same, or it would never be found to hold what was written to it.
func shown(rate int64) int64 { return int64(float64(rate) / 1e6 * 1e6) }

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
	return groupEntry(g.GetMulticastGroupId(), groupPorts(g)), nil
}

// groupPorts are the ports of a group, in ascending order.
func groupPorts(g *p4v1.MulticastGroupEntry) []Port {
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
	return ports
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

func actionText(a *p4v1.Action) string {
	s, ok := actionByID(a.GetActionId())
	if !ok {
		return "reset"
	}
	text := s.name
	for i, param := range s.params {
		for _, p := range a.GetParams() {
			if p.GetParamId() == uint32(i+1) {
				text += fmt.Sprintf(" %s=%s", param.name, valueText(p.GetValue(), param.width))
			}
		}
	}
	return text
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
