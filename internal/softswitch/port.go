package softswitch

import (
	"sync/atomic"

	"op25b/internal/openconfig"
	"op25b/internal/wire"
)

// A port is one interface of the switch. Without a link its frames go over the packet service.
type port struct {
	number uint32
	name   string
	link   wire.Link
	up     atomic.Bool
	lane   lane

	inPkts, inOctets, outPkts, outOctets, outDiscards atomic.Uint64
}

func newPort(number uint32, name string, link wire.Link) *port {
	p := &port{number: number, name: name, link: link}
	p.up.Store(true)
	return p
}

// counters are the port's counters and, where the link tells them, those of the link's own losses.
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
