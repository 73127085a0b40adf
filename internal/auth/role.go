// Package auth maps bearer tokens, client certificates and the groups of an OpenID Provider to names and roles.
//
// Package auth stores no secrets, because it identifies tokens by their hashes. Package api determines which calls each role
// permits.
package auth

import (
	"errors"

	"op25b/internal/strict"
)

// A Role determines which calls a caller may make.
type Role string

// The roles in ascending order. Each of them includes the roles before it.
const (
	None     Role = ""
	Viewer   Role = "viewer"   // may read, plan and check
	Operator Role = "operator" // may also apply, activate, roll back, and restore the revision before the newest
	Admin    Role = "admin"    // may also restore any revision, archive audit records, and back up the store
)

// Portal is the role of the customers' portal, which strangers use. It may call PortalService and nothing else. It is outside the order:
// viewers may call PortalService too, but Portal includes no other role.
const Portal Role = "portal"

// Reporter is the role of DHCP servers and other sources of sessions. It may report sessions and nothing else. It is outside the order: operators
// may report sessions too, but Reporter includes no other role.
const Reporter Role = "reporter"

// Lease is the role of programs that grant and revoke leases of lines. It may do nothing else. It is outside the order: operators may do the same,
// but Lease includes no other role.
const Lease Role = "lease"

var ranks = map[Role]int{None: 0, Viewer: 1, Operator: 2, Admin: 3}

// Roles returns all roles except None: first those in ascending order, and then Portal, Reporter and Lease.
func Roles() []Role { return []Role{Viewer, Operator, Admin, Portal, Reporter, Lease} }

// May reports whether the role includes least.
func (r Role) May(least Role) bool {
	switch {
	case r == Portal || r == Reporter || r == Lease:
		return least == r || least == None
	case least == Portal:
		least = Viewer
	case least == Reporter || least == Lease:
		least = Operator
	}
	rank, ok := ranks[r]
	return ok && rank >= ranks[least]
}

// Accepts returns the valid roles. Package strict lists them in its errors.
func (Role) Accepts() string { return strict.OneOf(Roles()) }

// Parse parses a role. It returns an error for None and for unknown roles.
func (r *Role) Parse(text string) error { return strict.ParseWord(r, text, Roles()) }

var _ strict.Scalar = (*Role)(nil)

var (
	// ErrAccess is returned if an access file is invalid.
	ErrAccess = errors.New("invalid access file")
	// ErrUnknown is returned if a caller has no valid credentials.
	ErrUnknown = errors.New("caller not known")
)

// A Caller is an authenticated or local caller of the API.
type Caller struct {
	Who  string
	Role Role // None if an authenticated caller has no role
	By   Means
	// Reports confines what the caller may report. It is nil unless the caller has the role Reporter.
	Reports *Reports
}

// Reports confines what a Reporter may report.
type Reports struct {
	// Sources are the sources for which it may report.
	Sources []string
	// Switches are the switches whose lines it may name; empty means all.
	Switches []string
}

// Means is the kind of credentials with which a caller was admitted.
type Means string

// Kinds of credentials.
const (
	ByToken       Means = "token"
	ByCertificate Means = "certificate"
	ByOIDC        Means = "OIDC"
	ByLoopback    Means = "loopback"  // a caller on the same host without credentials, if there is no access file
	ByNothing     Means = "anonymous" // a caller without credentials that the configuration admits
)
