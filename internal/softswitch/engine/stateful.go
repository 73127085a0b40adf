package engine

import (
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"

	"op25b/internal/softswitch/extern"
)

// A Counter is an indexed counter of the program. Its methods may run concurrently with Process.
type Counter struct {
	name  string
	cells []CounterValue // the fields of the cells are accessed atomically
}

// Name returns the counter's name in the program.
func (c *Counter) Name() string { return c.name }

// Size returns the number of cells.
func (c *Counter) Size() int { return len(c.cells) }

// Read returns the value of a cell.
func (c *Counter) Read(index int) (CounterValue, error) {
	if index < 0 || index >= len(c.cells) {
		return CounterValue{}, indexErr("counter", c.name, index, len(c.cells))
	}
	v := &c.cells[index]
	return CounterValue{atomic.LoadUint64(&v.Packets), atomic.LoadUint64(&v.Bytes)}, nil
}

// Write sets the value of a cell.
func (c *Counter) Write(index int, v CounterValue) error {
	if index < 0 || index >= len(c.cells) {
		return indexErr("counter", c.name, index, len(c.cells))
	}
	atomic.StoreUint64(&c.cells[index].Packets, v.Packets)
	atomic.StoreUint64(&c.cells[index].Bytes, v.Bytes)
	return nil
}

// count adds one packet of n bytes. If the index is out of range, count has no effect, as in bmv2.
func (c *Counter) count(index uint64, n int) {
	if index < uint64(len(c.cells)) {
		atomic.AddUint64(&c.cells[index].Packets, 1)
		atomic.AddUint64(&c.cells[index].Bytes, uint64(n))
	}
}

func indexErr(kind, name string, index, size int) error {
	return fmt.Errorf("%s %q: index %d: %w: it has cells 0 to %d", kind, name, index, ErrNotFound, size-1)
}

// A Meter is an indexed meter of the program. Its methods may run concurrently with Process.
type Meter struct {
	name  string
	unit  extern.Unit
	cells *extern.Meters
}

// Name returns the meter's name in the program.
func (m *Meter) Name() string { return m.name }

// Size returns the number of cells.
func (m *Meter) Size() int { return m.cells.Len() }

// Unit returns the unit that the meter measures.
func (m *Meter) Unit() extern.Unit { return m.unit }

// Read returns the configuration of a cell. It returns false if the cell has no configuration, in which case the cell returns green for
// every packet.
func (m *Meter) Read(index int) (extern.MeterConfig, bool, error) {
	c, err := m.cells.At(int64(index))
	if err != nil {
		return extern.MeterConfig{}, false, indexErr("meter", m.name, index, m.Size())
	}
	cfg, ok := c.Config()
	return cfg, ok, nil
}

// Write configures a cell. If cfg is nil, it removes the cell's configuration.
func (m *Meter) Write(index int, cfg *extern.MeterConfig) error {
	c, err := m.cells.At(int64(index))
	if err != nil {
		return indexErr("meter", m.name, index, m.Size())
	}
	if cfg == nil {
		c.Reset()
		return nil
	}
	if err := c.Configure(*cfg); err != nil {
		return fmt.Errorf("meter %q: index %d: %w: %w", m.name, index, ErrInvalid, err)
	}
	return nil
}

// A Register is a register array of the program. Its methods may run concurrently with Process. An action holds the locks of its
// registers while it runs, so to other workers its reads and writes are atomic.
type Register struct {
	name  string
	width int
	words int // number of words in a cell; the most significant word is first
	size  int

	mu    sync.Mutex // guards cells
	cells []uint64
}

// Name returns the register's name in the program.
func (r *Register) Name() string { return r.name }

// Size returns the number of cells.
func (r *Register) Size() int { return r.size }

// Width returns the width of a cell in bits.
func (r *Register) Width() int { return r.width }

// Read returns the value of a cell as (Width+7)/8 big-endian bytes.
func (r *Register) Read(index int) ([]byte, error) {
	if index < 0 || index >= r.size {
		return nil, indexErr("register", r.name, index, r.size)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytesOf(r.cells[index*r.words:][:r.words], r.width), nil
}

// Write sets the value of a cell from big-endian bytes, which must fit into Width bits.
func (r *Register) Write(index int, value []byte) error {
	if index < 0 || index >= r.size {
		return indexErr("register", r.name, index, r.size)
	}
	w, err := wordsOf(value, r.width)
	if err != nil {
		return fmt.Errorf("register %q: index %d: %w", r.name, index, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	copy(r.cells[index*r.words:], w)
	return nil
}

// Reset sets all cells of the register to zero.
func (r *Register) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.cells)
}

// span returns the range of a cell's values.
func (r *Register) span() (lo, hi *big.Int) { return (&field{width: r.width}).span() }
