package generate

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
)

// An Ending is an exemption or a lease with an end on the switch's clock. Documents contain neither.
type Ending struct {
	Lease  string // empty means an exemption
	Prefix netip.Prefix
	Line   string // empty means every line
	Until  pipeline.ClockSecond
}

// AddTo adds the exemption or the lease to a model.
func (e Ending) AddTo(m *reference.Model) {
	if e.Lease == "" {
		m.Exempt(e.Prefix, e.Line, uint32(e.Until))
	} else {
		m.Lease(e.Lease, e.Prefix, e.Line, uint32(e.Until))
	}
}

// Endings draws exemptions and leases for addresses of the switch's lines. Their ends are drawn from the list untils. The prefixes overlap neither
// each other nor the prefix of an exemption in the policy.
func Endings(src Source, p *policy.Policy, inv *policy.Inventory, switchName string, untils []pipeline.ClockSecond) []Ending {
	sw, _ := inv.Switch(switchName)
	var taken []netip.Prefix
	for _, e := range p.Exemptions {
		if e.Prefix.IsValid() {
			taken = append(taken, e.Prefix)
		}
		for _, l := range sw.Lines {
			if e.Line != "" && e.Line == l.Name {
				taken = append(taken, l.Prefixes...)
			}
		}
	}
	var all []Ending
	for _, l := range sw.Lines {
		for _, prefix := range l.Prefixes {
			if slices.ContainsFunc(taken, prefix.Overlaps) || src.IntN(3) == 0 {
				continue
			}
			taken = append(taken, prefix)
			e := Ending{Prefix: prefix, Line: pick(src, []string{l.Name, l.Name, "", pick(src, sw.Lines).Name}), Until: pick(src, untils)}
			if len(p.Leases) > 0 && src.IntN(3) > 0 {
				e.Lease = pick(src, p.Leases).Name
			}
			all = append(all, e)
		}
	}
	return all
}
