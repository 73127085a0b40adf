package p4rtserver

import (
	"bytes"
	"encoding/binary"
	"fmt"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"op25b/internal/softswitch/engine"
)

// matches converts a table entry's matches to engine matches, in the order of the program's key (spec 9.1.1).
func (t *table) matches(in []*p4v1.FieldMatch) ([]engine.Match, error) {
	out, err := decodeMatches(in, t.fields)
	if err != nil {
		return nil, invalidf("table %q: %v", t.name, err)
	}
	return out, nil
}

// decodeMatches converts matches on the fields of a table or value set. An omitted field is a wildcard. Exact fields must not be omitted.
func decodeMatches(in []*p4v1.FieldMatch, fields []field) ([]engine.Match, error) {
	out := make([]engine.Match, len(fields))
	seen := make([]bool, len(fields))
	for _, m := range in {
		i := fieldIndex(fields, m.GetFieldId())
		if i < 0 {
			return nil, fmt.Errorf("match field id %d: not in the P4Info, which has %s", m.GetFieldId(), fieldList(fields))
		}
		f := &fields[i]
		if seen[i] {
			return nil, fmt.Errorf("match field %q: given twice", f.name)
		}
		seen[i] = true
		d, err := f.decode(m)
		if err != nil {
			return nil, fmt.Errorf("match field %q: %w", f.name, err)
		}
		out[f.at] = d
	}
	for i := range fields {
		if seen[i] {
			continue
		}
		if fields[i].kind == p4cfg.MatchField_EXACT {
			return nil, fmt.Errorf("match field %q: missing; an exact field cannot be left out", fields[i].name)
		}
		out[fields[i].at] = engine.Match{Wildcard: true}
	}
	return out, nil
}

func fieldIndex(fields []field, id uint32) int {
	for i := range fields {
		if fields[i].id == id {
			return i
		}
	}
	return -1
}

func fieldList(fields []field) string {
	if len(fields) == 0 {
		return "no match fields"
	}
	var b bytes.Buffer
	for i, f := range fields {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d (%s)", f.id, f.name)
	}
	return b.String()
}

// decode converts one match, which must be in canonical form. A match of every value is refused because it must be omitted, and bits
// outside the mask must be zero.
func (f *field) decode(m *p4v1.FieldMatch) (engine.Match, error) {
	var no engine.Match
	switch v := m.GetFieldMatchType().(type) {
	case *p4v1.FieldMatch_Exact_:
		if f.kind != p4cfg.MatchField_EXACT {
			break
		}
		val, err := canonical(v.Exact.GetValue(), f.width)
		return engine.Match{Value: val}, err
	case *p4v1.FieldMatch_Optional_:
		if f.kind != p4cfg.MatchField_OPTIONAL {
			break
		}
		val, err := canonical(v.Optional.GetValue(), f.width)
		return engine.Match{Value: val, Mask: ones(f.width)}, err
	case *p4v1.FieldMatch_Lpm:
		if f.kind != p4cfg.MatchField_LPM {
			break
		}
		return f.decodeLPM(v.Lpm)
	case *p4v1.FieldMatch_Ternary_:
		if f.kind != p4cfg.MatchField_TERNARY {
			break
		}
		return f.decodeTernary(v.Ternary)
	case *p4v1.FieldMatch_Range_:
		if f.kind != p4cfg.MatchField_RANGE {
			break
		}
		return f.decodeRange(v.Range)
	case nil:
		return no, fmt.Errorf("no match type is set; the P4Info says %v", f.kind)
	}
	return no, fmt.Errorf("match is of type %s; the P4Info says %v", matchName(m), f.kind)
}

func (f *field) decodeLPM(v *p4v1.FieldMatch_LPM) (engine.Match, error) {
	var no engine.Match
	val, err := canonical(v.GetValue(), f.width)
	if err != nil {
		return no, err
	}
	plen := int(v.GetPrefixLen())
	switch {
	case plen == 0:
		return no, fmt.Errorf("prefix_len 0 matches everything; leave the field out")
	case plen < 0 || plen > f.width:
		return no, fmt.Errorf("prefix_len %d; it must be 1 to %d", plen, f.width)
	case !covered(padded(val, (f.width+7)/8), prefixMask(plen, f.width)):
		return no, fmt.Errorf("value %#x has bits set beyond prefix_len %d; they must be zero", val, plen)
	}
	return engine.Match{Value: val, PrefixLen: plen}, nil
}

func (f *field) decodeTernary(v *p4v1.FieldMatch_Ternary) (engine.Match, error) {
	var no engine.Match
	val, err := canonical(v.GetValue(), f.width)
	if err != nil {
		return no, fmt.Errorf("value: %w", err)
	}
	mask, err := canonical(v.GetMask(), f.width)
	if err != nil {
		return no, fmt.Errorf("mask: %w", err)
	}
	n := (f.width + 7) / 8
	switch {
	case isZero(mask):
		return no, fmt.Errorf("mask 0 matches everything; leave the field out")
	case !covered(padded(val, n), padded(mask, n)):
		return no, fmt.Errorf("value %#x has bits set outside mask %#x; they must be zero", val, mask)
	}
	return engine.Match{Value: val, Mask: mask}, nil
}

func (f *field) decodeRange(v *p4v1.FieldMatch_Range) (engine.Match, error) {
	var no engine.Match
	low, err := canonical(v.GetLow(), f.width)
	if err != nil {
		return no, fmt.Errorf("low: %w", err)
	}
	high, err := canonical(v.GetHigh(), f.width)
	if err != nil {
		return no, fmt.Errorf("high: %w", err)
	}
	n := (f.width + 7) / 8
	switch {
	case bytes.Compare(padded(low, n), padded(high, n)) > 0:
		return no, fmt.Errorf("low %#x is above high %#x", low, high)
	case isZero(low) && bytes.Equal(padded(high, n), ones(f.width)):
		return no, fmt.Errorf("low %#x to high %#x matches everything; leave the field out", low, high)
	}
	return engine.Match{Value: low, Mask: high}, nil
}

func matchName(m *p4v1.FieldMatch) string {
	r := m.ProtoReflect()
	if f := r.WhichOneof(r.Descriptor().Oneofs().ByName("field_match_type")); f != nil {
		return string(f.Name())
	}
	return "unset"
}

// encodeMatches is the inverse of decodeMatches. The result is in the order of the P4Info.
func encodeMatches(in []engine.Match, fields []field) []*p4v1.FieldMatch {
	var out []*p4v1.FieldMatch
	for i := range fields {
		f := &fields[i]
		m := in[f.at]
		if m.Wildcard {
			continue
		}
		fm := &p4v1.FieldMatch{FieldId: f.id}
		n := (f.width + 7) / 8
		switch f.kind {
		case p4cfg.MatchField_EXACT:
			fm.FieldMatchType = &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: shortest(m.Value)}}
		case p4cfg.MatchField_OPTIONAL:
			if isZero(m.Mask) {
				continue
			}
			fm.FieldMatchType = &p4v1.FieldMatch_Optional_{Optional: &p4v1.FieldMatch_Optional{Value: shortest(m.Value)}}
		case p4cfg.MatchField_LPM:
			if m.PrefixLen == 0 {
				continue
			}
			fm.FieldMatchType = &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: shortest(m.Value), PrefixLen: int32(m.PrefixLen)}}
		case p4cfg.MatchField_TERNARY:
			if isZero(m.Mask) {
				continue
			}
			val, mask := bytes.Clone(padded(m.Value, n)), padded(m.Mask, n)
			for j := range val { // entries that the program declares may have bits set outside the mask
				val[j] &= mask[j]
			}
			fm.FieldMatchType = &p4v1.FieldMatch_Ternary_{Ternary: &p4v1.FieldMatch_Ternary{Value: shortest(val), Mask: shortest(mask)}}
		case p4cfg.MatchField_RANGE:
			if isZero(m.Value) && bytes.Equal(padded(m.Mask, n), ones(f.width)) {
				continue
			}
			fm.FieldMatchType = &p4v1.FieldMatch_Range_{Range: &p4v1.FieldMatch_Range{Low: shortest(m.Value), High: shortest(m.Mask)}}
		}
		out = append(out, fm)
	}
	return out
}

// checkPriority checks an entry's priority. It must be positive if the key has a ternary, range or optional field, and zero otherwise.
func (t *table) checkPriority(p int32) error {
	switch {
	case t.ternary && p <= 0:
		return invalidf("table %q: priority %d: it must be > 0, since the key has ternary, range or optional fields", t.name, p)
	case !t.ternary && p != 0:
		return invalidf("table %q: priority %d: it must be 0, since the key has no ternary, range or optional fields", t.name, p)
	}
	return nil
}

// action converts an action and its arguments. where describes the action in error messages, for example as "entry" or "default entry".
func (s *schema) action(t *table, a *p4v1.Action, forbidden p4cfg.ActionRef_Scope, where string) (engine.ActionCall, error) {
	var no engine.ActionCall
	act := s.actions[a.GetActionId()]
	scope, ok := t.actions[a.GetActionId()]
	if !ok || act == nil {
		return no, invalidf("table %q: action id %#x (%s): not among the table's actions", t.name, a.GetActionId(), s.nameOf(a.GetActionId()))
	}
	if scope == forbidden {
		return no, status.Errorf(codes.PermissionDenied, "table %q: action %q: its scope is %v, so it cannot be that of a %s", t.name, act.name, scope, where)
	}
	call := engine.ActionCall{Name: act.name, Args: make([][]byte, len(act.params))}
	for _, p := range a.GetParams() {
		i, ok := act.byParam[p.GetParamId()]
		if !ok {
			return no, invalidf("table %q: action %q: parameter id %d: the action has none of this id", t.name, act.name, p.GetParamId())
		}
		d := &act.params[i]
		if call.Args[d.at] != nil {
			return no, invalidf("table %q: action %q: parameter %q: given twice", t.name, act.name, d.name)
		}
		v, err := canonical(p.GetValue(), d.width)
		if err != nil {
			return no, invalidf("table %q: action %q: parameter %q: %v", t.name, act.name, d.name, err)
		}
		call.Args[d.at] = v
	}
	for _, d := range act.params {
		if call.Args[d.at] == nil {
			return no, invalidf("table %q: action %q: parameter %q: missing; every parameter must be given", t.name, act.name, d.name)
		}
	}
	return call, nil
}

func (s *schema) nameOf(id uint32) string {
	if n, ok := s.names[id]; ok {
		return fmt.Sprintf("%q", n)
	}
	return "not in the P4Info"
}

// encodeAction is the inverse of action. It returns nil if the table has no such action in the P4Info.
func (t *table) encodeAction(c engine.ActionCall) *p4v1.Action {
	a := t.byAction[c.Name]
	if a == nil {
		return nil
	}
	out := &p4v1.Action{ActionId: a.id}
	for _, p := range a.params {
		if p.at < len(c.Args) {
			out.Params = append(out.Params, &p4v1.Action_Param{ParamId: p.id, Value: shortest(c.Args[p.at])})
		}
	}
	return out
}

// makeCookie encodes an entry's metadata for storage in the engine. The cookie is controller_metadata in 8 bytes, followed by metadata. If
// both are empty, makeCookie returns nil.
func makeCookie(number uint64, data []byte) []byte {
	if number == 0 && len(data) == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(data)), number), data...)
}

func splitCookie(c []byte) (number uint64, data []byte) {
	if len(c) < 8 {
		return 0, nil
	}
	return binary.BigEndian.Uint64(c), c[8:]
}

// controllerMetadata returns TableEntry.controller_metadata, and setControllerMetadata sets it. Both use reflection because the field is
// deprecated. Clients still use the field, and the specification requires it.
func controllerMetadata(e *p4v1.TableEntry) uint64 {
	m := e.ProtoReflect()
	return m.Get(m.Descriptor().Fields().ByName("controller_metadata")).Uint()
}

func setControllerMetadata(e *p4v1.TableEntry, v uint64) {
	m := e.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("controller_metadata"), protoreflect.ValueOfUint64(v))
}
