package pipeline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"op25b/internal/p4entry"
)

// An Entry is a table entry, the default entry of a table without keys, or a multicast group. Entries with equal Keys occupy the same
// place in a switch. An entry need not be written if the switch has an entry with the same Key and Value.
type Entry struct {
	Key   Key
	Value Value

	meter *p4entry.Meter // the meter configuration to write; Value has the configuration that a switch may report
}

// A Key identifies a place in a switch by table, match and priority. Keys of compiled entries are comparable with keys of entries that
// were read from a switch.
type Key struct {
	priority int32
	table    Table
	standard bool // true for the default entry of a table
	match    [keyBytes]byte
}

// A Value is the effect of an entry, such as an action and its parameters. Values can be compared with ==.
type Value struct {
	action Action
	params [shortParams]byte
	more   string // parameters that exceed shortParams, the meter configuration that a switch may report, or the ports of a multicast group
}

// shortParams is the size of Value.params in bytes. It suffices for a class, a line and a clock second, and no entry of a large table needs more.
const shortParams = 7

// IsZero reports whether e is the zero Entry, which belongs to no table.
func (e Entry) IsZero() bool { return e.Key.table == 0 }

// Table returns the table of the key.
func (k Key) Table() Table { return k.table }

// Rank returns the rank of the entry's table. See Table.Rank.
func (e Entry) Rank() int { return int(ranks[e.Key.table]) }

// Table returns the name of the entry's table, or "multicast_group" for a multicast group.
func (e Entry) Table() string { return e.Key.table.String() }

// Tables returns, in order of rank, all tables that can have entries other than a default entry.
func Tables() []Table {
	var all []Table
	for _, t := range TablesByRank() {
		if !t.OnlyDefault() {
			all = append(all, t)
		}
	}
	return all
}

// TablesByRank returns all tables in order of rank. The index of each table is its rank.
func TablesByRank() []Table {
	all := make([]Table, len(meanings))
	for i, m := range meanings {
		all[i] = m.table
	}
	return all
}

// RuleTables returns the tables with the rules and the running epoch.
func RuleTables() []Table { return []Table{verdictTable, runningEpochTable} }

func (e Entry) use() use { return e.Key.table.meaning().use }

// Epoch returns the epoch of a rule. The result is false if the entry is not a rule.
func (e Entry) Epoch() (Epoch, bool) {
	if e.use() != ruling {
		return 0, false
	}
	return Epoch(e.Key.uint(verdictEpochKey)), true
}

// IsRunningEpoch returns the running epoch and true if the entry is the default entry that sets the running epoch.
func (e Entry) IsRunningEpoch() (Epoch, bool) {
	if e.use() != epochs {
		return 0, false
	}
	if e.Value.action != setEpochAction {
		return 0, true // after a reset, the program's own default entry applies, which sets epoch 0
	}
	return Epoch(e.Value.uint(setEpochRunningParam)), true
}

// IsDefault reports whether the entry is a table's default entry. A default entry always exists, so it is modified but never inserted
// or deleted.
func (e Entry) IsDefault() bool { return e.Key.standard }

// IsSource reports whether the entry binds an address range to a line.
func (e Entry) IsSource() bool { return e.use() == sources }

// IsSourceCheck reports whether the entry enables a source check, and whether that check drops packets with a foreign source address.
func (e Entry) IsSourceCheck() (is, drops bool) {
	if e.use() != sourceCheck {
		return false, false
	}
	return true, e.Value.action == dropSourceAction
}

// Carries reports whether the entry names a port to which frames go. A switch without such an entry forwards nothing.
func (e Entry) Carries() bool { return e.use() == carrying }

// IsLimit reports whether the entry limits the rate of a line's new connections.
func (e Entry) IsLimit() bool { return e.use() == limiting }

// Compare orders keys by table rank, by priority, and then field by field. A field that matches any value counts as absent. LPM fields
// are ordered by prefix length, and then by value.
func (k Key) Compare(o Key) int {
	if c := cmp.Or(cmp.Compare(ranks[k.table], ranks[o.table]), cmp.Compare(k.priority, o.priority)); c != 0 {
		return c
	}
	if k.table != serviceTable && k.table != verdictTable {
		return bytes.Compare(k.match[:], o.match[:])
	}
	keys := tables[k.table].keys
	for i := range keys {
		f := &keys[i]
		switch has, other := k.matches(f), o.matches(f); {
		case has && other:
			if c := bytes.Compare(k.match[f.at:f.end()], o.match[f.at:f.end()]); c != 0 {
				return c
			}
		case has:
			return before(o.matchesAny(keys[i+1:]))
		case other:
			return -before(k.matchesAny(keys[i+1:]))
		}
	}
	return 0
}

func before(is bool) int {
	if is {
		return -1
	}
	return 1
}

func compareEntries(a, b Entry) int { return a.Key.Compare(b.Key) }

// matches reports whether the key restricts a field. It returns false if the field matches any value.
func (k *Key) matches(f *field) bool {
	switch f.kind {
	case ternary:
		return !zero(k.match[f.at+f.bytes() : f.end()])
	case lpm:
		return k.match[f.at] != 0
	}
	return true
}

func (k *Key) matchesAny(fields []field) bool {
	for i := range fields {
		if k.matches(&fields[i]) {
			return true
		}
	}
	return false
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// end returns the offset of the first byte after the field in Key.match.
func (f *field) end() int {
	switch f.kind {
	case ternary:
		return f.at + 2*f.bytes()
	case lpm:
		return f.at + 1 + f.bytes()
	}
	return f.at + f.bytes()
}

// value returns the bytes of a field's value.
func (k *Key) value(f *field) []byte {
	if f.kind == lpm {
		return k.match[f.at+1 : f.end()]
	}
	return k.match[f.at : f.at+f.bytes()]
}

// mask returns the bytes of a ternary field's mask.
func (k *Key) mask(f *field) []byte { return k.match[f.at+f.bytes() : f.end()] }

func (k *Key) field(i int) *field { return &tables[k.table].keys[i] }

// uint returns the value of key field i, which must have at most 64 bits.
func (k *Key) uint(i int) uint64 { return toUint(k.value(k.field(i))) }

// prefix returns the value of key field i, which must be an LPM field of 32 or 128 bits.
func (k *Key) prefix(i int) netip.Prefix {
	f := k.field(i)
	a, _ := netip.AddrFromSlice(k.value(f))
	return netip.PrefixFrom(a, int(k.match[f.at]))
}

// exactly sets key field i, which must be an exact field.
func (k *Key) exactly(i int, v uint64) { putUint(k.value(k.field(i)), v) }

// masked sets key field i, which must be a ternary field. A mask of 0 matches any value.
func (k *Key) masked(i int, v, mask uint64) {
	f := k.field(i)
	putUint(k.value(f), v)
	putUint(k.mask(f), mask)
}

// within sets key field i, which must be an LPM field.
func (k *Key) within(i int, p netip.Prefix) {
	f := k.field(i)
	k.match[f.at] = byte(p.Bits())
	copy(k.value(f), p.Addr().AsSlice())
}

// does sets the action and its parameters, which must fit in shortParams.
func (v *Value) does(a Action, params ...uint64) {
	*v = Value{action: a}
	for i, x := range params {
		v.put(i, x)
	}
}

// put sets parameter i of an action whose parameters fit in shortParams.
func (v *Value) put(i int, x uint64) {
	f := &actions[v.action].params[i]
	putUint(v.params[f.at:f.at+f.bytes()], x)
}

// set sets all parameters of the action. b is their concatenation.
func (v *Value) set(b []byte) {
	if len(b) > shortParams {
		v.more = string(b)
		return
	}
	copy(v.params[:], b)
}

// param returns the bytes of parameter i.
func (v *Value) param(i int) []byte {
	a := &actions[v.action]
	f := &a.params[i]
	if a.bytes() > shortParams {
		return []byte(v.more[f.at : f.at+f.bytes()])
	}
	return v.params[f.at : f.at+f.bytes()]
}

// uint returns parameter i, which must have at most 64 bits.
func (v *Value) uint(i int) uint64 { return toUint(v.param(i)) }

// String returns the entry with the names that the program uses: "remote_v4 prefix=203.0.113.0/26 => set_remote_class class_id=2".
func (e Entry) String() string {
	if e.IsZero() {
		return "no entry"
	}
	if id, ports, ok := e.Group(); ok {
		return fmt.Sprintf("multicast_group id=%d => ports %v", id, ports)
	}
	k := &e.Key
	var text strings.Builder
	text.WriteString(e.Table())
	for i := range tables[k.table].keys {
		f := k.field(i)
		if k.standard || !k.matches(f) {
			continue
		}
		fmt.Fprintf(&text, " %s=%s", f.name, valueText(k.value(f), f.width))
		switch f.kind {
		case ternary:
			fmt.Fprintf(&text, "&%s", valueText(k.mask(f), f.width))
		case lpm:
			fmt.Fprintf(&text, "/%d", k.match[f.at])
		}
	}
	if k.standard {
		text.WriteString(" default")
	}
	if k.priority != 0 {
		fmt.Fprintf(&text, " priority=%d", k.priority)
	}
	text.WriteString(" => ")
	if e.Value.action == 0 {
		text.WriteString("reset")
	} else {
		a := &actions[e.Value.action]
		text.WriteString(a.name)
		for i, f := range a.params {
			value := e.Value.param(i)
			if e.Value.action == setSubscriberClassAction && i == setSubscriberClassUntilParam { // a clock second has as many bits as an IPv4 address
				fmt.Fprintf(&text, " %s=%d", f.name, toUint(value))
				continue
			}
			fmt.Fprintf(&text, " %s=%s", f.name, valueText(value, f.width))
		}
	}
	if k.table.Metered() {
		text.WriteString(meterText(e.meter))
	}
	return text.String()
}

func meterText(m *p4entry.Meter) string {
	switch {
	case m == nil:
		return " unlimited"
	case m.CIR == m.PIR && m.CBurst == m.PBurst:
		return fmt.Sprintf(" per_second=%d burst=%d", m.CIR, m.CBurst)
	default:
		return fmt.Sprintf(" cir=%d cburst=%d pir=%d pburst=%d", m.CIR, m.CBurst, m.PIR, m.PBurst)
	}
}

// valueText formats IP and MAC addresses in their usual notation, and all other values as numbers.
func valueText(b []byte, width int) string {
	switch width {
	case 32, 128:
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case 48:
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
	default:
		return fmt.Sprint(toUint(b))
	}
}

// setMeter sets the configuration of the entry's meter. nil means that no meter is configured.
func (e *Entry) setMeter(m *p4entry.Meter) {
	e.meter = m
	if m == nil {
		e.Value.more = ""
		return
	}
	b := make([]byte, 0, 40)
	for _, v := range []int64{shown(m.CIR), m.CBurst, shown(m.PIR), m.PBurst} {
		b = binary.AppendVarint(b, v)
	}
	e.Value.more = string(b)
}

// shown returns the rate that a switch may report for a configured rate. bmv2 stores a rate as a fraction of a packet per microsecond,
// and reports about one rate in ninety, such as 249, as one less. Rates that a switch cannot distinguish must count as equal, because
// such a switch would otherwise never converge.
func shown(rate int64) int64 { return int64(float64(rate) / 1e6 * 1e6) }

// NewGroup returns the entry of a multicast group. ports must be in ascending order.
func NewGroup(id uint32, ports []Port) Entry {
	e := Entry{Key: Key{table: multicastGroups}}
	binary.BigEndian.PutUint32(e.Key.match[:], id)
	value := make([]byte, 0, 2*len(ports))
	for _, p := range ports {
		value = binary.BigEndian.AppendUint16(value, uint16(p))
	}
	e.Value.more = string(value)
	return e
}

// Group returns the id and the ports of a multicast group. ok is false for other entries.
func (e Entry) Group() (id uint32, ports []Port, ok bool) {
	if e.Key.table != multicastGroups {
		return 0, nil, false
	}
	for more := []byte(e.Value.more); len(more) > 0; more = more[2:] {
		ports = append(ports, Port(binary.BigEndian.Uint16(more)))
	}
	return binary.BigEndian.Uint32(e.Key.match[:]), ports, true
}

// putUint stores the low-order bytes of v in b, in big-endian order.
func putUint(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte(v)
		v >>= 8
	}
}

func toUint(b []byte) uint64 {
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}

// AppendBinary appends an encoding of the entry to b. Entries with different keys or values have different encodings.
func (e Entry) AppendBinary(b []byte) []byte {
	b = append(b, byte(e.Key.table), byte(e.Value.action))
	b = binary.BigEndian.AppendUint32(b, uint32(e.Key.priority))
	if e.Key.standard {
		b[0] |= 0x80
	}
	b = append(append(b, e.Key.match[:]...), e.Value.params[:]...)
	return append(b, e.Value.more...)
}
