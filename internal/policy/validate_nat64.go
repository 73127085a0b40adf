package policy

import "fmt"

// nat64 checks that each NAT64 prefix is valid and that no two of them overlap. In overlapping prefixes, one IPv6 address could embed two
// IPv4 addresses.
func (v *validator) nat64() {
	for i, n := range v.p.NAT64 {
		path := at("nat64", i, "")
		if why := n.fault(); why != "" {
			v.inPolicy(path, fmt.Sprintf("%v is not a NAT64 prefix: %s", n, why),
				fmt.Sprintf("RFC 6052 has lengths of 32, 40, 48, 56, 64 and 96, and zeros in bits 64 to 71: write %s", n.Accepts()))
			continue
		}
		for j, other := range v.p.NAT64[:i] {
			if n.Overlaps(other.Prefix) {
				v.inPolicy(path, fmt.Sprintf("NAT64 prefix %v overlaps NAT64 prefix %v", n, other), "the first is at "+v.p.src.Place(at("nat64", j, ""))+": keep one")
			}
		}
	}
}

// linesOutsideNAT64 refuses a line's prefix that overlaps a NAT64 prefix, because an address in both would belong to a subscriber and to
// a server.
func (v *validator) linesOutsideNAT64() {
	if len(v.p.NAT64) == 0 {
		return
	}
	for i := range v.inv.Switches {
		for j := range v.inv.Switches[i].Lines {
			line := &v.inv.Switches[i].Lines[j]
			for k, prefix := range line.Prefixes {
				for _, n := range v.p.NAT64 {
					if n.IsValid() && n.Overlaps(prefix) {
						v.inInventory(at(at(at("switches", i, "lines"), j, "prefixes"), k, ""),
							fmt.Sprintf("prefix %v of line %q overlaps NAT64 prefix %v", prefix, line.Name, n),
							"addresses there stand for IPv4 servers: give the line its own prefix, or correct nat64")
					}
				}
			}
		}
	}
}
