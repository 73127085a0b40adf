package engine

import (
	"fmt"
	"slices"
)

// SetMulticastGroup creates or replaces the group with this id. It returns ErrInvalid if the id is out of range. Id 0 is invalid, because
// in v1model it means no multicast.
func (e *Engine) SetMulticastGroup(id uint32, replicas []Replica) error {
	if id == 0 || id > maxMulticast {
		return fmt.Errorf("multicast group %d: %w: ids are 1 to %d", id, ErrInvalid, maxMulticast)
	}
	e.ctl.Lock()
	defer e.ctl.Unlock()
	r := slices.Clone(replicas)
	e.gate.lock()
	e.groups[id] = r
	e.gate.unlock()
	return nil
}

// maxMulticast is the largest group id, because mcast_grp has 16 bits.
const maxMulticast = 1<<16 - 1

// DeleteMulticastGroup removes a group. It returns ErrNotFound if the group does not exist.
func (e *Engine) DeleteMulticastGroup(id uint32) error {
	e.ctl.Lock()
	defer e.ctl.Unlock()
	if _, ok := e.groups[id]; !ok {
		return fmt.Errorf("multicast group %d: %w", id, ErrNotFound)
	}
	e.gate.lock()
	delete(e.groups, id)
	e.gate.unlock()
	return nil
}

// MulticastGroup returns the replicas of a group.
func (e *Engine) MulticastGroup(id uint32) ([]Replica, bool) {
	e.ctl.RLock()
	defer e.ctl.RUnlock()
	r, ok := e.groups[id]
	return slices.Clone(r), ok
}

// RangeMulticastGroups calls f for each group in ascending order of ids, until f returns false.
func (e *Engine) RangeMulticastGroups(f func(id uint32, r []Replica) bool) {
	e.ctl.RLock()
	defer e.ctl.RUnlock()
	for _, id := range sortedKeys(e.groups) {
		if !f(id, slices.Clone(e.groups[id])) {
			return
		}
	}
}

// maxCloneSession is the largest session id. It is the same as in simple_switch.
const maxCloneSession = 1<<15 - 1

// SetCloneSession creates or replaces the session with this id. It returns ErrInvalid if the id is out of range or TruncateBytes is
// negative.
func (e *Engine) SetCloneSession(id uint32, s CloneSession) error {
	if id > maxCloneSession {
		return fmt.Errorf("clone session %d: %w: ids are 0 to %d", id, ErrInvalid, maxCloneSession)
	}
	if s.TruncateBytes < 0 {
		return fmt.Errorf("clone session %d: %w: truncation to %d bytes", id, ErrInvalid, s.TruncateBytes)
	}
	e.ctl.Lock()
	defer e.ctl.Unlock()
	s.Replicas = slices.Clone(s.Replicas)
	e.gate.lock()
	e.sessions[id] = s
	e.gate.unlock()
	return nil
}

// DeleteCloneSession removes a session. It returns ErrNotFound if the session does not exist.
func (e *Engine) DeleteCloneSession(id uint32) error {
	e.ctl.Lock()
	defer e.ctl.Unlock()
	if _, ok := e.sessions[id]; !ok {
		return fmt.Errorf("clone session %d: %w", id, ErrNotFound)
	}
	e.gate.lock()
	delete(e.sessions, id)
	e.gate.unlock()
	return nil
}

// CloneSession returns the session with this id.
func (e *Engine) CloneSession(id uint32) (CloneSession, bool) {
	e.ctl.RLock()
	defer e.ctl.RUnlock()
	s, ok := e.sessions[id]
	s.Replicas = slices.Clone(s.Replicas)
	return s, ok
}

// RangeCloneSessions calls f for each session in ascending order of ids, until f returns false.
func (e *Engine) RangeCloneSessions(f func(id uint32, s CloneSession) bool) {
	e.ctl.RLock()
	defer e.ctl.RUnlock()
	for _, id := range sortedKeys(e.sessions) {
		s := e.sessions[id]
		s.Replicas = slices.Clone(s.Replicas)
		if !f(id, s) {
			return
		}
	}
}
