package p4rtserver

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// TestSymmetry writes entries of every match kind, some of them in non-canonical form, and reads them back in canonical form. Then it uses
// the entries that it has read to delete each entry, until the table is empty.
func TestSymmetry(t *testing.T) {
	o := newObjects(t)
	p := o.server.live
	rapid.Check(t, func(rt *rapid.T) {
		table := p.schema.tables[o.ids[rapid.SampledFrom([]string{"host", "route_v4", "acl", "wide"}).Draw(rt, "table")]]
		want := &p4v1.TableEntry{TableId: table.id, Metadata: rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(rt, "metadata")}
		if len(want.Metadata) == 0 {
			want.Metadata = nil
		}
		if table.ternary {
			want.Priority = rapid.Int32Range(1, 1<<31-1).Draw(rt, "priority")
		}
		for _, f := range table.fields {
			if m := drawMatch(rt, f); m != nil {
				want.Match = append(want.Match, m)
			}
		}
		name := map[string]string{"route_v4": "route"}[tableAlias(o, table)]
		if name == "" {
			name = "forward"
		}
		act := &p4v1.Action{ActionId: o.ids[name]}
		for _, d := range p.schema.actions[act.ActionId].params {
			act.Params = append(act.Params, &p4v1.Action_Param{ParamId: d.id, Value: drawValue(rt, d.width, "param")})
		}
		want.Action = &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: act}}

		sent := proto.Clone(want).(*p4v1.TableEntry)
		if rapid.Bool().Draw(rt, "padded") {
			for _, m := range sent.Match {
				padMatch(m)
			}
			for _, a := range sent.Action.GetAction().Params {
				a.Value = append([]byte{0, 0}, a.Value...)
			}
		}
		wrap := func(e *p4v1.TableEntry) *p4v1.Entity {
			return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: e}}
		}
		if err := o.write(&p4v1.Update{Type: insert, Entity: wrap(sent)}); err != nil {
			rt.Fatalf("insert %v: %v", sent, status.Convert(err).Message())
		}
		got, _, err := o.readAll(wrap(&p4v1.TableEntry{TableId: table.id}))
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff([]*p4v1.Entity{wrap(want)}, got, protocmp.Transform()); d != "" {
			rt.Fatalf("(-want +got)\n%s", d)
		}
		if err := o.write(&p4v1.Update{Type: del, Entity: got[0]}); err != nil {
			rt.Fatalf("delete %v: %v", got[0], status.Convert(err).Message())
		}
	})
}

func tableAlias(o *objects, t *table) string {
	for alias, id := range o.ids {
		if id == t.id {
			return alias
		}
	}
	return ""
}

// drawValue draws a canonical value of up to width bits.
func drawValue(t *rapid.T, width int, label string) []byte {
	v := padded(rapid.SliceOfN(rapid.Byte(), 0, (width+7)/8).Draw(t, label), (width+7)/8)
	v = bytes.Clone(v)
	maskTo(v, width)
	return shortest(v)
}

// drawMatch draws a canonical match on a field. It returns nil for a wildcard.
func drawMatch(t *rapid.T, f field) *p4v1.FieldMatch {
	m := &p4v1.FieldMatch{FieldId: f.id}
	n := (f.width + 7) / 8
	and := func(v, mask []byte) []byte {
		v = bytes.Clone(padded(v, n))
		for i := range v {
			v[i] &= padded(mask, n)[i]
		}
		return shortest(v)
	}
	v := drawValue(t, f.width, f.name)
	switch f.kind.String() {
	case "EXACT":
		m.FieldMatchType = &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: v}}
	case "OPTIONAL":
		if rapid.Bool().Draw(t, "wildcard") {
			return nil
		}
		m.FieldMatchType = &p4v1.FieldMatch_Optional_{Optional: &p4v1.FieldMatch_Optional{Value: v}}
	case "LPM":
		plen := rapid.IntRange(0, f.width).Draw(t, "prefix")
		if plen == 0 {
			return nil
		}
		m.FieldMatchType = &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: and(v, prefixMask(plen, f.width)), PrefixLen: int32(plen)}}
	case "TERNARY":
		mask := drawValue(t, f.width, "mask")
		if isZero(mask) {
			return nil
		}
		m.FieldMatchType = &p4v1.FieldMatch_Ternary_{Ternary: &p4v1.FieldMatch_Ternary{Value: and(v, mask), Mask: mask}}
	case "RANGE":
		w := drawValue(t, f.width, "other")
		if bytes.Compare(padded(v, n), padded(w, n)) > 0 {
			v, w = w, v
		}
		if isZero(v) && bytes.Equal(padded(w, n), ones(f.width)) {
			return nil
		}
		m.FieldMatchType = &p4v1.FieldMatch_Range_{Range: &p4v1.FieldMatch_Range{Low: v, High: w}}
	}
	return m
}

// padMatch adds leading zeros to every value. This does not change the match's meaning.
func padMatch(m *p4v1.FieldMatch) {
	pad := func(b *[]byte) { *b = append([]byte{0}, *b...) }
	switch v := m.FieldMatchType.(type) {
	case *p4v1.FieldMatch_Exact_:
		pad(&v.Exact.Value)
	case *p4v1.FieldMatch_Optional_:
		pad(&v.Optional.Value)
	case *p4v1.FieldMatch_Lpm:
		pad(&v.Lpm.Value)
	case *p4v1.FieldMatch_Ternary_:
		pad(&v.Ternary.Value)
		pad(&v.Ternary.Mask)
	case *p4v1.FieldMatch_Range_:
		pad(&v.Range.Low)
		pad(&v.Range.High)
	}
}
