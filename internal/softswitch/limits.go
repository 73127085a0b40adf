package softswitch

import "op25b/internal/grpcserve"

// Limits holds the limits on the switch's resources that clients can use. Zero values mean the defaults.
type Limits struct {
	// Budget is the memory, in bytes, that the messages in progress in all services may use together. 0 means grpcserve.DefaultBudget.
	Budget int64
	// P4Runtime and GNMI are the limits of the P4Runtime and gNMI services.
	P4Runtime, GNMI grpcserve.Limits
	// Program, State and Unread are limits on memory, in bytes. Program limits a program's arrays, State the state that clients have
	// written, and Unread the messages that controllers have not read yet. Zero values mean engine.DefaultMaxState,
	// p4rtserver.DefaultMaxState and p4rtserver.DefaultStreamsBytes.
	Program, State, Unread int64
}

// unlimited is the memory, in bytes, for everything that has no limit: the process itself, connections, and reads and packets in progress.
const unlimited = 512 << 20

// Total returns the largest memory, in bytes, that a switch with these limits needs. Program and State count twice, because one program may
// be saved while another one runs. Limits of 0 count as 0.
func (l Limits) Total() int64 { return l.Budget + 2*(l.Program+l.State) + l.Unread + unlimited }

// The defaults of Limits that differ from the defaults of package grpcserve.
const (
	// DefaultGNMIMessage is the size of the largest gNMI request, in bytes: 1,024 subscriptions (openconfig.MaxPaths) of 200 bytes each,
	// with a reserve.
	DefaultGNMIMessage = 1 << 20
	// DefaultGNMIElements is the largest number of paths, path elements and keys in a gNMI request, taken together.
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
