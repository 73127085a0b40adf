package p4rtserver

import (
	"bytes"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

// A row is the state of an entry at the time of a read's snapshot.
type row struct {
	table *table
	entry engine.Entry
	state engine.EntryState
	set   *p4v1.ActionProfileActionSet // the entry's action set, if it was written with one
}

// A filter selects entries by the fields that are set in a read request (spec 9.1.6).
type filter struct {
	matches  []engine.Match // nil selects all entries
	key      string         // key of matches, computed without the priority
	priority int32          // 0 selects all entries
	action   string         // empty selects all entries
	number   uint64         // controller_metadata; 0 selects all entries
	data     []byte         // metadata; empty selects all entries
}

// filter returns the filter of a read request for one table.
func (p *pipeline) filter(t *table, e *p4v1.TableEntry) (filter, error) {
	f := filter{priority: e.Priority, number: controllerMetadata(e), data: e.Metadata}
	if e.Priority != 0 {
		if err := t.checkPriority(e.Priority); err != nil {
			return f, err
		}
	}
	if len(e.Match) > 0 {
		m, err := t.matches(e.Match)
		if err != nil {
			return f, err
		}
		f.matches, f.key = m, entryKey(t, m, 0)
	}
	switch a := e.Action.GetType().(type) {
	case nil:
	case *p4v1.TableAction_Action:
		act := p.schema.actions[a.Action.GetActionId()]
		if _, ok := t.actions[a.Action.GetActionId()]; !ok || t.profile != nil {
			return f, invalidf("table %q: action id %#x (%s): not among the actions that its entries can be selected by", t.name, a.Action.GetActionId(), p.schema.nameOf(a.Action.GetActionId()))
		}
		f.action = act.name
	default:
		return f, invalidf("table %q: action is %s: entries can be selected by an action's id only", t.name, actionKind(e.Action))
	}
	return f, nil
}

func (f *filter) takes(t *table, en *engine.Entry) bool {
	if f.priority != 0 && en.Priority != f.priority || f.action != "" && en.Action.Name != f.action {
		return false
	}
	if f.matches != nil && entryKey(t, canonicalMatches(en.Matches, t.fields), 0) != f.key {
		return false
	}
	number, data := splitCookie(en.Cookie)
	return (f.number == 0 || number == f.number) && (len(f.data) == 0 || bytes.Equal(data, f.data))
}

// canonicalMatches converts matches to canonical form, so that their keys can be compared. The matches of entries that the program
// declares may be in another form.
func canonicalMatches(in []engine.Match, fields []field) []engine.Match {
	out, err := decodeMatches(encodeMatches(in, fields), fields)
	if err != nil { // P4Runtime cannot express such an entry, so it equals no other entry
		return in
	}
	return out
}

// rows appends the entries that a filter selects to out, in the order of insertion.
func (p *pipeline) rows(t *table, f filter, out []row) []row {
	take := func(en engine.Entry, st engine.EntryState) {
		r := row{table: t, entry: en, state: st}
		if t.profile != nil && en.HasGroup {
			if o := p.selectors[t.profile.id].oneShots[en.Group]; o != nil {
				r.set = o.set
			}
		}
		out = append(out, r)
	}
	if f.matches != nil && (f.priority != 0 || !t.ternary) { // the filter selects at most one entry
		if en, ok := t.prog.Get(f.matches, f.priority); ok && f.takes(t, &en) {
			if st, err := t.prog.State(f.matches, f.priority); err == nil {
				take(en, st)
			}
		}
		return out
	}
	t.prog.RangeState(func(en engine.Entry, st engine.EntryState) bool {
		if f.takes(t, &en) {
			take(en, st)
		}
		return true
	})
	return out
}

// encodeKey encodes the key fields of an entry.
func (t *table) encodeKey(en engine.Entry) *p4v1.TableEntry {
	e := &p4v1.TableEntry{TableId: t.id, Match: encodeMatches(en.Matches, t.fields)}
	if t.ternary {
		e.Priority = en.Priority
	}
	return e
}

func setMetadata(e *p4v1.TableEntry, cookie []byte) {
	number, data := splitCookie(cookie)
	if len(data) > 0 {
		e.Metadata = data
	}
	if number != 0 {
		setControllerMetadata(e, number)
	}
}

// encode encodes a whole entry, with those direct resources that are set in want.
func (r *row) encode(want *p4v1.TableEntry) *p4v1.TableEntry {
	t := r.table
	e := t.encodeKey(r.entry)
	setMetadata(e, r.entry.Cookie)
	e.IsConst = r.entry.Const || t.isConst
	e.IdleTimeoutNs = int64(r.entry.IdleTimeout)
	switch {
	case t.profile == nil:
		if a := t.encodeAction(r.entry.Action); a != nil {
			e.Action = &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}
		}
	case r.set != nil:
		e.Action = &p4v1.TableAction{Type: &p4v1.TableAction_ActionProfileActionSet{ActionProfileActionSet: r.set}}
	case r.entry.HasGroup:
		e.Action = &p4v1.TableAction{Type: &p4v1.TableAction_ActionProfileGroupId{ActionProfileGroupId: r.entry.Group}}
	default:
		e.Action = &p4v1.TableAction{Type: &p4v1.TableAction_ActionProfileMemberId{ActionProfileMemberId: r.entry.Member}}
	}
	if want.CounterData != nil && t.counter != nil {
		e.CounterData = counterData(r.state.Counter)
	}
	if want.MeterConfig != nil && t.meter != nil && r.state.Metered {
		e.MeterConfig = meterProto(r.state.Meter)
	}
	if want.TimeSinceLastHit != nil && t.idle {
		e.TimeSinceLastHit = &p4v1.TableEntry_IdleTimeout{ElapsedNs: int64(r.state.Since)}
	}
	return e
}

// readTable answers a request for table entries (spec 9.1.6).
func (p *pipeline) readTable(e *p4v1.TableEntry) (snapshot, error) {
	if e.GetMeterCounterData() != nil {
		return nil, errMeterCounters()
	}
	var rows []row
	if e.GetTableId() == 0 {
		if len(e.Match) > 0 || e.Action != nil || e.Priority != 0 || controllerMetadata(e) != 0 || len(e.Metadata) > 0 {
			return nil, invalidf("table id 0 reads all tables; no filter can be used with it")
		}
		if e.IsDefaultAction {
			return p.readDefaults(ordered(p.schema.tables), e)
		}
		for _, t := range ordered(p.schema.tables) {
			rows = p.rows(t, filter{}, rows)
		}
		return tableEntries(rows, e), nil
	}
	t, err := p.tableOf(e.TableId)
	if err != nil {
		return nil, err
	}
	if e.IsDefaultAction {
		return p.readDefaults([]*table{t}, e)
	}
	if e.TimeSinceLastHit != nil && !t.idle {
		return nil, invalidf("table %q: time_since_last_hit: the table does not support idle timeouts", t.name)
	}
	f, err := p.filter(t, e)
	if err != nil {
		return nil, err
	}
	return tableEntries(p.rows(t, f, nil), e), nil
}

func tableEntries(rows []row, want *p4v1.TableEntry) snapshot {
	return func(emit func(*p4v1.Entity) error) error {
		for i := range rows {
			if err := emit(&p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: rows[i].encode(want)}}); err != nil {
				return err
			}
		}
		return nil
	}
}

// readDefaults returns the default entries of the given tables.
func (p *pipeline) readDefaults(tables []*table, e *p4v1.TableEntry) (snapshot, error) {
	if len(e.Match) > 0 || e.Priority != 0 || e.IdleTimeoutNs != 0 || e.TimeSinceLastHit != nil {
		return nil, invalidf("default entry: match, priority, idle_timeout_ns and time_since_last_hit must not be set")
	}
	var out []*p4v1.Entity
	for _, t := range tables {
		d := &p4v1.TableEntry{TableId: t.id, IsDefaultAction: true, IsConst: t.constDef != 0 || t.prog.HasConstDefault()}
		if a := t.encodeAction(t.prog.Default()); a != nil {
			d.Action = &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: a}}
		}
		setMetadata(d, p.defaults[t.id])
		out = append(out, &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: d}})
	}
	return all(out), nil
}

// directRows returns the entries whose direct resource is requested. has reports whether a table has that resource.
func (p *pipeline) directRows(kind string, e *p4v1.TableEntry, has func(*table) bool) ([]row, error) {
	if e == nil {
		return nil, invalidf("%s: table_entry: missing", kind)
	}
	var rows []row
	if e.TableId == 0 {
		for _, t := range ordered(p.schema.tables) {
			if has(t) {
				rows = p.rows(t, filter{}, rows)
			}
		}
		return rows, nil
	}
	t, err := p.tableOf(e.TableId)
	if err != nil {
		return nil, err
	}
	if !has(t) {
		return nil, invalidf("table %q: it has no %s", t.name, kind)
	}
	if e.IsDefaultAction {
		return nil, errDefaultResources(t)
	}
	f := filter{priority: e.Priority} // the action is not part of the filter
	if len(e.Match) > 0 {
		if f.matches, err = t.matches(e.Match); err != nil {
			return nil, err
		}
		f.key = entryKey(t, f.matches, 0)
	}
	rows = p.rows(t, f, nil)
	if f.matches != nil && len(rows) == 0 {
		return nil, status.Errorf(codes.NotFound, "table %q: %s: no entry with this match and priority", t.name, kind)
	}
	return rows, nil
}

// readDirectCounter answers a request for the direct counters of an entry, of a table, or of all tables.
func (p *pipeline) readDirectCounter(e *p4v1.DirectCounterEntry) (snapshot, error) {
	rows, err := p.directRows("direct counter", e.GetTableEntry(), func(t *table) bool { return t.counter != nil })
	if err != nil {
		return nil, err
	}
	return func(emit func(*p4v1.Entity) error) error {
		for _, r := range rows {
			d := &p4v1.DirectCounterEntry{TableEntry: r.table.encodeKey(r.entry), Data: counterData(r.state.Counter)}
			if err := emit(&p4v1.Entity{Entity: &p4v1.Entity_DirectCounterEntry{DirectCounterEntry: d}}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// readDirectMeter answers a request for the direct meters of an entry, of a table, or of all tables.
func (p *pipeline) readDirectMeter(e *p4v1.DirectMeterEntry) (snapshot, error) {
	if e.GetCounterData() != nil {
		return nil, errMeterCounters()
	}
	rows, err := p.directRows("direct meter", e.GetTableEntry(), func(t *table) bool { return t.meter != nil })
	if err != nil {
		return nil, err
	}
	return func(emit func(*p4v1.Entity) error) error {
		for _, r := range rows {
			d := &p4v1.DirectMeterEntry{TableEntry: r.table.encodeKey(r.entry)}
			if r.state.Metered {
				d.Config = meterProto(r.state.Meter)
			}
			if err := emit(&p4v1.Entity{Entity: &p4v1.Entity_DirectMeterEntry{DirectMeterEntry: d}}); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
