package engine

import (
	"fmt"
	"slices"

	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// A KeyField is a field of a table's key. p4c writes optional fields as ternary, so the engine reports them as ternary. A header's
// validity is a field of width 1 and kind match.Exact.
type KeyField struct {
	Name  string
	Width int // in bits
	Kind  match.Kind
}

// A Table is a match-action table. Its methods may run concurrently with Process. To a packet, each method is atomic.
type Table struct {
	e        *Engine
	name     string
	key      []KeyField
	size     int
	isConst  bool // whether the program declares the entries and they must not change
	timeout  bool
	counters bool
	counter  string // name of the direct counter; empty if the table has none
	meter    string
	unit     extern.Unit
	profile  *ActionProfile
	source   *jsonSource
	hidden   bool      // whether p4c created the table to hold statements that run between the program's tables
	actions  []*action // in the program's order

	constDefault bool // whether the default action and its arguments must not change
	constAction  *action
	initial      ActionCall // the default action that the program declares

	// The fields below are read on the packet path. They change only while all workers are stopped.

	rows   *match.Table[entry]
	miss   entry
	build  []keyPart
	masks  []uint64 // fixed masks of the key; nil if there are none
	words  int
	onHit  *int32  // next node after a hit (__HIT__); overrides nextOf
	onMiss *int32  // next node after a miss (__MISS__)
	base   int32   // next node after a miss without a default action (base_default_next)
	nextOf []int32 // next node after each action; the index is action.index
	color  ref     // field that receives the direct meter's color

	in *inlined // nil if the table is not inlined
	// defaultCall is the current default action as Default returns it. It is guarded by e.ctl.
	defaultCall ActionCall
}

// An entry is the action part of a table entry or of the default entry.
type entry struct {
	act     *action // the action; if nil, no action runs
	args    []uint64
	next    int32
	near    [3]uint64 // holds args if they are short, in the same cache line as act
	packets uint64    // packets, bytes and seen are accessed atomically
	bytes   uint64
	seen    int64 // time of the last hit on the engine's clock, in nanoseconds
	member  *member
	group   *group
	meter   *extern.Meter
	ctl     *Entry
}

// settle copies short arguments into the entry itself. The entry must be at its final address, and all workers must be stopped.
func (v *entry) settle() {
	if n := len(v.args); n > 0 && n <= len(v.near) {
		copy(v.near[:], v.args)
		v.args = v.near[:n:n]
	}
}

// Name returns the table's name in the program, which is also its name in the P4Info.
func (t *Table) Name() string { return t.name }

// Key returns the fields of the key in the program's order.
func (t *Table) Key() []KeyField { return slices.Clone(t.key) }

// Size returns the largest number of entries that the table can hold.
func (t *Table) Size() int { return t.size }

// ActionNames returns the names of the table's actions in the program's order.
func (t *Table) ActionNames() []string { return actionNames(t.actions) }

// ActionParams returns the parameters of one of the table's actions.
func (t *Table) ActionParams(name string) ([]ActionParam, bool) {
	a := actionNamed(t.actions, name)
	if a == nil {
		return nil, false
	}
	return slices.Clone(a.params), true
}

// IsConst reports whether the entries are const. If so, Insert, Modify and Delete return ErrConst.
func (t *Table) IsConst() bool { return t.isConst }

// HasConstDefault reports whether the default action is const. If so, SetDefault returns ErrConst unless only the arguments change and
// they are not const.
func (t *Table) HasConstDefault() bool { return t.constDefault || t.constAction != nil }

// SupportsTimeout reports whether the table records the time of each entry's last hit, so that SinceHit works.
func (t *Table) SupportsTimeout() bool { return t.timeout }

// HasDirectCounter reports whether the entries have a direct counter.
func (t *Table) HasDirectCounter() bool { return t.counters }

// DirectCounterName returns the name of the direct counter, or an empty string if there is none.
func (t *Table) DirectCounterName() string { return t.counter }

// DirectMeterName returns the name of the direct meter, or an empty string if there is none.
func (t *Table) DirectMeterName() string { return t.meter }

// DirectMeterUnit returns the unit that the direct meter measures.
func (t *Table) DirectMeterUnit() extern.Unit { return t.unit }

// Profile returns the action profile of an indirect table.
func (t *Table) Profile() (*ActionProfile, bool) { return t.profile, t.profile != nil }

// HasPriority reports whether entries have priorities. They have priorities if a field is ternary, range or optional.
func (t *Table) HasPriority() bool {
	return slices.ContainsFunc(t.key, func(f KeyField) bool { return f.Kind != match.Exact && f.Kind != match.LPM })
}

// Len returns the number of entries.
func (t *Table) Len() int {
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	return t.rows.Len()
}

// Insert adds an entry. It returns ErrExists if an entry has the same matches and priority, ErrFull if the table is full, and ErrConst if
// the entries are const. It returns ErrNotFound if the member or group does not exist, and ErrInvalid for invalid matches or an invalid
// action.
func (t *Table) Insert(en Entry) error {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	if t.isConst {
		return t.constErr("insert into")
	}
	return t.insertLocked(en)
}

func (t *Table) insertLocked(en Entry) error {
	m, err := t.keyOf(en.Matches)
	if err != nil {
		return err
	}
	v, err := t.valueOf(&en)
	if err != nil {
		return err
	}
	if t.meter != "" {
		v.meter = extern.NewMeter(t.unit, t.e.meterClock)
	}
	v.seen = t.e.nowNanos()
	t.e.gate.lock()
	row, err := t.rows.Insert(m, en.Priority, v)
	if err == nil {
		row.Value.settle()
		t.refit()
	}
	t.e.gate.unlock()
	if err != nil {
		return t.matchErr(err, en.Matches, en.Priority)
	}
	v.retain(1)
	return nil
}

// Modify replaces the action, the idle timeout and the cookie of the entry with the same matches and priority. The entry keeps its
// counter, its meter and the time of its last hit.
func (t *Table) Modify(en Entry) error {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	if t.isConst {
		return t.constErr("modify an entry of")
	}
	row, err := t.rowLocked(en.Matches, en.Priority)
	if err != nil {
		return err
	}
	v, err := t.valueOf(&en)
	if err != nil {
		return err
	}
	old := row.Value
	t.e.gate.lock()
	r := &row.Value
	r.act, r.args, r.next, r.member, r.group, r.ctl = v.act, v.args, v.next, v.member, v.group, v.ctl
	r.settle()
	t.e.gate.unlock()
	v.retain(1)
	old.retain(-1)
	return nil
}

// Delete removes the entry with these matches and this priority. It returns ErrNotFound if there is no such entry, and ErrConst if the
// entries are const.
func (t *Table) Delete(m []Match, priority int32) error {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	if t.isConst {
		return t.constErr("delete from")
	}
	row, err := t.rowLocked(m, priority)
	if err != nil {
		return err
	}
	k, err := t.keyOf(m)
	if err != nil {
		return err
	}
	t.e.gate.lock()
	err = t.rows.Delete(k, priority)
	t.refit()
	t.e.gate.unlock()
	if err != nil {
		return t.matchErr(err, m, priority)
	}
	row.Value.retain(-1)
	return nil
}

// Get returns the entry with these matches and this priority. It returns false if there is no such entry.
func (t *Table) Get(m []Match, priority int32) (Entry, bool) {
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	row, err := t.rowLocked(m, priority)
	if err != nil {
		return Entry{}, false
	}
	return row.Value.ctl.clone(), true
}

// Range calls f for each entry in the order of insertion, until f returns false. f must not call the Table.
func (t *Table) Range(f func(Entry) bool) {
	t.RangeState(func(en Entry, _ EntryState) bool { return f(en) })
}

// Default returns the default action. If the table has none, the Name of the result is empty.
func (t *Table) Default() ActionCall {
	t.e.ctl.RLock()
	defer t.e.ctl.RUnlock()
	return t.defaultCall.clone()
}

// SetDefault changes the default action. Even in an indirect table, the default action is an action with arguments, and not a member or
// group of the action profile.
func (t *Table) SetDefault(c ActionCall) error {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	if t.constDefault {
		return t.constErr("change the default action of")
	}
	a, args, err := bind(t.actions, c)
	if err != nil {
		return fmt.Errorf("table %q: default action: %w", t.name, err)
	}
	if t.constAction != nil && a != t.constAction {
		return t.constErr("change the default action of")
	}
	t.setDefaultLocked(a, args, c.clone())
	return nil
}

// ResetDefault restores the default action that the program declares.
func (t *Table) ResetDefault() {
	t.e.ctl.Lock()
	defer t.e.ctl.Unlock()
	a, args, err := bind(t.actions, t.initial)
	if err != nil {
		a, args = nil, nil // the program declares no default action
	}
	t.setDefaultLocked(a, args, t.initial.clone())
}

func (t *Table) setDefaultLocked(a *action, args []uint64, c ActionCall) {
	t.e.gate.lock()
	t.miss.act, t.miss.args, t.miss.next = a, args, t.nextMiss(a)
	t.e.gate.unlock()
	t.defaultCall = c
}

// nextHit returns the node that follows a hit on an entry with action a. nextMiss returns the node that follows a miss if a is the default
// action.
func (t *Table) nextHit(a *action) int32 {
	if t.onHit != nil {
		return *t.onHit
	}
	return t.nextOf[a.index]
}

func (t *Table) nextMiss(a *action) int32 {
	switch {
	case t.onMiss != nil:
		return *t.onMiss
	case a == nil:
		return t.base
	}
	return t.nextOf[a.index]
}
