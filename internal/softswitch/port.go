package softswitch

import (
	"sync"
	"sync/atomic"
	"time"

	"op25b/internal/openconfig"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/wire"
)

// A port is an interface of the switch. A port without a link is connected to the packet service.
type port struct {
	number uint32
	name   string
	link   wire.Link
	up     atomic.Bool
	lane   lane

	mu      sync.Mutex // guards everything below
	oper    openconfig.OperStatus
	changed time.Time // time of the last change of oper
	flips   uint64    // changes of oper to UP or from UP

	inPkts, inOctets, outPkts, outOctets, outDiscards atomic.Uint64
}

func newPort(number uint32, name string, link wire.Link, now time.Time) *port {
	p := &port{number: number, name: name, link: link}
	p.up.Store(true)
	p.oper, p.changed = p.current().Oper, now
	return p
}

// current returns the port's state as its link reports it. If the link reports no state, the port is up until it fails or is set down.
func (p *port) current() openconfig.Interface {
	in := openconfig.Interface{Name: p.name, Port: p.number, Oper: openconfig.OperUp}
	if f, ok := p.link.(wire.Followed); ok {
		l := p4source.LinkOf(f.State())
		in.IfIndex, in.Oper, in.Admin = l.Index, l.Oper, l.Admin
	}
	if !p.up.Load() {
		in.Oper = openconfig.OperDown
	}
	return in
}

// note reads the port's state and compares its operational state with the last one. It records the time if the operational state has
// changed, and returns the state. It must be called after each change.
func (p *port) note(now time.Time) openconfig.Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := p.current()
	if in.Oper != p.oper {
		if in.Oper == openconfig.OperUp || p.oper == openconfig.OperUp {
			p.flips++
		}
		p.oper, p.changed = in.Oper, now
	}
	in.LastChange, in.Transitions = p.changed, new(p.flips)
	return in
}

// status returns the operational state that note recorded last.
func (p *port) status() openconfig.OperStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.oper
}

// counters returns the port's counters, including the losses that the link itself reports.
func (p *port) counters() *openconfig.InterfaceCounters {
	c := &openconfig.InterfaceCounters{
		InPkts: p.inPkts.Load(), InOctets: p.inOctets.Load(),
		OutPkts: p.outPkts.Load(), OutOctets: p.outOctets.Load(), OutDiscards: p.outDiscards.Load(),
	}
	if counted, ok := p.link.(wire.Counted); ok {
		stats := counted.Stats()
		c.OutDiscards += stats.Dropped
		c.InErrors = stats.Invalid
	}
	return c
}
