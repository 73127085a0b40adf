// Package subscriber determines which access line has which address, from the accounting events of access servers.
//
// It is pure: it does no I/O and reads no clock. Package subscriber/register stores the sessions, and package subscriber/accounting receives
// the events over RADIUS. The package does not know what a switch does with an address.
package subscriber

import (
	"net/netip"
	"time"

	"op25b/internal/policy"
)

// Limits and times of sessions.
const (
	// MaxAddresses is the largest number of prefixes of one address family that a session has.
	MaxAddresses = policy.MaxSessionPrefixes
	// MaxSessionID is the largest length of a session id or an access server's name in bytes: the largest value of a RADIUS attribute.
	MaxSessionID = 253
	// MaxDelay is the largest age at which the start of a session is accepted. RADIUS repeats an unanswered request, with the time of the
	// event, for minutes. Older starts are ignored, so that a recorded packet cannot open a session of the past.
	MaxDelay = time.Hour
	// DefaultInterval is the time between two interim updates of a source that does not say another one. RFC 2869 section 2.1 recommends it as
	// the shortest for production. MinInterval and MaxInterval are the bounds of what a source can say.
	DefaultInterval          = 10 * time.Minute
	MinInterval, MaxInterval = time.Minute, 24 * time.Hour
	// MaxLease is the longest lease. A source that leases for longer has to renew the lease.
	MaxLease = 366 * 24 * time.Hour
	// Silences is the number of intervals between interim updates after which a silent session has ended.
	Silences = 3
	// maxEnded is the largest number of ended sessions that a Record remembers. More than one occurs only if requests overtake each other.
	maxEnded = 4
)

// A Kind is the kind of an Event.
type Kind uint8

// The kinds of events, with the Acct-Status-Type values of RFC 2866 section 5.1 that they come from.
const (
	Start   Kind = iota + 1 // Start
	Interim                 // Interim-Update
	Stop                    // Stop
	Restart                 // Accounting-On and Accounting-Off: all sessions of the access server that began earlier have ended
)

// String returns the name of the kind.
func (k Kind) String() string { return [...]string{"none", "start", "interim", "stop", "restart"}[k] }

// An Event is what an access server, or another source such as a DHCP server, reports about one of its sessions, or about itself.
type Event struct {
	Kind Kind
	// NAS is the name of the access server (network access server).
	NAS string
	// Session is the access server's id of the session. It says only which events belong together. It is empty for a Restart.
	Session string
	// Time is when the event happened. Its resolution may be a second.
	Time time.Time
	// Estimated means that the access server did not report Time, so that a repeated event can have a later time.
	Estimated bool
	// Line is the name of the line. If it is empty, Identities has the attributes of the request that can name the line.
	Line       string
	Identities map[policy.Identify]string
	// Prefixes are the addresses and prefixes of the session, masked. Those of a Stop say of which address families the leases have ended. A Stop
	// without Prefixes ends the session, and so does every Stop of a session without leases.
	Prefixes []netip.Prefix
	// Interval is the time between two interim updates of the access server.
	Interval time.Duration
	// Ends is when the lease of the Prefixes ends. The zero Time means that they have no lease.
	Ends time.Time
}

// over reports whether the lease in an event has ended at the time now.
func (e Event) over(now time.Time) bool { return !e.Ends.IsZero() && !e.Ends.After(now) }

// Prefixes reduces the addresses in a request to those that a session keeps: at most MaxAddresses of each family, masked, none inside
// another, in the order of the request. It leaves out addresses that no host has. refused is the number of prefixes that were left out,
// without those inside another.
func Prefixes(all []netip.Prefix) (kept []netip.Prefix, refused int) {
	count := func(v4 bool) (n int) {
		for _, p := range kept {
			if p.Addr().Is4() == v4 {
				n++
			}
		}
		return n
	}
next:
	for i, p := range all {
		if !usable(p) {
			refused++
			continue
		}
		p = p.Masked()
		for j, o := range all {
			if usable(o) && o.Masked().Contains(p.Addr()) && (o.Bits() < p.Bits() || o.Bits() == p.Bits() && j < i) {
				continue next
			}
		}
		if count(p.Addr().Is4()) == MaxAddresses {
			refused++
			continue
		}
		kept = append(kept, p)
	}
	return kept, refused
}

// The shortest prefixes of a subscriber. A home has a /56 or /48 (RFC 6177); shorter prefixes are a mistake of the access server.
const (
	minBitsV4 = 24
	minBitsV6 = 40
)

// usable reports whether a subscriber can have the addresses of a prefix.
func usable(p netip.Prefix) bool {
	a := p.Addr()
	switch {
	case !p.IsValid() || a.Is4In6() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast():
		return false
	case a.Is4():
		return p.Bits() >= minBitsV4 && a.As4()[0] > 0 && a.As4()[0] < 224
	default:
		return p.Bits() >= minBitsV6
	}
}
