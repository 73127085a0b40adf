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

// serviceLimits are the flags that limit the resources that callers of a gRPC service can use.
type serviceLimits struct {
	message, memory, budget byteSize
	elements                int
	connections, calls      int
	age                     time.Duration
}

func (l *serviceLimits) add(cmd *cobra.Command, message byteSize, elements int) {
	l.message, l.memory, l.budget = message, grpcserve.DefaultMemory, grpcserve.DefaultBudget
	f := cmd.Flags()
	f.Var(&l.message, "max-message", "limit on the size of a request, after decompression")
	f.IntVar(&l.elements, "max-elements", elements, "limit on the submessages and repeated values of a request")
	f.Var(&l.memory, "max-message-memory", "limit on the memory of one decoded request")
	f.Var(&l.budget, "request-budget", "limit on the memory of all requests and large answers in progress")
	f.IntVar(&l.connections, "max-connections", grpcserve.DefaultConnections, "limit on the open connections of a service")
	f.IntVar(&l.calls, "max-calls", grpcserve.DefaultCalls, "limit on the calls and streams in progress of a service")
	f.DurationVar(&l.age, "max-connection-age", grpcserve.DefaultConnectionAge, "age at which a connection is closed, so that its client authenticates again; 0 means never")
}

// check returns an error if a limit is so low that no request could be served, or if the maximum age of connections is negative.
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
		return fmt.Errorf("--max-connection-age %v: must not be negative; 0 means never", l.age)
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

// switchLimits are the flags that limit the resources that callers of the embedded switch can use.
type switchLimits struct {
	serviceLimits
	program, state, unread byteSize
}

func (l *switchLimits) add(cmd *cobra.Command) {
	l.serviceLimits.add(cmd, grpcserve.DefaultMessage, grpcserve.DefaultElements)
	l.program, l.state, l.unread = engine.DefaultMaxState, p4rtserver.DefaultMaxState, p4rtserver.DefaultStreamsBytes
	f := cmd.Flags()
	f.Var(&l.program, "max-program", "limit on the memory of a program's counters, meters and registers")
	f.Var(&l.state, "max-state", "limit on the memory of written entries, groups and replicas")
	f.Var(&l.unread, "max-unread", "limit on the memory of packets, digests and notices that controllers have not read")
}

// keep sets the memory limit of the Go runtime to the total of the limits, because the heap may otherwise grow to twice the memory in use.
// keep does nothing if the environment variable GOMEMLIMIT is set.
func (l *switchLimits) keep() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(l.limits().Total())
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
