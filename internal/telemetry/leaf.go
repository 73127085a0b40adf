package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// A leafKind specifies which value of a series a leaf contains.
type leafKind uint8

const (
	leafIgnored leafKind = iota
	leafCounter
	leafOper
	leafAdmin
	leafPort
	leafIfIndex
	leafLastChange
	leafLastClear
	leafACL
	leafLeg
	leafLine
	leafBoot
	leafHostname
	leafSoftware
)

// A leaf is the meaning of a path without its interface.
type leaf struct {
	kind   leafKind
	octets bool   // a leafACL, leafLeg or leafLine counts octets instead of packets
	n      uint32 // the position of a leafCounter, or the number of a leafACL's ACLKey
}

// A meaning is the meaning of a whole path.
type meaning struct {
	leaf
	port    string // the name of the interface, if the leaf belongs to one
	leg     LegKey
	line    uint32
	outcome Outcome
}

// ofInterface reports whether the leaf belongs to an interface.
func (l leaf) ofInterface() bool { return l.kind >= leafCounter && l.kind <= leafACL }

var errNoInterface = errors.New("no interface name")

// resolve returns the meaning of a path, which is leafIgnored if the path is not collected. It returns an error if a key of a collected path
// is missing or invalid.
func resolve(path []elem, entries *entryTable) (meaning, error) {
	if len(path) == 0 {
		return meaning{}, nil
	}
	switch string(path[0].name) {
	case "interfaces":
		return resolveInterface(path)
	case "acl":
		if is(path, "acl", "interfaces", "interface", "ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry", "state", "*") {
			return resolveACL(path, entries)
		}
		return resolveSet(path)
	case "system":
		if is(path, "system", "state", "*") {
			return meaning{leaf: leaf{kind: systemLeaf(path[2].name)}}, nil
		}
	}
	return meaning{}, nil
}

// systemLeaf returns the kind of a leaf of /system/state.
func systemLeaf(name []byte) leafKind {
	switch string(name) {
	case "boot-time":
		return leafBoot
	case "hostname":
		return leafHostname
	case "software-version":
		return leafSoftware
	}
	return leafIgnored
}

// stateLeaf returns the kind of a leaf in an interface's state.
func stateLeaf(name []byte) leafKind {
	switch string(name) {
	case "oper-status":
		return leafOper
	case "admin-status":
		return leafAdmin
	case "id":
		return leafPort
	case "ifindex":
		return leafIfIndex
	case "last-change":
		return leafLastChange
	}
	return leafIgnored
}

func resolveInterface(path []elem) (p meaning, err error) {
	switch {
	case is(path, "interfaces", "interface", "state", "*"):
		p.kind = stateLeaf(path[3].name)
	case is(path, "interfaces", "interface", "state", "counters", "*"):
		if string(path[4].name) == "last-clear" {
			p.kind = leafLastClear
		}
		for i, name := range counterNames {
			if name == string(path[4].name) {
				p.kind, p.n = leafCounter, uint32(i)
			}
		}
	}
	if p.kind == leafIgnored {
		return p, nil
	}
	if p.port = string(path[1].key("name")); p.port == "" {
		return p, errNoInterface
	}
	return p, nil
}

// countLeaf reports whether a name is prefix followed by the name of a counter of packets or octets.
func countLeaf(name []byte, prefix string) (octets, ok bool) {
	rest, ok := bytes.CutPrefix(name, []byte(prefix))
	octets = string(rest) == "-octets"
	return octets, ok && (octets || string(rest) == "-packets")
}

func resolveACL(path []elem, entries *entryTable) (p meaning, err error) {
	octets, ok := countLeaf(path[8].name, "matched")
	if !ok {
		return p, nil
	}
	id, err := path[6].number("sequence-id", 32)
	if err != nil {
		return p, err
	}
	if p.port = string(path[2].key("id")); p.port == "" {
		return p, errNoInterface
	}
	key := ACLKey{Set: string(path[4].key("set-name")), Type: string(local(path[4].key("type"))), SequenceID: uint32(id)}
	if p.n, ok = entries.number(key); !ok {
		return p, fmt.Errorf("more than %d different ACL entries", maxACLKeys)
	}
	p.kind, p.octets = leafACL, octets
	return p, nil
}

// resolveSet resolves the leaves of the augmentation op25b-filter below an ACL set.
func resolveSet(path []elem) (p meaning, err error) {
	switch {
	case is(path, "acl", "acl-sets", "acl-set", "leg-entries", "leg-entry", "state", "*"):
		octets, ok := countLeaf(path[6].name, "matched")
		if !ok {
			return p, nil
		}
		epoch, err := path[4].number("epoch", 8)
		if err != nil {
			return p, err
		}
		rule, err := path[4].number("sequence-id", 32)
		if err != nil {
			return p, err
		}
		p.leg = LegKey{Epoch: uint8(epoch), Leg: intern(path[4].key("leg")), Rule: uint32(rule)}
		p.kind, p.octets = leafLeg, octets
	case is(path, "acl", "acl-sets", "acl-set", "lines", "line", "state", "*"):
		for o, name := range outcomeNames {
			octets, ok := countLeaf(path[6].name, name)
			if !ok {
				continue
			}
			line, err := path[4].number("id", 32)
			if err != nil {
				return p, err
			}
			p.kind, p.octets, p.line, p.outcome = leafLine, octets, uint32(line), Outcome(o)
		}
	}
	return p, nil
}

// is reports whether a path has these names; "*" matches any name.
func is(path []elem, names ...string) bool {
	if len(path) != len(names) {
		return false
	}
	for i, n := range names {
		if n != "*" && n != string(path[i].name) {
			return false
		}
	}
	return true
}

// number parses the value of a key as a number.
func (e *elem) number(key string, bits int) (uint64, error) {
	text := e.key(key)
	n, err := strconv.ParseUint(string(text), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s %q", key, text)
	}
	return n, nil
}

// put stores the value of a leaf from a notification with the timestamp at, which arrived at the time seen. Both times are in nanoseconds
// since 1970. put returns an error for a value that is invalid for the leaf.
func (s *series) put(p *meaning, v scalar, at, seen int64) error {
	if p.ofInterface() {
		_, err := s.putPort(s.port(p.port), p.leaf, v, at, seen, 0)
		return err
	}
	switch p.kind {
	case leafHostname:
		s.hostname = v.text
		return nil
	case leafSoftware:
		s.software = v.text
		return nil
	case leafIgnored:
		return nil
	}
	n, err := v.uint(64)
	if err != nil {
		return err
	}
	switch p.kind {
	case leafBoot:
		s.booted, s.hasBoot = true, true
		if s.newer(&s.bootAt, at, seen) {
			s.setBoot(n, at)
		}
	case leafLeg:
		if s.newer(&s.legsAt, at, seen) {
			s.counted = true
			s.setLeg(p.leg, p.octets, n)
		}
	case leafLine:
		if s.newer(&s.linesAt, at, seen) {
			s.counted = true
			s.setLine(p.line, p.outcome, p.octets, n)
		}
	}
	return nil
}

// putPort stores the value of a leaf of an interface, and returns the likely position of the next ACL entry.
func (s *series) putPort(i int, l leaf, v scalar, at, seen int64, hint int) (int, error) {
	p := &s.ports[i]
	switch l.kind {
	case leafOper, leafAdmin:
		if v.isNumber || v.text == "" {
			return hint, errors.New(v.String())
		}
		state, last := &p.oper, &p.operAt
		if l.kind == leafAdmin {
			state, last = &p.admin, &p.adminAt
		}
		if s.newer(last, at, seen) && *state != v.text {
			*state = v.text
			s.changes++
		}
		return hint, nil
	case leafPort, leafIfIndex:
		n, err := v.uint(32)
		if l.kind == leafPort && err == nil {
			p.number = uint32(n)
		} else if err == nil {
			p.index = uint32(n)
		}
		return hint, err
	}
	n, err := v.uint(64)
	if err != nil {
		return hint, err
	}
	switch l.kind {
	case leafLastChange:
		p.lastChange = n
	case leafLastClear:
		if n > p.lastClear {
			p.lastClear = n
			p.doubt(s.counted && p.countersAt.at >= int64(min(n, math.MaxInt64)))
		}
	case leafCounter:
		if s.newer(&p.countersAt, at, seen) {
			s.counted = true
			s.setCounter(i, int(l.n), n)
		}
	case leafACL:
		if s.newer(&p.aclAt, at, seen) {
			s.counted = true
			return s.setACL(i, l.n, l.octets, n, hint), nil
		}
	}
	return hint, nil
}

// newer reports whether values with the timestamp at, which arrive at the time seen, are at least as new as the stored values. If so, it
// remembers the times.
func (s *series) newer(last *mark, at, seen int64) bool {
	if at < last.at && seen-last.seen < int64(maxReorder) {
		s.late++
		return false
	}
	*last = mark{at, seen}
	return true
}
