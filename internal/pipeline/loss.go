package pipeline

import (
	"maps"
	"net/netip"
)

// A Loss is the number of entries that a change removes from a table, and the number of entries that the table had.
type Loss struct {
	Table       Table
	Removed, Of int
}

// OfLines reports whether the entries of the table are about single lines or exemptions, and not about what all lines share.
func (l Loss) OfLines() bool {
	switch l.Table {
	case portRoleTable, serviceTable, remoteV4Table, remoteV6Table, sourceCheckTable:
		return false
	}
	return true
}

// Losses returns the tables from which replacing the state old by the state new removes entries, in the order of the tables. It compares the keys of
// entries, so that an entry that only changes is no loss. Rules are not counted, because a rule set is always replaced as a whole. Both states must
// have all entries of their own; State.Shared is ignored.
func Losses(old, new *State) []Loss {
	var all [lastTable + 1]Loss
	lost(&all, old.Ports, new.Ports, func(Port) Table { return portRoleTable })
	lost(&all, old.Lines, new.Lines, func(k LineKey) Table {
		if k.Session != 0 {
			return sessionTable
		}
		return lineTable
	})
	lost(&all, old.Services, new.Services, func(ServiceKey) Table { return serviceTable })
	lost(&all, old.Remotes, new.Remotes, func(p netip.Prefix) Table { return byFamily(p, remoteV4Table, remoteV6Table) })
	lost(&all, old.Subscribers, new.Subscribers, func(p netip.Prefix) Table { return byFamily(p, subscriberV4Table, subscriberV6Table) })
	lost(&all, old.SourceChecks, new.SourceChecks, func(LineGroup) Table { return sourceCheckTable })
	lost(&all, old.Sources, new.Sources, func(k SourceKey) Table { return byFamily(k.Prefix, sourceV4Table, sourceV6Table) })
	lost(&all, old.Limits, new.Limits, func(LimitKey) Table { return connectionLimitTable })
	lost(&all, old.Bridge, new.Bridge, func(MAC) Table { return bridgeTable })
	lost(&all, old.LinePorts, new.LinePorts, func(VLANKey) Table { return linePortTable })
	var losses []Loss
	for t, l := range all {
		if l.Removed > 0 {
			l.Table = Table(t)
			losses = append(losses, l)
		}
	}
	return losses
}

// lost adds the keys of one map of two states to the losses of their tables.
func lost[K comparable, V any](all *[lastTable + 1]Loss, old, new map[K]V, table func(K) Table) {
	for k := range maps.Keys(old) {
		l := &all[table(k)]
		l.Of++
		if _, there := new[k]; !there {
			l.Removed++
		}
	}
}
