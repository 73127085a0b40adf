package openconfig

import "strings"

// The YANG modules of the served leaves, as in Capabilities.
const (
	modInterfaces = "openconfig-interfaces"
	modP4RT       = "openconfig-p4rt"
	modACL        = "openconfig-acl"
)

// A leafType is the YANG type of a leaf, as far as the encodings distinguish types.
type leafType uint8

const (
	notLeaf      leafType = iota
	typeString            // string and enumeration
	typeIdentity          // identityref of openconfig-acl: qualified in JSON_IETF (RFC 7951 section 6.8)
	typeUint32
	typeTicks     // nanoseconds since the epoch; a string in JSON_IETF, like every 64-bit number
	typeCounter64 // a running number: sampled, not reported on change; a string in JSON_IETF (RFC 7951 section 6.1)
)

// A leafSet is a set of leaves of a subtree.
type leafSet uint8

const (
	stateLeaves   leafSet = 1 << iota // leaves that change rarely; the Source reports their changes
	counterLeaves                     // running counters
	allLeaves     = stateLeaves | counterLeaves
)

// A schema is one node of the served data model: a container, a list, or a leaf.
type schema struct {
	name, module string
	keys         []string // keys of a list, in YANG order
	typ          leafType
	key          bool // key leaf directly below a list entry: the leafref that repeats the key
	applied      bool // applied value of a configuration leaf, which is of type STATE but not OPERATIONAL
	children     []*schema
}

func (s *schema) leaf() bool { return s.typ != notLeaf }

func (s *schema) list() bool { return len(s.keys) > 0 }

// set returns the set that contains a leaf.
func (s *schema) set() leafSet {
	if s.typ == typeCounter64 {
		return counterLeaves
	}
	return stateLeaves
}

func (s *schema) child(name string) *schema {
	for _, c := range s.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (s *schema) hasKey(name string) bool {
	for _, k := range s.keys {
		if k == name {
			return true
		}
	}
	return false
}

// childNames lists the possible elements after s in a path, for messages.
func (s *schema) childNames() string {
	names := make([]string, 0, len(s.children))
	for _, c := range s.children {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// leaves returns the sets of the leaves at and below s.
func (s *schema) leaves() leafSet {
	if s.leaf() {
		return s.set()
	}
	var all leafSet
	for _, c := range s.children {
		all |= c.leaves()
	}
	return all
}

// newSchema returns the root of the served model.
func newSchema() *schema {
	const i, p, a = modInterfaces, modP4RT, modACL
	counters := []*schema{
		leaf(i, "in-octets", typeCounter64), leaf(i, "in-pkts", typeCounter64),
		leaf(i, "in-discards", typeCounter64), leaf(i, "in-errors", typeCounter64),
		leaf(i, "out-octets", typeCounter64), leaf(i, "out-pkts", typeCounter64),
		leaf(i, "out-discards", typeCounter64), leaf(i, "out-errors", typeCounter64),
		leaf(i, "last-clear", typeTicks),
	}
	entry := list(a, "acl-entry", []string{"sequence-id"}, typeUint32,
		container(a, "state",
			leaf(a, "sequence-id", typeUint32),
			leaf(a, "matched-packets", typeCounter64),
			leaf(a, "matched-octets", typeCounter64)))
	set := list(a, "ingress-acl-set", []string{"set-name", "type"}, typeString,
		container(a, "state", applied(a, "set-name", typeString), applied(a, "type", typeIdentity)),
		container(a, "acl-entries", entry))
	set.child("type").typ = typeIdentity
	return container("", "",
		container(i, "interfaces",
			list(i, "interface", []string{"name"}, typeString,
				container(i, "state",
					applied(i, "name", typeString),
					leaf(i, "ifindex", typeUint32),
					leaf(i, "admin-status", typeString),
					leaf(i, "oper-status", typeString),
					leaf(i, "last-change", typeTicks),
					applied(p, "id", typeUint32),
					container(i, "counters", counters...)))),
		container(a, "acl",
			container(a, "interfaces",
				list(a, "interface", []string{"id"}, typeString,
					container(a, "state", applied(a, "id", typeString)),
					container(a, "ingress-acl-sets", set)))))
}

func container(module, name string, children ...*schema) *schema {
	return &schema{name: name, module: module, children: children}
}

func list(module, name string, keys []string, keyType leafType, children ...*schema) *schema {
	s := &schema{name: name, module: module, keys: keys}
	for _, k := range keys {
		s.children = append(s.children, &schema{name: k, module: module, typ: keyType, key: true})
	}
	s.children = append(s.children, children...)
	return s
}

func leaf(module, name string, typ leafType) *schema {
	return &schema{name: name, module: module, typ: typ}
}

func applied(module, name string, typ leafType) *schema {
	return &schema{name: name, module: module, typ: typ, applied: true}
}
