package engine

import (
	"fmt"
	"unsafe"

	"op25b/internal/softswitch/extern"
)

// The bounds of a program, checked before memory is allocated. A client pushes a program, and a short text can require much memory: one
// line defines an array of 2^24 cells of 2^16 bits, 128 GiB.
const (
	// DefaultMaxState is the memory in bytes of a program's arrays (counters, meters, registers, digests) and of its links between tables
	// and actions. op25b's pipeline takes about 10 MiB.
	DefaultMaxState = 256 << 20
	// maxDepth is the largest nesting of the JSON. p4c nests an expression in four levels a node; the deepest of p4c's own samples have 90.
	maxDepth = 512
	// maxNodes is the largest number of objects and arrays in the JSON: about 400 bytes each when parsed, 400 MiB in all. op25b's has
	// 8,400.
	maxNodes = 1 << 20
	// maxValues is the largest number of values in the JSON, at 24 bytes each.
	maxValues = 4 << 20
	// maxWorker is the largest memory in bytes of one packet in progress. There is one for each port, 512 at most.
	maxWorker = 2 << 20
	// maxCells bounds one array, so that a typing error is reported as such.
	maxCells = 1 << 24
)

// measure checks the depth and size of a JSON text before it is parsed. Syntax errors are left to the parser.
func measure(text []byte) error {
	depth, nodes, values := 0, 0, 0
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			nodes++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
		switch {
		case depth > maxDepth:
			return fmt.Errorf("%w: byte %d: nested more than %d levels deep", ErrProgram, i, maxDepth)
		case nodes > maxNodes:
			return fmt.Errorf("%w: byte %d: more than %d objects and arrays", ErrProgram, i, maxNodes)
		case values > maxValues:
			return fmt.Errorf("%w: byte %d: more than %d values", ErrProgram, i, maxValues)
		}
	}
	return nil
}

// reserve adds n objects of size bytes each to the program's state, within its bound.
func (c *compiler) reserve(n, size int, format string, args ...any) {
	most := c.e.o.MaxState
	need := int64(n) * int64(size) // at most 2^24 * 2^13 for arrays, 2^20 * 2^20 for links
	if need > most-c.reserved {
		c.fail(ErrProgram, "%s: %d cells of %d bytes need %d bytes; the program's state may take %d, of which %d are taken",
			fmt.Sprintf(format, args...), n, size, need, most, c.reserved)
	}
	c.reserved += need
}

// size checks the number of cells of an array.
func (c *compiler) size(kind, name string, n int) int {
	if n < 0 || n > maxCells {
		c.fail(ErrProgram, "%s %q: size %d, must be 0 to %d", kind, name, n, maxCells)
	}
	return n
}

// fitsWorker checks the memory of one packet in progress.
func (c *compiler) fitsWorker(pr *program) {
	need := 8*(c.l.slots+pr.scratch+pr.keyMax) + c.l.varBytes + pr.bufMax + pr.head
	if need > maxWorker {
		c.fail(ErrProgram, "a packet's headers, metadata and intermediate values need %d bytes; %d is the most", need, maxWorker)
	}
}

// The sizes of cells in bytes.
const (
	counterBytes = int(unsafe.Sizeof(CounterValue{}))
	meterBytes   = int(unsafe.Sizeof(extern.Meter{}))
)
