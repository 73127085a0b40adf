package p4rtserver

import (
	"time"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/softswitch/engine"
)

func (p *pipeline) tableOf(id uint32) (*table, error) {
	if t, ok := p.schema.tables[id]; ok {
		return t, nil
	}
	return nil, invalidf("table id %#x (%s): not a table of the P4Info", id, p.schema.nameOf(id))
}

// key converts an entry's matches and priority, which identify the entry.
func (t *table) key(e *p4v1.TableEntry) (engine.Entry, error) {
	m, err := t.matches(e.Match)
	if err != nil {
		return engine.Entry{}, err
	}
	if err := t.checkPriority(e.Priority); err != nil {
		return engine.Entry{}, err
	}
	return engine.Entry{Matches: m, Priority: e.Priority}, nil
}

// writeTable applies an update to a table entry (spec 9.1).
func (p *pipeline) writeTable(op p4v1.Update_Type, e *p4v1.TableEntry) error {
	t, err := p.tableOf(e.GetTableId())
	if err != nil {
		return err
	}
	if e.IsConst {
		return invalidf("table %q: is_const is set; only the server sets it", t.name)
	}
	if e.IsDefaultAction {
		return p.writeDefault(op, t, e)
	}
	if t.isConst && op != p4v1.Update_MODIFY {
		return status.Errorf(codes.PermissionDenied, "table %q: %v: its entries are const", t.name, op)
	}
	if len(t.fields) == 0 {
		return invalidf("table %q: it has no match fields, so it has no entries but the default one", t.name)
	}
	en, err := t.key(e)
	if err != nil {
		return err
	}
	if op == p4v1.Update_DELETE {
		return p.deleteEntry(t, en)
	}
	if err := t.checkExtras(e); err != nil {
		return err
	}
	en.IdleTimeout = time.Duration(e.IdleTimeoutNs)
	en.Cookie = makeCookie(controllerMetadata(e), e.Metadata)
	if op == p4v1.Update_INSERT {
		return p.insertEntry(t, en, e)
	}
	return p.modifyEntry(t, en, e)
}

// checkExtras checks all fields of an entry except the key and the action. It must be called before anything is changed.
func (t *table) checkExtras(e *p4v1.TableEntry) error {
	switch {
	case e.TimeSinceLastHit != nil:
		return invalidf("table %q: time_since_last_hit is set; only the server sets it", t.name)
	case e.IdleTimeoutNs != 0 && !t.idle:
		return invalidf("table %q: idle_timeout_ns %d: the table does not support idle timeouts", t.name, e.IdleTimeoutNs)
	case e.IdleTimeoutNs < 0:
		return invalidf("table %q: idle_timeout_ns %d: it must not be negative", t.name, e.IdleTimeoutNs)
	case e.CounterData != nil && t.counter == nil:
		return invalidf("table %q: counter_data: the table has no direct counter", t.name)
	case e.MeterConfig != nil && t.meter == nil:
		return invalidf("table %q: meter_config: the table has no direct meter", t.name)
	case e.MeterCounterData != nil:
		return errMeterCounters()
	}
	if err := checkCounter(e.CounterData); err != nil {
		return invalidf("table %q: counter_data: %v", t.name, err)
	}
	if e.MeterConfig != nil {
		if err := checkMeter(e.MeterConfig, t.meter.GetSpec()); err != nil {
			return prefixed(err, "table %q: meter_config: ", t.name)
		}
	}
	return nil
}

func (p *pipeline) insertEntry(t *table, en engine.Entry, e *p4v1.TableEntry) error {
	if e.Action == nil {
		return invalidf("table %q: action: missing; an INSERT needs one", t.name)
	}
	undo, err := p.setAction(t, &en, e.Action)
	if err != nil {
		return err
	}
	if err := p.schema.allowsEntry(e); err != nil {
		undo()
		return err
	}
	cost := p.entryCost(t, &en)
	err = p.room(cost)
	if err == nil {
		if err = t.prog.Insert(en); err != nil {
			err = engineError(err)
		}
	}
	if err != nil {
		undo()
		return err
	}
	p.hold(cost)
	p.idle.put(t, en)
	return t.setDirect(en, e)
}

// setDirect writes the direct resources of an entry. They must have been checked by checkExtras.
func (t *table) setDirect(en engine.Entry, e *p4v1.TableEntry) error {
	if e.CounterData != nil {
		if err := t.prog.WriteCounter(en.Matches, en.Priority, counterValue(e.CounterData)); err != nil {
			return engineError(err)
		}
	}
	if t.meter != nil {
		if err := t.prog.WriteMeter(en.Matches, en.Priority, meterConfig(e.MeterConfig)); err != nil {
			return engineError(err)
		}
	}
	return nil
}

func (p *pipeline) modifyEntry(t *table, en engine.Entry, e *p4v1.TableEntry) error {
	old, ok := t.prog.Get(en.Matches, en.Priority)
	if !ok {
		return status.Errorf(codes.NotFound, "table %q: MODIFY: no entry with this match and priority", t.name)
	}
	if old.Const || t.isConst {
		// Only the direct resources of a const entry can be written (spec 9.1.4).
		if e.Action != nil || en.Cookie != nil || en.IdleTimeout != 0 {
			return status.Errorf(codes.PermissionDenied, "table %q: MODIFY: the entry is const; only counter_data and meter_config can be given", t.name)
		}
		return t.setDirect(en, e)
	}
	undo := func() {}
	if e.Action != nil {
		var err error
		if undo, err = p.setAction(t, &en, e.Action); err != nil {
			return err
		}
	} else {
		en.Action, en.Member, en.Group, en.HasGroup = old.Action, old.Member, old.Group, old.HasGroup
	}
	if err := p.schema.allowsEntry(e); err != nil {
		undo()
		return err
	}
	more := p.entryCost(t, &en) - p.entryCost(t, &old)
	err := p.room(more)
	if err == nil {
		if err = t.prog.Modify(en); err != nil {
			err = engineError(err)
		}
	}
	if err != nil {
		undo()
		return err
	}
	p.hold(more)
	if e.Action != nil {
		p.dropOneShot(t, old)
	}
	p.idle.put(t, en)
	return t.setDirect(en, e)
}

func (p *pipeline) deleteEntry(t *table, key engine.Entry) error {
	old, ok := t.prog.Get(key.Matches, key.Priority)
	if !ok {
		return status.Errorf(codes.NotFound, "table %q: DELETE: no entry with this match and priority", t.name)
	}
	if old.Const {
		return status.Errorf(codes.PermissionDenied, "table %q: DELETE: the entry is const", t.name)
	}
	cost := p.entryCost(t, &old)
	if err := t.prog.Delete(key.Matches, key.Priority); err != nil {
		return engineError(err)
	}
	p.hold(-cost)
	p.dropOneShot(t, old)
	p.idle.remove(t, key.Matches, key.Priority)
	return nil
}

// setAction sets the action of an entry. The caller must call undo if the entry is refused, to remove the objects that setAction has
// created.
func (p *pipeline) setAction(t *table, en *engine.Entry, a *p4v1.TableAction) (undo func(), err error) {
	undo = func() {}
	if t.profile == nil {
		act, ok := a.GetType().(*p4v1.TableAction_Action)
		if !ok {
			return nil, invalidf("table %q: action is %s; a table without action profile takes an action", t.name, actionKind(a))
		}
		en.Action, err = p.schema.action(t, act.Action, p4cfg.ActionRef_DEFAULT_ONLY, "match entry")
		return undo, err
	}
	switch v := a.GetType().(type) {
	case *p4v1.TableAction_ActionProfileMemberId:
		en.Member = v.ActionProfileMemberId
	case *p4v1.TableAction_ActionProfileGroupId:
		if !t.profile.selector {
			return nil, invalidf("table %q: action is a group; action profile %q has no selector", t.name, t.profile.name)
		}
		en.Group, en.HasGroup = v.ActionProfileGroupId, true
	case *p4v1.TableAction_ActionProfileActionSet:
		if !t.profile.selector {
			return nil, invalidf("table %q: action is an action set; action profile %q has no selector", t.name, t.profile.name)
		}
		return p.makeOneShot(t, en, v.ActionProfileActionSet)
	default:
		return nil, invalidf("table %q: action is %s; the table's action profile %q takes members%s", t.name, actionKind(a), t.profile.name, orGroups(t.profile))
	}
	if len(p.selectors[t.profile.id].oneShots) > 0 {
		return nil, errMixed(t.profile)
	}
	return undo, nil
}

func orGroups(pr *profile) string {
	if pr.selector {
		return ", groups and action sets"
	}
	return ""
}

func actionKind(a *p4v1.TableAction) string {
	m := a.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("type")); f != nil {
		return string(f.Name())
	}
	return "unset"
}

// writeDefault applies an update to a default entry (spec 9.1.3).
func (p *pipeline) writeDefault(op p4v1.Update_Type, t *table, e *p4v1.TableEntry) error {
	switch {
	case op != p4v1.Update_MODIFY:
		return invalidf("table %q: default entry: update type %v: only MODIFY is allowed; without action it resets the entry", t.name, op)
	case len(e.Match) > 0:
		return invalidf("table %q: default entry: match must be empty", t.name)
	case e.Priority != 0:
		return invalidf("table %q: default entry: priority %d: it must be 0", t.name, e.Priority)
	case e.IdleTimeoutNs != 0 || e.TimeSinceLastHit != nil:
		return invalidf("table %q: default entry: it has no idle timeout", t.name)
	case t.constDef != 0:
		return status.Errorf(codes.PermissionDenied, "table %q: default entry: action %q is const", t.name, p.schema.actions[t.constDef].name)
	case t.profile != nil:
		return status.Errorf(codes.PermissionDenied, "table %q: default entry: it is const in a table with an action profile", t.name)
	case e.CounterData != nil && t.counter == nil:
		return invalidf("table %q: counter_data: the table has no direct counter", t.name)
	case e.MeterConfig != nil && t.meter == nil:
		return invalidf("table %q: meter_config: the table has no direct meter", t.name)
	case e.CounterData != nil || e.MeterConfig != nil || e.MeterCounterData != nil:
		return errDefaultResources(t)
	}
	if e.Action == nil {
		if t.prog.HasConstDefault() {
			return status.Errorf(codes.PermissionDenied, "table %q: default entry: its action is const", t.name)
		}
		t.prog.ResetDefault()
		p.setDefaultCookie(t, nil)
		delete(p.changed, t.id)
		return nil
	}
	act, ok := e.Action.GetType().(*p4v1.TableAction_Action)
	if !ok {
		return invalidf("table %q: default entry: action is %s; it must be an action", t.name, actionKind(e.Action))
	}
	call, err := p.schema.action(t, act.Action, p4cfg.ActionRef_TABLE_ONLY, "default entry")
	if err != nil {
		return err
	}
	if err := p.schema.allowsEntry(e); err != nil {
		return err
	}
	cookie := makeCookie(controllerMetadata(e), e.Metadata)
	if err := p.room(int64(len(cookie) - len(p.defaults[t.id]))); err != nil {
		return err
	}
	if err := t.prog.SetDefault(call); err != nil {
		return engineError(err)
	}
	p.changed[t.id] = true
	p.setDefaultCookie(t, cookie)
	return nil
}

// setDefaultCookie stores the metadata of a table's default entry. If cookie is nil, it removes the metadata.
func (p *pipeline) setDefaultCookie(t *table, cookie []byte) {
	p.hold(int64(len(cookie) - len(p.defaults[t.id])))
	if cookie == nil {
		delete(p.defaults, t.id)
		return
	}
	p.defaults[t.id] = cookie
}

// errDefaultResources returns the error for a direct counter or meter of a default entry, which v1model does not support.
func errDefaultResources(t *table) error {
	return status.Errorf(codes.Unimplemented, "table %q: default entry: direct counters and meters of v1model work on hits, so the default entry has none", t.name)
}
