package store

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of Open.
var (
	// ErrConfig is returned by Open for an invalid Config. Nothing was opened.
	ErrConfig = errors.New("invalid configuration")
	// ErrInUse is returned by Open if another store has opened the data directory. Open does not wait until the directory is released.
	ErrInUse = errors.New("data directory in use")
	// ErrDamaged is wrapped by every DamageError.
	ErrDamaged = errors.New("the data directory is damaged")
)

// Errors of requests to the cluster.
var (
	// ErrNoQuorum is returned if no majority of the cluster has answered in time. A change was either made completely or not at all. The
	// caller must read the store to determine which of the two happened.
	ErrNoQuorum = errors.New("no quorum")
	// ErrFailed is wrapped by every BreakdownError.
	ErrFailed = errors.New("the store has failed")
	// ErrFull is returned for a change if the database has reached its quota. Reads still succeed.
	ErrFull = errors.New("store is full")
	// ErrReplaced is returned for a change if the store was replaced, by a restored backup or an empty store, after the caller read from
	// it. Nothing was changed. The caller must read again.
	ErrReplaced = errors.New("the store was replaced")
	// ErrRestoring is returned while a backup is being restored into the store, and after an interrupted restore.
	ErrRestoring = errors.New("the store is being restored")
	// ErrClosed is returned for every request after the store was closed.
	ErrClosed = errors.New("store closed")
)

// Errors of changes.
var (
	// ErrInvalid is returned for invalid arguments. Nothing was changed.
	ErrInvalid = errors.New("invalid request")
	// ErrStale is wrapped by every StaleError.
	ErrStale = errors.New("not the current revision")
	// ErrUnchanged is returned for a change of intent whose documents are identical to those of the current revision.
	ErrUnchanged = errors.New("nothing to change")
	// ErrConflict is wrapped by every ConflictError.
	ErrConflict = errors.New("changed by another hand")
	// ErrOwned is wrapped by every OwnedError.
	ErrOwned = errors.New("owned by another")
	// ErrLost is returned for a write under an ownership that is no longer held.
	ErrLost = errors.New("ownership lost")
)

// Errors of reading.
var (
	// ErrNotFound is returned for a record or a revision that the store does not have.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt is returned if stored content cannot be decoded or does not match its hash.
	ErrCorrupt = errors.New("stored content is damaged")
	// ErrBroken is wrapped by every BreakError.
	ErrBroken = errors.New("audit chain broken")
)

// An Error is returned for a failed request to etcd. Kind is one of the errors above, or nil if none of them fits. Err is the error of
// etcd, gRPC or the context. errors.Is and errors.As match both Kind and Err.
type Error struct {
	Endpoints []string
	Op        string // the name of the request, such as "put intent"
	Kind      error
	Err       error
}

// Error returns a message such as `etcd at 10.0.0.1:2379, 10.0.0.2:2379: put intent: no quorum: etcdserver: no leader`.
func (e *Error) Error() string {
	text := fmt.Sprintf("etcd at %s: %s: ", strings.Join(e.Endpoints, ", "), e.Op)
	if e.Kind != nil {
		text += e.Kind.Error() + ": "
	}
	return text + e.Err.Error()
}

// Unwrap returns Kind and Err, without nil values.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// A StaleError is returned for a change of intent whose base is not the current revision.
type StaleError struct {
	Base    uint64 // the revision on which the change is based
	Current uint64
}

// Error names both revisions and tells the user what to do.
func (e *StaleError) Error() string {
	return fmt.Sprintf("the change was made on revision %d, the current revision is %d: review what changed between them, and repeat the change on %d",
		e.Base, e.Current, e.Current)
}

// Unwrap returns ErrStale.
func (e *StaleError) Unwrap() error { return ErrStale }

// A ConflictError is returned for a write of a record that was created, changed or deleted after the writer had read it.
type ConflictError struct {
	Kind, Name string
	Expected   int64 // the version that the writer read; 0 if the record did not exist
	Actual     int64 // the current version of the record
}

// Error names the record and both versions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s %q: %v: expected %s, found %s", e.Kind, e.Name, ErrConflict, version(e.Expected), version(e.Actual))
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

func version(rev int64) string {
	if rev == 0 {
		return "no record"
	}
	return fmt.Sprintf("version %d", rev)
}

// An OwnedError is returned if the thing, such as a switch, already has an owner.
type OwnedError struct {
	Kind, Name string
	Holder     string
	Epoch      uint64
}

// Error names the thing, its holder and the ownership's epoch.
func (e *OwnedError) Error() string {
	return fmt.Sprintf("%s %q: %v: %s has owned it since epoch %d", e.Kind, e.Name, ErrOwned, e.Holder, e.Epoch)
}

// Unwrap returns ErrOwned.
func (e *OwnedError) Unwrap() error { return ErrOwned }

// A BreakError reports the first record of the audit chain that differs from the record that was appended.
type BreakError struct {
	Seq  uint64 // the number of that record
	What string // the defect
}

// Error returns a message such as `audit record 7: audit chain broken: ...`.
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
