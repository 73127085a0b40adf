// Package auth says who a caller is and which role that makes them: by client certificate, or by bearer token.
//
// It does not know what a role may do; api does. It holds no secret: tokens are known by their hash.
package auth

import (
	"errors"

	"op25b/internal/strict"
)

// A Role is what somebody may do at most. Each may all that those before it may.
type Role string

// The roles.
const (
	None     Role = ""
	Viewer   Role = "viewer"   // sees, plans and checks
	Operator Role = "operator" // applies, activates, rolls back, and restores the revision before the newest
	Admin    Role = "admin"    // restores any revision
)

var ranks = map[Role]int{None: 0, Viewer: 1, Operator: 2, Admin: 3}

// Roles are all roles but None, the least first.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// May says whether the role is at least another.
func (r Role) May(least Role) bool {
	rank, ok := ranks[r]
	return ok && rank >= ranks[least]
}

// Accepts lists the roles, as strict asks for them.
func (Role) Accepts() string { return strict.OneOf(Roles()) }

// Parse reads a role, and refuses None.
func (r *Role) Parse(text string) error { return strict.ParseWord(r, text, Roles()) }

var _ strict.Scalar = (*Role)(nil)

var (
	// ErrAccess is an access file that cannot be used.
	ErrAccess = errors.New("invalid access file")
	// ErrUnknown is a caller who has shown nothing that says who they are, or something that is not known.
	ErrUnknown = errors.New("caller not known")
)

// An Identity is who a caller is.
type Identity struct {
	Who  string
	Role Role // None for somebody who is known and may nothing
	By   Means
}

// Means is what somebody is known by.
type Means string

// The means.
const (
	ByToken       Means = "token"
	ByCertificate Means = "certificate"
	ByLoopback    Means = "loopback"  // on the same machine, where nothing else was asked for
	ByNothing     Means = "anonymous" // let in without a credential, as configured
)
