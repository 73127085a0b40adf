package register

import (
	"net/netip"
	"time"
)

// Follow collects the lines of a switch whose sessions change: see follow.Followers.
func (r *Register) Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func()) {
	return r.followers.Follow(switchName, news)
}

// changedLocked reports lines to the followers of their switches.
func (r *Register) changedLocked(lines []string) {
	if r.lines == nil {
		return
	}
	for _, name := range lines {
		if at, ok := r.lines.Line(name); ok {
			r.followers.Changed(at.Switch, name)
		}
	}
}

// restartedLocked reports the lines with a session of an access server.
func (r *Register) restartedLocked(nas string) {
	for line, record := range r.table.Records() {
		if record.Session != nil && record.Session.NAS == nas {
			r.changedLocked(r.table.Sharing(line))
		}
	}
}

// Addresses returns the prefixes that a line has by its session now. has is false if the line has no session. known is false if this controller
// cannot tell: before the sessions and the line's documents have been read, and if another key encrypts the line's session.
func (r *Register) Addresses(line string) (prefixes []netip.Prefix, has, known bool) {
	if !r.isReady() {
		return nil, false, false
	}
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, unreadable := r.unreadable[line]
	if _, is := r.lines.Line(line); !is || unreadable {
		return nil, false, false
	}
	s, alive := r.table.Session(line, now)
	if !alive {
		return nil, false, true
	}
	own, _ := r.lines.Own(line, s.Prefixes) // the inventory may have given a prefix to another line since the session began
	return own, true, true
}

// Began returns when the session that a line has now began. has and known are as for Addresses.
func (r *Register) Began(line string) (began time.Time, has, known bool) {
	if !r.isReady() {
		return time.Time{}, false, false
	}
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, unreadable := r.unreadable[line]
	if _, is := r.lines.Line(line); !is || unreadable {
		return time.Time{}, false, false
	}
	s, alive := r.table.Session(line, now)
	return s.Began, alive, true
}
