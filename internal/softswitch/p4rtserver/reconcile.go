package p4rtserver

import (
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// inherit copies the forwarding state of another pipeline into this new pipeline (spec 14, RECONCILE_AND_COMMIT). It copies entries with
// their metadata, counters and meters, action profiles, default entries, indexed counters and meters, registers, replication, value sets
// and digest configurations. If an object cannot be kept, inherit returns an error that names it. The caller then discards the new
// pipeline, so nothing has changed.
//
// Objects of the two pipelines correspond if they have the same id and the same name. If packets change the old pipeline's state between
// the copy and the commit, these changes are lost.
func (p *pipeline) inherit(from *pipeline) error {
	if err := p.dropInitial(); err != nil {
		return err
	}
	return from.state(func(u carried) error {
		if err := p.sameObject(from, u.update.GetEntity()); err != nil {
			return err
		}
		if err := p.apply(u.update); err != nil && !(u.optional && status.Code(err) == codes.NotFound) {
			return err
		}
		return nil
	})
}

// dropInitial deletes the initial entries that the control plane may change. The entries that still exist in the old pipeline are copied
// with the rest of the state.
func (p *pipeline) dropInitial() error {
	for _, t := range ordered(p.schema.tables) {
		if t.isConst || !t.initial {
			continue
		}
		for _, r := range p.rows(t, filter{}, nil) {
			if r.entry.Const {
				continue
			}
			if err := t.prog.Delete(r.entry.Matches, r.entry.Priority); err != nil {
				return engineError(err)
			}
		}
	}
	return nil
}

// A carried is an update that restores a part of the state. optional is set if the update concerns an object that the program declares and
// that the new program may not have.
type carried struct {
	update   *p4v1.Update
	optional bool
}

// state calls f with the updates that restore a pipeline's state, until f returns an error. An update comes after all updates on which it
// depends. To save memory, only one kind of state is held at a time, and only one cell of an array.
func (p *pipeline) state(f func(carried) error) error {
	var failed error
	add := func(op p4v1.Update_Type, optional bool, take func() (snapshot, error), keep func(*p4v1.Entity) bool) {
		if failed != nil {
			return
		}
		snap, err := take()
		if err != nil { // cannot happen, because wildcard reads of a bound pipeline are never refused
			return
		}
		failed = snap(func(e *p4v1.Entity) error {
			if keep != nil && !keep(e) {
				return nil
			}
			return f(carried{&p4v1.Update{Type: op, Entity: e}, optional})
		})
	}
	cells := func(in map[uint32]*array, cell func(a *array, i int64) (*p4v1.Entity, bool)) {
		for _, a := range ordered(in) {
			for i := int64(0); failed == nil && i < a.size; i++ {
				if e, ok := cell(a, i); ok {
					failed = f(carried{&p4v1.Update{Type: p4v1.Update_MODIFY, Entity: e}, false})
				}
			}
		}
	}
	add(p4v1.Update_INSERT, false, func() (snapshot, error) { return p.readMember(&p4v1.ActionProfileMember{}) }, nil)
	add(p4v1.Update_INSERT, false, func() (snapshot, error) { return p.readGroup(&p4v1.ActionProfileGroup{}) }, nil)
	want := &p4v1.TableEntry{CounterData: &p4v1.CounterData{}, MeterConfig: &p4v1.MeterConfig{}}
	entries := func() (snapshot, error) { return p.readTable(want) }
	add(p4v1.Update_INSERT, false, entries, func(e *p4v1.Entity) bool { return !e.GetTableEntry().IsConst })
	add(p4v1.Update_MODIFY, true, entries, func(e *p4v1.Entity) bool {
		t := e.GetTableEntry()
		if !t.IsConst || t.MeterConfig == nil && t.CounterData == nil {
			return false
		}
		t.IsConst, t.Action = false, nil
		return true
	})
	add(p4v1.Update_MODIFY, false, func() (snapshot, error) { return p.changedDefaults() }, nil)
	cells(p.schema.counters, func(a *array, i int64) (*p4v1.Entity, bool) {
		v, err := a.counter.Read(int(i))
		if err != nil || v == (engine.CounterValue{}) {
			return nil, false
		}
		return a.counterCell(i, v), true
	})
	cells(p.schema.meters, func(a *array, i int64) (*p4v1.Entity, bool) {
		c, set, err := a.meter.Read(int(i))
		if err != nil || !set {
			return nil, false
		}
		return a.meterCell(i, c, set), true
	})
	cells(p.schema.registers, func(a *array, i int64) (*p4v1.Entity, bool) {
		v, err := a.register.Read(int(i))
		if err != nil || isZero(v) {
			return nil, false
		}
		return a.registerCell(i, v), true
	})
	for _, kind := range []*p4v1.PacketReplicationEngineEntry{
		{Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: &p4v1.MulticastGroupEntry{}}},
		{Type: &p4v1.PacketReplicationEngineEntry_CloneSessionEntry{CloneSessionEntry: &p4v1.CloneSessionEntry{}}},
	} {
		add(p4v1.Update_INSERT, false, func() (snapshot, error) { return p.readReplication(kind) }, nil)
	}
	add(p4v1.Update_MODIFY, false, func() (snapshot, error) { return p.readValueSet(&p4v1.ValueSetEntry{}) }, func(e *p4v1.Entity) bool {
		return len(e.GetValueSetEntry().Members) > 0
	})
	add(p4v1.Update_INSERT, false, func() (snapshot, error) { return p.readDigest(&p4v1.DigestEntry{}) }, nil)
	return failed
}

// changedDefaults returns the default entries that the control plane has set.
func (p *pipeline) changedDefaults() (snapshot, error) {
	var tables []*table
	for _, t := range ordered(p.schema.tables) {
		if p.changed[t.id] {
			tables = append(tables, t)
		}
	}
	return p.readDefaults(tables, &p4v1.TableEntry{})
}

// sameObject checks that an entity's object exists in both pipelines and has the same match fields in both.
func (p *pipeline) sameObject(from *pipeline, e *p4v1.Entity) error {
	var id uint32
	switch v := e.GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		id = v.TableEntry.TableId
	case *p4v1.Entity_ActionProfileMember:
		id = v.ActionProfileMember.ActionProfileId
	case *p4v1.Entity_ActionProfileGroup:
		id = v.ActionProfileGroup.ActionProfileId
	case *p4v1.Entity_CounterEntry:
		id = v.CounterEntry.CounterId
	case *p4v1.Entity_MeterEntry:
		id = v.MeterEntry.MeterId
	case *p4v1.Entity_RegisterEntry:
		id = v.RegisterEntry.RegisterId
	case *p4v1.Entity_ValueSetEntry:
		id = v.ValueSetEntry.ValueSetId
	case *p4v1.Entity_DigestEntry:
		id = v.DigestEntry.DigestId
	default: // replication does not depend on the P4Info's ids
		return nil
	}
	if have, ok := p.schema.names[id]; !ok || have != from.schema.names[id] {
		return invalidf("%q (id %#x): holds state, and is %s in the new P4Info", from.schema.names[id], id, p.schema.nameOf(id))
	}
	if t := p.schema.tables[id]; t != nil {
		if err := sameFields(from.schema.tables[id].fields, t.fields); err != nil {
			return invalidf("table %q: %v", t.name, err)
		}
	}
	for _, a := range actionsOf(e) {
		if p.schema.names[a] != from.schema.names[a] {
			return invalidf("%q: an entry uses action %q (id %#x), which is %s in the new P4Info", from.schema.names[id], from.schema.names[a], a, p.schema.nameOf(a))
		}
	}
	return nil
}

func sameFields(old, now []field) error {
	for _, f := range old {
		i := fieldIndex(now, f.id)
		if i < 0 {
			return fmt.Errorf("match field %q (id %d): not in the new P4Info", f.name, f.id)
		}
		if g := now[i]; g.name != f.name || g.kind != f.kind {
			return fmt.Errorf("match field %q (id %d): %v before, %q %v in the new P4Info", f.name, f.id, f.kind, g.name, g.kind)
		}
	}
	return nil
}

// actionsOf returns the ids of the actions that an entity uses.
func actionsOf(e *p4v1.Entity) []uint32 {
	var out []uint32
	add := func(a *p4v1.Action) {
		if a != nil {
			out = append(out, a.ActionId)
		}
	}
	add(e.GetActionProfileMember().GetAction())
	add(e.GetTableEntry().GetAction().GetAction())
	for _, a := range e.GetTableEntry().GetAction().GetActionProfileActionSet().GetActionProfileActions() {
		add(a.Action)
	}
	return out
}
