package ledger

import (
	"cmp"
	"slices"

	"op25b/internal/lease"
)

// A Held is a lease with the switch of its line. The lease of an address has no switch: it holds on each switch with addressLeases.
type Held struct {
	lease.Lease
	Switch string
}

// List returns the leases that hold, ordered by line, and then those of addresses, ordered by address: at most the given number, of the lines for
// which keep returns true. total is the number of all such leases. It returns ErrNotReady before the leases have been read.
func (l *Ledger) List(most int, keep func(Held) bool) (some []Held, total int, err error) {
	r, err := l.current()
	if err != nil {
		return nil, 0, err
	}
	now := l.now()
	l.mu.RLock()
	var all []lease.Lease
	for held := range l.table.All() {
		if held.Holds(now) {
			all = append(all, held)
		}
	}
	l.mu.RUnlock()
	for _, held := range all {
		if ended, known := l.ended(r, held); ended || !known {
			continue
		}
		h := Held{Lease: held}
		if sw, _, ok := r.lines.Line(held.Holder.Line); ok {
			h.Switch = sw.Name
		}
		if keep(h) {
			some = append(some, h)
		}
	}
	slices.SortFunc(some, func(a, b Held) int {
		return cmp.Or(a.Holder.Address.Compare(b.Holder.Address), cmp.Compare(a.Holder.Line, b.Holder.Line)) // a line has the zero Addr, which is first
	})
	return some[:min(most, len(some))], len(some), nil
}
