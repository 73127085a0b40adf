package p4rtserver

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/extern"
)

// arrayCells calls f for every cell that an id and an index select. Id 0 selects all arrays.
func (p *pipeline) arrayCells(kind string, in map[uint32]*array, id uint32, idx *p4v1.Index, f func(a *array, i int64) error) error {
	if id == 0 && idx != nil {
		return invalidf("%s id 0 reads all; an index cannot be used with it", kind)
	}
	arrays, err := some(p, kind, in, id)
	if err != nil {
		return err
	}
	for _, a := range arrays {
		from, to, err := a.cells(kind, idx)
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			if err := f(a, i); err != nil {
				return engineError(err)
			}
		}
	}
	return nil
}

func (p *pipeline) readCounter(e *p4v1.CounterEntry) (snapshot, error) {
	type cell struct {
		a     *array
		index int64
		v     engine.CounterValue
	}
	var cells []cell
	err := p.arrayCells("counter", p.schema.counters, e.GetCounterId(), e.GetIndex(), func(a *array, i int64) error {
		v, err := a.counter.Read(int(i))
		cells = append(cells, cell{a, i, v})
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(emit func(*p4v1.Entity) error) error {
		for _, c := range cells {
			if err := emit(c.a.counterCell(c.index, c.v)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (a *array) counterCell(i int64, v engine.CounterValue) *p4v1.Entity {
	m := &p4v1.CounterEntry{CounterId: a.id, Index: &p4v1.Index{Index: i}, Data: counterData(v)}
	return &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: m}}
}

func (p *pipeline) readMeter(e *p4v1.MeterEntry) (snapshot, error) {
	if e.GetCounterData() != nil {
		return nil, errMeterCounters()
	}
	type cell struct {
		a     *array
		index int64
		c     extern.MeterConfig
		set   bool
	}
	var cells []cell
	err := p.arrayCells("meter", p.schema.meters, e.GetMeterId(), e.GetIndex(), func(a *array, i int64) error {
		c, ok, err := a.meter.Read(int(i))
		cells = append(cells, cell{a, i, c, ok})
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(emit func(*p4v1.Entity) error) error {
		for _, c := range cells {
			if err := emit(c.a.meterCell(c.index, c.c, c.set)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (a *array) meterCell(i int64, c extern.MeterConfig, set bool) *p4v1.Entity {
	m := &p4v1.MeterEntry{MeterId: a.id, Index: &p4v1.Index{Index: i}}
	if set {
		m.Config = meterProto(c)
	}
	return &p4v1.Entity{Entity: &p4v1.Entity_MeterEntry{MeterEntry: m}}
}

func (p *pipeline) readRegister(e *p4v1.RegisterEntry) (snapshot, error) {
	type cell struct {
		a     *array
		index int64
		v     []byte
	}
	var cells []cell
	err := p.arrayCells("register", p.schema.registers, e.GetRegisterId(), e.GetIndex(), func(a *array, i int64) error {
		v, err := a.register.Read(int(i))
		cells = append(cells, cell{a, i, v})
		return err
	})
	if err != nil {
		return nil, err
	}
	return func(emit func(*p4v1.Entity) error) error {
		for _, c := range cells {
			if err := emit(c.a.registerCell(c.index, c.v)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func (a *array) registerCell(i int64, v []byte) *p4v1.Entity {
	data, _ := a.data.encode([][]byte{v})
	m := &p4v1.RegisterEntry{RegisterId: a.id, Index: &p4v1.Index{Index: i}, Data: data}
	return &p4v1.Entity{Entity: &p4v1.Entity_RegisterEntry{RegisterEntry: m}}
}

// readMember returns one member, all members of a profile, or all members of all profiles. Members that implement one-shot action
// sets are omitted.
func (p *pipeline) readMember(e *p4v1.ActionProfileMember) (snapshot, error) {
	profiles, err := some(p, "action profile", p.schema.profiles, e.GetActionProfileId())
	if err != nil {
		return nil, err
	}
	if e.GetActionProfileId() == 0 && e.GetMemberId() != 0 {
		return nil, invalidf("action profile id 0 reads all; a member id cannot be used with it")
	}
	var out []*p4v1.Entity
	for _, pr := range profiles {
		if len(p.selectors[pr.id].oneShots) > 0 || len(pr.tables) == 0 {
			continue
		}
		pr.prog.RangeMembers(func(m engine.Member) bool {
			if e.GetMemberId() == 0 || m.ID == e.MemberId {
				out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_ActionProfileMember{ActionProfileMember: &p4v1.ActionProfileMember{
					ActionProfileId: pr.id, MemberId: m.ID, Action: pr.tables[0].encodeAction(m.Action),
				}}})
			}
			return true
		})
	}
	if e.GetMemberId() != 0 && len(out) == 0 {
		return nil, status.Errorf(codes.NotFound, "action profile %q: member %d: no such member", profiles[0].name, e.MemberId)
	}
	return all(out), nil
}

func (p *pipeline) readGroup(e *p4v1.ActionProfileGroup) (snapshot, error) {
	profiles, err := some(p, "action profile", p.schema.profiles, e.GetActionProfileId())
	if err != nil {
		return nil, err
	}
	if e.GetActionProfileId() == 0 && e.GetGroupId() != 0 {
		return nil, invalidf("action profile id 0 reads all; a group id cannot be used with it")
	}
	var out []*p4v1.Entity
	for _, pr := range profiles {
		st := p.selectors[pr.id]
		if !pr.selector || len(st.oneShots) > 0 || len(pr.tables) == 0 {
			continue
		}
		pr.prog.RangeGroups(func(g engine.Group) bool {
			if e.GetGroupId() != 0 && g.ID != e.GroupId {
				return true
			}
			m := &p4v1.ActionProfileGroup{ActionProfileId: pr.id, GroupId: g.ID, MaxSize: st.maxSizes[g.ID]}
			for _, gm := range g.Members {
				w := gm.Weight
				if !pr.weights {
					w = 0
				}
				m.Members = append(m.Members, &p4v1.ActionProfileGroup_Member{MemberId: gm.Member, Weight: w})
			}
			out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_ActionProfileGroup{ActionProfileGroup: m}})
			return true
		})
	}
	if e.GetGroupId() != 0 && len(out) == 0 {
		return nil, status.Errorf(codes.NotFound, "action profile %q: group %d: no such group", profiles[0].name, e.GroupId)
	}
	return all(out), nil
}

// readReplication returns the multicast group or clone session with the given id. For id 0 it returns all of them.
func (p *pipeline) readReplication(e *p4v1.PacketReplicationEngineEntry) (snapshot, error) {
	var out []*p4v1.Entity
	add := func(x *p4v1.PacketReplicationEngineEntry) {
		out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{PacketReplicationEngineEntry: x}})
	}
	switch v := e.GetType().(type) {
	case *p4v1.PacketReplicationEngineEntry_MulticastGroupEntry:
		groups, err := pick("multicast group", p.groups, v.MulticastGroupEntry.GetMulticastGroupId())
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			add(&p4v1.PacketReplicationEngineEntry{Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: g}})
		}
	case *p4v1.PacketReplicationEngineEntry_CloneSessionEntry:
		sessions, err := pick("clone session", p.sessions, v.CloneSessionEntry.GetSessionId())
		if err != nil {
			return nil, err
		}
		for _, c := range sessions {
			add(&p4v1.PacketReplicationEngineEntry{Type: &p4v1.PacketReplicationEngineEntry_CloneSessionEntry{CloneSessionEntry: c}})
		}
	default:
		return nil, invalidf("packet_replication_engine_entry: not set; it must be a multicast_group_entry or a clone_session_entry")
	}
	return all(out), nil
}

func pick[T any](kind string, in map[uint32]T, id uint32) ([]T, error) {
	if id == 0 {
		return ordered(in), nil
	}
	x, ok := in[id]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "%s %d: no such %s", kind, id, kind)
	}
	return []T{x}, nil
}

func (p *pipeline) readValueSet(e *p4v1.ValueSetEntry) (snapshot, error) {
	if len(e.GetMembers()) > 0 {
		return nil, invalidf("value set entry: members must not be set in a read")
	}
	sets, err := some(p, "value set", p.schema.valueSets, e.GetValueSetId())
	if err != nil {
		return nil, err
	}
	var out []*p4v1.Entity
	for _, v := range sets {
		m := &p4v1.ValueSetEntry{ValueSetId: v.id}
		for _, x := range v.prog.Members() {
			m.Members = append(m.Members, &p4v1.ValueSetMember{Match: encodeMatches(x, v.fields)})
		}
		out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_ValueSetEntry{ValueSetEntry: m}})
	}
	return all(out), nil
}

// readDigest returns the configurations of the enabled digests.
func (p *pipeline) readDigest(e *p4v1.DigestEntry) (snapshot, error) {
	digests, err := some(p, "digest", p.schema.digests, e.GetDigestId())
	if err != nil {
		return nil, err
	}
	var out []*p4v1.Entity
	for _, d := range digests {
		if c := p.digests.entry(d.id); c != nil {
			out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_DigestEntry{DigestEntry: c}})
		}
	}
	if e.GetDigestId() != 0 && len(out) == 0 {
		return nil, status.Errorf(codes.NotFound, "digest %q: not enabled; INSERT enables it", digests[0].name)
	}
	return all(out), nil
}
