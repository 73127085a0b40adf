package store

import (
	"errors"
	"fmt"
	"strings"
)

// Opening.
var (
	// ErrConfig is returned by Open for a Config that cannot work; nothing has been opened.
	ErrConfig = errors.New("invalid configuration")
	// ErrInUse is returned by Open, at once, for a data directory that another store has open.
	ErrInUse = errors.New("data directory in use")
	// ErrDamaged is the kind of DamageError.
	ErrDamaged = errors.New("the data directory is damaged")
)

// Reaching the cluster.
var (
	// ErrNoQuorum is returned when no majority of the cluster has answered in time. A change that ends so was made
	// wholly or not at all: read back to know which.
	ErrNoQuorum = errors.New("no quorum")
	// ErrFailed is the kind of BreakdownError.
	ErrFailed = errors.New("the store has failed")
	// ErrFull is returned for a change when the database has reached its quota; what is stored can still be read.
	ErrFull = errors.New("store is full")
	// ErrReplaced is returned for a change that was worked out from a store which is another one by now: restored from a backup, or begun
	// anew. Nothing was changed: read again.
	ErrReplaced = errors.New("the store was replaced")
	// ErrRestoring is returned while a backup is being restored into the store, or after that was broken off.
	ErrRestoring = errors.New("the store is being restored")
	// ErrClosed is returned for everything once the store is closed.
	ErrClosed = errors.New("store closed")
)

// Changing.
var (
	// ErrInvalid is a request that cannot be stored as it is; nothing has been sent.
	ErrInvalid = errors.New("invalid request")
	// ErrStale is the kind of StaleError.
	ErrStale = errors.New("not the current revision")
	// ErrUnchanged is a change of intent that changes nothing.
	ErrUnchanged = errors.New("nothing to change")
	// ErrConflict is the kind of ConflictError.
	ErrConflict = errors.New("changed by another hand")
	// ErrOwned is the kind of OwnedError.
	ErrOwned = errors.New("owned by another")
	// ErrLost is returned for a write under an ownership that is no longer held.
	ErrLost = errors.New("ownership lost")
)

// Reading.
var (
	// ErrNotFound is a record or a revision that the store does not have.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt is stored content that is not what was stored.
	ErrCorrupt = errors.New("stored content is damaged")
	// ErrBroken is the kind of BreakError.
	ErrBroken = errors.New("audit chain broken")
)

// An Error says which request to which cluster failed, and why. Kind is one of the sentinels above, or nil when none fits; Err is what
// etcd, gRPC or the context said. Both are found by errors.Is and errors.As.
type Error struct {
	Endpoints []string
	Op        string // what was asked for, such as "put intent"
	Kind      error
	Err       error
}

// Error renders `etcd at 10.0.0.1:2379, 10.0.0.2:2379: put intent: no quorum: etcdserver: no leader`.
func (e *Error) Error() string {
	text := fmt.Sprintf("etcd at %s: %s: ", strings.Join(e.Endpoints, ", "), e.Op)
	if e.Kind != nil {
		text += e.Kind.Error() + ": "
	}
	return text + e.Err.Error()
}

// Unwrap returns Kind and Err, as far as they are set.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// A StaleError is a change of intent that was made on another revision than the current one.
type StaleError struct {
	Base    uint64 // the revision that the change was made on
	Current uint64
}

// Error names both revisions and the way out.
func (e *StaleError) Error() string {
	return fmt.Sprintf("the change was made on revision %d, the current revision is %d: look at what changed between them, and make it on %d",
		e.Base, e.Current, e.Current)
}

// Unwrap returns ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// A ConflictError is a write of a record that was changed, made or deleted since its writer read it.
type ConflictError struct {
	Kind, Name string
	Expected   int64 // the record's revision as the writer knows it; 0 is a record that does not exist
	Actual     int64 // the record's revision
}

// Error names the record and both revisions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %q: %v: it was expected %s, and is %s", e.Kind, e.Name, ErrConflict, atRevision(e.Expected), atRevision(e.Actual))
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

func atRevision(rev int64) string {
	if rev == 0 {
		return "not to exist"
	}
	return fmt.Sprintf("at revision %d", rev)
}

// An OwnedError is an ownership that another holder has.
type OwnedError struct {
	Kind, Name string
	Holder     string
	Epoch      uint64
}

// Error names the thing, its holder and the epoch.
func (e *OwnedError) Error() string {
	return fmt.Sprintf("%s %q: %v: %s has it since epoch %d", e.Kind, e.Name, ErrOwned, e.Holder, e.Epoch)
}

// Unwrap returns ErrOwned.
func (e *OwnedError) Unwrap() error { return ErrOwned }

// A BreakError is the first place where the audit chain is not what was appended.
type BreakError struct {
	Seq  uint64 // the number of the record
	What string // what is wrong with it
}

// Error renders `audit record 7: audit chain broken: ...`.
func (e *BreakError) Error() string {
	return fmt.Sprintf("audit record %d: %v: %s", e.Seq, ErrBroken, e.What)
}

// Unwrap returns ErrBroken.
func (e *BreakError) Unwrap() error { return ErrBroken }

var (
	_ error = (*Error)(nil)
	_ error = (*StaleError)(nil)
	_ error = (*ConflictError)(nil)
	_ error = (*OwnedError)(nil)
	_ error = (*BreakError)(nil)
)
