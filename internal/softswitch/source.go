package softswitch

import (
	"context"
	"sync"

	configv1 "github.com/p4lang/p4runtime/go/p4/config/v1"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/softswitch/engine"
)

// Source returns the data source for the switch's gNMI server.
func (s *Switch) Source() openconfig.Source { return source{s} }

type source struct{ s *Switch }

var _ openconfig.Source = source{}

// Snapshot returns the state and counters of every port, and the ACL counters if the running program has any.
func (src source) Snapshot(context.Context, openconfig.Parts) (*openconfig.State, error) {
	s := src.s
	s.gate.RLock()
	acl := s.acl
	s.gate.RUnlock()
	state := &openconfig.State{}
	if acl != nil {
		state.ACLSet = acl.layout.Set
	}
	for i := range s.ports {
		p := s.ports[i].Load()
		if p == nil {
			continue
		}
		in := p.note(s.now())
		in.Counters = p.counters()
		if acl != nil {
			in.ACL = acl.of(p.number)
		}
		state.Interfaces = append(state.Interfaces, in)
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

// An aclCounter is the counter array that the program's P4Info marks as the OpenConfig ACL counter.
type aclCounter struct {
	layout *p4source.ACLLayout
	cells  *engine.Counter
}

func findACL(e *engine.Engine, info *configv1.P4Info) (*aclCounter, error) {
	layout, err := p4source.FindACLCounter(info)
	if err != nil {
		return nil, err
	}
	cells, ok := e.Counter(layout.CounterName)
	if !ok {
		return nil, p4source.ErrNoACLCounter
	}
	return &aclCounter{layout, cells}, nil
}

// of returns an entry for each rule that has counted packets on a port.
func (c *aclCounter) of(port uint32) []openconfig.ACLEntry {
	if int64(port) >= c.layout.Ports() {
		return nil
	}
	var met []openconfig.ACLEntry
	for rule := range uint32(c.layout.Rules()) {
		v, err := c.cells.Read(int(c.layout.Index(port, rule)))
		if err == nil && v.Packets > 0 {
			met = append(met, openconfig.ACLEntry{SequenceID: rule, MatchedPackets: v.Packets, MatchedOctets: v.Bytes})
		}
	}
	return met
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
