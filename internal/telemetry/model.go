package telemetry

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// maxEntries limits the memory that one target can use. A switch of 256 ports with 256 rules each has 65,792 interfaces and entries. The
// limit is sixteen times that number.
const maxEntries = 1 << 20

// A model collects the notifications of one session. It does not modify interfaces in a returned snapshot: an interface is copied before
// its first change after a snapshot.
type model struct {
	interfaces map[string]*Interface
	fresh      map[string]bool // interfaces that are in no snapshot and may be modified
	entries    int             // interfaces and ACL entries
	rejected   int
	first      string
}

func newModel() *model {
	return &model{interfaces: make(map[string]*Interface), fresh: make(map[string]bool)}
}

// snapshot returns the current values.
func (m *model) snapshot() *Snapshot {
	clear(m.fresh)
	return &Snapshot{Interfaces: maps.Clone(m.interfaces), Rejected: m.rejected, FirstRejected: m.first}
}

// apply processes one notification, deletes first (gNMI specification 2.1). Unknown leaves are skipped. Unreadable values are counted and
// skipped, so that the other values of the target are still read. It returns ErrTooMuch if there are more than maxEntries interfaces and
// entries.
func (m *model) apply(n *gpb.Notification, seen time.Time) error {
	prefix := n.GetPrefix().GetElem()
	if n.GetAtomic() { // the message replaces everything below its prefix
		m.remove(localPath(prefix))
	}
	for _, d := range n.GetDelete() {
		m.remove(localPath(prefix, d.GetElem()))
	}
	at := time.Unix(0, n.GetTimestamp())
	for _, u := range n.GetUpdate() {
		path := localPath(prefix, u.GetPath().GetElem())
		err := leaves(path, u.GetVal(), func(path []*gpb.PathElem, v scalar) { m.leaf(localPath(path), v, at, seen) })
		if err != nil {
			m.reject(path, err.Error())
		}
		if m.entries > maxEntries {
			return fmt.Errorf("%w: more than %d", ErrTooMuch, maxEntries)
		}
	}
	return nil
}

// localPath joins paths and removes the modules from names and identities.
func localPath(parts ...[]*gpb.PathElem) []*gpb.PathElem {
	var out []*gpb.PathElem
	for _, part := range parts {
		for _, e := range part {
			c := &gpb.PathElem{Name: local(e.GetName())}
			for k, v := range e.GetKey() {
				if c.Key == nil {
					c.Key = make(map[string]string, len(e.GetKey()))
				}
				if k = local(k); k == "type" {
					v = local(v)
				}
				c.Key[k] = v
			}
			out = append(out, c)
		}
	}
	return out
}

// leaf stores the value of a leaf, if it is one that this package reads.
func (m *model) leaf(path []*gpb.PathElem, v scalar, at, seen time.Time) {
	switch {
	case isPath(path, "interfaces", "interface", "state", "*"):
		m.stateLeaf(path, v)
	case isPath(path, "interfaces", "interface", "state", "counters", "*"):
		for i, name := range counterLeaves() {
			if name == path[4].Name {
				m.counter(path, "name", v, at, seen, func(in *Interface, c Counter) { *in.Counters.all()[i] = c })
			}
		}
	case isPath(path, aclPath("*")...):
		leaf := path[len(path)-1].Name
		if leaf != "matched-packets" && leaf != "matched-octets" {
			return
		}
		key, err := aclKey(path)
		if err != nil {
			m.reject(path, err.Error())
			return
		}
		m.counter(path, "id", v, at, seen, func(in *Interface, c Counter) {
			e, known := in.ACL[key]
			if !known {
				m.entries++
			}
			if leaf == "matched-packets" {
				e.Packets = c
			} else {
				e.Octets = c
			}
			if in.ACL == nil {
				in.ACL = make(map[ACLKey]ACLEntry)
			}
			in.ACL[key] = e
		})
	}
}

func (m *model) stateLeaf(path []*gpb.PathElem, v scalar) {
	leaf := path[3].Name
	if leaf != "oper-status" && leaf != "id" && leaf != "ifindex" {
		return
	}
	name := path[1].Key["name"]
	if name == "" {
		m.reject(path, "no interface name")
		return
	}
	if leaf == "oper-status" {
		if v.isNumber || v.text == "" {
			m.reject(path, v.String())
			return
		}
		m.edit(name).Oper = v.text
		return
	}
	n, err := v.uint(32)
	if err != nil {
		m.reject(path, v.String())
		return
	}
	if leaf == "id" {
		m.edit(name).Port = uint32(n)
	} else {
		m.edit(name).IfIndex = uint32(n)
	}
}

func (m *model) counter(path []*gpb.PathElem, key string, v scalar, at, seen time.Time, set func(*Interface, Counter)) {
	var name string
	for _, e := range path {
		if e.Name == "interface" {
			name = e.Key[key]
		}
	}
	if name == "" {
		m.reject(path, "no interface name")
		return
	}
	n, err := v.uint(64)
	if err != nil {
		m.reject(path, v.String())
		return
	}
	set(m.edit(name), Counter{Value: n, At: at, Seen: seen})
}

// edit returns an interface that may be modified. It creates or copies the interface if necessary.
func (m *model) edit(name string) *Interface {
	in, known := m.interfaces[name]
	switch {
	case !known:
		in = &Interface{Name: name}
		m.entries++
	case m.fresh[name]:
		return in
	default:
		in = in.clone()
	}
	m.interfaces[name], m.fresh[name] = in, true
	return in
}

func (m *model) reject(path []*gpb.PathElem, why string) {
	if m.rejected == 0 {
		m.first = pathText(path) + ": " + why
	}
	m.rejected++
}

// aclPath returns the names of the path elements of a leaf of an ACL entry's state.
func aclPath(leaf string) []string {
	return []string{"acl", "interfaces", "interface", "ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry", "state", leaf}
}

func aclKey(path []*gpb.PathElem) (ACLKey, error) {
	text := path[6].Key["sequence-id"]
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return ACLKey{}, fmt.Errorf("sequence-id %q", text)
	}
	return ACLKey{Set: path[4].Key["set-name"], Type: path[4].Key["type"], SequenceID: uint32(n)}, nil
}

func isPath(path []*gpb.PathElem, names ...string) bool {
	if len(path) != len(names) {
		return false
	}
	for i, n := range names {
		if n != "*" && n != path[i].Name {
			return false
		}
	}
	return true
}
