package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// Entries turns the state into entries, its verdicts under the given epoch, ordered by Rank and then by Key. The running epoch itself is
// not among them: see EpochEntry. It returns ErrInvalid with every fault.
func (s *State) Entries(epoch Epoch) ([]Entry, error) {
	b := &builder{}
	if epoch == 0 {
		b.fault("epoch 0 is never given to a rule set; valid are 1 to 255")
	}
	for k, v := range s.Lines {
		b.line(k, v)
	}
	for k, v := range s.Services {
		b.service(k, v)
	}
	for p, class := range s.Remotes {
		b.prefix(remoteV4Table, remoteV6Table, setRemoteClassAction, "remote", p, class)
	}
	for p, class := range s.Subscribers {
		b.prefix(subscriberV4Table, subscriberV6Table, setSubscriberClassAction, "subscriber", p, class)
	}
	for k, v := range s.Verdicts {
		b.verdict(epoch, k, v)
	}
	for mac, at := range s.Bridge {
		b.bridge(mac, at)
	}
	b.group(networkPortsGroup, s.NetworkPorts)
	b.group(allPortsGroup, s.AllPorts)
	if len(b.faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(b.faults...))
	}
	slices.SortFunc(b.entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Key, b.Key))
	})
	return b.entries, nil
}

// EpochEntry is the default action that puts an epoch in force; it is written by MODIFY alone.
func EpochEntry(epoch Epoch) Entry {
	return mustTableEntry(&p4v1.TableEntry{
		TableId: runningEpochTable, IsDefaultAction: true, Action: call(setEpochAction, uint64(epoch)),
	})
}

// Reads are the entities to ask a switch for, one request each, so that the answers together hold all that a State can hold.
func Reads() []*p4v1.Entity {
	reads := make([]*p4v1.Entity, 0, len(schema)+1)
	for _, t := range schema {
		reads = append(reads, tableEntity(&p4v1.TableEntry{TableId: t.id, IsDefaultAction: t.id == runningEpochTable}))
	}
	return append(reads, groupEntity(&p4v1.MulticastGroupEntry{}))
}

type builder struct {
	entries []Entry
	faults  []error
}

func (b *builder) fault(format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf(format, args...))
}

func (b *builder) add(t *p4v1.TableEntry) { b.entries = append(b.entries, mustTableEntry(t)) }

func (b *builder) line(k LineKey, v Line) {
	if k.Port >= 1<<9 || k.OuterVID >= 1<<12 || k.InnerVID >= 1<<12 {
		b.fault("line %+v: port must be below 512 and VLAN ids below 4096", k)
		return
	}
	b.add(&p4v1.TableEntry{
		TableId: lineTable,
		Match:   []*p4v1.FieldMatch{exactly(1, uint64(k.Port)), exactly(2, uint64(k.OuterVID)), exactly(3, uint64(k.InnerVID))},
		Action:  call(setLineAction, uint64(v.Role), uint64(v.Group), uint64(v.Index)),
	})
}

func (b *builder) service(k ServiceKey, v ServiceValue) {
	if v.Priority < 1 || v.Service == 0 || v.Leg < UpDst || v.Leg > UpSrc {
		b.fault("service %+v: %+v: priority and service must be at least 1 and the leg one of 1 to 4", k, v)
		return
	}
	match := []*p4v1.FieldMatch{exactly(1, uint64(k.Role))}
	for i, p := range []PortMatch{k.SrcPort, k.DstPort} {
		if p.Exact {
			match = append(match, masked(uint32(i+2), uint64(p.Port), 0xffff))
		}
	}
	b.add(&p4v1.TableEntry{
		TableId: serviceTable, Match: match, Priority: v.Priority,
		Action: call(setServiceAction, uint64(v.Leg), uint64(v.Service)),
	})
}

func (b *builder) prefix(v4, v6, action uint32, what string, p netip.Prefix, class Class) {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
		b.fault("%s prefix %v: must be a masked IPv4 or IPv6 prefix", what, p)
		return
	}
	table := v6
	if p.Addr().Is4() {
		table = v4
	}
	var match []*p4v1.FieldMatch
	if p.Bits() > 0 { // a prefix of length 0 matches all, and P4Runtime wants it left out
		match = []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Lpm{
			Lpm: &p4v1.FieldMatch_LPM{Value: canonical(p.Addr().AsSlice()), PrefixLen: int32(p.Bits())},
		}}}
	}
	b.add(&p4v1.TableEntry{TableId: table, Match: match, Action: call(action, uint64(class))})
}

func (b *builder) verdict(epoch Epoch, k VerdictKey, v Verdict) {
	action, ok := map[VerdictAction]uint32{Permit: permitAction, Monitor: monitorAction, Drop: dropAction}[v.Action]
	if !ok || v.Rule < FirstRule || k.Priority < 1 {
		b.fault("verdict %+v: %+v: action must be permit, monitor or drop, rule at least %d, priority at least 1", k, v, FirstRule)
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
	if mac[0]&1 != 0 || mac == (MAC{}) || at.Port >= 1<<9 {
		b.fault("bridge %x at port %d: must be a unicast address at a port below 512", mac, at.Port)
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
	if len(slices.Compact(slices.Clone(sorted))) != len(sorted) || sorted[len(sorted)-1] >= 1<<9 {
		b.fault("multicast group %d: ports %v: each must be below 512 and stand once", id, ports)
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
	return Entry{
		Key:    fmt.Sprintf("multicast_group id=%d", id),
		Value:  fmt.Sprintf("ports %v", ports),
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

// addr reads a canonical bytestring of 32 or 128 bits as an address.
func addr(b []byte, width int) netip.Addr {
	a, _ := netip.AddrFromSlice(pad(b, width/8))
	return a
}
