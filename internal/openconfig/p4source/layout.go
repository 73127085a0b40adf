package p4source

import (
	"fmt"
	"strings"

	p4configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
)

// These are the annotations that mark the counters, with their settings.
const (
	aclForm    = `@openconfig_acl("set=NAME,rule_bits=N")`
	linesForm  = `@op25b_lines("outcome_bits=N")`
	legsForm   = `@op25b_legs("epoch=FIELD,leg=FIELD,rule=PARAMETER")`
	probesForm = `@op25b_probes("epoch_bits=N,rule_bits=N")`
)

// A Layout describes the marked counters of a program. A field is nil if the program has no such counter.
type Layout struct {
	Program string // the name and version of the program; empty if the P4Info has none
	ACL     *ACLLayout
	Lines   *LineLayout
	Legs    *LegLayout
	Probes  *ProbeLayout
}

// Find returns the layout of the counters that a program marks by annotations in its P4Info:
//
//   - @openconfig_acl("set=NAME,rule_bits=N") marks the ACL counters. Their index is (ingress port << N) | rule id.
//   - @op25b_lines("outcome_bits=N") marks the counters of lines. Their index is (line << N) | outcome.
//   - @op25b_legs("epoch=FIELD,leg=FIELD,rule=PARAMETER") marks a direct counter, which counts by leg. FIELD is the name of a match field of
//     its table, and PARAMETER is the name of a parameter of the table's actions.
//   - @op25b_probes("epoch_bits=M,rule_bits=N") marks the counter of probes, which the direct counter counts too. Its index is
//     (low M bits of the epoch << (N + 2)) | ((leg - 1) << N) | rule id.
//
// Each counter must count packets and bytes. Find returns ErrAnnotation if an annotation does not parse, does not fit its counter, or occurs
// twice. The message names the counter and the annotation.
func Find(info *p4configv1.P4Info) (Layout, error) {
	pkg := info.GetPkgInfo()
	l := Layout{Program: strings.TrimSpace(pkg.GetName() + " " + pkg.GetVersion())}
	var err error
	if l.ACL, err = findACL(info); err != nil {
		return Layout{}, err
	}
	if l.Lines, err = findLines(info); err != nil {
		return Layout{}, err
	}
	if l.Legs, err = findLegs(info); err != nil {
		return Layout{}, err
	}
	if l.Probes, err = findProbes(info); err != nil {
		return Layout{}, err
	}
	return l, nil
}

// Version returns the software version of a target, which consists of its own software version and the program's version.
func (l *Layout) Version(own string) string {
	switch {
	case own == "":
		return l.Program
	case l.Program == "":
		return own
	default:
		return own + ", " + l.Program
	}
}

// maxRuleBits limits the number of cells of one port, which are read in one request.
const maxRuleBits = 16

// An ACLLayout describes the P4 counter with the ACL counters, and the arrangement of its cells by port and rule.
type ACLLayout struct {
	CounterID   uint32
	CounterName string // for messages
	Set         string // the set-name of openconfig-acl
	RuleBits    int    // the width of the rule id, which is the low bits of the index; 1 to 16
	Size        int64  // cells
}

// Rules returns the number of cells of one port.
func (l *ACLLayout) Rules() int64 { return 1 << l.RuleBits }

// Ports returns the number of ports whose cells are completely in the counter. Ports are numbered from 0.
func (l *ACLLayout) Ports() int64 { return l.Size >> l.RuleBits }

// Index returns the index of the cell for a rule on a port.
func (l *ACLLayout) Index(port, rule uint32) int64 { return int64(port)<<l.RuleBits | int64(rule) }

// Split returns the port and the rule of the cell at an index.
func (l *ACLLayout) Split(index int64) (port, rule uint32) {
	return uint32(index >> l.RuleBits), uint32(index & (l.Rules() - 1))
}

func findACL(info *p4configv1.P4Info) (*ACLLayout, error) {
	a, err := find(info, "@openconfig_acl")
	if a == nil || err != nil {
		return nil, err
	}
	if err := a.counts(true); err != nil {
		return nil, err
	}
	set, err := a.settings(aclForm, "set", "rule_bits")
	if err != nil {
		return nil, err
	}
	if !isSetName(set["set"]) {
		return nil, a.fail(fmt.Errorf("set %q: it must be letters, digits, '_', '-' or '.', at least one", set["set"]))
	}
	bits, err := a.bits("rule_bits", set["rule_bits"], 1, maxRuleBits)
	if err != nil {
		return nil, err
	}
	c := a.indexed
	if c.GetSize() < 1<<bits {
		return nil, a.fail(fmt.Errorf("%d cells; one port needs %d", c.GetSize(), 1<<bits))
	}
	return &ACLLayout{CounterID: c.GetPreamble().GetId(), CounterName: a.name, Set: set["set"], RuleBits: bits, Size: c.GetSize()}, nil
}

// A LineLayout describes the P4 counter with the counters of lines by outcome.
type LineLayout struct {
	CounterID   uint32
	CounterName string
	OutcomeBits int   // the width of the outcome, which is the low bits of the index; 2 to 8
	Size        int64 // cells
}

// These are the outcomes that are served. Cells of other outcomes are ignored.
const (
	outcomePassed = iota
	outcomeMonitored
	outcomeStopped
	outcomeUnsolicited
	outcomes
)

// Lines returns the number of lines.
func (l *LineLayout) Lines() int64 { return l.Size >> l.OutcomeBits }

func findLines(info *p4configv1.P4Info) (*LineLayout, error) {
	a, err := find(info, "@op25b_lines")
	if a == nil || err != nil {
		return nil, err
	}
	if err := a.counts(true); err != nil {
		return nil, err
	}
	set, err := a.settings(linesForm, "outcome_bits")
	if err != nil {
		return nil, err
	}
	bits, err := a.bits("outcome_bits", set["outcome_bits"], 2, 8)
	if err != nil {
		return nil, err
	}
	c := a.indexed
	if c.GetSize() > maxLineCells {
		return nil, a.fail(fmt.Errorf("%d cells; at most %d are read", c.GetSize(), maxLineCells))
	}
	return &LineLayout{CounterID: c.GetPreamble().GetId(), CounterName: a.name, OutcomeBits: bits, Size: c.GetSize()}, nil
}

// maxLineCells is the largest number of cells that are read in one request. It allows 262,144 lines with 4 outcomes. bmv2 sends 65,536 cells
// in one message of about 2 MB.
const maxLineCells = 1 << 20

// A LegLayout describes the table whose entries count by rule set, leg and rule.
type LegLayout struct {
	TableID     uint32
	TableName   string
	CounterName string
	Size        int64 // the number of entries in the table
	Epoch, Leg  Field
	Rule        map[uint32]Param // the parameter of each action that has it, by action id
}

// A Field is a match field of the table.
type Field struct {
	ID   uint32
	Name string
}

// A Param is the parameter of an action.
type Param struct {
	Action string // name of the action
	ID     uint32
	Name   string
}

func findLegs(info *p4configv1.P4Info) (*LegLayout, error) {
	a, err := find(info, "@op25b_legs")
	if a == nil || err != nil {
		return nil, err
	}
	if err := a.counts(false); err != nil {
		return nil, err
	}
	set, err := a.settings(legsForm, "epoch", "leg", "rule")
	if err != nil {
		return nil, err
	}
	l := &LegLayout{CounterName: a.name, Rule: map[uint32]Param{}}
	var table *p4configv1.Table
	for _, t := range info.GetTables() {
		if t.GetPreamble().GetId() == a.direct.GetDirectTableId() {
			table = t
		}
	}
	if table == nil {
		return nil, a.fail(fmt.Errorf("its table %#x is not in the P4Info", a.direct.GetDirectTableId()))
	}
	l.TableID, l.TableName, l.Size = table.GetPreamble().GetId(), table.GetPreamble().GetName(), table.GetSize()
	for _, f := range []struct {
		setting string
		at      *Field
		kinds   []p4configv1.MatchField_MatchType
	}{
		{"epoch", &l.Epoch, []p4configv1.MatchField_MatchType{p4configv1.MatchField_EXACT}},
		{"leg", &l.Leg, []p4configv1.MatchField_MatchType{p4configv1.MatchField_EXACT, p4configv1.MatchField_TERNARY}},
	} {
		if *f.at, err = fieldOf(table, set[f.setting], f.kinds); err != nil {
			return nil, a.fail(fmt.Errorf("%s %q: %w", f.setting, set[f.setting], err))
		}
	}
	for _, ref := range table.GetActionRefs() {
		for _, act := range info.GetActions() {
			if act.GetPreamble().GetId() != ref.GetId() {
				continue
			}
			for _, p := range act.GetParams() {
				if p.GetName() == set["rule"] && p.GetBitwidth() <= 32 {
					l.Rule[ref.GetId()] = Param{act.GetPreamble().GetName(), p.GetId(), p.GetName()}
				}
			}
		}
	}
	if len(l.Rule) == 0 {
		return nil, a.fail(fmt.Errorf("rule %q: no action of table %q has such a parameter of at most 32 bits", set["rule"], l.TableName))
	}
	return l, nil
}

// fieldOf returns the match field with the given name. The field must be of one of the kinds and must have at most 8 bits.
func fieldOf(t *p4configv1.Table, name string, kinds []p4configv1.MatchField_MatchType) (Field, error) {
	var names []string
	for _, f := range t.GetMatchFields() {
		if f.GetName() != name {
			names = append(names, f.GetName())
			continue
		}
		for _, k := range kinds {
			if f.GetMatchType() == k && f.GetBitwidth() <= 8 {
				return Field{f.GetId(), name}, nil
			}
		}
		return Field{}, fmt.Errorf("it has %d bits and match type %v; it must have at most 8 bits and match type %v", f.GetBitwidth(), f.GetMatchType(), kinds)
	}
	return Field{}, fmt.Errorf("table %q has no such match field; it has %s", t.GetPreamble().GetName(), strings.Join(names, ", "))
}
