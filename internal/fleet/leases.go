package fleet

import (
	"net/netip"
	"time"

	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/lease"
	"op25b/internal/pipeline"
)

// Leases knows the leases of lines and of addresses outside all lines. *ledger.Ledger implements it.
type Leases interface {
	// Ready returns a channel that is closed when the leases have been read.
	Ready() <-chan struct{}
	// Follow collects the holders of leases of a switch that change, as lease.Holder.Key: see ledger.Ledger.
	Follow(switchName string, news chan<- struct{}) (take func() (holders []string, all bool), stop func())
	// Lease returns the lease that a line has now. has is false if it has none. known is false if this is not known; the switch then keeps the
	// line's entries.
	Lease(line string) (l lease.Lease, has, known bool)
	// AddressLease returns the lease that an address outside all lines has now. The results are as for Lease.
	AddressLease(netip.Addr) (l lease.Lease, has, known bool)
	// Addresses returns the addresses that have a lease, or had one a moment ago.
	Addresses() []netip.Addr
	// Clock reports that the clock of a switch can be read, or why not. Without its clock, a switch cannot have leases.
	Clock(switchName string, err error)
}

// wanted is what the layer of a switch should be at one moment.
type wanted struct {
	sessions Sessions // nil if the sessions are not known
	leases   Leases   // nil if the leases are not known
	// until returns the second of the switch's clock at which a time comes; ok is false if the clock is not known.
	until  func(end time.Time) (pipeline.ClockSecond, bool)
	ending bring.Ending // computes the ends of exemptions
}

// addresses returns the prefixes that a line has by its session. A line that cannot have a session has none.
func (w wanted) addresses(lines *compile.SessionLines, line string) (prefixes []netip.Prefix, has, known bool) {
	switch {
	case !lines.HasSessions(line):
		return nil, false, true
	case w.sessions == nil:
		return nil, false, false
	}
	return w.sessions.Addresses(line)
}

// lease returns the name and the end of the lease that a line or an address has.
func (w wanted) lease(h lease.Holder) (name string, end time.Time, has, known bool) {
	if w.leases == nil {
		return "", time.Time{}, false, false
	}
	var l lease.Lease
	if h.Line == "" {
		l, has, known = w.leases.AddressLease(h.Address)
	} else {
		l, has, known = w.leases.Lease(h.Line)
	}
	return l.Name, l.End, has, known
}

// addressesLeased returns the addresses that have a lease, as keys of the layer.
func (w wanted) addressesLeased() (keys []string) {
	if w.leases == nil {
		return nil
	}
	for _, a := range w.leases.Addresses() {
		keys = append(keys, lease.Holder{Address: a}.Key())
	}
	return keys
}

// wants returns what the layer should be now.
func (w *worker) wants() wanted {
	ending, _ := w.ending()
	from := wanted{sessions: w.c.Sessions, until: w.until, ending: ending}
	if w.knowsLeases() {
		from.leases = w.c.Leases
	}
	return from
}

// until returns the second of the switch's clock at which a time comes. The time is of the clock by which leases are granted, which need not be
// the clock of this host.
func (w *worker) until(end time.Time) (pipeline.ClockSecond, bool) {
	now := time.Now()
	return w.clock.Until(now.Add(end.Sub(w.c.Now())), now)
}

// knowsLeases reports whether the leases have been read.
func (w *worker) knowsLeases() bool { return w.c.Leases != nil && isClosed(w.c.Leases.Ready()) }

// reportClock reports whether the clock of the switch could be read, if that differs from what the status says.
func (w *worker) reportClock(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	w.mu.Lock()
	same := w.status.NoClock == why
	w.mu.Unlock()
	if !same {
		w.report(func(st *Status) error { st.NoClock = why; return nil })
	}
}

// observe takes a reading of the switch's clock, or the reason why there is none. If the clock is another one than before, the ends of leases are
// computed again.
func (w *worker) observe(r *clockReader, taken clockTaken) {
	if taken.err != nil && w.clock.Known() {
		return // the last reading still serves
	}
	if w.c.Leases != nil && (!w.clockTold || (w.clockErr == nil) != (taken.err == nil)) {
		w.clockTold = true
		w.c.Leases.Clock(w.name, taken.err)
	}
	w.clockErr = taken.err
	w.reportClock(taken.err)
	if taken.err == nil && r.observe(taken) {
		w.ends.stale = true
		if w.layer != nil {
			w.layer.mark(nil, true)
		}
	}
}
