package compile

import (
	"slices"

	"op25b/internal/policy"
)

// leaseRoom returns the largest number of entries that leases can need on a switch, in the table of one address family: those of every line that can
// have a lease, each with all its addresses, and those of addresses outside all lines. A policy whose leases might not fit is refused, so that no
// lease that was granted lacks room (I10).
func (c *Compiler) leaseRoom(sw *policy.Switch, lines *SessionLines) int {
	var v4, v6 int
	for _, line := range lines.lines {
		if !line.leased {
			continue
		}
		if line.sessions {
			v4, v6 = v4+policy.MaxSessionPrefixes, v6+policy.MaxSessionPrefixes
		}
		for _, prefix := range line.own {
			if prefix.Addr().Is4() {
				v4++
			} else {
				v6++
			}
		}
	}
	room := max(v4, v6)
	if sw.AddressLeases && slices.ContainsFunc(c.bundle.Policy.Leases, func(l policy.Lease) bool { return l.Addresses }) {
		room += policy.MaxAddressLeases
	}
	return room
}
