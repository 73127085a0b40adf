package telemetry

import "sync"

// Bounds of the tables that all targets of a collector share.
const (
	// maxForms limits the known forms of paths. A path of an ACL entry has two keys, which a target may send in either order.
	maxForms = 1 << 16
	// maxFormsOfTarget limits the forms that one target may add, so that no target fills the table.
	maxFormsOfTarget = 1 << 12
	// maxACLKeys limits the known ACL entries. A switch has at most 256 rules.
	maxACLKeys = 1 << 14
	// maxForm is the longest form that is remembered, in bytes.
	maxForm = 512
)

// An entryTable numbers the ACLKeys of all targets, because most switches have the same ones.
type entryTable struct {
	mu      sync.RWMutex // guards everything below
	numbers map[ACLKey]uint32
	keys    []ACLKey
}

func newEntryTable() *entryTable { return &entryTable{numbers: make(map[ACLKey]uint32)} }

// number returns the number of a key, or false if there is no room for another key.
func (t *entryTable) number(k ACLKey) (uint32, bool) {
	t.mu.RLock()
	n, known := t.numbers[k]
	t.mu.RUnlock()
	if known {
		return n, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, known := t.numbers[k]; known {
		return n, true
	}
	if len(t.keys) == maxACLKeys {
		return 0, false
	}
	n = uint32(len(t.keys))
	t.numbers[k] = n
	t.keys = append(t.keys, k)
	return n, true
}

func (t *entryTable) key(n uint32) ACLKey {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.keys[n]
}

// A formTable maps the encoded part of a path behind its interface to the leaf that it names. All targets share it, because the same paths
// arrive in every message. Only complete and known paths are remembered.
type formTable struct {
	mu    sync.RWMutex // guards leaves
	leafs map[string]leaf
}

func newFormTable() *formTable { return &formTable{leafs: make(map[string]leaf)} }

// look returns the leaf of a form. It does not allocate.
func (t *formTable) look(form []byte) (leaf, bool) {
	t.mu.RLock()
	l, known := t.leafs[string(form)]
	t.mu.RUnlock()
	return l, known
}

// learn remembers a form if there is room, and reports whether it did.
func (t *formTable) learn(form []byte, l leaf) bool {
	if len(form) > maxForm {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.leafs) >= maxForms {
		return false
	}
	t.leafs[string(form)] = l
	return true
}
