package engine

import (
	"fmt"
	"unsafe"

	"op25b/internal/softswitch/extern"
)

// Limits on programs, which are checked before memory is allocated. Clients push programs, and a short text can require much memory. For
// example, one line can define an array of 2^24 cells of 2^16 bits, which needs 128 GiB.
const (
	// DefaultMaxState is the default limit, in bytes, on the memory of a program's arrays (counters, meters, registers, digests) and of the
	// links between its tables and actions. op25b's pipeline takes about 10 MiB.
	DefaultMaxState = 256 << 20
	// maxDepth is the largest nesting depth of the JSON. p4c nests an expression in four levels per node. The deepest of p4c's own samples
	// has 90 levels.
	maxDepth = 512
	// maxNodes is the largest number of objects and arrays in the JSON. A node takes about 400 bytes when parsed, so all nodes take at most
	// 400 MiB. op25b's pipeline has 8,400 nodes.
	maxNodes = 1 << 20
	// maxValues is the largest number of values in the JSON. A value takes 24 bytes.
	maxValues = 4 << 20
	// maxWorker is the largest memory, in bytes, of a packet in progress. At most one packet is in progress at each port, so there are at
	// most 512.
	maxWorker = 2 << 20
	// maxCells is the largest number of cells in one array. The limit detects typing errors in programs.
	maxCells = 1 << 24
)

// measure checks the depth and size of a JSON text before it is parsed. It leaves syntax errors to the parser.
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

// reserve adds n objects of size bytes each to the memory that the program's state needs. If the total exceeds MaxState, reserve stops the
// compilation.
func (c *compiler) reserve(n, size int, format string, args ...any) {
	most := c.e.o.MaxState
	need := int64(n) * int64(size) // at most 2^24 * 2^13 for an array, and 2^20 * 2^20 for links
	if need > most-c.reserved {
		c.fail(ErrProgram, "%s: %d cells of %d bytes need %d bytes; the program's state may take %d, of which %d are taken",
			fmt.Sprintf(format, args...), n, size, need, most, c.reserved)
	}
	c.reserved += need
}

// size checks that the number of cells of an array is within the limits.
func (c *compiler) size(kind, name string, n int) int {
	if n < 0 || n > maxCells {
		c.fail(ErrProgram, "%s %q: size %d, must be 0 to %d", kind, name, n, maxCells)
	}
	return n
}

// fitsWorker checks that a packet in progress needs at most maxWorker bytes.
func (c *compiler) fitsWorker(pr *program) {
	need := 8*(c.l.slots+pr.scratch+pr.keyMax) + c.l.varBytes + pr.bufMax + pr.head
	if need > maxWorker {
		c.fail(ErrProgram, "a packet's headers, metadata and intermediate values need %d bytes; %d is the most", need, maxWorker)
	}
}

// The sizes of array cells, in bytes.
const (
	counterBytes = int(unsafe.Sizeof(CounterValue{}))
	meterBytes   = int(unsafe.Sizeof(extern.Meter{}))
)
