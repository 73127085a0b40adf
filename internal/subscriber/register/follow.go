package register

import "net/netip"

// A follower collects the lines of a switch whose sessions change. A line is collected once, however often its session changes, so that a
// follower that does not take them needs no more room than the switch has lines.
type follower struct {
	lines map[string]struct{}
	all   bool            // any line may have changed; lines is then empty
	news  chan<- struct{} // gets a value when the first line is collected
}

// Follow collects the lines of a switch whose sessions change. news gets a value, without blocking, when there is something to take. take returns
// the lines that changed since the last call; if all is set, any line may have changed. The first call returns all. stop ends the collection.
func (r *Register) Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func()) {
	f := &follower{lines: make(map[string]struct{}), all: true, news: news}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.followers[switchName] == nil {
		r.followers[switchName] = make(map[*follower]struct{})
	}
	r.followers[switchName][f] = struct{}{}
	f.notify()
	take = func() (lines []string, all bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for line := range f.lines {
			lines = append(lines, line)
		}
		all = f.all
		clear(f.lines)
		f.all = false
		return lines, all
	}
	stop = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.followers[switchName], f)
		if len(r.followers[switchName]) == 0 {
			delete(r.followers, switchName)
		}
	}
	return take, stop
}

func (f *follower) notify() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// changedLocked reports lines to the followers of their switches.
func (r *Register) changedLocked(lines []string) {
	if len(r.followers) == 0 || r.lines == nil {
		return
	}
	for _, name := range lines {
		at, ok := r.lines.Line(name)
		if !ok {
			continue
		}
		for f := range r.followers[at.Switch] {
			if !f.all {
				f.lines[name] = struct{}{}
			}
			f.notify()
		}
	}
}

// changedAllLocked reports all lines to all followers.
func (r *Register) changedAllLocked() {
	for _, some := range r.followers {
		for f := range some {
			f.all = true
			clear(f.lines)
			f.notify()
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
