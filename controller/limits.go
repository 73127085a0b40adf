package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"op25b/internal/grpcserve"
	"op25b/internal/softswitch"
	"op25b/internal/softswitch/engine"
	"op25b/internal/softswitch/p4rtserver"
)

// serviceLimits are the flags that bound what callers of a gRPC service can use.
type serviceLimits struct {
	message, memory, budget byteSize
	elements                int
	connections, calls      int
	age                     time.Duration
}

func (l *serviceLimits) add(cmd *cobra.Command, message byteSize, elements int) {
	l.message, l.memory, l.budget = message, grpcserve.DefaultMemory, grpcserve.DefaultBudget
	f := cmd.Flags()
	f.Var(&l.message, "max-message", "largest request, after decompression")
	f.IntVar(&l.elements, "max-elements", elements, "largest number of submessages and repeated values in a request")
	f.Var(&l.memory, "max-message-memory", "most memory that one request may take when it is decoded")
	f.Var(&l.budget, "request-budget", "memory of all requests and large answers in work")
	f.IntVar(&l.connections, "max-connections", grpcserve.DefaultConnections, "largest number of connections to one address")
	f.IntVar(&l.calls, "max-calls", grpcserve.DefaultCalls, "largest number of calls and streams in work at one address")
	f.DurationVar(&l.age, "max-connection-age", grpcserve.DefaultConnectionAge, "when a connection is ended, so that its client authenticates again; 0 for never")
}

// check refuses limits that nothing could be served within.
func (l *serviceLimits) check() error {
	for _, n := range []struct {
		flag  string
		value int
	}{{"--max-elements", l.elements}, {"--max-connections", l.connections}, {"--max-calls", l.calls}} {
		if n.value < 1 {
			return fmt.Errorf("%s %d: must be 1 or more", n.flag, n.value)
		}
	}
	if l.age < 0 {
		return fmt.Errorf("--max-connection-age %v: must be more than 0, or 0 for never", l.age)
	}
	return nil
}

func (l *serviceLimits) limits() grpcserve.Limits {
	age := l.age
	if age == 0 {
		age = -1
	}
	return grpcserve.Limits{
		Message: int(l.message), Elements: l.elements, Memory: int64(l.memory), Connections: l.connections, Calls: l.calls, ConnectionAge: age,
	}
}

// switchLimits are the flags that bound what callers can make the embedded switch use.
type switchLimits struct {
	serviceLimits
	program, state, unread byteSize
}

func (l *switchLimits) add(cmd *cobra.Command) {
	l.serviceLimits.add(cmd, grpcserve.DefaultMessage, grpcserve.DefaultElements)
	l.program, l.state, l.unread = engine.DefaultMaxState, p4rtserver.DefaultMaxState, p4rtserver.DefaultStreamsBytes
	f := cmd.Flags()
	f.Var(&l.program, "max-program", "memory of a program's counters, meters and registers")
	f.Var(&l.state, "max-state", "memory of the entries, groups and replicas that are written")
	f.Var(&l.unread, "max-unread", "memory of packets, digests and notices that controllers have not read")
}

// others is the memory of a switch in bytes that no flag bounds: op25b itself, connections, reads in work, packets in work.
const others = 512 << 20

// total is the most memory that the switch should take: two programs and their state, since one may be saved beside the one that runs.
func (l *switchLimits) total() int64 {
	return int64(l.budget) + 2*int64(l.program+l.state) + int64(l.unread) + others
}

// keep has the garbage collector work harder toward that total, where it would let the heap grow to twice of what is in use, unless the
// environment says otherwise (GOMEMLIMIT).
func (l *switchLimits) keep() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(l.total())
	}
}

func (l *switchLimits) limits() softswitch.Limits {
	p4runtime, gnmi := l.serviceLimits.limits(), l.serviceLimits.limits()
	gnmi.Message, gnmi.Elements = min(gnmi.Message, softswitch.DefaultGNMIMessage), min(gnmi.Elements, softswitch.DefaultGNMIElements)
	return softswitch.Limits{
		Budget: int64(l.budget), P4Runtime: p4runtime, GNMI: gnmi,
		Program: int64(l.program), State: int64(l.state), Unread: int64(l.unread),
	}
}
