package p4fuzz

import (
	"math/big"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
)

func (d *Drawer) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.r.IntN(256))
	}
	return b
}

// number draws a number of the given width. It is a small number, one of the two largest, or any
// number.
func (d *Drawer) number(bits int32) *big.Int {
	most := ones(bits)
	n := number(d.bytes(int(bits+7) / 8))
	switch d.r.IntN(8) {
	case 0, 1, 2:
		n = big.NewInt(d.r.Int64N(5))
	case 3:
		n.Sub(most, big.NewInt(d.r.Int64N(2)))
	case 4:
		n.Rsh(n, uint(d.r.Int32N(bits)))
	}
	return n.And(n, most)
}

// match draws a match on a field. It returns nil to omit the field.
func (d *Drawer) match(f *configv1.MatchField) *p4v1.FieldMatch {
	bits := f.GetBitwidth()
	x := &p4v1.FieldMatch{FieldId: f.GetId()}
	leave := d.r.IntN(3) == 0
	switch f.GetMatchType() {
	case configv1.MatchField_EXACT:
		x.FieldMatchType = &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: bytesOf(d.number(bits))}}
	case configv1.MatchField_LPM:
		length := 1 + d.r.Int32N(bits)
		if leave && d.r.IntN(10) == 0 {
			return nil
		}
		n := d.number(bits)
		x.FieldMatchType = &p4v1.FieldMatch_Lpm{Lpm: &p4v1.FieldMatch_LPM{Value: bytesOf(n.And(n, prefixMask(length, bits))), PrefixLen: length}}
	case configv1.MatchField_TERNARY:
		mask := ones(bits)
		if d.r.IntN(6) == 0 {
			mask = d.number(bits)
		}
		if leave || mask.Sign() == 0 {
			return nil
		}
		n := d.number(bits)
		x.FieldMatchType = &p4v1.FieldMatch_Ternary_{Ternary: &p4v1.FieldMatch_Ternary{Value: bytesOf(n.And(n, mask)), Mask: bytesOf(mask)}}
	case configv1.MatchField_RANGE:
		low, high := d.number(bits), d.number(bits)
		if low.Cmp(high) > 0 {
			low, high = high, low
		}
		if leave || low.Sign() == 0 && wholeBytes(high) {
			return nil
		}
		x.FieldMatchType = &p4v1.FieldMatch_Range_{Range: &p4v1.FieldMatch_Range{Low: bytesOf(low), High: bytesOf(high)}}
	case configv1.MatchField_OPTIONAL:
		if leave {
			return nil
		}
		x.FieldMatchType = &p4v1.FieldMatch_Optional_{Optional: &p4v1.FieldMatch_Optional{Value: bytesOf(d.number(bits))}}
	}
	return x
}

// wholeBytes reports whether all bits of the bytes that encode n are set, as those of 255. bmv2 takes a range from 0 to such a number for the range
// of all values, because it looks only at the bytes that it gets; TestBMv2Ranges shows that.
func wholeBytes(n *big.Int) bool {
	return n.Sign() > 0 && n.BitLen()%8 == 0 && n.Cmp(ones(int32(n.BitLen()))) == 0
}
