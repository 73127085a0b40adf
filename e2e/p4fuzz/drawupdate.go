package p4fuzz

import (
	"math/big"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// installed draws an installed entry that a client may change, from a table for which wants returns true. If wants is nil, any table will
// do. installed returns nil if 30 draws find no such entry.
func (d *Drawer) installed(wants func(*table) bool) *p4v1.TableEntry {
	if len(d.m.keys) == 0 {
		return nil
	}
	for range 30 {
		e := d.m.entries[d.m.keys[d.r.IntN(len(d.m.keys))]]
		if !e.GetIsConst() && (wants == nil || wants(d.p.byID[e.GetTableId()])) {
			return e
		}
	}
	return nil
}

func update(kind p4v1.Update_Type, e *p4v1.TableEntry) *p4v1.Update {
	return &p4v1.Update{Type: kind, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}}
}

func keyOf(e *p4v1.TableEntry) *p4v1.TableEntry {
	k := &p4v1.TableEntry{TableId: e.GetTableId(), Priority: e.GetPriority()}
	for _, f := range e.GetMatch() {
		k.Match = append(k.Match, clone(f))
	}
	return k
}

func deletion(e *p4v1.TableEntry) *p4v1.Update { return update(p4v1.Update_DELETE, keyOf(e)) }

// insert draws an insert of a new entry into a table. If t is nil, it draws the table too.
func (d *Drawer) insert(t *table) *p4v1.Update {
	var e *p4v1.TableEntry
	for range 8 {
		in := t
		for in == nil || len(in.fields) == 0 || in.isConst {
			in = d.p.tables[d.r.IntN(len(d.p.tables))]
		}
		e = d.entry(in)
		if d.m.entries[d.p.keyText(e)] == nil && (d.m.count[in.id] < d.m.size(in) || t != nil) {
			break
		}
	}
	return update(p4v1.Update_INSERT, e)
}

// entry draws an entry. Most of these entries satisfy the program's restrictions.
func (d *Drawer) entry(t *table) *p4v1.TableEntry {
	e := &p4v1.TableEntry{TableId: t.id}
	free := d.r.IntN(careless) == 0
	d.content(t, e, free)
	for range triesToAllow {
		e.Match = nil
		for _, f := range t.fields {
			if x := d.match(f); x != nil {
				e.Match = append(e.Match, x)
			}
		}
		if t.ternary {
			e.Priority = 1 + d.r.Int32N(6)
			if d.r.IntN(8) == 0 {
				e.Priority = 1<<31 - 1 - d.r.Int32N(2)
			}
		}
		if free || d.p.restrictions.CheckEntry(e) == nil {
			break
		}
	}
	return e
}

func (d *Drawer) modify(old *p4v1.TableEntry) *p4v1.Update {
	e := keyOf(old)
	d.content(d.p.byID[old.GetTableId()], e, false)
	return update(p4v1.Update_MODIFY, e)
}

// content draws an entry's action and the other parts that do not belong to the key.
func (d *Drawer) content(t *table, e *p4v1.TableEntry, free bool) {
	e.Action = d.action(t, configv1.ActionRef_DEFAULT_ONLY, free)
	if d.r.IntN(5) == 0 {
		e.Metadata = d.bytes(1 + d.r.IntN(12))
	}
	if t.idle && d.r.IntN(3) == 0 {
		e.IdleTimeoutNs = (1 + d.r.Int64N(1000)) * 3_600_000_000_000 // at least an hour, so that no entry expires during a test
	}
	if t.counter && d.r.IntN(3) == 0 {
		e.CounterData = &p4v1.CounterData{PacketCount: d.r.Int64N(1000), ByteCount: d.r.Int64N(1 << 40)}
	}
	if t.meter {
		e.MeterConfig = d.meter()
	}
}

// action draws an action of a table. The scope forbidden is excluded. action returns nil if the table has no other action.
func (d *Drawer) action(t *table, forbidden configv1.ActionRef_Scope, free bool) *p4v1.TableAction {
	var refs []*configv1.ActionRef
	for _, r := range t.refs {
		if r.GetScope() != forbidden {
			refs = append(refs, r)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	return d.call(refs[d.r.IntN(len(refs))].GetId(), free)
}

func (d *Drawer) call(id uint32, free bool) *p4v1.TableAction {
	a := &p4v1.Action{ActionId: id}
	for range triesToAllow {
		a.Params = nil
		for _, p := range d.p.actions[id].GetParams() {
			a.Params = append(a.Params, &p4v1.Action_Param{ParamId: p.GetId(), Value: bytesOf(d.number(p.GetBitwidth()))})
		}
		if free || d.p.restrictions.CheckAction(a) == nil {
			break
		}
	}
	return &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}
}

// meter draws the configuration of a two-rate meter.
func (d *Drawer) meter() *p4v1.MeterConfig {
	c := &p4v1.MeterConfig{Cir: d.r.Int64N(2000), Cburst: d.r.Int64N(2000)}
	if d.r.IntN(2) == 0 {
		c.Pir, c.Pburst = c.Cir, c.Cburst
	} else {
		c.Pir, c.Pburst = c.Cir+d.r.Int64N(2000), d.r.Int64N(2000)
	}
	return c
}

// defaultEntry draws a change of a table's default entry, unless that entry is const.
func (d *Drawer) defaultEntry() *p4v1.Update {
	for range 30 {
		t := d.p.tables[d.r.IntN(len(d.p.tables))]
		if t.constDefault || t.initial == nil {
			continue
		}
		e := &p4v1.TableEntry{TableId: t.id, IsDefaultAction: true, Action: d.action(t, configv1.ActionRef_TABLE_ONLY, false)}
		if d.r.IntN(4) == 0 {
			e.Metadata = d.bytes(1 + d.r.IntN(12))
		}
		return update(p4v1.Update_MODIFY, e)
	}
	return d.group()
}

// direct draws a change of the counter or the meter of an entry. It returns nil if no entry has one.
func (d *Drawer) direct() *p4v1.Update {
	e := d.installed(func(t *table) bool { return t.counter || t.meter })
	if e == nil {
		return nil
	}
	x := &p4v1.Entity{}
	if d.p.byID[e.GetTableId()].counter {
		x.Entity = &p4v1.Entity_DirectCounterEntry{DirectCounterEntry: &p4v1.DirectCounterEntry{
			TableEntry: keyOf(e), Data: &p4v1.CounterData{PacketCount: d.r.Int64N(1000), ByteCount: d.r.Int64N(1 << 40)},
		}}
	} else {
		m := &p4v1.DirectMeterEntry{TableEntry: keyOf(e)}
		if d.r.IntN(4) > 0 {
			m.Config = d.meter()
		}
		x.Entity = &p4v1.Entity_DirectMeterEntry{DirectMeterEntry: m}
	}
	return &p4v1.Update{Type: p4v1.Update_MODIFY, Entity: x}
}

// groups is the number of multicast groups that a Drawer can create.
const groups = 16

func (d *Drawer) group() *p4v1.Update {
	g := &p4v1.MulticastGroupEntry{MulticastGroupId: 1 + d.r.Uint32N(groups)}
	kind := p4v1.Update_INSERT
	if d.m.groups[g.MulticastGroupId] != nil {
		if kind = p4v1.Update_MODIFY; d.r.IntN(2) == 0 {
			kind = p4v1.Update_DELETE
		}
	}
	if kind != p4v1.Update_DELETE {
		type place struct{ port, instance uint32 }
		seen := map[place]bool{}
		for range d.r.IntN(6) {
			at := place{1 + d.r.Uint32N(maxPort), d.r.Uint32N(3)}
			if d.r.IntN(10) == 0 {
				at.instance = maxInstance
			}
			if seen[at] {
				continue
			}
			seen[at] = true
			g.Replicas = append(g.Replicas, replica(at.port, at.instance))
		}
		if d.r.IntN(5) == 0 {
			g.Metadata = d.bytes(1 + d.r.IntN(12))
		}
	}
	return groupUpdate(kind, g)
}

func replica(port, instance uint32) *p4v1.Replica {
	return &p4v1.Replica{PortKind: &p4v1.Replica_Port{Port: bytesOf(big.NewInt(int64(port)))}, Instance: instance}
}

func groupUpdate(kind p4v1.Update_Type, g *p4v1.MulticastGroupEntry) *p4v1.Update {
	return &p4v1.Update{Type: kind, Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{
		PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
			Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: g},
		},
	}}}
}
