// Package extern implements the algorithms of v1model's externs: hashes, the Internet checksum and the two-rate meter. For the same input,
// each algorithm returns the same bits as the reference switch bmv2, so a program behaves the same on both.
//
// The package handles only bytes, numbers and time. The engine decides which fields are hashed and where the result is stored.
package extern

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync/atomic"
)

// A Hash is an algorithm of v1model's HashAlgorithm. It is safe for concurrent use and does not allocate.
type Hash struct {
	name   string
	width  int
	sum    func([]byte) uint64
	custom atomic.Pointer[crcTable] // non-nil only for the custom CRCs
}

// An algorithm describes a hash algorithm and creates its Hash.
type algorithm struct {
	name  string
	width int // width of the result, in bits
	start func(h *Hash, random func() uint64)
}

// algorithms returns the algorithms of v1model's HashAlgorithm, in the order of its declaration.
func algorithms() []algorithm {
	pure := func(f func([]byte) uint64) func(*Hash, func() uint64) {
		return func(h *Hash, _ func() uint64) { h.sum = f }
	}
	custom := func(c CRC) func(*Hash, func() uint64) {
		return func(h *Hash, _ func() uint64) {
			h.custom.Store(newCRCTable(c, h.width))
			h.sum = func(b []byte) uint64 { return h.custom.Load().sum(b) }
		}
	}
	return []algorithm{
		{"crc32", 32, pure(func(b []byte) uint64 { return uint64(crc32.ChecksumIEEE(b)) })},
		{"crc32_custom", 32, custom(CRC32())},
		{"crc16", 16, func(h *Hash, _ func() uint64) { h.sum = newCRCTable(CRC16(), h.width).sum }},
		{"crc16_custom", 16, custom(CRC16())},
		{"random", 64, func(h *Hash, random func() uint64) { h.sum = func([]byte) uint64 { return random() } }},
		{"identity", 64, pure(identity)},
		{"csum16", 16, pure(func(b []byte) uint64 { return uint64(Checksum16(b)) })},
		{"xor16", 16, pure(xor16)},
	}
}

// NewHash returns the algorithm with the given name, which is the same in v1model and in bmv2's JSON. random is the source for the
// algorithm "random" and must be safe for concurrent use. If random is nil, NewHash uses a source that the system seeds. NewHash returns
// ErrAlgorithm if the name is unknown.
func NewHash(name string, random func() uint64) (*Hash, error) {
	if random == nil {
		random = rand.Uint64
	}
	all := algorithms()
	names := make([]string, len(all))
	for i, a := range all {
		if a.name == name {
			h := &Hash{name: name, width: a.width}
			a.start(h, random)
			return h, nil
		}
		names[i] = a.name
	}
	return nil, fmt.Errorf("%w %q, must be one of %s", ErrAlgorithm, name, strings.Join(names, ", "))
}

// Name returns the name of the algorithm in v1model.
func (h *Hash) Name() string { return h.name }

// Width returns the width of Sum's result in bits: 16, 32 or 64.
func (h *Hash) Width() int { return h.width }

// Sum returns the hash of b, right-aligned.
func (h *Hash) Sum(b []byte) uint64 { return h.sum(b) }

// SetCRC changes the parameters of crc16_custom or crc32_custom. A concurrent Sum uses either the old or the new parameters.
func (h *Hash) SetCRC(c CRC) error {
	if h.custom.Load() == nil {
		return fmt.Errorf("%w: %q takes no parameters, only crc16_custom and crc32_custom do", ErrAlgorithm, h.name)
	}
	for _, p := range []struct {
		what string
		v    uint64
	}{{"polynomial", c.Polynomial}, {"initial remainder", c.Initial}, {"final xor", c.FinalXor}} {
		if p.v>>h.width != 0 {
			return fmt.Errorf("%w: %s: %s %#x does not fit %d bits", ErrCRC, h.name, p.what, p.v, h.width)
		}
	}
	h.custom.Store(newCRCTable(c, h.width))
	return nil
}

// InRange maps a hash to the range [base, base+size-1], as v1model's hash() does. If size is 0, the result is base. The addition wraps at
// 64 bits.
func InRange(sum, base, size uint64) uint64 {
	if size == 0 {
		return base
	}
	return base + sum%size
}

// identity returns the first 8 bytes of b as a number, or all bytes if there are fewer.
func identity(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// xor16 returns the xor of the 16-bit words of b. If the length is odd, the last byte is the high half of a word.
func xor16(b []byte) uint64 {
	var v uint64
	for ; len(b) >= 8; b = b[8:] {
		v ^= binary.BigEndian.Uint64(b)
	}
	v ^= v >> 32
	v = (v ^ v>>16) & 0xffff
	for ; len(b) >= 2; b = b[2:] {
		v ^= uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		v ^= uint64(b[0]) << 8
	}
	return v
}
