package p4fuzz

import (
	"math/big"
	"slices"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/proto"
)

// requests lists the mutations of whole requests, in the order in which they are drawn.
var requests = []Mutation{
	ForeignDevice, UnknownRole, OldElection, NewElection, NoElection, Rollback, DataplaneAtomic, UnknownAtomic, EmptyBatch,
}

// A mutator applies one mutation to an update. do returns false if the mutation is not possible for the update.
type mutator struct {
	Mutation
	base func(*Drawer) *p4v1.Update // draws the update to mutate, or returns nil if there is none at present
	do   func(*Drawer, *p4v1.Update) bool
}

// triesToMutate is how often an update is drawn for a mutator before the mutator is skipped. Several attempts are needed, because some
// mutators require an update that is rarely drawn.
const triesToMutate = 40

// mutated draws an update with the next mutation. It returns nil if the mutation must be avoided, or if the program and the installed
// entries do not permit it.
func (d *Drawer) mutated() *p4v1.Update {
	d.turn++
	if slices.Contains(d.avoid, mutators[d.turn%len(mutators)].Mutation) {
		return nil
	}
	return d.mutate(mutators[d.turn%len(mutators)])
}

func (d *Drawer) mutate(x mutator) *p4v1.Update {
	for range triesToMutate {
		if u := x.base(d); u != nil && (x.do == nil || x.do(d, u)) {
			return u
		}
	}
	return nil
}

// The functions below draw the updates that mutators change.

func written(d *Drawer) *p4v1.Update { // draws an INSERT or MODIFY of an entry
	if e := d.installed(nil); e != nil && d.r.IntN(3) == 0 {
		return d.modify(e)
	}
	return d.insert(nil)
}

func inserted(d *Drawer) *p4v1.Update { return d.insert(nil) }

func modified(d *Drawer) *p4v1.Update {
	if e := d.installed(nil); e != nil {
		return d.modify(e)
	}
	return nil
}

func deleted(d *Drawer) *p4v1.Update {
	if e := d.installed(nil); e != nil {
		return deletion(e)
	}
	return nil
}

func keyed(d *Drawer) *p4v1.Update { // draws an update that has the key of a table
	if d.r.IntN(4) == 0 {
		return deleted(d)
	}
	return written(d)
}

func anything(d *Drawer) *p4v1.Update { return d.valid() }

func byDefault(d *Drawer) *p4v1.Update { return d.defaultEntry() }

func ofMeter(d *Drawer) *p4v1.Update { // draws an INSERT into a table with a meter
	for range 40 {
		if t := d.p.tables[d.r.IntN(len(d.p.tables))]; t.meter {
			return d.insert(t)
		}
	}
	return nil
}

func ofCounter(d *Drawer) *p4v1.Update {
	for range 40 {
		if t := d.p.tables[d.r.IntN(len(d.p.tables))]; t.counter && !t.isConst {
			return d.insert(t)
		}
	}
	return nil
}

func directly(d *Drawer) *p4v1.Update { return d.direct() }

func groupWrite(d *Drawer) *p4v1.Update {
	if u := d.group(); u.GetType() != p4v1.Update_DELETE {
		return u
	}
	return nil
}

func entryOf(u *p4v1.Update) *p4v1.TableEntry { return u.GetEntity().GetTableEntry() }

func groupOf(u *p4v1.Update) *p4v1.MulticastGroupEntry {
	return u.GetEntity().GetPacketReplicationEngineEntry().GetMulticastGroupEntry()
}

// onField returns a function that applies change to one match of an entry.
func onField(change func(d *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool) func(*Drawer, *p4v1.Update) bool {
	return func(d *Drawer, u *p4v1.Update) bool {
		e := entryOf(u)
		if len(e.GetMatch()) == 0 {
			return false
		}
		x := e.Match[d.r.IntN(len(e.Match))]
		return change(d, d.p.byID[e.GetTableId()].field(x.GetFieldId()), x)
	}
}

// onValue returns a function that applies change to one byte string of a match.
func onValue(change func(d *Drawer, f *configv1.MatchField, b []byte) []byte) func(*Drawer, *p4v1.Update) bool {
	return onField(func(d *Drawer, f *configv1.MatchField, x *p4v1.FieldMatch) bool {
		var at *[]byte
		switch v := x.GetFieldMatchType().(type) {
		case *p4v1.FieldMatch_Exact_:
			at = &v.Exact.Value
		case *p4v1.FieldMatch_Optional_:
			at = &v.Optional.Value
		case *p4v1.FieldMatch_Lpm:
			at = &v.Lpm.Value
		case *p4v1.FieldMatch_Ternary_:
			if at = &v.Ternary.Mask; d.r.IntN(2) == 0 {
				at = &v.Ternary.Value
				// Section 9.1.1 also forbids a value that is longer than its mask, but this contradicts section 8.4. The longer mask avoids
				// such values.
				v.Ternary.Mask = append([]byte{0, 0}, v.Ternary.Mask...)
			}
		case *p4v1.FieldMatch_Range_:
			if at = &v.Range.Low; d.r.IntN(2) == 0 {
				at = &v.Range.High
			}
		}
		*at = change(d, f, *at)
		return *at != nil
	})
}

func onParam(change func(d *Drawer, a *p4v1.Action, p *configv1.Action_Param, x *p4v1.Action_Param) bool) func(*Drawer, *p4v1.Update) bool {
	return func(d *Drawer, u *p4v1.Update) bool {
		a := entryOf(u).GetAction().GetAction()
		if len(a.GetParams()) == 0 {
			return false
		}
		x := a.Params[d.r.IntN(len(a.Params))]
		return change(d, a, d.p.param(a.GetActionId(), x.GetParamId()), x)
	}
}

func onEntry(change func(d *Drawer, t *table, e *p4v1.TableEntry) bool) func(*Drawer, *p4v1.Update) bool {
	return func(d *Drawer, u *p4v1.Update) bool {
		e := entryOf(u)
		return e != nil && change(d, d.p.byID[e.GetTableId()], e)
	}
}

func onReplica(change func(d *Drawer, g *p4v1.MulticastGroupEntry, r *p4v1.Replica)) func(*Drawer, *p4v1.Update) bool {
	return func(d *Drawer, u *p4v1.Update) bool {
		g := groupOf(u)
		if len(g.GetReplicas()) == 0 {
			return false
		}
		change(d, g, g.Replicas[d.r.IntN(len(g.Replicas))])
		return true
	}
}

// wide returns the number b with an additional bit, 1 to 20 bits above the field's width.
func (d *Drawer) wide(bits int32, b []byte) []byte {
	n := number(b)
	return bytesOf(n.SetBit(n, int(bits+d.r.Int32N(20)), 1))
}

func (d *Drawer) padded(b []byte) []byte { return append(make([]byte, 1+d.r.IntN(4)), b...) }

// unknownID returns an id that the P4Info does not contain. It is either close to an existing id or random.
func (d *Drawer) unknownID(near uint32) uint32 {
	if d.r.IntN(2) == 0 {
		return near + 0x4000 + d.r.Uint32N(1000)
	}
	return d.r.Uint32()
}

func (d *Drawer) portBytes(n uint32) []byte { return bytesOf(big.NewInt(int64(n))) }

func clone[T proto.Message](m T) T { return proto.Clone(m).(T) }
