package publication

import (
	"net/netip"
	"time"

	"op25b/internal/policy"
)

// exemptions finds the exemptions of lines. They are not published.
type exemptions struct {
	lines    map[string]time.Time // the end of each line's exemption
	prefixes *policy.PrefixIndex[time.Time]
	touched  map[string]struct{} // the lines that have an address with an exemption
}

func exemptionsOf(b *policy.Bundle) *exemptions {
	x := &exemptions{make(map[string]time.Time), policy.NewPrefixIndex[time.Time](), make(map[string]struct{})}
	p := b.Policy
	for i := range p.Exemptions {
		e := &p.Exemptions[i]
		if e.Line != "" {
			x.lines[e.Line] = p.Ends(e)
			x.touched[e.Line] = struct{}{}
			continue
		}
		x.prefixes.Add(e.Prefix, p.Ends(e))
	}
	if len(p.Exemptions) == len(x.lines) {
		return x
	}
	lines := policy.NewPrefixIndex[string]()
	for i := range b.Inventory.Switches {
		for j := range b.Inventory.Switches[i].Lines {
			l := &b.Inventory.Switches[i].Lines[j]
			for _, prefix := range l.Prefixes {
				lines.Add(prefix, l.Name)
				if !x.at(prefix).IsZero() {
					x.touched[l.Name] = struct{}{}
				}
			}
		}
	}
	for i := range p.Exemptions { // an exemption may be inside a line's prefix
		if prefix := p.Exemptions[i].Prefix; prefix.IsValid() {
			if _, name, ok := lines.Around(prefix); ok {
				x.touched[name] = struct{}{}
			}
		}
	}
	return x
}

// at returns the latest end of the exemptions of prefixes that contain p, or the zero time if there are none.
func (x *exemptions) at(p netip.Prefix) time.Time {
	latest, _ := x.prefixes.At(p)
	for {
		outer, ends, ok := x.prefixes.Around(p)
		if !ok {
			return latest
		}
		if ends.After(latest) {
			latest = ends
		}
		p = outer
	}
}

// ExemptUntil returns the end of the exemption of a line's address. ok is false if it has none at the time now.
func (d *Documents) ExemptUntil(line string, addr netip.Addr, now time.Time) (until time.Time, ok bool) {
	until = d.exempt.at(netip.PrefixFrom(addr, addr.BitLen()))
	if ends := d.exempt.lines[line]; ends.After(until) {
		until = ends
	}
	return until, until.After(now)
}

// Touched reports whether the published line does not stand for a real line's connections from an address, because an exemption, perhaps one that
// has ended, is about an address of the line. Questions about such a line are answered from the real documents.
func (d *Documents) Touched(line string, addr netip.Addr) bool {
	_, touched := d.exempt.touched[line]
	return touched || !d.exempt.at(netip.PrefixFrom(addr, addr.BitLen())).IsZero()
}
