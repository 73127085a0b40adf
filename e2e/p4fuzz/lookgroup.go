package p4fuzz

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

// The limits of v1model's standard metadata. egress_port has 9 bits, and its value 511 means drop. egress_rid has 16 bits.
const (
	maxPort     = 510
	maxInstance = 1<<16 - 1
)

// lookGroup finds the irregularities of an update of a multicast group (section 9.5.1).
func (m *Model) lookGroup(s *sight, op p4v1.Update_Type, g *p4v1.MulticastGroupEntry) {
	if g == nil {
		s.key = append(s.key, NoEntity)
		return
	}
	id := g.GetMulticastGroupId()
	_, there := m.groups[id]
	switch {
	case id == 0:
		s.key = append(s.key, GroupZero)
	case op == p4v1.Update_INSERT && there:
		s.state = append(s.state, Duplicate)
	case op == p4v1.Update_MODIFY && !there:
		s.state = append(s.state, MissingModify)
	case op == p4v1.Update_DELETE && !there:
		s.state = append(s.state, MissingDelete)
	}
	if op == p4v1.Update_DELETE {
		if len(g.GetReplicas()) > 0 || len(g.GetMetadata()) > 0 {
			s.rest = append(s.rest, JunkInDelete)
		}
		s.apply = func() { m.removeGroup(id) }
		return
	}
	clean := clone(g)
	type place struct{ port, instance uint32 }
	seen := map[place]bool{}
	for _, r := range clean.GetReplicas() {
		k, ok := r.GetPortKind().(*p4v1.Replica_Port)
		if !ok {
			s.rest = append(s.rest, GroupNoPort)
			continue
		}
		n := number(k.Port)
		switch {
		case len(k.Port) == 0:
			s.rest = append(s.rest, GroupEmptyPort)
		case n.Cmp(number([]byte{maxPort >> 8, maxPort & 0xff})) > 0:
			s.rest = append(s.rest, GroupPort)
		case len(k.Port) > 1 && k.Port[0] == 0:
			s.rest = append(s.rest, GroupPadded)
		}
		if len(k.Port) > 0 && n.Sign() == 0 {
			s.rest = append(s.rest, GroupPortNought)
		}
		if r.GetInstance() > maxInstance {
			s.rest = append(s.rest, GroupInstance)
		}
		if len(r.GetBackupReplicas()) > 0 {
			s.rest = append(s.rest, GroupBackup)
		}
		at := place{uint32(n.Uint64()), r.GetInstance()}
		if seen[at] {
			s.rest = append(s.rest, GroupDuplicate)
		}
		seen[at] = true
		k.Port = canonical(k.Port)
	}
	s.apply = func() {
		m.habits.group(clean, g)
		m.setGroup(clean)
	}
}
