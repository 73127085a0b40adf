package fleet

import (
	"fmt"
	"net/netip"
	"slices"

	"op25b/internal/compile"
	"op25b/internal/lease"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// A layer is the part of a switch's entries that depends on sessions and leases, as the switch has confirmed it. Only the goroutine of work accesses
// it.
//
// It has entries of lines, and of addresses outside all lines that have a lease. Its maps have them by lease.Holder.Key. What is said of a line holds
// for such an address too, which has no session.
type layer struct {
	lines     *compile.SessionLines
	held      map[string][]pipeline.Entry // by line; lines without entries are not listed
	dirty     map[string]struct{}         // the lines that may differ
	addresses bool                        // whether any address may differ
	refused   map[string]string           // the lines that have an entry which the switch refused, with the reason
	sessions  lineCount                   // the lines with a session that has entries
	leases    lineCount                   // the lines with a lease
	full      [2]int                      // the number of addresses of IPv4 and IPv6 that have entries
	endsBy    endsBy                      // the facts by which the ends of exemptions were last computed
}

// A lineCount counts the lines for which something is in force, or waits.
type lineCount struct {
	inForce map[string]bool // whether it is in force
	waiting int             // the number of lines in inForce for which it is not
}

// set records whether a line counts, and whether it is in force for the line.
func (c *lineCount) set(line string, has, inForce bool) {
	before, counted := c.inForce[line]
	if counted && !before {
		c.waiting--
	}
	if !has {
		delete(c.inForce, line)
		return
	}
	if c.inForce == nil {
		c.inForce = make(map[string]bool)
	}
	if c.inForce[line] = inForce; !inForce {
		c.waiting++
	}
}

// settle records that it is in force for a line, if the line counts.
func (c *lineCount) settle(line string) {
	if _, has := c.inForce[line]; has {
		c.set(line, true, true)
	}
}

// adopt returns the layer of a switch that was brought to a state with the given entries by sessions and leases.
func adopt(lines *compile.SessionLines, entries []pipeline.Entry) *layer {
	l := &layer{
		lines: lines, held: make(map[string][]pipeline.Entry), dirty: make(map[string]struct{}), refused: make(map[string]string),
	}
	for _, e := range entries {
		key, is := holderOf(lines, e)
		if !is && lines.Outlasts(e) {
			key, is = anyLine, true
		}
		if is {
			l.held[key] = append(l.held[key], e)
			l.count(e, 1)
		}
	}
	l.mark(nil, true)
	return l
}

// anyLine is the key of entries of exempt lines from which their line cannot be told: see compile.SessionLines.Outlasts. They are moved to the line
// that wants them. No line has this name, and lease.HolderOf takes it for that of a line.
const anyLine = "*"

// claim moves the entries that a line wants from anyLine to the line.
func (l *layer) claim(line string, want []pipeline.Entry) {
	if len(l.held[anyLine]) == 0 {
		return
	}
	l.held[anyLine] = slices.DeleteFunc(l.held[anyLine], func(e pipeline.Entry) bool {
		wanted := slices.ContainsFunc(want, func(w pipeline.Entry) bool { return w.Key == e.Key && w.Home() == 0 })
		if wanted {
			l.held[line] = append(l.held[line], e)
		}
		return wanted
	})
}

// unclaimed returns the removals of the entries that no exempt line wants. There are none while the session of an exempt line is not known.
func (l *layer) unclaimed(from wanted) (all []lineChange) {
	if len(l.held[anyLine]) == 0 {
		delete(l.held, anyLine)
		return nil
	}
	for _, line := range l.lines.Exempt() {
		if _, _, known := from.addresses(l.lines, line); !known {
			return nil
		}
	}
	for _, e := range l.held[anyLine] {
		all = append(all, lineChange{anyLine, pipeline.Update{Kind: pipeline.Delete, Entry: &e}})
	}
	return all
}

// holderOf returns the key of the line or address to which an entry of the layer belongs.
func holderOf(lines *compile.SessionLines, e pipeline.Entry) (key string, ok bool) {
	if line, is := lines.Line(e); is {
		return line, true
	}
	a, is := lines.Address(e)
	return lease.Holder{Address: a}.Key(), is
}

// A layering composes the layer with the compiled state while a switch is brought to it.
type layering struct {
	lines  *compile.SessionLines
	before *layer // the layer as the switch last confirmed it, if another hand made all differences; otherwise nil
	drift  []string
	asked  bool
	last   []pipeline.Entry
}

// held returns the entries of the layer, given the entries of the switch: see reconcile.Options.
func (l *layering) held(have []pipeline.Entry) []pipeline.Entry {
	if !l.asked && l.before != nil {
		l.drift = l.before.differs(have)
	}
	l.asked = true
	l.last = l.lines.Held(have)
	return l.last
}

// adopted returns the layer after the switch has been brought to the state.
func (l *layering) adopted() *layer { return adopt(l.lines, l.last) }

// mark adds lines to those that may differ. all means all lines and addresses.
func (l *layer) mark(lines []string, all bool) {
	if all {
		lines = l.lines.Names()
		l.addresses = l.lines.LeasesAddresses()
	}
	for _, line := range lines {
		if l.lines.Has(line) || l.lines.LeasesAddresses() && lease.HolderOf(line).Line == "" {
			l.dirty[line] = struct{}{}
		}
	}
}

// clean reports whether nothing may differ.
func (l *layer) clean() bool { return len(l.dirty) == 0 && !l.addresses }

// markAddresses adds the addresses that may differ to the lines: all of them if addresses is set, and those that a line that may differ has now.
func (l *layer) markAddresses(from wanted) {
	if !l.lines.LeasesAddresses() {
		return
	}
	for line := range l.dirty {
		prefixes, _, _ := from.addresses(l.lines, line)
		for _, p := range prefixes {
			if key := (lease.Holder{Address: p.Addr()}).Key(); p.IsSingleIP() && len(l.held[key]) > 0 {
				l.dirty[key] = struct{}{}
			}
		}
	}
	if !l.addresses {
		return
	}
	l.addresses = false
	for key := range l.held {
		if lease.HolderOf(key).Line == "" {
			l.dirty[key] = struct{}{}
		}
	}
	for _, key := range from.addressesLeased() {
		l.dirty[key] = struct{}{}
	}
}

// differs lists the entries of the layer that another hand changed since the switch confirmed them: now are the entries that the switch has. The
// texts contain no address (I8).
func (l *layer) differs(now []pipeline.Entry) []string {
	was, is := make(map[pipeline.Key]string), make(map[pipeline.Key]string)
	for _, entries := range l.held {
		for _, e := range entries {
			was[e.Key] = l.lines.Text(e)
		}
	}
	for _, e := range now {
		if l.lines.Owns(e) {
			is[e.Key] = l.lines.Text(e)
		}
	}
	var all []string
	for key, text := range was {
		if _, there := is[key]; !there {
			all = append(all, "missing "+text)
		}
	}
	for key, text := range is {
		if _, there := was[key]; !there {
			all = append(all, "foreign "+text)
		}
	}
	slices.Sort(all)
	return all
}

// A lineChange is an update of the layer.
type lineChange struct {
	line string
	pipeline.Update
}

// The stages of a change of sessions. A line is never without a source that it may use: all addresses are bound to the line before its old ones
// are removed, and removed after its new ones are bound. An address is removed from one line before another line gets it.
const (
	widen = iota
	remove
	add
	narrow
	stages
)

// changes returns the updates that bring the lines that may differ to what is wanted. Lines whose sessions are not known are left as they are.
func (l *layer) changes(from wanted) (all [stages][]lineChange) {
	l.markAddresses(from)
	room := addressRoom(l.full)
	for line := range l.dirty {
		prefixes, has, known := from.addresses(l.lines, line)
		if !known {
			delete(l.dirty, line)
			continue
		}
		want, leased, timed := l.leased(from, line, prefixes)
		entries := l.lines.Entries(line, prefixes)
		l.claim(line, entries)
		want, changed := append(want, l.exempt(from, line, entries)...), false
		if !room.take(l, line, want) {
			l.refused[line] = fmt.Sprintf("no room: the switch has the leases of %d addresses of this family", policy.MaxAddressLeases)
			l.leases.set(line, leased, false)
			delete(l.dirty, line)
			continue
		}
		for _, e := range l.held[line] {
			if slices.ContainsFunc(want, func(w pipeline.Entry) bool { return w.Key == e.Key }) {
				continue
			}
			stage := remove
			if compile.Wide(e) {
				stage = narrow
			}
			all[stage], changed = append(all[stage], lineChange{line, pipeline.Update{Kind: pipeline.Delete, Entry: &e}}), true
		}
		for _, e := range want {
			kind := pipeline.Insert
			if i := slices.IndexFunc(l.held[line], func(h pipeline.Entry) bool { return h.Key == e.Key }); i >= 0 {
				if sameEntry(l.held[line][i], e) {
					continue
				}
				kind = pipeline.Modify
			}
			stage := add
			if compile.Wide(e) {
				stage = widen
			}
			all[stage], changed = append(all[stage], lineChange{line, pipeline.Update{Kind: kind, Entry: &e}}), true
		}
		l.sessions.set(line, has && l.lines.Uses(line), !changed)
		l.leases.set(line, leased, timed && !changed)
		if !changed {
			delete(l.dirty, line)
			delete(l.refused, line)
		}
	}
	all[remove] = append(all[remove], l.unclaimed(from)...)
	return all
}

// An addressRoom is the number of addresses of IPv4 and IPv6 that have entries, or will have them.
type addressRoom [2]int

// take counts an address that gets its first entry. It returns false if the switch must not have another one (I10).
func (r *addressRoom) take(l *layer, key string, want []pipeline.Entry) bool {
	h := lease.HolderOf(key)
	if h.Line != "" || len(want) == 0 || len(l.held[key]) > 0 {
		return true
	}
	n := &r[familyOf(h.Address)]
	if *n >= policy.MaxAddressLeases {
		return false
	}
	*n++
	return true
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// count adds to the number of addresses that have entries, if an entry is of an address.
func (l *layer) count(e pipeline.Entry, n int) {
	if a, is := l.lines.Address(e); is {
		l.full[familyOf(a)] += n
	}
}

// leased returns the entries of a line by its lease, and whether the line has one. If the leases or the clock of the switch are not known, the
// entries are those that the switch has for the line's addresses; timed is false if the switch cannot have the lease because of its clock.
func (l *layer) leased(from wanted, line string, prefixes []netip.Prefix) (want []pipeline.Entry, leased, timed bool) {
	h := lease.HolderOf(line)
	if h.Line != "" && !l.lines.Leased(line) {
		return nil, false, false
	}
	name, end, leased, known := from.lease(h)
	if known && !leased {
		return nil, false, false
	}
	if known {
		if until, ok := from.until(end); ok && h.Line == "" {
			return l.lines.AddressEntries(h.Address, name, until), true, true
		} else if ok {
			return l.lines.LeaseEntries(line, prefixes, name, until), true, true
		}
	}
	for _, e := range l.held[line] {
		if _, of := l.lines.LeaseOf(e); of && l.lines.Covers(line, prefixes, e) || h.Line == "" {
			want = append(want, e)
		}
	}
	return want, leased, false
}

// exempt returns entries with the end of the line's exemption in those that exempt an address. An entry for every line is left out if it would have
// no end: the prefix around it then exempts the address, and a controller must be there when it ends.
func (l *layer) exempt(from wanted, line string, entries []pipeline.Entry) []pipeline.Entry {
	end := l.lines.ExemptEnd(line)
	if end.IsZero() {
		return entries
	}
	for i, e := range entries {
		if class, is := e.IsSubscriber(); !is || class != compile.SubscriberExempt {
			continue
		}
		var has pipeline.ClockSecond
		if at := slices.IndexFunc(l.held[line], func(h pipeline.Entry) bool { return h.Key == e.Key }); at >= 0 {
			has = l.held[line][at].Until()
		}
		entries[i] = e.WithUntil(from.exemptUntil(end, has))
	}
	return slices.DeleteFunc(entries, func(e pipeline.Entry) bool {
		class, is := e.IsSubscriber()
		return is && class == compile.SubscriberExempt && e.Home() == 0 && e.Until() == 0
	})
}

// sameEntry reports whether two entries with the same key need not be exchanged. The ends of leases may differ by what two readings of the switch's
// clock do.
func sameEntry(a, b pipeline.Entry) bool {
	if a.Value == b.Value {
		return true
	}
	class, is := a.IsSubscriber()
	other, both := b.IsSubscriber()
	return is && both && class == other && a.Home() == b.Home() && p4rt.SameEnd(a.Until(), b.Until())
}

// apply records that the switch confirmed an update.
func (l *layer) apply(c lineChange) {
	l.held[c.line] = slices.DeleteFunc(l.held[c.line], func(e pipeline.Entry) bool {
		if e.Key == c.Entry.Key {
			l.count(e, -1)
		}
		return e.Key == c.Entry.Key
	})
	if c.Kind != pipeline.Delete {
		l.held[c.line] = append(l.held[c.line], *c.Entry)
		l.count(*c.Entry, 1)
	}
	if len(l.held[c.line]) == 0 {
		delete(l.held, c.line)
	}
}

// settle counts the lines that were written. The lines in refused wait for the next audit or for room.
func (l *layer) settle(all [stages][]lineChange, refused map[string]bool) {
	for _, changes := range all {
		for _, c := range changes {
			if refused[c.line] {
				delete(l.dirty, c.line)
				continue
			}
			l.sessions.settle(c.line)
			l.leases.settle(c.line)
			delete(l.dirty, c.line)
			delete(l.refused, c.line)
		}
	}
	if len(all[remove]) > 0 { // there may be room now
		for line := range l.refused {
			if !refused[line] {
				l.dirty[line] = struct{}{}
			}
		}
	}
}

// status returns the numbers for the status. The detail is about one of the lines that wait.
func (l *layer) status(c lineCount) SessionStatus {
	st := SessionStatus{InForce: len(c.inForce) - c.waiting, Waiting: c.waiting}
	for line, why := range l.refused {
		if inForce, counted := c.inForce[line]; !counted || inForce {
			continue
		}
		if st.Detail == "" || why < st.Detail { // any of them, but always the same
			st.Detail = why
		}
	}
	return st
}
