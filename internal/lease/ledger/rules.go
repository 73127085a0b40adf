package ledger

import (
	"net/netip"
	"time"

	"op25b/internal/policy"
)

// rules are what the documents say about leases.
type rules struct {
	policy    *policy.Policy
	lines     *policy.LineIndex
	exempt    map[string]*policy.Exemption           // by line
	prefixes  *policy.PrefixIndex[*policy.Exemption] // of the exemptions of prefixes
	addresses *policy.AddressLeases
	switches  []string // the names of the switches with addressLeases
}

func newRules(b *policy.Bundle) *rules {
	r := &rules{
		policy: b.Policy, lines: policy.NewLineIndex(b.Inventory), exempt: make(map[string]*policy.Exemption),
		prefixes: policy.NewPrefixIndex[*policy.Exemption](), addresses: policy.NewAddressLeases(b.Policy),
	}
	for i := range b.Policy.Exemptions {
		if e := &b.Policy.Exemptions[i]; e.Line != "" {
			r.exempt[e.Line] = e
		} else {
			r.prefixes.Add(e.Prefix, e)
		}
	}
	for i := range b.Inventory.Switches {
		if sw := &b.Inventory.Switches[i]; sw.AddressLeases {
			r.switches = append(r.switches, sw.Name)
		}
	}
	return r
}

// exemptAddress reports whether the exemption of a prefix holds for an address.
func (r *rules) exemptAddress(a netip.Addr, now time.Time) bool {
	p := netip.PrefixFrom(a, a.BitLen())
	e, has := r.prefixes.At(p)
	for !has || r.policy.Ended(e, now) {
		if p, e, has = r.prefixes.Around(p); !has {
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
