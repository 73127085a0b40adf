package register

import (
	"net/netip"

	"op25b/internal/subscriber"
)

// A Found is a line with its session.
type Found struct {
	subscriber.Line
	Session subscriber.Session
}

// Holder returns the line that has an address by its session. It returns false if no line has it, or if the sessions have not been read yet.
func (r *Register) Holder(a netip.Addr) (Found, bool) {
	if !r.isReady() {
		return Found{}, false
	}
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	name, ok := r.table.Holder(a, now)
	if !ok {
		return Found{}, false
	}
	line, known := r.lines.Line(name)
	s, alive := r.table.Session(name, now)
	return Found{line, s}, known && alive
}

// alive returns the number of lines that have a session.
func (r *Register) alive() int {
	now, n := r.now(), 0
	r.mu.RLock()
	defer r.mu.RUnlock()
	for line := range r.table.Records() {
		if _, ok := r.table.Session(line, now); ok {
			n++
		}
	}
	return n
}

// A Count is the number of lines of a switch that can have a session, and of those that have one.
type Count struct{ Lines, Sessions int }

// Counts returns the number of sessions of each switch with lines that can have one. It returns ErrNotReady before the sessions were read.
func (r *Register) Counts() (map[string]Count, error) {
	if !r.isReady() {
		return nil, ErrNotReady
	}
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make(map[string]Count)
	for sw, n := range r.lines.PerSwitch() {
		all[sw] = Count{Lines: n}
	}
	for name := range r.table.Records() {
		if line, ok := r.lines.Line(name); ok {
			if _, ok := r.table.Session(name, now); ok {
				c := all[line.Switch]
				c.Sessions++
				all[line.Switch] = c
			}
		}
	}
	return all, nil
}
