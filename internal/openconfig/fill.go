package openconfig

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// aclType is the identity of openconfig-acl for a set that matches on more than one layer: the pipeline's rules match IPv4, IPv6 and the
// VLAN tags of the line.
const aclType = "ACL_MIXED"

// addState adds the leaves of a State. It leaves out a value that is unknown.
func (t *node) addState(st *State) {
	interfaces := t.container("interfaces")
	for i := range st.Interfaces {
		addInterface(interfaces, &st.Interfaces[i])
	}
	if st.ACLSet != "" {
		addACL(t.container("acl"), st)
	}
	if st.System != nil {
		addSystem(t.container("system").container("state"), st.System)
	}
}

func addSystem(state *node, sys *System) {
	if sys.Hostname != "" {
		state.text("hostname", sys.Hostname)
	}
	if !sys.Clock.IsZero() {
		state.text("current-datetime", sys.Clock.UTC().Format(time.RFC3339Nano))
	}
	if !sys.BootTime.IsZero() {
		state.number("boot-time", uint64(sys.BootTime.UnixNano()))
	}
	if sys.SoftwareVersion != "" {
		state.text("software-version", sys.SoftwareVersion)
	}
}

func addInterface(parent *node, in *Interface) {
	state := parent.entry("interface", in.Name).container("state")
	state.text("name", in.Name)
	if in.IfIndex != 0 {
		state.number("ifindex", uint64(in.IfIndex))
	}
	if in.Admin != "" {
		state.text("admin-status", string(in.Admin))
	}
	state.text("oper-status", string(cmp.Or(in.Oper, OperUnknown)))
	if !in.LastChange.IsZero() {
		state.number("last-change", uint64(in.LastChange.UnixNano()))
	}
	const lowest, highest = 1, 4294967039 // the range of openconfig-p4rt's id: P4Runtime reserves the ports above, and 0
	if in.Port >= lowest && in.Port <= highest {
		state.number("id", uint64(in.Port))
	}
	if in.Counters == nil && in.Transitions == nil {
		return
	}
	n := state.container("counters")
	if c := in.Counters; c != nil {
		n.number("in-octets", c.InOctets)
		n.number("in-pkts", c.InPkts)
		n.number("in-discards", c.InDiscards)
		n.number("in-errors", c.InErrors)
		n.number("out-octets", c.OutOctets)
		n.number("out-pkts", c.OutPkts)
		n.number("out-discards", c.OutDiscards)
		n.number("out-errors", c.OutErrors)
		if !in.LastClear.IsZero() {
			n.number("last-clear", uint64(in.LastClear.UnixNano()))
		}
	}
	if in.Transitions != nil {
		n.number("interface-transitions", *in.Transitions)
	}
}

// addACL adds the ACL set as a whole, and its counters on each interface.
func addACL(acl *node, st *State) {
	acl.container("state").text("counter-capability", "INTERFACE_AGGREGATE")
	set := acl.container("acl-sets").entry("acl-set", st.ACLSet, aclType)
	state := set.container("state")
	state.text("name", st.ACLSet)
	state.text("type", aclType)
	addRules(set.container("acl-entries"), st)
	addLines(set, st.Lines)
	addLegs(set, st.Legs)
	interfaces := acl.container("interfaces")
	for i := range st.Interfaces {
		addInterfaceACL(interfaces, &st.Interfaces[i], st.ACLSet)
	}
}

// addRules adds the entries that are described or have counted, in the order of their sequence ids. Their counters are the sums over the
// interfaces.
func addRules(entries *node, st *State) {
	sums := map[uint32]Tally{}
	for _, in := range st.Interfaces {
		for _, e := range in.ACL {
			t := sums[e.SequenceID]
			sums[e.SequenceID] = Tally{t.Packets + e.MatchedPackets, t.Octets + e.MatchedOctets}
		}
	}
	rules := map[uint32]Rule{}
	for _, r := range st.Rules {
		rules[r.SequenceID] = r
		sums[r.SequenceID] = sums[r.SequenceID] // an entry without packets is served too
	}
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		e := entries.entry("acl-entry", strconv.FormatUint(uint64(id), 10))
		r, described := rules[id]
		if described {
			config := e.container("config")
			config.number("sequence-id", uint64(id))
			if r.Description != "" {
				config.text("description", r.Description)
			}
		}
		state := e.container("state")
		state.number("sequence-id", uint64(id))
		if r.Description != "" {
			state.text("description", r.Description)
		}
		state.number("matched-packets", sums[id].Packets)
		state.number("matched-octets", sums[id].Octets)
		if r.Action != "" {
			actions := e.container("actions")
			actions.container("config").text("forwarding-action", string(r.Action))
			actions.container("state").text("forwarding-action", string(r.Action))
		}
	}
}

func addLines(set *node, lines []Line) {
	if len(lines) == 0 {
		return
	}
	all := set.container("lines")
	for i := range lines {
		l := &lines[i]
		state := all.entry("line", strconv.FormatUint(uint64(l.ID), 10)).container("state")
		state.number("id", uint64(l.ID))
		state.number("passed-packets", l.Passed.Packets)
		state.number("passed-octets", l.Passed.Octets)
		state.number("monitored-packets", l.Monitored.Packets)
		state.number("monitored-octets", l.Monitored.Octets)
		state.number("stopped-packets", l.Stopped.Packets)
		state.number("stopped-octets", l.Stopped.Octets)
		state.number("unsolicited-packets", l.Unsolicited.Packets)
		state.number("unsolicited-octets", l.Unsolicited.Octets)
	}
}

// addLegs adds the entries of the legs that module op25b-filter names.
func addLegs(set *node, entries []LegEntry) {
	if len(entries) == 0 {
		return
	}
	all := set.container("leg-entries")
	for _, l := range entries {
		if l.Leg >= legs {
			continue
		}
		state := all.entry("leg-entry", strconv.Itoa(int(l.Epoch)), l.Leg.String(), strconv.FormatUint(uint64(l.SequenceID), 10)).container("state")
		state.number("epoch", uint64(l.Epoch))
		state.text("leg", l.Leg.String())
		state.number("sequence-id", uint64(l.SequenceID))
		state.number("matched-packets", l.Matched.Packets)
		state.number("matched-octets", l.Matched.Octets)
	}
}

func addInterfaceACL(parent *node, in *Interface, setName string) {
	itf := parent.entry("interface", in.Name)
	itf.container("state").text("id", in.Name)
	set := itf.container("ingress-acl-sets").entry("ingress-acl-set", setName, aclType)
	state := set.container("state")
	state.text("set-name", setName)
	state.text("type", aclType)
	entries := set.container("acl-entries")
	for _, e := range in.ACL {
		state := entries.entry("acl-entry", strconv.FormatUint(uint64(e.SequenceID), 10)).container("state")
		state.number("sequence-id", uint64(e.SequenceID))
		state.number("matched-packets", e.MatchedPackets)
		state.number("matched-octets", e.MatchedOctets)
	}
}
