package ledger

import (
	"errors"

	"op25b/internal/lease"
	"op25b/internal/store"
)

// The reasons for which a grant is refused, besides those of package lease. Their texts contain no address, because they are logged (I8).
var (
	// ErrNotReady is returned before the documents, the leases and the sessions have been read.
	ErrNotReady = errors.New("the inventory, the leases or the sessions have not been read yet")
	// ErrNoLine is returned if no line has the name or the address.
	ErrNoLine = errors.New("no such line")
	// ErrNoLease is returned if the policy has no lease of that name, or none for the line.
	ErrNoLease = errors.New("no such lease")
	// ErrNoAddress is returned if the line has no address now, so that there is nothing to open.
	ErrNoAddress = errors.New("the line has no address")
	// ErrExempt is returned if the line is exempt, and ErrExemptAddress if the address is. It reaches own servers without a lease.
	ErrExempt        = errors.New("the line is exempt")
	ErrExemptAddress = errors.New("the address is exempt")
	// ErrOfLine is returned for a grant to an address that a line has. The line can have the lease.
	ErrOfLine = errors.New("a line has the address")
	// ErrNoKey is returned for an address outside all lines if the controller has no key with which addresses are stored.
	ErrNoKey = errors.New("this controller stores no addresses: start it with --session-key")
	// ErrPlain is returned for a login without TLS if the lease requires TLS.
	ErrPlain = errors.New("the lease requires a login over TLS")
	// ErrNoClock is returned if the clock of the line's switch cannot be read, so that the switch could not end the lease.
	ErrNoClock = errors.New("the switch does not report its clock")
	// ErrBusy is returned if other controllers change the same lease all the time.
	ErrBusy = errors.New("the lease changes too often")
)

func isConflict(err error) bool {
	conflict := (*store.ConflictError)(nil)
	return errors.As(err, &conflict)
}

// Refused reports whether an error of Grant or Login means that the grant is refused, and not that it should be tried again.
func (*Ledger) Refused(err error) bool {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return !errors.Is(err, ErrNotReady) && !errors.Is(err, lease.ErrRate) && !errors.Is(err, lease.ErrFull)
		}
	}
	return false
}
