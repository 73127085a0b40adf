package telemetry

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// Bounds of the tables that all targets of a collector share.
const (
	// maxForms limits the known forms of a table. A path of an ACL entry has two keys, which a target may send in either order. A thousand
	// switches of 64 interfaces, all with different names, have 128,000 heads, of which half are not remembered and are parsed each time.
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

// tables are what the targets of a collector share.
type tables struct {
	entries *entryTable
	// heads has the interfaces by the encoded part of a path up to them. interfaces and acls have the leaves of an interface by the encoded
	// part of a path behind it.
	heads            *formTable[head]
	interfaces, acls *formTable[leaf]
	pool             mem.BufferPool // of messages
}

func newTables() *tables {
	return &tables{entries: newEntryTable(), heads: newFormTable[head](), interfaces: newFormTable[leaf](), acls: newFormTable[leaf](), pool: newPool()}
}

// A head is the meaning of a path that ends with an interface: /interfaces/interface[name] or /acl/interfaces/interface[id].
type head struct {
	port string
	acl  bool
}

// A formTable maps the encoded form of a part of a path to its meaning. All targets share it, because the same paths arrive in every
// message. Only complete and known paths are remembered.
type formTable[T any] struct {
	mu    sync.RWMutex // guards forms
	forms map[string]*form[T]
}

// A form is one encoded form.
type form[T any] struct {
	text    string
	meaning T
	// next is the form that followed last. Targets send the same paths in the same order, so next is usually the form that follows again.
	// Comparing it is cheaper than a look-up, and takes no lock.
	next atomic.Pointer[form[T]]
}

func newFormTable[T any]() *formTable[T] { return &formTable[T]{forms: make(map[string]*form[T])} }

// look returns a form, or nil if it is not known. after is the form that came before, or nil. look does not allocate.
func (t *formTable[T]) look(text []byte, after *form[T]) *form[T] {
	if after != nil {
		if next := after.next.Load(); next != nil && next.text == string(text) {
			return next
		}
	}
	t.mu.RLock()
	f := t.forms[string(text)]
	t.mu.RUnlock()
	if f != nil && after != nil {
		after.next.Store(f)
	}
	return f
}

// learn remembers a form if there is room, and reports whether it did.
func (t *formTable[T]) learn(text []byte, meaning T) bool {
	if len(text) > maxForm {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.forms) >= maxForms {
		return false
	}
	if t.forms[string(text)] == nil {
		t.forms[string(text)] = &form[T]{text: string(text), meaning: meaning}
	}
	return true
}
