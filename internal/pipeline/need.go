package pipeline

import "net/netip"

// Need returns the number of entries in each table for a state, excluding rules. It counts the entries without creating them, because a
// state that does not fit may have a great many.
func (s *State) Need() map[Table]int64 {
	var need [lastTable + 1]int64
	need[portRoleTable] += int64(len(s.Ports))
	need[connectionLimitTable] += int64(len(s.Limits))
	need[bridgeTable] += int64(len(s.Bridge))
	need[linePortTable] += int64(len(s.LinePorts))
	for k := range s.Lines {
		if k.Session != 0 {
			need[sessionTable]++
		} else {
			need[lineTable]++
		}
	}
	for k := range s.Sources {
		need[byFamily(k.Prefix, sourceV4Table, sourceV6Table)]++
	}
	for p := range s.Remotes {
		need[byFamily(p, remoteV4Table, remoteV6Table)]++
	}
	for p := range s.Subscribers {
		need[byFamily(p, subscriberV4Table, subscriberV6Table)]++
	}
	need[serviceTable] += int64(len(s.Services))
	need[sourceCheckTable] += int64(len(s.SourceChecks))
	if s.Shared != nil {
		shared := &s.Shared.State
		for p := range shared.Remotes {
			if _, own := s.Remotes[p]; !own {
				need[byFamily(p, remoteV4Table, remoteV6Table)]++
			}
		}
		for p := range shared.Subscribers {
			if _, own := s.Subscribers[p]; !own {
				need[byFamily(p, subscriberV4Table, subscriberV6Table)]++
			}
		}
		for k := range shared.Services {
			if _, own := s.Services[k]; !own {
				need[serviceTable]++
			}
		}
		for group := range shared.SourceChecks {
			if _, own := s.SourceChecks[group]; !own {
				need[sourceCheckTable]++
			}
		}
	}
	all := make(map[Table]int64)
	for t, n := range need {
		if n > 0 {
			all[Table(t)] = n
		}
	}
	return all
}

// SubscriberNeed returns the need for numbers of subscribers of IPv4 and IPv6, as Need does.
func SubscriberNeed(v4, v6 int) map[Table]int64 {
	return map[Table]int64{subscriberV4Table: int64(v4), subscriberV6Table: int64(v6)}
}

// Reserve returns the room for sessions and leases in each table. It is not included in Need.
func (s *State) Reserve() map[Table]int64 {
	all := make(map[Table]int64)
	if n := int64(s.Sessions.Sources); n > 0 {
		all[sourceV4Table], all[sourceV6Table] = n, n
	}
	if n := int64(s.Sessions.Subscribers + s.Sessions.Leases); n > 0 {
		all[subscriberV4Table], all[subscriberV6Table] = n, n
	}
	return all
}

func byFamily(p netip.Prefix, v4, v6 Table) Table {
	if p.Addr().Is4() {
		return v4
	}
	return v6
}
