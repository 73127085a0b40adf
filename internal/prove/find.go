package prove

import (
	"cmp"
	"net/netip"
	"slices"
)

// findServers finds an address of each class and addresses of no class.
func (m *maker) findServers() {
	var taken []netip.Prefix
	of := make(map[netip.Prefix]bool)
	for _, r := range m.p.RemotesWithNAT64() {
		for _, p := range r.Prefixes {
			of[p] = true
		}
	}
	inside := nest(of)
	for _, r := range m.p.RemotesWithNAT64() {
		c := class{name: r.Name}
		for _, p := range r.Prefixes {
			taken = append(taken, p)
			if at := &c.hosts[family(p.Addr())]; !at.IsValid() {
				if a, ok := inside.free(p); ok { // an address in a longer prefix is of another class
					*at = a
				}
			}
		}
		m.classes = append(m.classes, c)
	}
	for v6, candidates := range [2][]netip.Addr{strangers4, strangers6} {
		free := func(a netip.Addr) bool {
			return !slices.ContainsFunc(taken, func(p netip.Prefix) bool { return p.Contains(a) })
		}
		m.servers[v6] = candidates[max(0, slices.IndexFunc(candidates, free))]
	}
	m.classes = append(m.classes, class{hosts: m.servers})
	m.ports = []uint16{notMail}
	for _, s := range m.p.Services {
		for _, port := range s.Ports {
			if !slices.Contains(m.ports, uint16(port)) {
				m.ports = append(m.ports, uint16(port))
			}
		}
	}
	slices.Sort(m.ports)
}

// findLeased chooses a line for each lease and group. The twin gives the line's first address the lease. Lines with an exemption and the lines that
// stand for their groups are not chosen.
func (m *maker) findLeased() {
	used := make(map[*lineAt]bool)
	for class, lease := range m.c.Leases {
		for _, g := range m.groups {
			if g == "" || !lease.ForGroup(g) {
				continue
			}
			for _, l := range slices.Backward(m.lines) {
				host, ok := l.host(false)
				if l.group != g || l.exempt || l == m.reps[g] || used[l] || !ok || host == nobody4 {
					continue
				}
				used[l] = true
				m.leased = append(m.leased, leasedLine{l, lease.Name, class, netip.PrefixFrom(host, 32)})
				break
			}
		}
	}
	m.leaseOutside()
	slices.SortFunc(m.leased, func(a, b leasedLine) int { return cmp.Or(cmp.Compare(a.lease, b.lease), cmp.Compare(a.name, b.name)) })
}

// leaseOutside gives a lease to an address outside all lines, for each lease that such addresses can have on this switch.
func (m *maker) leaseOutside() {
	l := m.reps[""]
	if !m.sw.AddressLeases || l == nil {
		return
	}
	host := outside4
	for class, lease := range m.c.Leases {
		taken := len(around(m.c.State.Subscribers, &[2]map[netip.Addr]bool{{host: true}})) > 0
		if lease.Addresses && !taken {
			m.leased = append(m.leased, leasedLine{l, lease.Name, class, netip.PrefixFrom(host, 32)})
		}
		host = host.Next()
	}
}
