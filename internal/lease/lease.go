// Package lease determines who has a lease, and until when.
//
// A lease lets a line reach own servers for a limited time, because somebody at the line has logged in to a mailbox ("POP before SMTP"). The
// policy says which leases there are and what they open.
//
// The package is pure: it does no I/O and reads no clock. Package lease/ledger stores the leases, and package lease/login reads the reports of
// mail servers. The package does not know what a switch does with a lease.
package lease

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	xrate "golang.org/x/time/rate"
)

// Limits on leases.
const (
	// MaxLeases is the largest number of leases at once. A lease takes 200 bytes in the store, and 300 bytes in the memory of each controller.
	MaxLeases = 100_000
	// GrantsASecond is the rate at which a controller grants and renews leases, after a burst of GrantsInBurst. After an outage, the mail
	// programs of all customers log in within seconds.
	GrantsASecond, GrantsInBurst = 2000, 20_000
	// Grain is the shortest time by which a renewal moves the end of a lease. A mail program opens several connections at once, and all but
	// the first should cost nothing.
	Grain = 5 * time.Second
)

var (
	// ErrFull is returned for a new lease if there are MaxLeases, or too many of addresses of one family.
	ErrFull = errors.New("too many leases")
	// ErrRate is returned for a grant beyond GrantsASecond.
	ErrRate = errors.New("too many grants")
	// ErrOther is returned for a grant if the holder has another lease. A switch has room for one class of an address.
	ErrOther = errors.New("the holder has another lease")
	// ErrLate is returned for a grant that would have ended already.
	ErrLate = errors.New("the grant has ended already")
)

// A Holder is what a lease is granted to: a line, or an address outside all lines. Exactly one of the fields is set.
type Holder struct {
	Line    string
	Address netip.Addr
}

// String returns the name of the line. It does not return an address, because it is a part of errors and logs (I8).
func (h Holder) String() string {
	if h.Line == "" {
		return "an address"
	}
	return "line " + h.Line
}

// Terms say how long a lease lasts after a grant, and how long at most after its first grant.
type Terms struct{ For, Cap time.Duration }

// Key returns the name of the line, or "@" and the address, which is no name of a line. It is for memory only, because it can contain an address
// (I8).
func (h Holder) Key() string {
	if h.Line == "" {
		return addressMark + h.Address.String()
	}
	return h.Line
}

// HolderOf returns the holder with a key.
func HolderOf(key string) Holder {
	text, is := strings.CutPrefix(key, addressMark)
	if !is {
		return Holder{Line: key}
	}
	a, _ := netip.ParseAddr(text) // the key of an address is valid
	return Holder{Address: a}
}

// addressMark begins the key of an address. No name of a line begins with it.
const addressMark = "@"

// A Lease is a lease of one holder.
type Lease struct {
	Holder Holder
	// Name is the name of the lease in the policy.
	Name string
	// Session is when the line's session began; the zero Time if the line had none. The lease ends with the session.
	Session time.Time
	// Granted is the time of the first grant. The lease holds before End.
	Granted, End time.Time
}

// Holds reports whether the lease has not ended at the time now.
func (l Lease) Holds(now time.Time) bool { return now.Before(l.End) }

// A Grant is a request for a lease.
type Grant struct {
	Holder  Holder
	Name    string
	Terms   Terms
	Session time.Time
	// At is when the reason for the grant happened, such as the login.
	At time.Time
}

// An Outcome is what a grant changed. It is a label of metrics.
type Outcome string

// The outcomes of grants.
const (
	Granted   Outcome = "granted"   // the holder has a new lease
	Renewed   Outcome = "renewed"   // the lease ends later
	Unchanged Outcome = "unchanged" // the end is as late as the grant makes it, or less than Grain before that
)

// After returns the lease of the grant's holder after a grant, given the lease before it, which is the zero Lease if there was none. The
// result is the same if the grant is repeated. A renewed lease ends at most Terms.Cap after its first grant. After returns ErrOther if the holder
// has a lease of another name.
func (g Grant) After(before Lease) (Lease, Outcome, error) {
	if !before.Holds(g.At) || !before.Session.Equal(g.Session) {
		return Lease{g.Holder, g.Name, g.Session, g.At, g.At.Add(min(g.Terms.For, g.Terms.Cap))}, Granted, nil
	}
	if before.Name != g.Name {
		return before, "", fmt.Errorf("%w: %v has the lease %q until %s; revoke it first", ErrOther, g.Holder, before.Name, before.End.Format(time.RFC3339))
	}
	end := g.At.Add(g.Terms.For)
	if most := before.Granted.Add(g.Terms.Cap); end.After(most) {
		end = most
	}
	if end.Sub(before.End) < Grain {
		return before, Unchanged, nil
	}
	before.End = end
	return before, Renewed, nil
}

// A Table has the leases of all holders. It must not be used concurrently.
type Table struct {
	leases    map[Holder]Lease
	addresses map[family]int // the number of leases of addresses
	rate      *xrate.Limiter
	most      int
	mostOf    int // the largest number of leases of addresses of one family
}

// A family is an address family: whether it is IPv4.
type family bool

// String returns the name of the family.
func (f family) String() string {
	if f {
		return "IPv4"
	}
	return "IPv6"
}

// family returns the address family of a holder. is is false for a line.
func (h Holder) family() (f family, is bool) { return family(h.Address.Is4()), h.Line == "" }

// NewTable returns an empty table. mostAddresses is the largest number of leases of addresses of one family.
func NewTable(mostAddresses int) *Table {
	return &Table{
		leases: make(map[Holder]Lease), addresses: make(map[family]int), rate: xrate.NewLimiter(GrantsASecond, GrantsInBurst), most: MaxLeases, mostOf: mostAddresses,
	}
}

// Grant returns the lease that a holder has after a grant at the time now; see Grant.After. It does not change the leases, because a lease is
// granted only when it is in the store. It returns ErrFull, ErrRate, ErrOther or ErrLate if the grant is refused.
func (t *Table) Grant(g Grant, now time.Time) (Lease, Outcome, error) {
	if g.At.After(now) {
		g.At = now
	}
	before, has := t.leases[g.Holder]
	of, address := g.Holder.family()
	after, outcome, err := g.After(before)
	switch {
	case err != nil:
		return before, "", err
	case !after.Holds(now):
		return before, "", fmt.Errorf("%w: the login was %v ago, and the lease %q lasts %v", ErrLate, now.Sub(g.At).Round(time.Second), g.Name, g.Terms.For)
	case outcome == Unchanged:
		return after, outcome, nil
	case !has && len(t.leases) >= t.most:
		return Lease{}, "", fmt.Errorf("%w: there are %d, which is the limit", ErrFull, t.most)
	case !has && address && t.addresses[of] >= t.mostOf:
		return Lease{}, "", fmt.Errorf("%w: there are %d of %s addresses, which is the limit", ErrFull, t.mostOf, of)
	case !t.rate.AllowN(now, 1):
		return before, "", fmt.Errorf("%w: more than %d a second", ErrRate, GrantsASecond)
	}
	return after, outcome, nil
}

// Set replaces the lease of a holder.
func (t *Table) Set(l Lease) {
	before := len(t.leases)
	t.leases[l.Holder] = l
	t.count(l.Holder, len(t.leases)-before)
}

// Delete removes the lease of a holder.
func (t *Table) Delete(h Holder) {
	before := len(t.leases)
	delete(t.leases, h)
	t.count(h, len(t.leases)-before)
}

// count adds to the number of leases of a holder's kind.
func (t *Table) count(h Holder, n int) {
	if of, address := h.family(); address {
		t.addresses[of] += n
	}
}

// Addresses reports whether any lease, also one that has ended, is of an address.
func (t *Table) Addresses() bool { return t.addresses[true]+t.addresses[false] > 0 }

// Lease returns the lease that a holder has at the time now.
func (t *Table) Lease(h Holder, now time.Time) (Lease, bool) {
	l, has := t.leases[h]
	return l, has && l.Holds(now)
}

// All returns all leases, including those that have ended.
func (t *Table) All() iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		for _, l := range t.leases {
			if !yield(l) {
				return
			}
		}
	}
}
