package pipeline

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// Entries turns the state into entries, all but its rules, ordered by Rank and then by Key: see RuleEntries and EpochEntry. What the state
// has itself stands in place of what its Shared has under the same key. It returns ErrInvalid with every fault.
func (s *State) Entries() ([]Entry, error) {
	own, err := s.own()
	if s.Shared == nil || err != nil {
		return own, err
	}
	shared, err := s.Shared.entries()
	if err != nil {
		return nil, err
	}
	return merge(own, shared), nil
}

func (s *State) own() ([]Entry, error) {
	b := &builder{}
	b.state(s)
	b.rejectFrom(s.RejectFrom)
	return b.done()
}

// merge merges two ordered lists. Of two entries with one key, the first list's stays.
func merge(own, shared []Entry) []Entry {
	all := make([]Entry, 0, len(own)+len(shared))
	for len(own) > 0 && len(shared) > 0 {
		switch order := compareEntries(own[0], shared[0]); {
		case order < 0:
			all, own = append(all, own[0]), own[1:]
		case order > 0:
			all, shared = append(all, shared[0]), shared[1:]
		default:
			shared = shared[1:]
		}
	}
	return append(append(all, own...), shared...)
}

// RuleEntries turns a rule set into entries under an epoch, ordered by Key. It returns ErrInvalid with every fault.
func RuleEntries(verdicts map[VerdictKey]Verdict, epoch Epoch) ([]Entry, error) {
	b := &builder{}
	if epoch == 0 {
		b.fault("epoch 0 is never given to a rule set; valid are 1 to 255")
	}
	for k, v := range verdicts {
		b.verdict(epoch, k, v)
	}
	return b.done()
}

func (b *builder) state(s *State) {
	for port, role := range s.Ports {
		b.port(port, role)
	}
	for k, v := range s.Lines {
		b.line(k, v)
	}
	for k, v := range s.Services {
		b.service(k, v)
	}
	for p, class := range s.Remotes {
		b.prefix(remoteV4Table, remoteV6Table, "remote", p, class, call(setRemoteClassAction, uint64(class)))
	}
	for p, x := range s.Subscribers {
		if x.Line > MaxLineIndex {
			b.fault("subscriber prefix %v of line %d: the line must be at most %d", p, x.Line, MaxLineIndex)
			continue
		}
		b.prefix(subscriberV4Table, subscriberV6Table, "subscriber", p, x.Class, call(setSubscriberClassAction, uint64(x.Class), uint64(x.Line)))
	}
	for group, check := range s.SourceChecks {
		b.sourceCheck(group, check)
	}
	for k := range s.Sources {
		b.source(k)
	}
	for k, rate := range s.Limits {
		b.limit(k, rate)
	}
	for mac, at := range s.Bridge {
		b.bridge(mac, at)
	}
	for k, port := range s.LinePorts {
		b.linePort(k, port)
	}
	b.group(networkPortsGroup, s.NetworkPorts)
	b.group(allPortsGroup, s.AllPorts)
}

// done returns the entries in their order, or all faults.
func (b *builder) done() ([]Entry, error) {
	if len(b.faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(b.faults...))
	}
	slices.SortFunc(b.entries, compareEntries)
	return b.entries, nil
}

func compareEntries(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Key, b.Key))
}

// EpochEntry is the default action that puts an epoch in force, with synOnly for new connections alone; it is written by MODIFY alone.
func EpochEntry(epoch Epoch, synOnly bool) Entry {
	drain := uint64(0)
	if synOnly {
		drain = 1
	}
	return mustTableEntry(&p4v1.TableEntry{
		TableId: runningEpochTable, IsDefaultAction: true, Action: call(setEpochAction, uint64(epoch), drain),
	})
}

// Reads are the entities to ask a switch for, one request each, so that the answers together hold all that a State can hold.
func Reads() []*p4v1.Entity {
	reads := make([]*p4v1.Entity, 0, len(schema)+1)
	for _, t := range schema {
		request := &p4v1.TableEntry{TableId: t.id, IsDefaultAction: len(t.keys) == 0}
		if t.id == connectionLimitTable {
			request.MeterConfig = &p4v1.MeterConfig{} // asks for the meters of the entries too
		}
		reads = append(reads, tableEntity(request))
	}
	return append(reads, groupEntity(&p4v1.MulticastGroupEntry{}))
}

// RuleReads are those of Reads for the rules and for which of them are in force.
func RuleReads() []*p4v1.Entity {
	return slices.DeleteFunc(Reads(), func(e *p4v1.Entity) bool {
		id := e.GetTableEntry().GetTableId()
		return id != verdictTable && id != runningEpochTable
	})
}

type builder struct {
	entries []Entry
	faults  []error
}

func (b *builder) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf(format, args...))
}

func (b *builder) add(t *p4v1.TableEntry) { b.entries = append(b.entries, mustTableEntry(t)) }

func (b *builder) port(port Port, role Role) {
	if port > MaxPort || role > Network {
		b.fault("port %d of role %d: the port must be at most %d and the role access (0) or network (1)", port, role, MaxPort)
		return
	}
	b.add(&p4v1.TableEntry{TableId: portRoleTable, Match: []*p4v1.FieldMatch{exactly(1, uint64(port))}, Action: call(setRoleAction, uint64(role))})
}

func (b *builder) line(k LineKey, v Line) {
	if k.Port > MaxPort || k.OuterVID > MaxVID || k.InnerVID > MaxVID || k.Session > MaxSession || v.Index == 0 || v.Index > MaxLineIndex {
		b.fault("line %+v: %+v: the port must be at most %d, VLAN ids at most %d, the session at most %d and the index 1 to %d",
			k, v, MaxPort, MaxVID, MaxSession, MaxLineIndex)
		return
	}
	e := &p4v1.TableEntry{
		TableId: lineTable,
		Match:   []*p4v1.FieldMatch{exactly(1, uint64(k.Port)), exactly(2, uint64(k.OuterVID)), exactly(3, uint64(k.InnerVID))},
		Action:  call(setLineAction, uint64(v.Group), uint64(v.Index)),
	}
	if k.Session != 0 {
		e.TableId, e.Match = sessionTable, append(e.Match, exactly(4, uint64(k.Session)))
	}
	b.add(e)
}

func (b *builder) service(k ServiceKey, v ServiceValue) {
	if v.Priority < 1 || v.Service == 0 || v.Service > LastService || v.Leg < UpDst || v.Leg > UpSrc || !k.SrcPort.Exact && !k.DstPort.Exact || k.Handshake > SYNACK {
		b.fault("service %+v: %+v: the priority must be at least 1, the service 1 to %d, the leg 1 to 4, the handshake at most 2, and a port given",
			k, v, LastService)
		return
	}
	match := []*p4v1.FieldMatch{exactly(1, uint64(k.Role))}
	for i, p := range []PortMatch{k.SrcPort, k.DstPort} {
		if p.Exact {
			match = append(match, masked(uint32(i+2), uint64(p.Port), 0xffff))
		}
	}
	if k.Handshake != 0 {
		match = append(match, masked(4, uint64(k.Handshake), 3))
	}
	b.add(&p4v1.TableEntry{
		TableId: serviceTable, Match: match, Priority: v.Priority,
		Action: call(setServiceAction, uint64(v.Leg), uint64(v.Service)),
	})
}

func (b *builder) prefix(v4, v6 uint32, what string, p netip.Prefix, class Class, action *p4v1.TableAction) {
	if !isPrefix(p) || class == 0 {
		b.fault("%s prefix %v of class %d: must be a masked IPv4 or IPv6 prefix of length 1 or more, and a class of 1 or more", what, p, class)
		return
	}
	table := v6
	if p.Addr().Is4() {
		table = v4
	}
	b.add(&p4v1.TableEntry{TableId: table, Match: []*p4v1.FieldMatch{longest(1, p)}, Action: action})
}

func isPrefix(p netip.Prefix) bool {
	return p.IsValid() && p == p.Masked() && p.Bits() > 0 && !p.Addr().Is4In6()
}

func (b *builder) sourceCheck(group LineGroup, check SourceCheck) {
	action, ok := map[SourceCheck]uint32{SourceMonitor: monitorSourceAction, SourceDrop: dropSourceAction}[check]
	if !ok {
		b.fault("source check %d of line group %d: must be monitor (%d) or drop (%d)", check, group, SourceMonitor, SourceDrop)
		return
	}
	b.add(&p4v1.TableEntry{TableId: sourceCheckTable, Match: []*p4v1.FieldMatch{exactly(1, uint64(group))}, Action: call(action)})
}

func (b *builder) source(k SourceKey) {
	if k.Line == 0 || k.Line > MaxLineIndex || !isPrefix(k.Prefix) {
		b.fault("source %v of line %d: must be a masked IPv4 or IPv6 prefix of length 1 or more, and a line of 1 to %d", k.Prefix, k.Line, MaxLineIndex)
		return
	}
	table := uint32(sourceV6Table)
	if k.Prefix.Addr().Is4() {
		table = sourceV4Table
	}
	b.add(&p4v1.TableEntry{TableId: table, Match: []*p4v1.FieldMatch{exactly(1, uint64(k.Line)), longest(2, k.Prefix)}, Action: call(boundAction)})
}

func (b *builder) limit(k LimitKey, rate Rate) {
	if k.Line == 0 || k.Line > MaxLineIndex || k.From > Network || rate.PerSecond == 0 || rate.Burst == 0 {
		b.fault("limit %+v: %+v: the line must be 1 to %d, rate and burst at least 1", k, rate, MaxLineIndex)
		return
	}
	b.add(&p4v1.TableEntry{
		TableId: connectionLimitTable,
		Match:   []*p4v1.FieldMatch{exactly(1, uint64(k.Line)), exactly(2, uint64(k.From))},
		Action:  call(meterConnectionAction),
		// One bucket is enough: what the first does not hold, the second does not either (RFC 2698 with both the same).
		MeterConfig: &p4v1.MeterConfig{
			Cir: int64(rate.PerSecond), Cburst: int64(rate.Burst), Pir: int64(rate.PerSecond), Pburst: int64(rate.Burst),
		},
	})
}

func (b *builder) rejectFrom(from RejectFrom) {
	v4, v6 := make([]byte, 4), make([]byte, 16)
	if from.IPv4.IsValid() {
		v4 = from.IPv4.AsSlice()
	}
	if from.IPv6.IsValid() {
		v6 = from.IPv6.AsSlice()
	}
	if len(v4) != 4 || len(v6) != 16 || from.IPv6.Is4In6() {
		b.fault("reject from %v and %v: must be an IPv4 and an IPv6 address", from.IPv4, from.IPv6)
		return
	}
	b.add(&p4v1.TableEntry{
		TableId: rejectSourceTable, IsDefaultAction: true,
		Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{
			ActionId: setRejectSourceAction,
			Params:   []*p4v1.Action_Param{{ParamId: 1, Value: canonical(v4)}, {ParamId: 2, Value: canonical(v6)}},
		}}},
	})
}

func (b *builder) linePort(k VLANKey, port Port) {
	if k == (VLANKey{}) || k.OuterVID > MaxVID || k.InnerVID > MaxVID || port > MaxPort {
		b.fault("line port %+v at %d: there must be a tag, VLAN ids at most %d and the port at most %d", k, port, MaxVID, MaxPort)
		return
	}
	b.add(&p4v1.TableEntry{
		TableId: linePortTable,
		Match:   []*p4v1.FieldMatch{exactly(1, uint64(k.OuterVID)), exactly(2, uint64(k.InnerVID))},
		Action:  call(setLinePortAction, uint64(port)),
	})
}

var verdictActions = map[VerdictAction]uint32{
	Permit: permitAction, Monitor: monitorAction, Drop: dropAction, Limit: limitAction, Reject: rejectAction,
}

func (b *builder) verdict(epoch Epoch, k VerdictKey, v Verdict) {
	action, ok := verdictActions[v.Action]
	builtIn := (v.Rule == RuleLaterFragment || v.Rule == RuleUndetermined) && v.Action <= Drop
	if !ok || v.Rule < FirstRule || v.Rule > LastRule && !builtIn || k.Priority < 1 || k.Leg.Set && (k.Leg.Value < UpDst || k.Leg.Value > UpSrc) ||
		k.Service.Set && k.Service.Value == 0 {
		b.fault("verdict %+v: %+v: the action must be permit, monitor, drop, limit or reject, the rule %d to %d, the priority at least 1, "+
			"leg and service at least 1 if set", k, v, FirstRule, LastRule)
		return
	}
	match := []*p4v1.FieldMatch{exactly(1, uint64(epoch))}
	add := func(id uint32, set bool, value, mask uint64) {
		if set {
			match = append(match, masked(id, value, mask))
		}
	}
	add(2, k.Group.Set, uint64(k.Group.Value), 0xff)
	add(3, k.Leg.Set, uint64(k.Leg.Value), 0x7)
	add(4, k.Service.Set, uint64(k.Service.Value), 0xff)
	add(5, k.RemoteClass.Set, uint64(k.RemoteClass.Value), 0xff)
	add(6, k.SubscriberClass.Set, uint64(k.SubscriberClass.Value), 0xff)
	b.add(&p4v1.TableEntry{TableId: verdictTable, Match: match, Priority: k.Priority, Action: call(action, uint64(v.Rule))})
}

func (b *builder) bridge(mac MAC, at BridgePort) {
	if mac[0]&1 != 0 || mac == (MAC{}) || at.Port > MaxPort {
		b.fault("bridge %x at port %d: must be a unicast address at a port below 511", mac, at.Port)
		return
	}
	action := uint32(forwardToAccessAction)
	if at.Role == Network {
		action = forwardToNetworkAction
	}
	b.add(&p4v1.TableEntry{
		TableId: bridgeTable,
		Match: []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{
			Exact: &p4v1.FieldMatch_Exact{Value: canonical(mac[:])},
		}}},
		Action: call(action, uint64(at.Port)),
	})
}

func (b *builder) group(id uint32, ports []Port) {
	if len(ports) == 0 {
		return
	}
	sorted := slices.Clone(ports)
	slices.Sort(sorted)
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) || sorted[len(sorted)-1] > MaxPort {
		b.fault("multicast group %d: ports %v: each must be below 511 and stand once", id, ports)
		return
	}
	b.entries = append(b.entries, groupEntry(id, sorted))
}

// groupEntry wants ports in ascending order.
func groupEntry(id uint32, ports []Port) Entry {
	replicas := make([]*p4v1.Replica, len(ports))
	for i, p := range ports {
		replicas[i] = &p4v1.Replica{PortKind: &p4v1.Replica_Port{Port: fromUint(uint64(p))}, Instance: 1}
	}
	value := make([]byte, 0, 2*len(ports))
	for _, p := range ports {
		value = binary.BigEndian.AppendUint16(value, uint16(p))
	}
	return Entry{
		Key:    string(binary.BigEndian.AppendUint32([]byte{byte(len(schema))}, id)),
		Value:  string(value),
		Entity: groupEntity(&p4v1.MulticastGroupEntry{MulticastGroupId: id, Replicas: replicas}),
		rank:   len(schema),
	}
}

func mustTableEntry(t *p4v1.TableEntry) Entry {
	e, err := fromTableEntry(t)
	if err != nil {
		panic("pipeline: wrote an entry that it cannot read: " + err.Error())
	}
	return e
}

func tableEntity(t *p4v1.TableEntry) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: t}}
}

func groupEntity(g *p4v1.MulticastGroupEntry) *p4v1.Entity {
	return &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
		PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
			Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: g},
		},
	}}
}

func call(id uint32, params ...uint64) *p4v1.TableAction {
	a := &p4v1.Action{ActionId: id}
	for i, v := range params {
		a.Params = append(a.Params, &p4v1.Action_Param{ParamId: uint32(i + 1), Value: fromUint(v)})
	}
	return &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}
}

func exactly(id uint32, v uint64) *p4v1.FieldMatch {
	return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: fromUint(v)}}}
}

func masked(id uint32, v, mask uint64) *p4v1.FieldMatch {
	return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Ternary_{
		Ternary: &p4v1.FieldMatch_Ternary{Value: fromUint(v), Mask: fromUint(mask)},
	}}
}

// longest matches a prefix of length 1 or more; P4Runtime wants one of length 0 left out.
func longest(id uint32, p netip.Prefix) *p4v1.FieldMatch {
	return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Lpm{
		Lpm: &p4v1.FieldMatch_LPM{Value: canonical(p.Addr().AsSlice()), PrefixLen: int32(p.Bits())},
	}}
}

// addr reads a canonical bytestring of 32 or 128 bits as an address.
func addr(b []byte, width int) netip.Addr {
	a, _ := netip.AddrFromSlice(pad(b, width/8))
	return a
}
