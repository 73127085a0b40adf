package p4rtserver

import (
	"fmt"
	"slices"
	"strings"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/extern"
	"op25b/internal/softswitch/match"
)

// bind finds every object of the P4Info in the program by its name and checks that both agree. Every object of the P4Info must be in the
// program. The program may have objects that are not in the P4Info. An error names the object and the two values that differ.
func (s *schema) bind(eng *engine.Engine) error {
	for _, pr := range ordered(s.profiles) {
		if err := pr.bind(eng); err != nil {
			return err
		}
	}
	for _, t := range ordered(s.tables) {
		p, ok := eng.Table(t.name)
		if !ok {
			return absent("table", t.name, namesOf(eng.Tables()))
		}
		if err := t.bind(p); err != nil {
			return fmt.Errorf("table %q: %w", t.name, err)
		}
	}
	if err := s.bindArrays(eng); err != nil {
		return err
	}
	for _, v := range ordered(s.valueSets) {
		p, ok := eng.ValueSet(v.name)
		if !ok {
			return absent("value set", v.name, namesOf(eng.ValueSets()))
		}
		if err := v.bind(p); err != nil {
			return fmt.Errorf("value set %q: %w", v.name, err)
		}
	}
	return nil
}

// absent returns the error for a name that the program does not have. The error lists the names that the program has.
func absent(kind, name string, have []string) error {
	if len(have) == 0 {
		return fmt.Errorf("%s %q: in the P4Info; the JSON has no %s", kind, name, kind)
	}
	const most = 12
	list := have
	if len(list) > most {
		list = list[:most]
	}
	more := ""
	if len(have) > most {
		more = fmt.Sprintf(" and %d more", len(have)-most)
	}
	return fmt.Errorf("%s %q: in the P4Info; the JSON has %s%s", kind, name, strings.Join(list, ", "), more)
}

func namesOf[T interface{ Name() string }](in []T) []string {
	out := make([]string, len(in))
	for i, x := range in {
		out[i] = x.Name()
	}
	return out
}

func (pr *profile) bind(eng *engine.Engine) error {
	p, ok := eng.ActionProfile(pr.name)
	switch {
	case !ok && len(pr.tables) == 0: // p4c omits only unused objects from the JSON
		return nil
	case !ok:
		return absent("action profile", pr.name, namesOf(eng.ActionProfiles()))
	case pr.selector != p.HasSelector():
		return fmt.Errorf("action profile %q: with_selector is %v in the P4Info, %v in the JSON", pr.name, pr.selector, p.HasSelector())
	case pr.size > int64(p.Size()):
		return fmt.Errorf("action profile %q: size %d in the P4Info, %d in the JSON", pr.name, pr.size, p.Size())
	}
	pr.prog = p
	return nil
}

func (t *table) bind(p *engine.Table) error {
	if err := bindKey(t, p.Key()); err != nil {
		return err
	}
	have := p.ActionNames()
	for _, name := range slices.Sorted(keysOf(t.byAction)) {
		a := t.byAction[name]
		if !slices.Contains(have, name) {
			return absent("action", name, have)
		}
		params, _ := p.ActionParams(name)
		if err := a.bind(params); err != nil {
			return fmt.Errorf("action %q: %w", name, err)
		}
	}
	prof, indirect := p.Profile()
	switch {
	case t.size > int64(p.Size()) && !t.isConst && !t.initial: // for a table with initial entries, p4c sets the size to the number of entries
		return fmt.Errorf("size %d in the P4Info, %d in the JSON", t.size, p.Size())
	case p.IsConst() && !t.isConst && !t.initial:
		return fmt.Errorf("its entries are const in the JSON, not in the P4Info")
	case t.profile == nil && indirect:
		return fmt.Errorf("no implementation in the P4Info, action profile %q in the JSON", prof.Name())
	case t.profile != nil && !indirect:
		return fmt.Errorf("implementation is action profile %q in the P4Info, none in the JSON", t.profile.name)
	case t.profile != nil && prof.Name() != t.profile.name:
		return fmt.Errorf("implementation is action profile %q in the P4Info, %q in the JSON", t.profile.name, prof.Name())
	case t.idle && !p.SupportsTimeout():
		return fmt.Errorf("idle timeout is NOTIFY_CONTROL in the P4Info, not supported in the JSON")
	case t.constDef != 0 && !p.HasConstDefault() && t.profile == nil: // the JSON has no default actions for indirect tables
		return fmt.Errorf("default action is const in the P4Info, not in the JSON")
	}
	if err := bindDirect(t, p); err != nil {
		return err
	}
	t.prog = p
	if t.initial && !t.isConst {
		// The JSON does not distinguish these entries, which the control plane may change, from const entries.
		p.ReleaseEntries()
	}
	return nil
}

func bindDirect(t *table, p *engine.Table) error {
	if t.counter != nil {
		name := t.counter.GetPreamble().GetName()
		switch {
		case !p.HasDirectCounter():
			return fmt.Errorf("direct counter %q in the P4Info, none in the JSON", name)
		case p.DirectCounterName() != name:
			return fmt.Errorf("direct counter %q in the P4Info, %q in the JSON", name, p.DirectCounterName())
		}
	}
	if t.meter == nil {
		return nil
	}
	name := t.meter.GetPreamble().GetName()
	switch {
	case p.DirectMeterName() == "":
		return fmt.Errorf("direct meter %q in the P4Info, none in the JSON", name)
	case p.DirectMeterName() != name:
		return fmt.Errorf("direct meter %q in the P4Info, %q in the JSON", name, p.DirectMeterName())
	case !unitFits(t.meter.GetSpec(), p.DirectMeterUnit()):
		return fmt.Errorf("direct meter %q: unit %v in the P4Info, %v in the JSON", name, t.meter.GetSpec().GetUnit(), p.DirectMeterUnit())
	}
	return nil
}

func unitFits(spec *p4cfg.MeterSpec, u extern.Unit) bool {
	switch spec.GetUnit() {
	case p4cfg.MeterSpec_BYTES:
		return u == extern.Bytes
	case p4cfg.MeterSpec_PACKETS:
		return u == extern.Packets
	}
	return true
}

// bindKey maps the fields of a P4Info table to the fields of the program's key by their names.
func bindKey(t *table, key []engine.KeyField) error {
	if len(t.fields) != len(key) {
		return fmt.Errorf("%d match fields in the P4Info, %d in the JSON", len(t.fields), len(key))
	}
	taken := make([]bool, len(key))
	for i := range t.fields {
		f := &t.fields[i]
		f.at = slices.IndexFunc(key, func(k engine.KeyField) bool { return k.Name == f.name })
		if f.at < 0 {
			names := make([]string, len(key))
			for j, k := range key {
				names[j] = k.Name
			}
			return absent("match field", f.name, names)
		}
		k := key[f.at]
		switch {
		case taken[f.at]:
			return fmt.Errorf("match field %q: twice in the P4Info", f.name)
		case f.width != k.Width:
			return fmt.Errorf("match field %q: %d bits in the P4Info, %d in the JSON", f.name, f.width, k.Width)
		case !kindFits(f.kind, k.Kind):
			return fmt.Errorf("match field %q: match type %v in the P4Info, %v in the JSON", f.name, f.kind, k.Kind)
		}
		taken[f.at] = true
	}
	return nil
}

// kindFits reports whether a match kind in the P4Info agrees with the match kind in the program. p4c writes optional fields as ternary.
func kindFits(k p4cfg.MatchField_MatchType, have match.Kind) bool {
	switch k {
	case p4cfg.MatchField_EXACT:
		return have == match.Exact
	case p4cfg.MatchField_LPM:
		return have == match.LPM
	case p4cfg.MatchField_TERNARY:
		return have == match.Ternary
	case p4cfg.MatchField_RANGE:
		return have == match.Range
	case p4cfg.MatchField_OPTIONAL:
		return have == match.Optional || have == match.Ternary
	}
	return false
}

// bind maps an action's parameters to the program's parameters. If several tables have the action, bind is called for each table, with
// the same result.
func (a *action) bind(params []engine.ActionParam) error {
	if len(a.params) != len(params) {
		return fmt.Errorf("%d parameters in the P4Info, %d in the JSON", len(a.params), len(params))
	}
	for i := range a.params {
		p := &a.params[i]
		at := slices.IndexFunc(params, func(q engine.ActionParam) bool { return q.Name == p.name })
		switch {
		case at < 0:
			names := make([]string, len(params))
			for j, q := range params {
				names[j] = q.Name
			}
			return absent("parameter", p.name, names)
		case params[at].Width != p.width:
			return fmt.Errorf("parameter %q: %d bits in the P4Info, %d in the JSON", p.name, p.width, params[at].Width)
		}
		p.at = at
	}
	return nil
}

func (s *schema) bindArrays(eng *engine.Engine) error {
	var ok bool
	for _, a := range ordered(s.counters) {
		if a.counter, ok = eng.Counter(a.name); !ok {
			return absent("counter", a.name, namesOf(eng.Counters()))
		}
		if err := a.fits("counter", a.counter.Size()); err != nil {
			return err
		}
	}
	for _, a := range ordered(s.meters) {
		if a.meter, ok = eng.Meter(a.name); !ok {
			return absent("meter", a.name, namesOf(eng.Meters()))
		}
		if err := a.fits("meter", a.meter.Size()); err != nil {
			return err
		}
		if !unitFits(a.meterSpec, a.meter.Unit()) {
			return fmt.Errorf("meter %q: unit %v in the P4Info, %v in the JSON", a.name, a.meterSpec.GetUnit(), a.meter.Unit())
		}
	}
	for _, a := range ordered(s.registers) {
		if a.register, ok = eng.Register(a.name); !ok {
			return absent("register", a.name, namesOf(eng.Registers()))
		}
		if err := a.fits("register", a.register.Size()); err != nil {
			return err
		}
		if w := a.data.widths(); len(w) != 1 || w[0] != a.register.Width() {
			return fmt.Errorf("register %q: %s in the P4Info, %d bits in the JSON", a.name, bitsOf(w), a.register.Width())
		}
	}
	return nil
}

func bitsOf(widths []int) string {
	if len(widths) == 1 {
		return fmt.Sprintf("%d bits", widths[0])
	}
	return fmt.Sprintf("fields of %v bits", widths)
}

func (a *array) fits(kind string, size int) error {
	if a.size < 0 || a.size > int64(size) {
		return fmt.Errorf("%s %q: size %d in the P4Info, %d in the JSON", kind, a.name, a.size, size)
	}
	return nil
}

func (v *valueSet) bind(p *engine.ValueSet) error {
	total := 0
	widths := make([]int, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		if f.kind == p4cfg.MatchField_RANGE {
			return fmt.Errorf("match field %q: RANGE is not supported in value sets", f.name)
		}
		f.at, widths[i] = i, f.width
		total += f.width
	}
	if total != p.Width() {
		return fmt.Errorf("%s in the P4Info, %d bits in the JSON", bitsOf(widths), p.Width())
	}
	if have := p.Fields(); len(have) != 1 && !slices.Equal(have, widths) {
		return fmt.Errorf("%s in the P4Info, %s in the JSON", bitsOf(widths), bitsOf(have))
	}
	v.prog = p
	return nil
}
