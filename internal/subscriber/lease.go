package subscriber

import (
	"net/netip"
	"slices"
	"time"
)

// Leases are the times at which the leases of a session's addresses end, by address family. The zero Time means that the addresses of the family
// have no lease: they last as long as the session.
type Leases struct {
	V4 time.Time `json:"v4,omitzero"`
	V6 time.Time `json:"v6,omitzero"`
}

// of returns the lease of the address family of a prefix.
func (l *Leases) of(p netip.Prefix) *time.Time {
	if p.Addr().Is4() {
		return &l.V4
	}
	return &l.V6
}

// leased reports whether addresses of the session have a lease.
func (s *Session) leased() bool { return !s.Leases.V4.IsZero() || !s.Leases.V6.IsZero() }

// lease sets the leases of the address families that an event mentions. An event with a lease and without addresses renews those of the session,
// and all of a session without addresses.
func (s *Session) lease(e Event) {
	prefixes := e.Prefixes
	if len(prefixes) == 0 && !e.Ends.IsZero() {
		if prefixes = s.Prefixes; len(prefixes) == 0 {
			s.Leases = Leases{e.Ends, e.Ends}
		}
	}
	for _, p := range prefixes {
		*s.Leases.of(p) = e.Ends
	}
}

// at returns the session without the addresses whose lease has ended at the time now.
func (s *Session) at(now time.Time) *Session {
	if !s.leased() {
		return s
	}
	left := *s
	left.Prefixes = slices.DeleteFunc(slices.Clone(s.Prefixes), func(p netip.Prefix) bool {
		ends := *s.Leases.of(p)
		return !ends.IsZero() && !ends.After(now)
	})
	return &left
}

// without returns the session without the address families of a Stop's addresses, or nil if the Stop ends the session. A session without leases
// ends as a whole, because an access server may send only the IPv4 address with its Stop (RFC 2866 section 5.1).
func (s *Session) without(stop Event) *Session {
	if s == nil || !s.leased() || len(stop.Prefixes) == 0 {
		return nil
	}
	rest := *s
	rest.Prefixes = nil
	for _, p := range s.Prefixes {
		if !slices.ContainsFunc(stop.Prefixes, func(ended netip.Prefix) bool { return ended.Addr().Is4() == p.Addr().Is4() }) {
			rest.Prefixes = append(rest.Prefixes, p)
		}
	}
	if len(rest.Prefixes) == 0 {
		return nil
	}
	for _, p := range stop.Prefixes {
		*rest.Leases.of(p) = time.Time{}
	}
	rest.Updated = stop.Time
	return &rest
}

// overlaps reports whether the session has an address of p.
func (s *Session) overlaps(p netip.Prefix) bool { return slices.ContainsFunc(s.Prefixes, p.Overlaps) }
