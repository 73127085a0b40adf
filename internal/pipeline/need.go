package pipeline

import "net/netip"

// Need is how many entries a state has in each table that may hold many, by the table's name. It counts what is in the state and makes no
// entries: of a state that does not fit there may be many.
func (s *State) Need() map[string]int64 {
	need := make(map[uint32]int64)
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
	}
	names := make(map[string]int64, len(need))
	for _, t := range schema {
		if n := need[t.id]; n > 0 {
			names[t.name] = n
		}
	}
	return names
}

func byFamily(p netip.Prefix, v4, v6 uint32) uint32 {
	if p.Addr().Is4() {
		return v4
	}
	return v6
}
