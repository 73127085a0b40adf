package p4source

import (
	"context"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/openconfig"
)

// LinesOf returns the lines whose counters are not all zero. cell returns the packets and octets of a
// cell.
func (l *LineLayout) LinesOf(cell func(index int64) openconfig.Tally) []openconfig.Line {
	var met []openconfig.Line
	for id := range l.Lines() {
		first := id << l.OutcomeBits
		line := openconfig.Line{
			ID: uint32(id), Passed: cell(first + outcomePassed), Monitored: cell(first + outcomeMonitored),
			Stopped: cell(first + outcomeStopped), Unsolicited: cell(first + outcomeUnsolicited),
		}
		if line.Passed.Packets|line.Monitored.Packets|line.Stopped.Packets|line.Unsolicited.Packets != 0 {
			met = append(met, line)
		}
	}
	return met
}

// readLines reads the cells of all lines in one request.
func (s *Source) readLines(ctx context.Context, layout *LineLayout) ([]openconfig.Line, error) {
	cells, err := s.readCells(ctx, layout.CounterID, layout.CounterName, layout.Size)
	if err != nil {
		return nil, err
	}
	return layout.LinesOf(func(i int64) openconfig.Tally { return cells[i] }), nil
}

// readCells reads all cells of a counter in one request.
func (s *Source) readCells(ctx context.Context, id uint32, name string, size int64) ([]openconfig.Tally, error) {
	answer, err := s.read(ctx, []*p4v1.Entity{{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{CounterId: id}}}})
	if err != nil {
		return nil, fmt.Errorf("counter %q: %w", name, err)
	}
	cells := make([]openconfig.Tally, size)
	for _, e := range answer {
		c := e.GetCounterEntry()
		i := c.GetIndex().GetIndex()
		if c == nil || c.GetCounterId() != id || c.GetIndex() == nil || i < 0 || i >= size {
			return nil, fmt.Errorf("%w: counter %q with %d cells: got %v", ErrRead, name, size, e)
		}
		if cells[i], err = tallyOf(c.GetData()); err != nil {
			return nil, fmt.Errorf("%w: counter %q: cell %d: %w", ErrRead, name, i, err)
		}
	}
	return cells, nil
}

// tallyOf returns the counts of a cell. The data of a cell with zero counts may be absent.
func tallyOf(d *p4v1.CounterData) (openconfig.Tally, error) {
	if d.GetPacketCount() < 0 || d.GetByteCount() < 0 {
		return openconfig.Tally{}, fmt.Errorf("%d packets and %d bytes; they must be 0 or more", d.GetPacketCount(), d.GetByteCount())
	}
	return openconfig.Tally{Packets: uint64(d.GetPacketCount()), Octets: uint64(d.GetByteCount())}, nil
}
