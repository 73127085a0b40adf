package softswitch

import "op25b/internal/grpcserve"

// Limits bound what the switch's callers can make it use. Zero values are the defaults.
type Limits struct {
	// Budget is the memory in bytes of all messages in work, of all services; grpcserve.DefaultBudget if 0.
	Budget int64
	// P4Runtime and GNMI are the limits of the two services.
	P4Runtime, GNMI grpcserve.Limits
	// Program is the memory in bytes of a program's arrays, State that of what is written, and Unread that of what controllers have not read.
	// Zero values are engine.DefaultMaxState, p4rtserver.DefaultMaxState and p4rtserver.DefaultStreamsBytes.
	Program, State, Unread int64
}

// The defaults of Limits that differ from package grpcserve's.
const (
	// DefaultGNMIMessage is the largest gNMI request in bytes: 1,024 subscriptions (openconfig.MaxPaths) of 200 bytes, and room.
	DefaultGNMIMessage = 1 << 20
	// DefaultGNMIElements is the number of paths, path elements and keys of a gNMI request.
	DefaultGNMIElements = 20_000
)

func (l *Limits) complete() {
	for _, d := range []struct {
		v *int
		d int
	}{
		{&l.GNMI.Message, DefaultGNMIMessage}, {&l.GNMI.Elements, DefaultGNMIElements},
	} {
		if *d.v == 0 {
			*d.v = d.d
		}
	}
}
