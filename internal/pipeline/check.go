package pipeline

import (
	"errors"
	"fmt"
	"slices"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// Program, VersionMajor and VersionMinor are the name and the version of the program that this package supports, as in the P4Info's
// pkg_info. A program is compatible if it has the same name and major version, and the same or a later minor version.
const (
	Program      = "op25b.p4"
	VersionMajor = 1
	VersionMinor = 2
)

// Check verifies that a P4Info has the name, version, tables, keys, match kinds, widths, actions, parameters, counters, meter, digest
// and packet headers that this package uses. A program of a later minor version may have more tables. Check returns ErrMismatch with all
// differences, or nil if there are none.
func Check(info *configv1.P4Info) error {
	var faults []error
	say := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	minor, fault := checkVersion(info.GetPkgInfo())
	if fault != nil {
		say("%w", fault)
	}

	found := map[uint32]*configv1.Table{}
	for _, t := range info.GetTables() {
		found[t.GetPreamble().GetId()] = t
		if tableByID(t.GetPreamble().GetId()) == 0 && minor <= VersionMinor {
			say("table %q (%#x) is unknown here", t.GetPreamble().GetAlias(), t.GetPreamble().GetId())
		}
	}
	for _, want := range tables[1:] {
		got, ok := found[want.id]
		if !ok {
			say("table %q (%#x) is missing", want.name, want.id)
			continue
		}
		for _, f := range checkTable(want, got) {
			say("table %q: %w", want.name, f)
		}
	}

	got := map[uint32]*configv1.Action{}
	for _, a := range info.GetActions() {
		got[a.GetPreamble().GetId()] = a
	}
	for _, want := range actions[1:] {
		a, ok := got[want.id]
		if !ok {
			say("action %q (%#x) is missing", want.name, want.id)
			continue
		}
		if a.GetPreamble().GetAlias() != want.name {
			say("action %#x is %q, want %q", want.id, a.GetPreamble().GetAlias(), want.name)
		}
		if len(a.GetParams()) != len(want.params) {
			say("action %q has %d parameters, want %d", want.name, len(a.GetParams()), len(want.params))
			continue
		}
		for i, p := range a.GetParams() {
			w := want.params[i]
			if p.GetId() != uint32(i+1) || p.GetName() != w.name || p.GetBitwidth() != int32(w.width) {
				say("action %q: parameter %d is %q of %d bits, want %q of %d", want.name, p.GetId(), p.GetName(), p.GetBitwidth(), w.name, w.width)
			}
		}
	}

	for _, want := range []struct {
		name string
		id   uint32
		size int64
	}{{"port_rule", portRuleCounter, portRuleCells}, {"line_mail", lineMailCounter, lineMailCells}} {
		if !slices.ContainsFunc(info.GetCounters(), func(c *configv1.Counter) bool {
			return c.GetPreamble().GetId() == want.id && c.GetSpec().GetUnit() == configv1.CounterSpec_BOTH && c.GetSize() == want.size
		}) {
			say("counter %q (%#x) is missing, or does not count packets and bytes in %d cells", want.name, want.id, want.size)
		}
	}
	if !slices.ContainsFunc(info.GetDirectMeters(), func(m *configv1.DirectMeter) bool {
		return m.GetDirectTableId() == tables[meteredTable].id && m.GetSpec().GetUnit() == configv1.MeterSpec_PACKETS
	}) {
		say("table %q has no meter of packets", meteredTable)
	}
	if fault := checkDigest(info); fault != nil {
		say("%w", fault)
	}
	faults = append(faults, checkPackets(info)...)
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrMismatch, errors.Join(faults...))
	}
	return nil
}

func checkVersion(pkg *configv1.PkgInfo) (minor int, fault error) {
	var major, patch int
	if _, err := fmt.Sscanf(pkg.GetVersion(), "%d.%d.%d", &major, &minor, &patch); err != nil ||
		pkg.GetName() != Program || major != VersionMajor || minor < VersionMinor {
		return 0, fmt.Errorf("program is %q, version %q; want %q of version %d.%d.0 or a later %d.x", pkg.GetName(), pkg.GetVersion(),
			Program, VersionMajor, VersionMinor, VersionMajor)
	}
	return minor, nil
}

func checkDigest(info *configv1.P4Info) error {
	if !slices.ContainsFunc(info.GetDigests(), func(d *configv1.Digest) bool { return d.GetPreamble().GetId() == mailFlowDigest }) {
		return fmt.Errorf("digest %q (%#x) is missing", mailFlowName, mailFlowDigest)
	}
	var got []string
	for _, m := range info.GetTypeInfo().GetStructs()[mailFlowName].GetMembers() {
		got = append(got, m.GetName())
	}
	if !slices.Equal(got, mailFlowMembers) {
		return fmt.Errorf("digest %q has members %v, want %v", mailFlowName, got, mailFlowMembers)
	}
	return nil
}

func checkTable(want table, got *configv1.Table) []error {
	var faults []error
	if got.GetPreamble().GetAlias() != want.name {
		faults = append(faults, fmt.Errorf("is called %q", got.GetPreamble().GetAlias()))
	}
	if len(got.GetMatchFields()) != len(want.keys) {
		return append(faults, fmt.Errorf("has %d key fields, want %d", len(got.GetMatchFields()), len(want.keys)))
	}
	for i, m := range got.GetMatchFields() {
		w := want.keys[i]
		if m.GetId() != uint32(i+1) || m.GetName() != w.name || m.GetBitwidth() != int32(w.width) || m.GetMatchType().String() != string(w.kind) {
			faults = append(faults, fmt.Errorf("key %d is %q, %d bits, %v; want %q, %d bits, %s",
				m.GetId(), m.GetName(), m.GetBitwidth(), m.GetMatchType(), w.name, w.width, w.kind))
		}
	}
	refs := map[uint32]bool{}
	for _, r := range got.GetActionRefs() {
		refs[r.GetId()] = r.GetScope() != configv1.ActionRef_DEFAULT_ONLY
	}
	for _, a := range want.actions {
		if !refs[actions[a].id] {
			faults = append(faults, fmt.Errorf("does not take action %#x", actions[a].id))
		}
	}
	return faults
}
