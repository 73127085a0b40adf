package extern

import "fmt"

// Meters is an indexed array of meters. It implements v1model's meter extern and is safe for concurrent use.
type Meters struct {
	name  string
	cells []Meter
}

// NewMeters returns an array of size meters without a configuration. The name is used in error messages.
func NewMeters(name string, unit Unit, size int, clock Clock) (*Meters, error) {
	if size < 0 {
		return nil, fmt.Errorf("meter %s: %w: size is %d, must be at least 0", name, ErrMeterIndex, size)
	}
	a := &Meters{name: name, cells: make([]Meter, size)}
	for i := range a.cells {
		a.cells[i].start(unit, clock)
	}
	return a, nil
}

// Len returns the number of meters.
func (a *Meters) Len() int { return len(a.cells) }

// At returns the meter at index. It returns ErrMeterIndex if the index is out of range.
func (a *Meters) At(index int64) (*Meter, error) {
	if index < 0 || index >= int64(len(a.cells)) {
		return nil, fmt.Errorf("meter %s: %w: %d, must be 0 to %d", a.name, ErrMeterIndex, index, len(a.cells)-1)
	}
	return &a.cells[index], nil
}

// Execute runs the meter at index for a packet of length bytes. If the index is out of range, Execute returns false, and the caller must
// leave the result field of execute_meter unchanged, as bmv2 does.
func (a *Meters) Execute(index uint64, length int, pre Color) (Color, bool) {
	if index >= uint64(len(a.cells)) {
		return Green, false
	}
	return a.cells[index].Execute(length, pre), true
}
