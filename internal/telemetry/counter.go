package telemetry

// A cell is the state of one 64-bit counter of a switch.
//
// raw is the last reported value. The value that consumers see is the sum of raw and off, which only ever grows (modulo 2^64). It begins
// at the first reported value. While the switch does not restart, off is 0 and the sum equals raw.
type cell struct {
	raw, off uint64
	known    bool // raw is the base of the next difference
}

// total returns the value that consumers see.
func (c cell) total() uint64 { return c.raw + c.off }

// set takes a reported value:
//
//   - A larger value adds the difference to the total.
//   - A smaller value adds nothing, and becomes the base of the next difference. The counter was cleared, or the report is wrong. The
//     packets between the clearing and the report are lost, because guessing them could show traffic that never was.
//   - A smaller value is a wrap if the last value was in the highest quarter of the range and the new one is in the lowest.
//   - The first value after restart is added as a whole, because the counter began at 0.
//   - The first value after forget adds nothing to a total that is not zero.
func (c *cell) set(v uint64) {
	const quarter = 1 << 62
	switch {
	case !c.known && c.total() != 0:
		c.off = c.total() - v
	case c.known && v < c.raw && !(c.raw >= 3*quarter && v < quarter):
		c.off += c.raw - v
	}
	c.raw, c.known = v, true
}

// restart makes 0 the base of the next difference, because the switch has restarted its counters.
func (c *cell) restart() {
	if c.known || c.total() != 0 {
		c.off, c.raw, c.known = c.total(), 0, true
	}
}

// forget removes the base. It is for a deleted leaf, because a new leaf of that name need not begin at 0.
func (c *cell) forget() { c.off, c.raw, c.known = c.total(), 0, false }
