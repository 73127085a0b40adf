package ledger

import (
	"net/netip"
	"sync"
	"time"

	"op25b/internal/policy"
)

// rules are what the documents say about leases.
type rules struct {
	policy    *policy.Policy
	inventory *policy.Inventory
	lines     *policy.LineIndex
	exempt    func() exempt // it is made when it is needed, because every change of an exemption makes new rules
	addresses *policy.AddressLeases
	switches  []string // the names of the switches with addressLeases
}

// exempt finds exemptions.
type exempt struct {
	lines    map[string]*policy.Exemption
	prefixes *policy.PrefixIndex[*policy.Exemption]
}

// newRules returns the rules of documents. was are the rules before, or nil: with the same inventory, its lines are not indexed again.
func newRules(b *policy.Bundle, was *rules) *rules {
	r := &rules{policy: b.Policy, inventory: b.Inventory, addresses: policy.NewAddressLeases(b.Policy)}
	if was != nil && was.inventory == b.Inventory {
		r.lines = was.lines
	} else {
		r.lines = policy.NewLineIndex(b.Inventory)
	}
	r.exempt = sync.OnceValue(func() exempt {
		x := exempt{make(map[string]*policy.Exemption), policy.NewPrefixIndex[*policy.Exemption]()}
		for i := range b.Policy.Exemptions {
			if e := &b.Policy.Exemptions[i]; e.Line != "" {
				x.lines[e.Line] = e
			} else {
				x.prefixes.Add(e.Prefix, e)
			}
		}
		return x
	})
	for i := range b.Inventory.Switches {
		if sw := &b.Inventory.Switches[i]; sw.AddressLeases {
			r.switches = append(r.switches, sw.Name)
		}
	}
	return r
}

// exemptAddress reports whether the exemption of a prefix holds for an address.
func (r *rules) exemptAddress(a netip.Addr, now time.Time) bool {
	p, prefixes := netip.PrefixFrom(a, a.BitLen()), r.exempt().prefixes
	e, has := prefixes.At(p)
	for !has || r.policy.Ended(e, now) {
		if p, e, has = prefixes.Around(p); !has {
			return false
		}
	}
	return true
}

// A place is a line as far as it matters to leases.
type place struct {
	sw       *policy.Switch
	line     *policy.Line
	sessions bool // the line has sessions
}

// has reports whether the line can have a lease of the policy; nil means a lease that the policy does not have.
func (p place) has(l *policy.Lease) bool { return l != nil && l.ForGroup(p.line.Group) }

func (r *rules) line(name string) (p place, ok bool) {
	if p.sw, p.line, ok = r.lines.Line(name); !ok {
		return place{}, false
	}
	_, p.sessions = p.line.SessionIdentity(p.sw, r.policy.LineGroup(p.line.Group))
	return p, true
}
