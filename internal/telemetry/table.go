package telemetry

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"
)

// These are the bounds of the tables that all targets of a collector share.
const (
	// maxForms limits the number of forms in a table. A path of an ACL entry has two keys, which a target may send in either order. A
	// thousand switches of 64 interfaces, all with different names, have 128,000 heads. Half of them do not fit, and are parsed each time.
	maxForms = 1 << 16
	// maxFormsOfTarget limits the number of forms that one target may add, so that no target fills the table alone.
	maxFormsOfTarget = 1 << 12
	// maxACLKeys limits the number of known ACL entries. A switch has at most 256 rules.
	maxACLKeys = 1 << 14
	// maxForm is the longest form that is remembered, in bytes.
	maxForm = 512
)

// An entryTable numbers the ACLKeys of all targets, because most switches have the same keys.
type entryTable struct {
	mu      sync.RWMutex // guards everything below
	numbers map[ACLKey]uint32
	keys    []ACLKey
}

func newEntryTable() *entryTable { return &entryTable{numbers: make(map[ACLKey]uint32)} }

// number returns the number of a key, or false if the table has no room for another key.
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

// tables holds the tables that all targets of a collector share.
type tables struct {
	entries *entryTable
	// heads maps the encoded part of a path up to the interface to that interface. interfaces and acls map the encoded part after the
	// interface to a leaf.
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

// A formTable maps encoded parts of paths to their meanings. All targets share it, because every message contains the same paths. It
// contains only complete and known paths.
type formTable[T any] struct {
	mu    sync.RWMutex // guards forms
	forms map[string]*form[T]
}

// A form is one encoded part of a path with its meaning.
type form[T any] struct {
	text    string
	meaning T
	// next is the form that followed this form most recently. Targets send paths in the same order each time, so next usually follows
	// again. Comparing with next is cheaper than a look-up, and needs no lock.
	next atomic.Pointer[form[T]]
}

func newFormTable[T any]() *formTable[T] { return &formTable[T]{forms: make(map[string]*form[T])} }

// look returns the form of a text, or nil if it is not known. after is the preceding form, or nil. look does not allocate.
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

// learn remembers a form if there is room for it, and reports whether there was.
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
