package northbound

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"op25b/internal/intent"
	"op25b/internal/openconfig"
	"op25b/internal/policy"
	"op25b/internal/telemetry"
)

// A source serves the counters of one switch.
type source struct {
	s    *Service
	name string
}

var _ openconfig.Source = source{}

// recheck is the interval at which a waiting Snapshot checks for current values, because the collector does not report that overdue samples
// have resumed.
const recheck = 500 * time.Millisecond

// Snapshot returns the values that the switch last reported. While they are not current, it waits for new values, because old values must not
// be served as new. It returns ErrNotCurrent when the newest values are older than Counters.Quiet.
func (src source) Snapshot(ctx context.Context, parts openconfig.Parts) (*openconfig.State, error) {
	for {
		reading, st, there := src.s.cfg.Counters.Raw(src.name)
		err := notCurrent(st, there)
		if err == nil {
			return src.state(reading, parts), nil
		}
		if !there || time.Since(st.Updated) > src.s.cfg.Counters.Quiet() {
			return nil, err
		}
		timer := time.NewTimer(recheck)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// notCurrent returns an error with the state, its reason and the age of the values. It returns nil if the values are current.
func notCurrent(st telemetry.Status, there bool) error {
	if !there {
		return fmt.Errorf("%w: their collection has not begun: try again in a few seconds", ErrNotCurrent)
	}
	if st.State == telemetry.Synced {
		return nil
	}
	text := st.State.String()
	if st.Reason != telemetry.ReasonNone {
		text += " (" + st.Reason.String() + ")"
	}
	age := "no value has arrived yet"
	if !st.Updated.IsZero() {
		age = fmt.Sprintf("its newest value is %v old", time.Since(st.Updated).Round(time.Second))
	}
	err := fmt.Errorf("%w: the gNMI subscription to %s is %s since %s, and %s", ErrNotCurrent, st.Addr, text, st.Since.UTC().Format(time.RFC3339), age)
	if st.Err != nil {
		err = fmt.Errorf("%w: %v", err, st.Err)
	}
	return err
}

// Watch calls changed when an interface, its state, the set of counters, a rule or the phases in force may have changed.
func (src source) Watch(ctx context.Context, changed func()) error {
	s := src.s
	stop, there := s.cfg.Counters.Watch(src.name, changed)
	if !there {
		return notCurrent(telemetry.Status{}, false)
	}
	defer stop()
	s.mu.Lock()
	d := s.switches[src.name]
	if d != nil {
		d.watchers[&changed] = struct{}{}
	}
	s.mu.Unlock()
	if d == nil {
		return fmt.Errorf("%w: this controller has just given it up", ErrNoOwner)
	}
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(d.watchers, &changed)
	return nil
}

// state converts a reading. It leaves out the switch's lines, because their counters are personal data.
func (src source) state(r *telemetry.Reading, parts openconfig.Parts) *openconfig.State {
	st := &openconfig.State{ACLSet: src.s.cfg.ACLSet}
	if r.Hostname != "" || r.Software != "" || !r.Boot.IsZero() {
		st.System = &openconfig.System{Hostname: r.Hostname, SoftwareVersion: r.Software, BootTime: r.Boot}
	}
	for i := range r.Interfaces {
		st.Interfaces = append(st.Interfaces, interfaceOf(&r.Interfaces[i], st.ACLSet, parts))
	}
	if parts&openconfig.PartLegs != 0 {
		st.Legs = legsOf(r.Legs)
	}
	st.Rules = src.rules(st.Interfaces)
	return st
}

func interfaceOf(in *telemetry.Interface, set string, parts openconfig.Parts) openconfig.Interface {
	out := openconfig.Interface{
		Name: in.Name, Port: in.Port, IfIndex: in.IfIndex, LastChange: in.LastChange,
		Oper: openconfig.OperStatus(in.Oper), Admin: openconfig.AdminStatus(in.Admin),
	}
	absent := openconfig.CounterSet(0) // a counter that the switch does not report must not be served as 0
	for i, bit := range [telemetry.Transitions]openconfig.CounterSet{
		telemetry.InPkts: openconfig.InPkts, telemetry.InOctets: openconfig.InOctets,
		telemetry.InDiscards: openconfig.InDiscards, telemetry.InErrors: openconfig.InErrors,
		telemetry.OutPkts: openconfig.OutPkts, telemetry.OutOctets: openconfig.OutOctets,
		telemetry.OutDiscards: openconfig.OutDiscards, telemetry.OutErrors: openconfig.OutErrors,
	} {
		if !in.Reported[i] {
			absent |= bit
		}
	}
	if absent != openconfig.AllCounters {
		c := &in.Counters
		out.Counters = &openconfig.InterfaceCounters{
			InPkts: c[telemetry.InPkts], InOctets: c[telemetry.InOctets], InDiscards: c[telemetry.InDiscards], InErrors: c[telemetry.InErrors],
			OutPkts: c[telemetry.OutPkts], OutOctets: c[telemetry.OutOctets], OutDiscards: c[telemetry.OutDiscards], OutErrors: c[telemetry.OutErrors],
			Absent: absent,
		}
	}
	if in.Reported[telemetry.Transitions] {
		out.Transitions = &in.Counters[telemetry.Transitions]
	}
	if parts&openconfig.PartACL == 0 {
		return out
	}
	for _, e := range in.ACL {
		if e.Set == set {
			out.ACL = append(out.ACL, openconfig.ACLEntry{SequenceID: e.SequenceID, MatchedPackets: e.Packets, MatchedOctets: e.Octets})
		}
	}
	return out
}

// legsOf converts the counts by leg. It leaves out legs that are not defined in the module op25b-filter.
func legsOf(counts []telemetry.LegCount) []openconfig.LegEntry {
	var all []openconfig.LegEntry
	for _, c := range counts {
		for leg := openconfig.LegAny; leg <= openconfig.LegUpSrc; leg++ {
			if leg.String() == c.Leg {
				all = append(all, openconfig.LegEntry{
					Epoch: c.Epoch, Leg: leg, SequenceID: c.Rule, Matched: openconfig.Tally{Packets: c.Packets, Octets: c.Octets},
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b openconfig.LegEntry) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Leg, b.Leg), cmp.Compare(a.SequenceID, b.SequenceID))
	})
	return all
}

// rules describes the rules that are in force on the switch, and the rules that counted packets there in earlier phases, ordered by id.
func (src source) rules(interfaces []openconfig.Interface) []openconfig.Rule {
	s := src.s
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := s.inForceLocked(src.name)
	known := make(map[uint32]bool, len(rules))
	for _, r := range rules {
		known[r.SequenceID] = true
	}
	for i := range interfaces {
		for _, e := range interfaces[i].ACL {
			if name := s.names[e.SequenceID]; name != "" && !known[e.SequenceID] {
				known[e.SequenceID] = true
				rules = append(rules, openconfig.Rule{SequenceID: e.SequenceID, Description: name + " (not in the phases in force)"})
			}
		}
	}
	slices.SortFunc(rules, func(a, b openconfig.Rule) int { return cmp.Compare(a.SequenceID, b.SequenceID) })
	return rules
}

// inForceLocked describes the rules that are in force on a switch. The result is empty while the phases in force are not known. The caller may
// append to the result and sort it.
func (s *Service) inForceLocked(name string) []openconfig.Rule {
	d := s.switches[name]
	if d == nil || s.intent == nil || d.phases == "" {
		return nil
	}
	if d.ruledBy != s.intent {
		d.rules, d.ruledBy = describe(s.intent, name, d.phases), s.intent
	}
	return slices.Clone(d.rules)
}

// describe returns nil if the documents no longer contain one of the phases, because the switch will leave that phase soon.
func describe(in *intent.Intent, name, inForce string) []openconfig.Rule {
	phases, err := policy.ParseInForce(inForce)
	if err != nil {
		return nil
	}
	meanings, err := in.Meanings(name, phases)
	if err != nil {
		return nil
	}
	var rules []openconfig.Rule
	for _, m := range meanings {
		action, does := actionOf(m.Action)
		rules = append(rules, openconfig.Rule{SequenceID: uint32(m.ID), Description: fmt.Sprintf("%s (%s): %s", m.Name, does, m.Text), Action: action})
	}
	return rules
}

// actionOf returns the action of an ACL entry, and the policy's word for the action. openconfig-acl has no action for monitor or limit, whose
// packets pass at least in part.
func actionOf(a policy.Action) (action openconfig.Action, does string) {
	switch a {
	case policy.Drop:
		action = openconfig.ActionDrop
	case policy.Reject:
		action = openconfig.ActionReject
	default:
		action = openconfig.ActionAccept
	}
	return action, string(a)
}
