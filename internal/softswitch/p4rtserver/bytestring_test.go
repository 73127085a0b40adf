package p4rtserver

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestBytestrings checks the examples in the two tables of spec 8.4.
func TestBytestrings(t *testing.T) {
	for _, tc := range []struct {
		width  int
		signed bool
		in     string
		want   string // the value that a read returns; "" if the string is refused
	}{
		{8, false, "\x63", "\x63"},
		{16, false, "\x00\x63", "\x63"},
		{16, false, "\x63", "\x63"},
		{16, false, "\x30\x64", "\x30\x64"},
		{16, false, "\x00\x30\x64", "\x30\x64"},
		{12, false, "\x00\x63", "\x63"},
		{12, false, "\x63", "\x63"},
		{12, false, "\x00\x00\x63", "\x63"},
		{8, true, "\x63", "\x63"},
		{8, true, "\x9d", "\x9d"},
		{8, true, "\xff\x9d", "\x9d"},
		{12, true, "\xfd\x1d", "\xfd\x1d"},
		{16, true, "\x00\x00", "\x00"},
		{16, true, "\x00", "\x00"},

		{8, false, "\x01\x63", ""},
		{8, false, "", ""},
		{16, false, "\x01\x00\x63", ""},
		{12, false, "\x10\x63", ""},
		{12, false, "\x01\x00\x63", ""},
		{12, false, "\x00\x40\x63", ""},
		{8, true, "\x00\x9d", ""},
		{12, true, "\x8d\x1d", ""},
		{16, true, "", ""},
	} {
		read := canonical
		if tc.signed {
			read = canonicalSigned
		}
		got, err := read([]byte(tc.in), tc.width)
		if (err != nil) != (tc.want == "") || string(got) != tc.want {
			t.Errorf("width %d, signed %v, %q: %q, %v; want %q", tc.width, tc.signed, tc.in, got, err, tc.want)
		}
		if err != nil && !errors.Is(err, errBytes) {
			t.Errorf("%q: %v does not wrap errBytes", tc.in, err)
		}
	}
}

func TestBytestringMessages(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		width    int
	}{
		{"", "bad binary string: empty; zero is one zero byte", 8},
		{"\x02\x00", "bad binary string: 0x0200 has 10 bits, the width is 9", 9},
	} {
		if _, err := canonical([]byte(tc.in), tc.width); err == nil || err.Error() != tc.want {
			t.Errorf("%q: %v, want %s", tc.in, err, tc.want)
		}
	}
}

// TestSignedRoundTrip converts two's complement values of every width to a register's word and back.
func TestSignedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 130).Draw(t, "width")
		lo := new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), uint(width-1)))
		span := new(big.Int).Lsh(big.NewInt(1), uint(width))
		raw := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 18).Draw(t, "raw"))
		v := new(big.Int).Add(lo, raw.Mod(raw, span)) // any value of int<width>
		word := new(big.Int).Mod(v, span)             // the two's complement word of v
		c := signExtended(word.Bytes(), width)
		back := new(big.Int).SetBytes(c)
		if c[0] >= 0x80 {
			back.Sub(back, new(big.Int).Lsh(big.NewInt(1), uint(8*len(c))))
		}
		if back.Cmp(v) != 0 {
			t.Fatalf("width %d: %v became %#x, which is %v", width, v, c, back)
		}
		if again, err := canonicalSigned(c, width); err != nil || !bytes.Equal(again, c) {
			t.Fatalf("width %d: %#x is not canonical: %#x, %v", width, c, again, err)
		}
	})
}

// TestBitFields packs fields of any width and reads them back at any offset.
func TestBitFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w bitWriter
		var widths []int
		var values [][]byte
		for range rapid.IntRange(1, 8).Draw(t, "fields") {
			width := rapid.IntRange(1, 70).Draw(t, "width")
			v := padded(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "value"), (width+7)/8)
			maskTo(v, width)
			widths, values = append(widths, width), append(values, v)
			w.put(v, width)
		}
		off := 0
		for i, width := range widths {
			if got := getBits(w.out, off, width); !bytes.Equal(got, values[i]) {
				t.Fatalf("field %d of %v: %#x, want %#x", i, widths, got, values[i])
			}
			off += width
		}
		if len(w.out) != (off+7)/8 {
			t.Fatalf("%d bits in %d bytes", off, len(w.out))
		}
	})
}

func TestPrefixMask(t *testing.T) {
	for _, tc := range []struct {
		plen, width int
		want        string
	}{
		{8, 32, "\xff\x00\x00\x00"},
		{9, 32, "\xff\x80\x00\x00"},
		{32, 32, "\xff\xff\xff\xff"},
		{1, 9, "\x01\x00"},
		{9, 9, "\x01\xff"},
		{0, 9, "\x00\x00"},
	} {
		if got := prefixMask(tc.plen, tc.width); string(got) != tc.want {
			t.Errorf("/%d of %d bits: %#x, want %#x", tc.plen, tc.width, got, tc.want)
		}
	}
}
