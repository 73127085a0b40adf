package compile

import (
	"slices"
	"time"

	"op25b/internal/policy"
)

// MaxAddressLeases is the number of leases of addresses of one family for which a switch in front of the mail servers keeps room.
const MaxAddressLeases = 8192

// leaseRoom returns the largest number of entries that leases can need on a switch at time now, in the table of one address family: those of every line
// that can have a lease, each with all its addresses, and those of addresses outside all lines. Exempt lines have no lease. A policy whose leases
// might not fit is refused, so that no lease that was granted lacks room (I10).
func (c *Compiler) leaseRoom(sw *policy.Switch, now time.Time) int {
	p := c.bundle.Policy
	if len(p.Leases) == 0 {
		return 0
	}
	grantable := make(map[string]bool, len(p.LineGroups))
	for _, g := range p.LineGroups {
		grantable[g.Name] = slices.ContainsFunc(p.Leases, func(l policy.Lease) bool { return l.ForGroup(g.Name) })
	}
	var v4, v6 int
	for i := range sw.Lines {
		line := &sw.Lines[i]
		at, exempt := c.exemptLines[line.Name]
		if !grantable[line.Group] || exempt && !p.Ended(&p.Exemptions[at], now) {
			continue
		}
		if _, sessions := line.SessionIdentity(sw, p.LineGroup(line.Group)); sessions {
			v4, v6 = v4+policy.MaxSessionPrefixes, v6+policy.MaxSessionPrefixes
		}
		for _, prefix := range line.Prefixes {
			if prefix.Addr().Is4() {
				v4++
			} else {
				v6++
			}
		}
	}
	room := max(v4, v6)
	if sw.AddressLeases && slices.ContainsFunc(p.Leases, func(l policy.Lease) bool { return l.Addresses }) {
		room += MaxAddressLeases
	}
	return room
}
