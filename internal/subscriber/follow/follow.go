// Package follow tells the workers of switches which lines have changed, such as by their session or their lease.
package follow

import "sync"

// Every is passed to Follow instead of the name of a switch to collect the lines of all switches.
const Every = ""

// Followers collect the lines of switches that change. Their methods are safe for concurrent use.
type Followers struct {
	mu sync.Mutex // guards by and the followers in it
	by map[string]map[*follower]struct{}
}

// A follower collects the changed lines of a switch. A line is collected once, however often it changes, so that a follower that does not take
// them needs no more room than the switch has lines.
type follower struct {
	lines map[string]struct{}
	all   bool            // any line may have changed; lines is then empty
	news  chan<- struct{} // gets a value when the first line is collected
}

// Follow collects the lines of a switch that change, or of every switch: see Every. news gets a value, without blocking, when there is something to
// take. take returns the lines that changed since the last call; if all is set, any line may have changed. The first call returns all. stop ends the
// collection.
func (f *Followers) Follow(switchName string, news chan<- struct{}) (take func() (lines []string, all bool), stop func()) {
	x := &follower{lines: make(map[string]struct{}), all: true, news: news}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = make(map[string]map[*follower]struct{})
	}
	if f.by[switchName] == nil {
		f.by[switchName] = make(map[*follower]struct{})
	}
	f.by[switchName][x] = struct{}{}
	x.notify()
	take = func() (lines []string, all bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for line := range x.lines {
			lines = append(lines, line)
		}
		all = x.all
		clear(x.lines)
		x.all = false
		return lines, all
	}
	stop = func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.by[switchName], x)
		if len(f.by[switchName]) == 0 {
			delete(f.by, switchName)
		}
	}
	return take, stop
}

func (x *follower) notify() {
	select {
	case x.news <- struct{}{}:
	default:
	}
}

// Changed reports a line of a switch.
func (f *Followers) Changed(switchName, line string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, some := range []map[*follower]struct{}{f.by[switchName], f.by[Every]} {
		for x := range some {
			if !x.all {
				x.lines[line] = struct{}{}
			}
			x.notify()
		}
	}
}

// ChangedAll reports all lines to all followers.
func (f *Followers) ChangedAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, some := range f.by {
		for x := range some {
			x.all = true
			clear(x.lines)
			x.notify()
		}
	}
}
