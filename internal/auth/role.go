// Package auth maps bearer tokens and client certificates to names and roles.
//
// Package api defines the calls that each role permits. Package auth stores no secrets: tokens are identified by their hash.
package auth

import (
	"errors"

	"op25b/internal/strict"
)

// A Role is the set of calls that a caller may make. Each role includes the roles before it.
type Role string

// Roles.
const (
	None     Role = ""
	Viewer   Role = "viewer"   // reads, plans and checks
	Operator Role = "operator" // applies, activates, rolls back, and restores the revision before the newest
	Admin    Role = "admin"    // restores any revision, archives audit records, and backs up the store
)

var ranks = map[Role]int{None: 0, Viewer: 1, Operator: 2, Admin: 3}

// Roles returns all roles except None, the lowest first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// May reports whether the role includes the role least.
func (r Role) May(least Role) bool {
	rank, ok := ranks[r]
	return ok && rank >= ranks[least]
}

// Accepts returns the valid roles for the errors of package strict.
func (Role) Accepts() string { return strict.OneOf(Roles()) }

// Parse parses a role. It refuses None.
func (r *Role) Parse(text string) error { return strict.ParseWord(r, text, Roles()) }

var _ strict.Scalar = (*Role)(nil)

var (
	// ErrAccess is returned for an invalid access file.
	ErrAccess = errors.New("invalid access file")
	// ErrUnknown is returned for a caller without valid credentials.
	ErrUnknown = errors.New("caller not known")
)

// A Caller is an authenticated or local caller of the API.
type Caller struct {
	Who  string
	Role Role // None for an authenticated caller without a role
	By   Means
}

// Means is the kind of a caller's credentials.
type Means string

// Kinds of credentials.
const (
	ByToken       Means = "token"
	ByCertificate Means = "certificate"
	ByLoopback    Means = "loopback"  // no credentials: a caller on the same host, without an access file
	ByNothing     Means = "anonymous" // no credentials: admitted by configuration
)
