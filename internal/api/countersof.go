package api

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/tally"
	op25bv1 "op25b/proto/op25b/v1"
)

// These are the limits on the number of names in a request of TelemetryService.
const (
	maxNamedSwitches   = 1024
	maxNamedRules      = 256 // a rule id has 8 bits
	maxNamedInterfaces = 1024
)

// checkCounterNames returns an error if a request has too many names.
func checkCounterNames(q *op25bv1.ListCountersRequest) error {
	for _, list := range []struct {
		field string
		names []string
		most  int
	}{{"switches", q.Switches, maxNamedSwitches}, {"rules", q.Rules, maxNamedRules}, {"interfaces", q.Interfaces, maxNamedInterfaces}} {
		if n := len(list.names); n > list.most {
			return fault(list.field, fmt.Sprintf("%d names", n), fmt.Sprintf("must be at most %d; none means all", list.most))
		}
	}
	return nil
}

// foundCounters contains the switches that a request selects, with the samples of the switches that this controller owns.
type foundCounters struct {
	in         *intent.Intent
	self       string
	switches   []foundSwitch
	rules      map[string]bool // nil selects all rules
	interfaces map[string]bool // nil selects all interfaces
}

type foundSwitch struct {
	*policy.Switch
	sample *tally.Sample // nil if this controller does not own the switch
	owner  string        // empty if there is no owner
	addr   string        // the address of the owner's API
	page   string        // the URL of the owner's page
}

// counters returns the switches of the inventory that a request selects.
func (s *server) counters(in *intent.Intent, statuses []*op25bv1.SwitchStatus, members []store.Member, q *op25bv1.ListCountersRequest) *foundCounters {
	f := &foundCounters{in: in, self: s.Name, rules: setOf(q.Rules), interfaces: setOf(q.Interfaces)}
	samples := make(map[string]*tally.Sample)
	for _, sample := range s.Counters.Samples(q.Switches...) {
		samples[sample.Status.Switch] = sample
	}
	f.switches = s.withOwners(in, statuses, members, q.Switches, func(name string) bool { return samples[name] != nil })
	for i := range f.switches {
		f.switches[i].sample = samples[f.switches[i].Name]
	}
	return f
}

// withOwners returns the named switches of the inventory, or all if no name is given, with their owners. own reports whether this controller owns a
// switch.
func (s *server) withOwners(in *intent.Intent, statuses []*op25bv1.SwitchStatus, members []store.Member, names []string, own func(name string) bool) (all []foundSwitch) {
	owners := make(map[string]string)
	for _, st := range statuses {
		if st.Ownership == op25bv1.SwitchOwnership_SWITCH_OWNERSHIP_OWNED || st.Reason == op25bv1.SwitchReason_SWITCH_REASON_TAKEN_OVER {
			owners[st.Switch] = st.Owner
		}
	}
	named := setOf(names)
	for _, sw := range inventoryOf(in) {
		if named != nil && !named[sw.Name] {
			continue
		}
		found := foundSwitch{Switch: sw, owner: owners[sw.Name]}
		if own(sw.Name) {
			found.owner = s.Name
		}
		if i := slices.IndexFunc(members, func(m store.Member) bool { return m.Name == found.owner }); i >= 0 {
			at := fleet.AddressesOf(members[i])
			found.addr, found.page = at.API, at.Page
		}
		all = append(all, found)
	}
	return all
}

// inventoryOf returns the switches of an intent's inventory. The intent may be nil.
func inventoryOf(in *intent.Intent) []*policy.Switch {
	if in == nil || in.Bundle == nil {
		return nil
	}
	return in.Switches()
}

// setOf returns the set of the names, or nil if there are no names.
func setOf(names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// unknown returns an error if a request names a switch, a rule or an interface that does not exist. Only the owner of a switch has the
// names of all its interfaces. The names of interfaces are therefore not checked if another controller owns one of the selected switches.
func (f *foundCounters) unknown(q *op25bv1.ListCountersRequest) error {
	if err := unknownSwitches(f.in, q.Switches); err != nil {
		return err
	}
	if len(q.Rules)+len(q.Interfaces) == 0 {
		return nil
	}
	rules, interfaces, elsewhere := make(map[string]bool), make(map[string]bool), false
	if f.in != nil && f.in.Numbers != nil {
		for _, of := range f.in.Contents() {
			for name := range of.Numbers.RuleIDs() {
				rules[name] = true
			}
		}
	}
	for _, sw := range f.switches {
		elsewhere = elsewhere || sw.sample == nil
		for i := range sw.Ports {
			interfaces[sw.Ports[i].Name] = true
		}
		if sw.sample == nil {
			continue
		}
		for i := range sw.sample.Totals {
			rules[sw.sample.Totals[i].Rule] = true // a rule without a name is listed by its number
		}
		for i := range sw.sample.Interfaces {
			interfaces[sw.sample.Interfaces[i].Name] = true
		}
	}
	if err := unknownName("rule", q.Rules, rules, slices.Sorted(maps.Keys(rules))); err != nil {
		return err
	}
	if elsewhere {
		return nil
	}
	return unknownName("interface", q.Interfaces, interfaces, slices.Sorted(maps.Keys(interfaces)))
}

// unknownSwitches returns an error if one of the names is not that of a switch of the inventory.
func unknownSwitches(in *intent.Intent, names []string) error {
	switches := make(map[string]bool)
	var order []string
	for _, sw := range inventoryOf(in) {
		switches[sw.Name] = true
		order = append(order, sw.Name)
	}
	return unknownName("switch", names, switches, order)
}

func unknownName(what string, names []string, known map[string]bool, order []string) error {
	for _, name := range names {
		if !known[name] {
			return connect.NewError(connect.CodeNotFound, fmt.Errorf("unknown %s %q; known: %s", what, brief(name), listedNames(order)))
		}
	}
	return nil
}

// rows returns the number of rules and interfaces that the answer would have.
func (f *foundCounters) rows() (n int) {
	for i := range f.switches {
		if s := f.switches[i].sample; s != nil {
			n += min(len(f.totals(s)), maxRowsOfSwitch) + min(len(f.links(s)), maxRowsOfSwitch)
		}
	}
	return n
}

// totals returns the selected totals of a sample.
func (f *foundCounters) totals(s *tally.Sample) []tally.SampledTotal {
	if f.rules == nil {
		return s.Totals
	}
	return slices.DeleteFunc(slices.Clone(s.Totals), func(n tally.SampledTotal) bool { return !f.rules[n.Rule] })
}

// links returns the selected interfaces of a sample.
func (f *foundCounters) links(s *tally.Sample) []tally.SampledInterface {
	if f.interfaces == nil {
		return s.Interfaces
	}
	return slices.DeleteFunc(slices.Clone(s.Interfaces), func(in tally.SampledInterface) bool { return !f.interfaces[in.Name] })
}

// messages returns the switches of the answer.
func (f *foundCounters) messages() []*op25bv1.SwitchCounters {
	all := make([]*op25bv1.SwitchCounters, len(f.switches))
	for i := range f.switches {
		sw := &f.switches[i]
		m := &op25bv1.SwitchCounters{Switch: sw.Name, Address: sw.GNMI, Owner: sw.owner, OwnerAddress: sw.addr, OwnerPage: sw.page}
		all[i] = m
		switch {
		case sw.sample != nil:
			f.addSample(m, sw.sample)
		case sw.owner == "":
			m.State, m.Reason = op25bv1.CollectionState_COLLECTION_STATE_NOT_OWNED, op25bv1.CollectionReason_COLLECTION_REASON_NO_OWNER
		case sw.owner == f.self: // this controller has just become the owner
			m.State, m.Reason = op25bv1.CollectionState_COLLECTION_STATE_DISCONNECTED, op25bv1.CollectionReason_COLLECTION_REASON_SCHEDULED
		default:
			m.State, m.Reason = op25bv1.CollectionState_COLLECTION_STATE_ELSEWHERE, op25bv1.CollectionReason_COLLECTION_REASON_OTHER_OWNER
		}
	}
	return all
}

// listedNames returns at most 10 names as a list for an error message.
func listedNames(names []string) string {
	const most = 10
	text := cmp.Or(strings.Join(names[:min(most, len(names))], ", "), "none")
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", text, more)
	}
	return text
}
