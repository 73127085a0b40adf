package p4rtserver

import (
	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/internal/softswitch/engine"
)

// A selector is the part of an action profile's state that the engine does not store. A profile is programmed either with members and
// groups or with one-shot action sets, but not with both (spec 9.2.3).
type selector struct {
	written  int              // number of members and groups that the control plane has written
	maxSizes map[uint32]int32 // max_size of each group, as the client wrote it
	oneShots map[uint32]*oneShot
	lastID   uint32 // the id that was last used for a member or group of an action set
}

// A oneShot is an action set, together with the engine's members that implement its actions. selector.oneShots holds it under the id of its
// group.
type oneShot struct {
	set     *p4v1.ActionProfileActionSet // the action set as the client wrote it, for reads
	members []uint32
}

func errMixed(pr *profile) error {
	return invalidf("action profile %q: programmed with members and groups and with one-shot action sets; it must be one of the two", pr.name)
}

func (p *pipeline) profileOf(id uint32) (*profile, error) {
	if pr, ok := p.schema.profiles[id]; ok {
		if len(pr.tables) == 0 {
			return nil, invalidf("action profile %q: no table uses it, so nothing can be written to it", pr.name)
		}
		return pr, nil
	}
	return nil, invalidf("action profile id %#x (%s): not an action profile of the P4Info", id, p.schema.nameOf(id))
}

// memberAction converts a profile member's action. All tables that share a profile have the same actions, so the first table's list is
// used.
func (p *pipeline) memberAction(pr *profile, a *p4v1.Action) (engine.ActionCall, error) {
	return p.schema.action(pr.tables[0], a, p4cfg.ActionRef_DEFAULT_ONLY, "action profile member")
}

// writeMember applies an update to an action profile member (spec 9.2.1).
func (p *pipeline) writeMember(op p4v1.Update_Type, m *p4v1.ActionProfileMember) error {
	pr, err := p.profileOf(m.GetActionProfileId())
	if err != nil {
		return err
	}
	if m.MemberId == 0 {
		return invalidf("action profile %q: member id 0 is not a valid id", pr.name)
	}
	st := p.selectors[pr.id]
	if len(st.oneShots) > 0 {
		return errMixed(pr)
	}
	old, exists := pr.prog.Member(m.MemberId)
	had := int64(0)
	if exists {
		had = costMember + callCost(old.Action)
	}
	if op == p4v1.Update_DELETE {
		if err := pr.prog.DeleteMember(m.MemberId); err != nil {
			return engineError(err)
		}
		p.hold(-had)
		st.written--
		return nil
	}
	if m.Action == nil {
		return invalidf("action profile %q: member %d: action: missing", pr.name, m.MemberId)
	}
	call, err := p.memberAction(pr, m.Action)
	if err != nil {
		return err
	}
	if err := p.schema.restrictions.CheckAction(m.Action); err != nil {
		return invalidf("action profile %q: member %d: %v", pr.name, m.MemberId, err)
	}
	em := engine.Member{ID: m.MemberId, Action: call}
	more := costMember + callCost(call) - had
	if err := p.room(more); err != nil {
		return err
	}
	if op == p4v1.Update_MODIFY {
		if err := pr.prog.ModifyMember(em); err != nil {
			return engineError(err)
		}
		p.hold(more)
		return nil
	}
	if err := pr.prog.InsertMember(em); err != nil {
		return engineError(err)
	}
	p.hold(more)
	st.written++
	return nil
}

// writeGroup applies an update to an action profile group (spec 9.2.2).
func (p *pipeline) writeGroup(op p4v1.Update_Type, g *p4v1.ActionProfileGroup) error {
	pr, err := p.profileOf(g.GetActionProfileId())
	if err != nil {
		return err
	}
	if !pr.selector {
		return invalidf("action profile %q: it has no selector, so it has no groups", pr.name)
	}
	if g.GroupId == 0 {
		return invalidf("action profile %q: group id 0 is not a valid id", pr.name)
	}
	st := p.selectors[pr.id]
	if len(st.oneShots) > 0 {
		return errMixed(pr)
	}
	was := int64(0)
	if before, ok := pr.prog.Group(g.GroupId); ok {
		was = groupCost(&before)
	}
	if op == p4v1.Update_DELETE {
		if err := pr.prog.DeleteGroup(g.GroupId); err != nil {
			return engineError(err)
		}
		p.hold(-was)
		st.written--
		delete(st.maxSizes, g.GroupId)
		return nil
	}
	old, exists := st.maxSizes[g.GroupId]
	if op == p4v1.Update_MODIFY {
		switch {
		case !exists:
			return status.Errorf(codes.NotFound, "action profile %q: group %d: MODIFY: no such group", pr.name, g.GroupId)
		case old != g.MaxSize:
			return invalidf("action profile %q: group %d: max_size %d: it was %d when the group was made, and cannot be changed", pr.name, g.GroupId, g.MaxSize, old)
		}
	}
	eg, err := pr.group(g)
	if err != nil {
		return err
	}
	more := groupCost(&eg) - was
	if err := p.room(more); err != nil {
		return err
	}
	if op == p4v1.Update_MODIFY {
		if err := pr.prog.ModifyGroup(eg); err != nil {
			return engineError(err)
		}
		p.hold(more)
		return nil
	}
	if err := pr.prog.InsertGroup(eg); err != nil {
		return engineError(err)
	}
	p.hold(more)
	st.written++
	st.maxSizes[g.GroupId] = g.MaxSize
	return nil
}

// group converts a group. It checks the group's size against max_size, because the engine checks only the sum of the weights.
func (pr *profile) group(g *p4v1.ActionProfileGroup) (engine.Group, error) {
	out := engine.Group{ID: g.GroupId}
	limit := g.MaxSize
	switch {
	case g.MaxSize < 0:
		return out, invalidf("action profile %q: group %d: max_size %d: it must not be negative", pr.name, g.GroupId, g.MaxSize)
	case pr.maxGroup > 0 && g.MaxSize > pr.maxGroup:
		return out, invalidf("action profile %q: group %d: max_size %d: the P4Info's max_group_size is %d", pr.name, g.GroupId, g.MaxSize, pr.maxGroup)
	case pr.maxGroup > 0 && g.MaxSize == 0:
		// Spec 9.2.2.1 requires max_size > 0 here, but the comment in p4runtime.proto allows clients to omit it, and some clients do. The
		// largest size is the same in both cases.
		limit = pr.maxGroup
	}
	var total int64
	seen := map[uint32]bool{}
	for _, m := range g.Members {
		if seen[m.GetMemberId()] {
			return out, invalidf("action profile %q: group %d: member %d: given twice; weight repeats a member", pr.name, g.GroupId, m.GetMemberId())
		}
		seen[m.GetMemberId()] = true
		if m.WatchKind != nil {
			return out, errWatch(pr)
		}
		w, err := pr.weight(m.GetWeight())
		if err != nil {
			return out, err
		}
		total += pr.sizeOf(w)
		out.Members = append(out.Members, engine.GroupMember{Member: m.GetMemberId(), Weight: w})
	}
	if limit > 0 && total > int64(limit) {
		return out, status.Errorf(codes.ResourceExhausted, "action profile %q: group %d: size %d, at most %d", pr.name, g.GroupId, total, limit)
	}
	return out, nil
}

// weight checks a weight and converts it to an engine weight.
func (pr *profile) weight(w int32) (int32, error) {
	switch {
	case !pr.weights && w == 0:
		return 1, nil
	case !pr.weights:
		return 0, invalidf("action profile %q: weight %d: weights are disallowed; it must be 0", pr.name, w)
	case w <= 0:
		return 0, invalidf("action profile %q: weight %d: it must be positive", pr.name, w)
	case pr.members && pr.maxWght > 0 && w > pr.maxWght:
		return 0, invalidf("action profile %q: weight %d: the P4Info's max_member_weight is %d", pr.name, w, pr.maxWght)
	}
	return w, nil
}

// sizeOf returns the amount by which a member increases its group's size, according to the profile's selector_size_semantics.
func (pr *profile) sizeOf(weight int32) int64 {
	if pr.members {
		return 1
	}
	return int64(weight)
}

func errWatch(pr *profile) error {
	return status.Errorf(codes.Unimplemented, "action profile %q: watch_port is not supported", pr.name)
}

// makeOneShot implements an action set with its own members and group, and sets the group of en. undo removes the members and the group.
func (p *pipeline) makeOneShot(t *table, en *engine.Entry, set *p4v1.ActionProfileActionSet) (undo func(), err error) {
	pr := t.profile
	st := p.selectors[pr.id]
	if st.written > 0 {
		return nil, errMixed(pr)
	}
	calls, weights, err := p.readOneShot(pr, set)
	if err != nil {
		return nil, err
	}
	made := &oneShot{set: proto.Clone(set).(*p4v1.ActionProfileActionSet)}
	st.lastID++
	id := st.lastID
	undo = func() { p.removeOneShot(pr, id, made) }
	g := engine.Group{ID: id}
	for i, c := range calls {
		st.lastID++
		if err := pr.prog.InsertMember(engine.Member{ID: st.lastID, Action: c}); err != nil {
			undo()
			return nil, engineError(err)
		}
		made.members = append(made.members, st.lastID)
		g.Members = append(g.Members, engine.GroupMember{Member: st.lastID, Weight: weights[i]})
	}
	if err := pr.prog.InsertGroup(g); err != nil {
		undo()
		return nil, engineError(err)
	}
	st.oneShots[id] = made
	en.Group, en.HasGroup = id, true
	return undo, nil
}

func (p *pipeline) readOneShot(pr *profile, set *p4v1.ActionProfileActionSet) ([]engine.ActionCall, []int32, error) {
	switch m := set.GetActionSelectionMode(); m {
	case p4v1.ActionProfileActionSet_DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR, p4v1.ActionProfileActionSet_HASH: // selectors always use a hash
	default:
		return nil, nil, status.Errorf(codes.Unimplemented, "action profile %q: action_selection_mode %v: v1model's selectors hash, in every group", pr.name, m)
	}
	own := p4v1.ActionProfileActionSet_SUM_OF_WEIGHTS
	if pr.members {
		own = p4v1.ActionProfileActionSet_SUM_OF_MEMBERS
	}
	if m := set.GetSizeSemantics(); m != p4v1.ActionProfileActionSet_DEFAULT_SIZE_DETERMINED_BY_ACTION_SELECTOR && m != own {
		return nil, nil, status.Errorf(codes.Unimplemented, "action profile %q: size_semantics %v: the P4Info says %v, for every group", pr.name, m, own)
	}
	var calls []engine.ActionCall
	var weights []int32
	var total int64
	for i, a := range set.GetActionProfileActions() {
		if a.WatchKind != nil {
			return nil, nil, errWatch(pr)
		}
		if a.Action == nil {
			return nil, nil, invalidf("action profile %q: action set: number %d: action: missing", pr.name, i)
		}
		c, err := p.memberAction(pr, a.Action)
		if err != nil {
			return nil, nil, err
		}
		w, err := pr.weight(a.Weight)
		if err != nil {
			return nil, nil, err
		}
		total += pr.sizeOf(w)
		calls, weights = append(calls, c), append(weights, w)
	}
	if pr.maxGroup > 0 && total > int64(pr.maxGroup) {
		return nil, nil, invalidf("action profile %q: action set of size %d: the P4Info's max_group_size is %d", pr.name, total, pr.maxGroup)
	}
	return calls, weights, nil
}

// removeOneShot removes the members and the group of an action set. It ignores errors, because an object that does not exist need not be
// removed.
func (p *pipeline) removeOneShot(pr *profile, id uint32, o *oneShot) {
	_ = pr.prog.DeleteGroup(id)
	for _, m := range o.members {
		_ = pr.prog.DeleteMember(m)
	}
	delete(p.selectors[pr.id].oneShots, id)
}

// dropOneShot removes the action set of an entry, if the entry has one.
func (p *pipeline) dropOneShot(t *table, old engine.Entry) {
	if t.profile == nil || !old.HasGroup {
		return
	}
	if o := p.selectors[t.profile.id].oneShots[old.Group]; o != nil {
		p.removeOneShot(t.profile, old.Group, o)
	}
}
