package telemetry

// A cell is the state of one 64-bit counter of a switch.
//
// raw is the last reported value. Consumers see the sum of raw and off, which never decreases (modulo 2^64) and begins at the first reported value.
// While the switch does not restart, off is 0 and the sum equals raw.
type cell struct {
	raw uint64
	rest
	known bool // the target reports the counter
}

// A rest holds the fields of a cell that are zero until a counter falls.
type rest struct {
	off uint64
	// debt is how far the reported value must rise before the total grows again. It is only used for targets that report a boot-time.
	debt uint64
}

// total returns the value that consumers see.
func (c cell) total() uint64 { return c.raw + c.off }

// set stores a reported value. hasBoot states whether the target reports its boot-time. The counters of such a target start from 0 again only after
// a restart.
//
//   - A larger value adds the difference to the total.
//   - A smaller value adds nothing. If the target has a boot-time, the report is old or wrong, and the total grows again once the value exceeds the
//     last one. Otherwise the counter was cleared, and the next difference is relative to the smaller value. The packets between the clearing and
//     the report are lost, because a guess could show traffic that never existed.
//   - A smaller value is a wrap if the last value was in the highest quarter of the range and the new one is in the lowest.
//   - The first value after restart is added in full, because the counter began at 0.
//   - The first value after forget adds nothing to a total that is not zero, unless the target has a boot-time.
func (c *cell) set(v uint64, hasBoot bool) {
	const quarter = 1 << 62
	switch {
	case !c.known && !hasBoot && c.total() != 0:
		c.off = c.total() - v
	case v < c.raw && !(c.raw >= 3*quarter && v < quarter):
		c.off += c.raw - v
		if hasBoot {
			c.debt += c.raw - v
		}
	case c.debt > 0:
		paid := min(v-c.raw, c.debt)
		c.off -= paid
		c.debt -= paid
	}
	c.raw, c.known = v, true
}

// restart sets the base of the next difference to 0, because the switch has restarted its counters.
func (c *cell) restart() {
	if c.known || c.total() != 0 {
		c.off, c.debt, c.raw, c.known = c.total(), 0, 0, true
	}
}

// restarted is like restart, but is called when the restart becomes known only after new values have arrived. If the counter has fallen, its last
// value was not added to the total, so the base becomes 0. If it has not fallen, its value before the restart is no longer known, and the cell keeps
// its base.
func (c *cell) restarted() {
	if c.debt > 0 || !c.known {
		c.restart()
	}
}

// forget handles a deleted leaf. Unless the target has a boot-time, forget removes the base, because a new leaf of the same name may begin at
// another value.
func (c *cell) forget(hasBoot bool) {
	c.known = false
	if !hasBoot {
		c.off, c.debt, c.raw = c.total(), 0, 0
	}
}
