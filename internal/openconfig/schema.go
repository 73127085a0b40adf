package openconfig

import (
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// These are the YANG modules of the served leaves, as Capabilities lists them.
const (
	modInterfaces = "openconfig-interfaces"
	modP4RT       = "openconfig-p4rt"
	modACL        = "openconfig-acl"
	modSystem     = "openconfig-system"
	modFilter     = "op25b-filter" // docs/yang/op25b-filter.yang
)

// A leafType is the YANG type of a leaf. It distinguishes only the types that are encoded
// differently.
type leafType uint8

const (
	notLeaf       leafType = iota
	typeString             // a string or enumeration
	typeIdentity           // an identityref of openconfig-acl; qualified in JSON_IETF (RFC 7951 section 6.8)
	typeUint32             // a number of at most 32 bits
	typeUint64             // a number that changes rarely; a string in JSON_IETF, like every 64-bit number
	typeCounter64          // a running counter, which is sampled and not reported on change; a string in JSON_IETF (RFC 7951 section 6.1)
	typeClock              // a clock, which is sampled and never reported on change; a string
)

// numeric reports whether readings store the values of this type as numbers.
func (t leafType) numeric() bool {
	return t == typeUint32 || t == typeUint64 || t == typeCounter64
}

// A leafSet is a set of leaf categories.
type leafSet uint8

const (
	stateLeaves   leafSet = 1 << iota // leaves that change rarely; the Source reports their changes
	counterLeaves                     // running counters
	clockLeaves                       // running times
	allLeaves     = stateLeaves | counterLeaves | clockLeaves
)

// A schema is one node of the served data model: a container, a list, or a leaf.
type schema struct {
	name, module string
	keys         []string // the keys of a list, in YANG order
	typ          leafType
	key          bool  // a key leaf directly below a list entry, which is the leafref that repeats the key
	applied      bool  // the applied value of a configuration leaf, which is of type STATE but not OPERATIONAL
	config       bool  // configuration leaf
	part         Parts // the part of the State that contains the node and all nodes below it
	group        bool  // the leaves at and below the node, up to the next group, are sent with the node's path as prefix
	children     []*schema
	elem         *gpb.PathElem // the path element of a node without keys, which all such nodes share
	wire         []byte        // elem, encoded as in a path
}

func (s *schema) leaf() bool { return s.typ != notLeaf }

func (s *schema) list() bool { return len(s.keys) > 0 }

// set returns the leafSet of a leaf.
func (s *schema) set() leafSet {
	switch s.typ {
	case typeCounter64:
		return counterLeaves
	case typeClock:
		return clockLeaves
	default:
		return stateLeaves
	}
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

// childNames lists the elements that can follow s in a path, for error messages.
func (s *schema) childNames() string {
	names := make([]string, 0, len(s.children))
	for _, c := range s.children {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// leaves returns the union of the leafSets of s and of all nodes below it.
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

// parts returns the parts of a State that contain the leaves at and below s.
func (s *schema) parts() Parts {
	all := s.part
	for _, c := range s.children {
		all |= c.parts()
	}
	return all
}
