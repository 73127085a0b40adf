package subscriber

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"
)

// A Table has the records of all lines, and finds lines by their addresses. It must not be used concurrently.
type Table struct {
	records  map[string]Record    // by the name of the line
	restarts map[string]time.Time // by the name of the access server
	holders  bart.Table[[]string] // the lines whose sessions have a prefix, including sessions that are over
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{records: make(map[string]Record), restarts: make(map[string]time.Time)}
}

// Record returns the record of a line; the zero Record if there is none.
func (t *Table) Record(line string) Record { return t.records[line] }

// Records returns all records by the name of their line.
func (t *Table) Records() iter.Seq2[string, Record] {
	return func(yield func(string, Record) bool) {
		for line, r := range t.records {
			if !yield(line, r) {
				return
			}
		}
	}
}

// Set replaces the record of a line.
func (t *Table) Set(line string, r Record) {
	t.Delete(line)
	t.records[line] = r
	for _, p := range r.prefixes() {
		t.holders.Modify(p, func(lines []string, _ bool) ([]string, bool) { return append(slices.Clone(lines), line), false })
	}
}

// Delete removes the record of a line.
func (t *Table) Delete(line string) {
	for _, p := range t.records[line].prefixes() {
		t.holders.Modify(p, func(lines []string, _ bool) ([]string, bool) {
			lines = slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return l == line })
			return lines, len(lines) == 0
		})
	}
	delete(t.records, line)
}

func (r Record) prefixes() []netip.Prefix {
	if r.Session == nil {
		return nil
	}
	return r.Session.Prefixes
}

// SetRestarted sets the time at which an access server last restarted; the zero Time means that no restart is known.
func (t *Table) SetRestarted(nas string, at time.Time) {
	if at.IsZero() {
		delete(t.restarts, nas)
		return
	}
	t.restarts[nas] = at
}

// Restarted returns the time at which an access server last restarted.
func (t *Table) Restarted(nas string) time.Time { return t.restarts[nas] }

// Session returns the session of a line at the time now, without the addresses that a later session of another line has.
func (t *Table) Session(line string, now time.Time) (Session, bool) {
	s := t.alive(line, now)
	if s == nil {
		return Session{}, false
	}
	own := *s
	own.Prefixes = nil
	for _, p := range s.Prefixes {
		if holder, ok := t.holder(p, now); ok && holder == line {
			own.Prefixes = append(own.Prefixes, p)
		}
	}
	return own, true
}

func (t *Table) alive(line string, now time.Time) *Session {
	s := t.records[line].Session
	if s == nil || !s.Alive(now, t.restarts[s.NAS]) {
		return nil
	}
	return s.at(now)
}

// Holder returns the line that has an address at the time now.
func (t *Table) Holder(a netip.Addr, now time.Time) (line string, ok bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return "", false
	}
	return t.holder(netip.PrefixFrom(a, a.BitLen()), now)
}

// holder returns the line whose session began last among those with an address of p. An access server assigns an address again only after the
// earlier session has ended, so the end of that session was lost. If two such sessions began at the same time, no line has the address.
func (t *Table) holder(p netip.Prefix, now time.Time) (line string, ok bool) {
	var began time.Time
	for other := range t.overlapping(p) {
		s := t.alive(other, now)
		switch {
		case s == nil || other == line || !s.overlaps(p):
		case line == "" || s.Began.After(began):
			line, began, ok = other, s.Began, true
		case s.Began.Equal(began):
			ok = false
		}
	}
	return line, ok
}

// overlapping returns the lines whose sessions have an address of p. A line can occur more than once.
func (t *Table) overlapping(p netip.Prefix) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, lines := range t.holders.Supernets(p) { // includes p
			for _, line := range lines {
				if !yield(line) {
					return
				}
			}
		}
		for inner, lines := range t.holders.Subnets(p) {
			if inner == p {
				continue
			}
			for _, line := range lines {
				if !yield(line) {
					return
				}
			}
		}
	}
}

// Sharing returns the lines whose sessions have an address of the line's session, and the line itself. A change of the line's session may change
// which of them has the address.
func (t *Table) Sharing(line string) []string {
	all := []string{line}
	for _, p := range t.records[line].prefixes() {
		for other := range t.overlapping(p) {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// Displaced returns the other lines whose sessions have an address of the line's session and began no later. The ends of these sessions were
// lost.
func (t *Table) Displaced(line string, s Session, now time.Time) []string {
	var all []string
	for _, p := range s.Prefixes {
		for other := range t.overlapping(p) {
			o := t.alive(other, now)
			if o != nil && other != line && o.overlaps(p) && !o.Began.After(s.Began) && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}
