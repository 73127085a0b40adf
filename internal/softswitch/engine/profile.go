package engine

import (
	"fmt"
	"slices"
)

// A Member is an action in an action profile.
type Member struct {
	ID     uint32
	Action ActionCall
}

// A GroupMember is a member of a group. Weight is the number of slots that the member takes in the group, at least 1. Watch is stored for
// the P4Runtime server, and the engine does not read it.
type GroupMember struct {
	Member uint32
	Weight int32
	Watch  []byte
}

// A Group is a set of members. For each packet, the selector's hash chooses a slot of the group, and the slot's member runs. Slots are
// ordered by member id, as in bmv2.
type Group struct {
	ID      uint32
	MaxSize int32 // stored for the P4Runtime server; 0 means the program's maximum
	Members []GroupMember
}

// An ActionProfile holds the actions of indirect tables. Its methods may run concurrently with Process.
type ActionProfile struct {
	e       *Engine
	name    string
	size    int
	sel     *calculation // nil if the profile has no selector
	actions []*action

	// members and groups are guarded by e.ctl. Packets do not use these maps: they reach members and groups through entries, which change
	// only while all workers are stopped.
	members map[uint32]*member
	groups  map[uint32]*group
}

type member struct {
	spec Member
	act  *action
	args []uint64
	refs int
}

type group struct {
	spec  Group
	slots []*member
	refs  int
}

// Name returns the profile's name in the program.
func (p *ActionProfile) Name() string { return p.name }

// Size returns the largest number of members that the profile can hold.
func (p *ActionProfile) Size() int { return p.size }

// HasSelector reports whether the profile can have groups.
func (p *ActionProfile) HasSelector() bool { return p.sel != nil }

// ActionNames returns the names of the actions that the profile's members may use.
func (p *ActionProfile) ActionNames() []string { return actionNames(p.actions) }

func (p *ActionProfile) wrap(what string, id uint32, err error) error {
	return fmt.Errorf("action profile %q: %s %d: %w", p.name, what, id, err)
}

// InsertMember adds a member. It returns ErrExists if the member id is in use, ErrFull if the profile is full, and ErrInvalid if the action
// or its arguments are invalid.
func (p *ActionProfile) InsertMember(m Member) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	if _, ok := p.members[m.ID]; ok {
		return p.wrap("member", m.ID, ErrExists)
	}
	if len(p.members) >= p.size {
		return p.wrap("member", m.ID, fmt.Errorf("%w: %d members", ErrFull, p.size))
	}
	a, args, err := bind(p.actions, m.Action)
	if err != nil {
		return p.wrap("member", m.ID, err)
	}
	p.members[m.ID] = &member{spec: Member{m.ID, m.Action.clone()}, act: a, args: args}
	return nil
}

// ModifyMember changes a member's action. The change applies to every entry and group that refers to the member. ModifyMember returns
// ErrNotFound if the member does not exist, and ErrInvalid if the action or its arguments are invalid.
func (p *ActionProfile) ModifyMember(m Member) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	old, ok := p.members[m.ID]
	if !ok {
		return p.wrap("member", m.ID, ErrNotFound)
	}
	a, args, err := bind(p.actions, m.Action)
	if err != nil {
		return p.wrap("member", m.ID, err)
	}
	p.e.gate.lock()
	old.act, old.args = a, args
	p.e.gate.unlock()
	old.spec = Member{m.ID, m.Action.clone()}
	return nil
}

// DeleteMember removes a member. It returns ErrNotFound if the member does not exist, and ErrInUse if an entry or group refers to the
// member.
func (p *ActionProfile) DeleteMember(id uint32) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	m, ok := p.members[id]
	if !ok {
		return p.wrap("member", id, ErrNotFound)
	}
	if m.refs > 0 {
		return p.wrap("member", id, fmt.Errorf("%w: %d references", ErrInUse, m.refs))
	}
	delete(p.members, id)
	return nil
}

// Member returns the member with this id.
func (p *ActionProfile) Member(id uint32) (Member, bool) {
	p.e.ctl.RLock()
	defer p.e.ctl.RUnlock()
	m, ok := p.members[id]
	if !ok {
		return Member{}, false
	}
	return Member{id, m.spec.Action.clone()}, true
}

// RangeMembers calls f for each member in ascending order of ids, until f returns false.
func (p *ActionProfile) RangeMembers(f func(Member) bool) {
	p.e.ctl.RLock()
	defer p.e.ctl.RUnlock()
	for _, id := range sortedKeys(p.members) {
		if !f(Member{id, p.members[id].spec.Action.clone()}) {
			return
		}
	}
}

// slotsOf computes the slots of a group. The caller must hold e.ctl.
func (p *ActionProfile) slotsOf(g *Group) ([]*member, error) {
	if p.sel == nil {
		return nil, fmt.Errorf("%w: the profile has no selector", ErrInvalid)
	}
	seen := map[uint32]bool{}
	ms := slices.Clone(g.Members)
	slices.SortFunc(ms, func(a, b GroupMember) int { return int(int64(a.Member) - int64(b.Member)) })
	var out []*member
	for _, gm := range ms {
		m, ok := p.members[gm.Member]
		switch {
		case !ok:
			return nil, fmt.Errorf("member %d: %w", gm.Member, ErrNotFound)
		case seen[gm.Member]:
			return nil, fmt.Errorf("%w: member %d twice", ErrInvalid, gm.Member)
		case gm.Weight < 1:
			return nil, fmt.Errorf("%w: weight %d of member %d, must be at least 1", ErrInvalid, gm.Weight, gm.Member)
		case g.MaxSize > 0 && len(out)+int(gm.Weight) > int(g.MaxSize):
			return nil, fmt.Errorf("%w: weights add up to more than the group's size %d", ErrInvalid, g.MaxSize)
		case len(out)+int(gm.Weight) > maxGroupSlots:
			return nil, fmt.Errorf("%w: weights add up to more than %d", ErrInvalid, maxGroupSlots)
		}
		seen[gm.Member] = true
		for range gm.Weight {
			out = append(out, m)
		}
	}
	return out, nil
}

// maxGroupSlots is the largest sum of the weights in a group.
const maxGroupSlots = 1 << 16

func (g *Group) clone() Group {
	out := Group{ID: g.ID, MaxSize: g.MaxSize}
	for _, m := range g.Members {
		m.Watch = slices.Clone(m.Watch)
		out.Members = append(out.Members, m)
	}
	return out
}

// InsertGroup adds a group. It returns ErrExists if the group id is in use, and ErrNotFound if a member does not exist. It returns
// ErrInvalid if the profile has no selector or the list of members is invalid.
func (p *ActionProfile) InsertGroup(g Group) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	if _, ok := p.groups[g.ID]; ok {
		return p.wrap("group", g.ID, ErrExists)
	}
	s, err := p.slotsOf(&g)
	if err != nil {
		return p.wrap("group", g.ID, err)
	}
	p.groups[g.ID] = &group{spec: g.clone(), slots: s}
	p.retain(g.Members, 1)
	return nil
}

func (p *ActionProfile) retain(ms []GroupMember, n int) {
	for _, gm := range ms {
		p.members[gm.Member].refs += n
	}
}

// ModifyGroup replaces the members of a group. It returns ErrNotFound if the group or a member does not exist, and ErrInvalid if the list
// of members is invalid.
func (p *ActionProfile) ModifyGroup(g Group) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	old, ok := p.groups[g.ID]
	if !ok {
		return p.wrap("group", g.ID, ErrNotFound)
	}
	s, err := p.slotsOf(&g)
	if err != nil {
		return p.wrap("group", g.ID, err)
	}
	p.retain(g.Members, 1)
	p.retain(old.spec.Members, -1)
	p.e.gate.lock()
	old.slots = s
	p.e.gate.unlock()
	old.spec = g.clone()
	return nil
}

// DeleteGroup removes a group. It returns ErrNotFound if the group does not exist, and ErrInUse if an entry refers to the group.
func (p *ActionProfile) DeleteGroup(id uint32) error {
	p.e.ctl.Lock()
	defer p.e.ctl.Unlock()
	g, ok := p.groups[id]
	if !ok {
		return p.wrap("group", id, ErrNotFound)
	}
	if g.refs > 0 {
		return p.wrap("group", id, fmt.Errorf("%w: %d references", ErrInUse, g.refs))
	}
	p.retain(g.spec.Members, -1)
	delete(p.groups, id)
	return nil
}

// Group returns the group with this id.
func (p *ActionProfile) Group(id uint32) (Group, bool) {
	p.e.ctl.RLock()
	defer p.e.ctl.RUnlock()
	g, ok := p.groups[id]
	if !ok {
		return Group{}, false
	}
	return g.spec.clone(), true
}

// RangeGroups calls f for each group in ascending order of ids, until f returns false.
func (p *ActionProfile) RangeGroups(f func(Group) bool) {
	p.e.ctl.RLock()
	defer p.e.ctl.RUnlock()
	for _, id := range sortedKeys(p.groups) {
		if !f(p.groups[id].spec.clone()) {
			return
		}
	}
}
