package extern

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func hashOf(t testing.TB, name string) *Hash {
	t.Helper()
	h, err := NewHash(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHashVectors checks the algorithms against published check values and against results computed by hand.
func TestHashVectors(t *testing.T) {
	check := "123456789" // the input for which every CRC catalogue gives check values
	for _, c := range []struct {
		name, in string
		want     uint64
	}{
		{"crc32", check, 0xcbf43926},
		{"crc32", "", 0},
		{"crc32", "a", 0xe8b7be43},
		{"crc32_custom", check, 0xcbf43926},
		{"crc16", check, 0xbb3d},
		{"crc16", "", 0},
		{"crc16_custom", check, 0xbb3d},
		{"csum16", "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 0x220d}, // the example of RFC 1071, section 3, whose sum is ddf2
		{"csum16", "", 0xffff},
		{"csum16", "\x00\x00", 0xffff},
		{"csum16", "\xff\xff", 0},
		{"csum16", "\xab", 0x54ff}, // a single byte is the high half of a word
		// The header from the example in Wikipedia's article on the IPv4 header checksum, with the checksum field set to zero.
		{"csum16", "\x45\x00\x00\x73\x00\x00\x40\x00\x40\x11\x00\x00\xc0\xa8\x00\x01\xc0\xa8\x00\xc7", 0xb861},
		// The results of bmv2 for these bytes.
		{"crc16", "\x0b\xb8\x1f\x90", 0x5d8a},
		{"crc32", "\x0b\xb8\x1f\x90", 0x005d6a6f},
		{"xor16", "\x0b\xb8\x1f\x90", 0x1428},
		{"xor16", "\x0b\xb8\x1f\x90\x5a", 0x4e28},
		{"xor16", "", 0},
		{"xor16", "\x12\x34", 0x1234},
		{"xor16", "\x12\x34\x56", 0x1234 ^ 0x5600},
		{"xor16", "\x01\x00\x02\x00\x04\x00\x08\x00\x10\x00\x20\x00\x40", 0x7f00},
		{"identity", "", 0},
		{"identity", "\x12", 0x12},
		{"identity", "\x12\x34\x56", 0x123456},
		{"identity", "\xff\x34\x56\x78\x9a\xbc\xde\xf0", 0xff3456789abcdef0},
		{"identity", "\xff\x34\x56\x78\x9a\xbc\xde\xf0\x11\x22", 0xff3456789abcdef0},
	} {
		h := hashOf(t, c.name)
		if got := h.Sum([]byte(c.in)); got != c.want {
			t.Errorf("%s of %x = %#x, want %#x", c.name, c.in, got, c.want)
		}
	}
}

// TestCustomCRC checks published parameter sets, with every combination of reflections, against their published check values.
func TestCustomCRC(t *testing.T) {
	for _, c := range []struct {
		published, hash string
		crc             CRC
		want            uint64
	}{
		{"CRC-16/IBM-3740 (CCITT-FALSE)", "crc16_custom", CRC{0x1021, 0xffff, 0, false, false}, 0x29b1},
		{"CRC-16/XMODEM", "crc16_custom", CRC{0x1021, 0, 0, false, false}, 0x31c3},
		{"CRC-16/KERMIT", "crc16_custom", CRC{0x1021, 0, 0, true, true}, 0x2189},
		{"CRC-16/IBM-SDLC (X-25)", "crc16_custom", CRC{0x1021, 0xffff, 0xffff, true, true}, 0x906e},
		{"CRC-16/UMTS (BUYPASS)", "crc16_custom", CRC{0x8005, 0, 0, false, false}, 0xfee8},
		{"CRC-16/RIELLO", "crc16_custom", CRC{0x1021, 0xb2aa, 0, true, true}, 0x63d0}, // the initial remainder is not a palindrome
		{"CRC-32/BZIP2", "crc32_custom", CRC{0x04c11db7, 0xffffffff, 0xffffffff, false, false}, 0xfc891918},
		{"CRC-32/MPEG-2", "crc32_custom", CRC{0x04c11db7, 0xffffffff, 0, false, false}, 0x0376e6e7},
		{"CRC-32/ISCSI (Castagnoli)", "crc32_custom", CRC{0x1edc6f41, 0xffffffff, 0xffffffff, true, true}, 0xe3069283},
	} {
		h := hashOf(t, c.hash)
		if err := h.SetCRC(c.crc); err != nil {
			t.Fatal(err)
		}
		if got := h.Sum([]byte("123456789")); got != c.want {
			t.Errorf("%s: %#x, want %#x", c.published, got, c.want)
		}
	}
}

// bitwiseCRC computes a CRC by its definition, one bit at a time, without a table.
func bitwiseCRC(c CRC, width int, b []byte) uint64 {
	reflect := func(v uint64, n int) (r uint64) {
		for i := range n {
			r |= v >> i & 1 << (n - 1 - i)
		}
		return r
	}
	mask := uint64(1)<<width - 1
	r := c.Initial
	for _, x := range b {
		v := uint64(x)
		if c.ReflectData {
			v = reflect(v, 8)
		}
		r ^= v << (width - 8)
		for range 8 {
			top := r >> (width - 1) & 1
			r = r << 1 & mask
			if top == 1 {
				r ^= c.Polynomial
			}
		}
	}
	if c.ReflectRemainder {
		r = reflect(r, width)
	}
	return r ^ c.FinalXor
}

// TestCRCAgainstDefinition compares every combination of reflections with the definition. For mixed reflections there are no
// published values.
func TestCRCAgainstDefinition(t *testing.T) {
	for name, width := range map[string]int{"crc16_custom": 16, "crc32_custom": 32} {
		rapid.Check(t, func(t *rapid.T) {
			word := rapid.Uint64Range(0, 1<<width-1)
			c := CRC{
				word.Draw(t, "polynomial"), word.Draw(t, "initial"), word.Draw(t, "final"),
				rapid.Bool().Draw(t, "data"), rapid.Bool().Draw(t, "remainder"),
			}
			h, err := NewHash(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.SetCRC(c); err != nil {
				t.Fatal(err)
			}
			b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
			if got, want := h.Sum(b), bitwiseCRC(c, width, b); got != want {
				t.Fatalf("%+v of %x = %#x, want %#x", c, b, got, want)
			}
		})
	}
}

func TestXor16AgainstDefinition(t *testing.T) {
	h := hashOf(t, "xor16")
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		var want uint64
		for i, x := range b {
			want ^= uint64(x) << (8 * (1 - i%2))
		}
		if got := h.Sum(b); got != want {
			t.Fatalf("xor16 of %x = %#x, want %#x", b, got, want)
		}
	})
}

func TestHashNamesAndWidths(t *testing.T) {
	for name, width := range map[string]int{
		"crc32": 32, "crc32_custom": 32, "crc16": 16, "crc16_custom": 16,
		"random": 64, "identity": 64, "csum16": 16, "xor16": 16,
	} {
		h := hashOf(t, name)
		if h.Name() != name || h.Width() != width {
			t.Errorf("%s: name %s, width %d, want %d", name, h.Name(), h.Width(), width)
		}
		if width < 64 && h.Sum([]byte("a longer input than the width"))>>width != 0 {
			t.Errorf("%s: result wider than %d bits", name, width)
		}
	}
	_, err := NewHash("md5", nil)
	want := `unknown hash algorithm "md5", must be one of crc32, crc32_custom, crc16, crc16_custom, random, identity, csum16, xor16`
	if !errors.Is(err, ErrAlgorithm) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestRandomDrawsFromItsSource(t *testing.T) {
	next := uint64(40)
	h, err := NewHash("random", func() uint64 { next++; return next })
	if err != nil {
		t.Fatal(err)
	}
	if a, b := h.Sum([]byte("x")), h.Sum([]byte("x")); a != 41 || b != 42 {
		t.Errorf("drew %d and %d, want 41 and 42", a, b)
	}
	d := hashOf(t, "random")
	draws := map[uint64]bool{}
	for range 4 {
		draws[d.Sum(nil)] = true
	}
	if len(draws) == 1 {
		t.Error("the default source repeats itself")
	}
}

func TestSetCRCRefuses(t *testing.T) {
	for _, c := range []struct {
		hash string
		crc  CRC
		want error
		says string
	}{
		{"crc16_custom", CRC{Polynomial: 0x18005}, ErrCRC, "crc16_custom: polynomial 0x18005 does not fit 16 bits"},
		{"crc16_custom", CRC{Initial: 0x10000}, ErrCRC, "initial remainder 0x10000"},
		{"crc32_custom", CRC{FinalXor: 1 << 32}, ErrCRC, "final xor 0x100000000 does not fit 32 bits"},
		{"crc16", CRC{}, ErrAlgorithm, `"crc16" takes no parameters`},
	} {
		h := hashOf(t, c.hash)
		before := h.Sum([]byte("123456789"))
		err := h.SetCRC(c.crc)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", c.hash, err, c.says)
		}
		if h.Sum([]byte("123456789")) != before {
			t.Errorf("%s: a refused SetCRC changed it", c.hash)
		}
	}
}

// TestSetCRCConcurrently checks that every sum is computed with either the old or the new parameters.
func TestSetCRCConcurrently(t *testing.T) {
	h := hashOf(t, "crc16_custom")
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 1000 {
			c := CRC16()
			if i%2 == 0 {
				c = CRC{Polynomial: 0x1021} // the parameters of CRC-16/XMODEM
			}
			if err := h.SetCRC(c); err != nil {
				t.Error(err)
			}
		}
	})
	for range 1000 {
		if got := h.Sum([]byte("123456789")); got != 0xbb3d && got != 0x31c3 {
			t.Fatalf("%#x is neither CRC", got)
		}
	}
	wg.Wait()
}

func TestInRange(t *testing.T) {
	for _, c := range []struct{ sum, base, size, want uint64 }{
		{17, 100, 10, 107},
		{17, 100, 1, 100},
		{17, 100, 0, 100},
		{^uint64(0), 0, 1 << 32, 1<<32 - 1},
		{5, ^uint64(0), 10, 4}, // the sum wraps at 64 bits
	} {
		if got := InRange(c.sum, c.base, c.size); got != c.want {
			t.Errorf("InRange(%d, %d, %d) = %d, want %d", c.sum, c.base, c.size, got, c.want)
		}
	}
}

// definedChecksum computes RFC 1071's checksum word by word.
func definedChecksum(b []byte) uint16 {
	sum := 0
	for i, x := range b {
		sum += int(x) << (8 * (1 - i%2))
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestChecksumInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "pieces")
		var c Checksum
		var all []byte
		for _, p := range pieces {
			c.Add(p)
			all = append(all, p...)
			if got, want := c.Sum16(), definedChecksum(all); got != want {
				t.Fatalf("after %x: %#04x, want %#04x", all, got, want)
			}
		}
		if got, want := Checksum16(all), definedChecksum(all); got != want {
			t.Fatalf("Checksum16(%x) = %#04x, want %#04x", all, got, want)
		}
	})
}

// TestChecksumCarries adds 65,537 bytes of 0xff, so that nearly every addition carries.
func TestChecksumCarries(t *testing.T) {
	b := make([]byte, 1<<16+1)
	for i := range b {
		b[i] = 0xff
	}
	if got, want := Checksum16(b), definedChecksum(b); got != want {
		t.Errorf("%#04x, want %#04x", got, want)
	}
}

func TestHashAllocatesNothing(t *testing.T) {
	b := make([]byte, 37)
	for _, a := range algorithms() {
		h := hashOf(t, a.name)
		if n := testing.AllocsPerRun(100, func() { h.Sum(b) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", a.name, n)
		}
	}
	var c Checksum
	if n := testing.AllocsPerRun(100, func() { c.Add(b) }); n != 0 {
		t.Errorf("Checksum: %v allocations, want none", n)
	}
}

func BenchmarkHash(b *testing.B) {
	in := make([]byte, 40)
	for _, a := range algorithms() {
		h := hashOf(b, a.name)
		b.Run(a.name+"/40B", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Sum(in)
			}
		})
	}
	payload := make([]byte, 1460)
	b.Run("csum16/1460B", func(b *testing.B) {
		b.SetBytes(int64(len(payload)))
		for b.Loop() {
			Checksum16(payload)
		}
	})
}
