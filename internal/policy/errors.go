package policy

import "errors"

// Errors of ParseDate, ParseOffset and ParseDuration.
var (
	// ErrDate means that a text is not a date.
	ErrDate = errors.New("not a date")
	// ErrOffset means that a text is not a UTC offset.
	ErrOffset = errors.New("not a UTC offset")
	// ErrDuration means that a text is not the length of a lease.
	ErrDuration = errors.New("not a duration")
)

// Errors of Validate and CheckActivation.
var (
	// ErrInvalid means that a policy, an inventory or an activation is well-formed but must not be
	// put in force.
	ErrInvalid = errors.New("invalid policy or inventory")
)

// Errors of Bundle.Undo.
var (
	// ErrNoPrevious means that a scope has no activation that can be undone.
	ErrNoPrevious = errors.New("no phase to go back to")
)

// Errors of InForce.Check.
var (
	// ErrUnknownPhase means that the policy does not define the named phase.
	ErrUnknownPhase = errors.New("unknown phase")
	// ErrUnknownGroup means that the policy does not define the named line group.
	ErrUnknownGroup = errors.New("unknown line group")
)

// Errors of AddressLeases.For. Their texts contain no address, because they are logged (I8).
var (
	// ErrNotCustomer means that no customer on another provider's line has the address.
	ErrNotCustomer = errors.New("the address is of no customer")
	// ErrNoAddressLease means that the policy has no lease for addresses outside all lines.
	ErrNoAddressLease = errors.New("no lease is for addresses outside all lines")
)
