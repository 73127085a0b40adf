package grpcserve

import (
	"fmt"
	"time"
)

// Defaults of Limits. Together they allow, in addition to the memory of the service itself:
//
//	messages in progress       256 MiB  DefaultBudget
//	unread data                 64 MiB  DefaultConnections x 512 KiB (connWindow)
//	goroutines and headers      64 MiB  DefaultCalls x 64 KiB
const (
	// DefaultMessage is the maximum size of a message in bytes. The largest messages of P4Runtime are pipelines (p4c's JSON of a large
	// program takes about 5 MB, op25b's 1 MB) and batches (10,000 updates take about 1 MB).
	DefaultMessage = 16 << 20
	// DefaultElements is the maximum number of elements in a message: submessages, repeated values and map entries. An update of a table
	// with five match fields has about 20 elements, so one Write may have 50,000 updates.
	DefaultElements = 1_000_000
	// DefaultMemory is the maximum memory in bytes of one decoded message. 50,000 updates take about 100 MiB.
	DefaultMemory = 128 << 20
	// DefaultBudget is the maximum memory in bytes of the messages of all callers. It includes messages that are being read or decoded, and
	// messages that wait for an answer.
	DefaultBudget = 256 << 20
	// DefaultConnections is the maximum number of connections to a service. It suffices for controllers and collectors and leaves a
	// reserve.
	DefaultConnections = 128
	// DefaultCalls is the maximum number of calls and streams in progress.
	DefaultCalls = 1024
	// DefaultMessageWithin is the time within which a message must be transferred. At 2.2 Mb/s, 16 MiB take a minute.
	DefaultMessageWithin = time.Minute
	// DefaultBudgetWait is how long a message waits for a share of the budget.
	DefaultBudgetWait = 10 * time.Second
	// DefaultConnectionAge is the age at which a connection is closed, so that its client authenticates again.
	DefaultConnectionAge = 24 * time.Hour
	// DefaultConnectionGrace is how long calls in progress may continue after the connection has reached its maximum age.
	DefaultConnectionGrace = time.Minute
	// DefaultRecheck is the interval at which the client certificate of a stream is verified again.
	DefaultRecheck = 30 * time.Second
)

// Limits contains the limits of a Server. The zero value of a field means its default.
type Limits struct {
	Message     int   // maximum size of a message in bytes, after decompression
	Elements    int   // maximum number of submessages, repeated values and map entries in a message
	Memory      int64 // maximum memory of a decoded message in bytes
	Connections int
	Calls       int // maximum number of calls and streams in progress

	MessageWithin, BudgetWait time.Duration
	// A negative ConnectionAge means that connections have no maximum age.
	ConnectionAge, ConnectionGrace time.Duration
	Recheck                        time.Duration
}

func (l *Limits) complete() error {
	for _, n := range []struct {
		name string
		v    *int
		def  int
	}{
		{"Message", &l.Message, DefaultMessage},
		{"Elements", &l.Elements, DefaultElements},
		{"Connections", &l.Connections, DefaultConnections},
		{"Calls", &l.Calls, DefaultCalls},
	} {
		if *n.v < 0 {
			return fmt.Errorf("%w: %s %d: must be > 0, or 0 for %d", ErrOptions, n.name, *n.v, n.def)
		}
		if *n.v == 0 {
			*n.v = n.def
		}
	}
	if l.Memory < 0 {
		return fmt.Errorf("%w: Memory %d: must be > 0, or 0 for %d", ErrOptions, l.Memory, DefaultMemory)
	}
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	for _, d := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"MessageWithin", &l.MessageWithin, DefaultMessageWithin},
		{"BudgetWait", &l.BudgetWait, DefaultBudgetWait},
		{"ConnectionAge", &l.ConnectionAge, DefaultConnectionAge},
		{"ConnectionGrace", &l.ConnectionGrace, DefaultConnectionGrace},
		{"Recheck", &l.Recheck, DefaultRecheck},
	} {
		if *d.v < 0 && d.v != &l.ConnectionAge {
			return fmt.Errorf("%w: %s %v: must be > 0, or 0 for %v", ErrOptions, d.name, *d.v, d.def)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return nil
}
