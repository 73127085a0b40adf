package softswitch

import (
	"context"
	"sync"

	"op25b/internal/openconfig"
)

// Source returns the data source for the switch's gNMI server.
func (s *Switch) Source() openconfig.Source { return source{s} }

type source struct{ s *Switch }

var _ openconfig.Source = source{}

// Snapshot returns the state and counters of every port, and the counters that the running program marks.
func (src source) Snapshot(_ context.Context, parts openconfig.Parts) (*openconfig.State, error) {
	s := src.s
	s.gate.RLock()
	marked, boot := s.marked, s.boot
	s.gate.RUnlock()
	now := s.now()
	state := &openconfig.State{System: &openconfig.System{Hostname: s.hostname, SoftwareVersion: marked.layout.Version(s.version), BootTime: boot, Clock: now}}
	withACL := marked.acl != nil && parts&openconfig.PartACL != 0
	for i := range s.ports {
		p := s.ports[i].Load()
		if p == nil {
			continue
		}
		in := p.note(now)
		in.Counters = p.counters()
		if withACL {
			in.ACL = marked.entries(p.number)
		}
		state.Interfaces = append(state.Interfaces, in)
	}
	if marked.acl == nil {
		return state, nil // lines and legs are served below the ACL set
	}
	state.ACLSet = marked.layout.ACL.Set
	if marked.lines != nil && parts&openconfig.PartLines != 0 {
		state.Lines = marked.layout.Lines.LinesOf(func(i int64) openconfig.Tally { return tally(marked.lines, i) })
	}
	if marked.legs != nil && parts&openconfig.PartLegs != 0 {
		state.Legs = marked.legEntries()
	}
	return state, nil
}

// Watch calls changed when a port is added or changes state, and when the program is replaced. It does not call changed when a rule counts
// its first packet. The rule's entry appears in the next Snapshot.
func (src source) Watch(ctx context.Context, changed func()) error {
	forget := src.s.watchers.add(changed)
	defer forget()
	<-ctx.Done()
	return nil
}

// watchers holds functions that are called on each change. The zero value is ready to use.
type watchers struct {
	mu    sync.Mutex // guards everything below
	next  int
	tells map[int]func()
}

// add registers tell, and calls it at once, as openconfig.Source requires. After that, tell is called after each change until forget is
// called.
func (w *watchers) add(tell func()) (forget func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tells == nil {
		w.tells = map[int]func(){}
	}
	id := w.next
	w.next++
	w.tells[id] = tell
	tell()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tells, id)
	}
}

func (w *watchers) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tell := range w.tells {
		tell()
	}
}
