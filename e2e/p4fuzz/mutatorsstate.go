package p4fuzz

import (
	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// ofState lists the mutators that depend on the installed entries. FullTable is missing, because Drawer.fill
// draws it.
var ofState = []mutator{
	{Duplicate, func(d *Drawer) *p4v1.Update {
		if d.r.IntN(4) == 0 {
			u := d.group()
			u.Type = p4v1.Update_INSERT
			return u
		}
		u := modified(d)
		if u != nil {
			u.Type = p4v1.Update_INSERT
		}
		return u
	}, func(d *Drawer, u *p4v1.Update) bool {
		g := groupOf(u)
		return g == nil || d.m.groups[g.GetMulticastGroupId()] != nil
	}},
	{MissingModify, func(d *Drawer) *p4v1.Update {
		if d.r.IntN(4) == 0 {
			u := d.group()
			u.Type = p4v1.Update_MODIFY
			return u
		}
		u := d.insert(nil)
		u.Type = p4v1.Update_MODIFY
		return u
	}, func(d *Drawer, u *p4v1.Update) bool {
		g := groupOf(u)
		return g == nil || d.m.groups[g.GetMulticastGroupId()] == nil
	}},
	{MissingDelete, func(d *Drawer) *p4v1.Update {
		if d.r.IntN(4) == 0 {
			return groupUpdate(p4v1.Update_DELETE, &p4v1.MulticastGroupEntry{MulticastGroupId: 1 + d.r.Uint32N(groups)})
		}
		return deletion(entryOf(d.insert(nil)))
	}, func(d *Drawer, u *p4v1.Update) bool {
		g := groupOf(u)
		return g == nil || d.m.groups[g.GetMulticastGroupId()] == nil
	}},
	{JunkInDelete, func(d *Drawer) *p4v1.Update {
		u := modified(d)
		if u != nil {
			u.Type = p4v1.Update_DELETE
		}
		return u
	}, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		if e.Action.GetAction().ActionId = d.unknownID(0); d.r.IntN(2) == 0 {
			e.Metadata, e.IdleTimeoutNs, e.MeterConfig, e.CounterData = []byte{1}, -1, &p4v1.MeterConfig{Cir: -5}, &p4v1.CounterData{PacketCount: -5}
		}
		return true
	})},
	{KeylessInsert, keyless(p4v1.Update_INSERT), nil},
	{KeylessOther, func(d *Drawer) *p4v1.Update {
		return keyless(p4v1.Update_MODIFY + p4v1.Update_Type(d.r.Int32N(2)))(d)
	}, nil},
	{ConstInsert, func(d *Drawer) *p4v1.Update {
		t := d.p.tables[d.r.IntN(len(d.p.tables))]
		if !t.isConst {
			return nil
		}
		return update(p4v1.Update_INSERT, d.entry(t))
	}, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool { return d.m.entries[d.p.keyText(e)] == nil })},
	{ConstEntry, func(d *Drawer) *p4v1.Update {
		if len(d.m.keys) == 0 {
			return nil
		}
		e := d.m.entries[d.m.keys[d.r.IntN(len(d.m.keys))]]
		if !e.GetIsConst() {
			return nil
		}
		u := d.modify(e)
		if d.r.IntN(2) == 0 {
			u.Type = p4v1.Update_DELETE
		}
		return u
	}, nil},
}

// ofDefaults lists the mutators of default entries.
var ofDefaults = []mutator{
	{DefaultInsert, byDefault, func(_ *Drawer, u *p4v1.Update) bool { u.Type = p4v1.Update_INSERT; return entryOf(u) != nil }},
	{DefaultDelete, byDefault, func(_ *Drawer, u *p4v1.Update) bool { u.Type = p4v1.Update_DELETE; return entryOf(u) != nil }},
	{DefaultMatch, byDefault, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.Match = []*p4v1.FieldMatch{{FieldId: 1, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{1}}}}}
		return true
	})},
	{DefaultPriority, byDefault, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool { e.Priority = 1 + d.r.Int32N(5); return true })},
	{DefaultIdle, byDefault, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool { e.IdleTimeoutNs = 1 + d.r.Int64N(5); return t.idle })},
	{ConstDefault, func(d *Drawer) *p4v1.Update {
		t := d.p.tables[d.r.IntN(len(d.p.tables))]
		if !t.constDefault {
			return nil
		}
		e := &p4v1.TableEntry{TableId: t.id, IsDefaultAction: true, Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: t.initial}}}
		return update(p4v1.Update_MODIFY, clone(e))
	}, nil},
	{ResetDefault, byDefault, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.Action, e.Metadata = nil, nil; return true })},
}

// ofResources lists the mutators of timeouts, direct meters and direct counters.
var ofResources = []mutator{
	{IdleUnsupported, written, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.IdleTimeoutNs = 1 + d.r.Int64N(5)
		return !t.idle
	})},
	{SinceLastHit, written, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool {
		e.TimeSinceLastHit = &p4v1.TableEntry_IdleTimeout{}
		return true
	})},
	{MeterUnsupported, written, onEntry(func(d *Drawer, t *table, e *p4v1.TableEntry) bool { e.MeterConfig = d.meter(); return !t.meter })},
	{NegativeMeter, ofMeter, onMeter(func(d *Drawer, c *p4v1.MeterConfig) bool {
		bad := -2 - d.r.Int64N(1000)
		switch d.r.IntN(3) {
		case 0:
			c.Cburst = bad
		case 1:
			c.Pburst = bad
		default:
			c.Cir, c.Pir = bad, bad
		}
		return true
	})},
	{MinusOneBurst, ofMeter, onMeter(func(d *Drawer, c *p4v1.MeterConfig) bool {
		*[]*int64{&c.Cburst, &c.Pburst}[d.r.IntN(2)] = -1
		return true
	})},
	{HugeBurst, ofMeter, onMeter(func(d *Drawer, c *p4v1.MeterConfig) bool {
		*[]*int64{&c.Cburst, &c.Pburst}[d.r.IntN(2)] = 1<<32 + d.r.Int64N(1000)
		return true
	})},
	{PeakBelow, ofMeter, onMeter(func(d *Drawer, c *p4v1.MeterConfig) bool {
		c.Pir = c.Cir / 2
		return c.Pir < c.Cir
	})},
	{ExcessBurst, ofMeter, onMeter(func(d *Drawer, c *p4v1.MeterConfig) bool { c.Eburst = 1 + d.r.Int64N(5); return true })},
	{BareMeter, ofMeter, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.MeterConfig = nil; return true })},
	{KeepMeter, func(d *Drawer) *p4v1.Update {
		if e := d.installed(func(t *table) bool { return t.meter }); e.GetMeterConfig() != nil {
			return d.modify(e)
		}
		return nil
	}, onEntry(func(_ *Drawer, _ *table, e *p4v1.TableEntry) bool { e.MeterConfig = nil; return true })},
	{CountUnsupported, written, onEntry(func(_ *Drawer, t *table, e *p4v1.TableEntry) bool {
		e.CounterData = &p4v1.CounterData{PacketCount: 1}
		return !t.counter
	})},
	{NegativeCount, ofCounter, onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		e.CounterData = &p4v1.CounterData{PacketCount: -1 - d.r.Int64N(5)}
		return true
	})},
	{DirectInsert, directly, func(_ *Drawer, u *p4v1.Update) bool { u.Type = p4v1.Update_INSERT; return true }},
	{MeterDelete, directly, func(_ *Drawer, u *p4v1.Update) bool {
		u.Type = p4v1.Update_DELETE
		return u.GetEntity().GetDirectMeterEntry() != nil
	}},
	{CounterDelete, directly, func(_ *Drawer, u *p4v1.Update) bool {
		u.Type = p4v1.Update_DELETE
		return u.GetEntity().GetDirectCounterEntry() != nil
	}},
	{DirectMissing, directly, func(d *Drawer, u *p4v1.Update) bool {
		e := directEntry(u)
		*e = keyOf(entryOf(d.insert(d.p.byID[(*e).GetTableId()])))
		return d.m.entries[d.p.keyText(*e)] == nil
	}},
	{DirectNoEntry, directly, func(_ *Drawer, u *p4v1.Update) bool { *directEntry(u) = nil; return true }},
}

// ofGroups lists the mutators of multicast groups.
var ofGroups = []mutator{
	{GroupZero, groupWrite, func(_ *Drawer, u *p4v1.Update) bool { groupOf(u).MulticastGroupId = 0; return true }},
	{GroupDuplicate, groupWrite, onReplica(func(_ *Drawer, g *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		g.Replicas = append(g.Replicas, clone(r))
	})},
	{GroupInstance, groupWrite, onReplica(func(d *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.Instance = maxInstance + 1 + d.r.Uint32N(9)
	})},
	{GroupPort, groupWrite, onReplica(func(d *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.PortKind = &p4v1.Replica_Port{Port: d.portBytes(maxPort + 1 + d.r.Uint32N(1000))}
	})},
	{GroupPortNought, groupWrite, onReplica(func(_ *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.PortKind = &p4v1.Replica_Port{Port: []byte{0}}
	})},
	{GroupNoPort, groupWrite, onReplica(func(_ *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) { r.PortKind = nil })},
	{GroupEmptyPort, groupWrite, onReplica(func(_ *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.PortKind = &p4v1.Replica_Port{}
	})},
	{GroupPadded, groupWrite, onReplica(func(d *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.PortKind = &p4v1.Replica_Port{Port: append([]byte{0}, r.GetPort()...)}
	})},
	{GroupBackup, groupWrite, onReplica(func(d *Drawer, _ *p4v1.MulticastGroupEntry, r *p4v1.Replica) {
		r.BackupReplicas = []*p4v1.BackupReplica{{Port: d.portBytes(1 + d.r.Uint32N(9)), Instance: 7}}
	})},
}

func keyless(kind p4v1.Update_Type) func(*Drawer) *p4v1.Update {
	return func(d *Drawer) *p4v1.Update {
		t := d.p.tables[d.r.IntN(len(d.p.tables))]
		if len(t.fields) > 0 {
			return nil
		}
		return update(kind, &p4v1.TableEntry{TableId: t.id, Action: d.action(t, configv1.ActionRef_DEFAULT_ONLY, false)})
	}
}

func onMeter(change func(*Drawer, *p4v1.MeterConfig) bool) func(*Drawer, *p4v1.Update) bool {
	return onEntry(func(d *Drawer, _ *table, e *p4v1.TableEntry) bool {
		return change(d, e.MeterConfig)
	})
}

func directEntry(u *p4v1.Update) **p4v1.TableEntry {
	if c := u.GetEntity().GetDirectCounterEntry(); c != nil {
		return &c.TableEntry
	}
	return &u.GetEntity().GetDirectMeterEntry().TableEntry
}
