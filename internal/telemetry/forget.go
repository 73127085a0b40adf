package telemetry

import (
	"strconv"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// remove deletes the values at and below a path that the target has deleted.
func (m *model) remove(path []*gpb.PathElem) {
	for name, in := range m.interfaces {
		if !concerns(path, name) {
			continue
		}
		had := len(in.ACL)
		for _, l := range heldLeaves(in) {
			if covers(path, l.path) {
				l.clear(m.edit(name))
			}
		}
		now := m.interfaces[name]
		m.entries -= had - len(now.ACL)
		if now.empty() {
			delete(m.interfaces, name)
			m.entries--
		}
	}
}

// A heldLeaf is a known leaf of an interface, with a function that deletes its value.
type heldLeaf struct {
	path  []*gpb.PathElem
	clear func(*Interface)
}

func heldLeaves(in *Interface) []heldLeaf {
	keyed := func(name string, keys map[string]string) *gpb.PathElem { return &gpb.PathElem{Name: name, Key: keys} }
	state := steps("interfaces", "interface", "state").Elem
	state[1] = keyed("interface", map[string]string{"name": in.Name})
	held := []heldLeaf{
		{below(state, keyed("oper-status", nil)), func(in *Interface) { in.Oper = "" }},
		{below(state, keyed("id", nil)), func(in *Interface) { in.Port = 0 }},
		{below(state, keyed("ifindex", nil)), func(in *Interface) { in.IfIndex = 0 }},
	}
	counters := below(state, keyed("counters", nil))
	for i, name := range counterLeaves() {
		held = append(held, heldLeaf{below(counters, keyed(name, nil)), func(in *Interface) { *in.Counters.all()[i] = Counter{} }})
	}
	for k := range in.ACL {
		path := steps(aclPath("matched-packets")...).Elem
		path[2].Key = map[string]string{"id": in.Name}
		path[4].Key = map[string]string{"set-name": k.Set, "type": k.Type}
		path[6].Key = map[string]string{"sequence-id": strconv.FormatUint(uint64(k.SequenceID), 10)}
		entry := path[: len(path)-1 : len(path)-1]
		for _, name := range []string{"matched-packets", "matched-octets"} {
			held = append(held, heldLeaf{below(entry, keyed(name, nil)), func(in *Interface) {
				e := in.ACL[k]
				if name == "matched-packets" {
					e.Packets = Counter{}
				} else {
					e.Octets = Counter{}
				}
				if in.ACL[k] = e; e == (ACLEntry{}) {
					delete(in.ACL, k)
				}
			}})
		}
	}
	return held
}

// covers reports whether leaf is at or below a deleted path, which may omit keys or have wildcards.
func covers(deleted, leaf []*gpb.PathElem) bool {
	if len(deleted) > len(leaf) {
		return false
	}
	for i, d := range deleted {
		if d.Name != "*" && d.Name != leaf[i].Name {
			return false
		}
		for k, v := range d.Key {
			if v != "*" && v != leaf[i].Key[k] {
				return false
			}
		}
	}
	return true
}

// concerns reports whether a deleted path may include values of an interface, because it does not name another interface.
func concerns(deleted []*gpb.PathElem, name string) bool {
	for _, e := range deleted {
		if e.Name != "interface" {
			continue
		}
		for _, v := range e.Key { // the key is name in /interfaces and id in /acl
			return v == "*" || v == name
		}
	}
	return true
}
