package generate

import (
	"net/netip"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// An Ending is an exemption with an end on the switch's clock. Documents contain no such exemptions.
type Ending struct {
	Prefix netip.Prefix
	Line   string // empty means every line
	Until  pipeline.ClockSecond
}

// Endings draws exemptions for addresses of the switch's lines. Their ends are drawn from the list untils. The prefixes overlap neither each
// other nor the prefix of an exemption in the policy.
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
			all = append(all, Ending{prefix, pick(src, []string{l.Name, l.Name, "", pick(src, sw.Lines).Name}), pick(src, untils)})
		}
	}
	return all
}
