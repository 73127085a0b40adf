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
	// DefaultMessage is the limit on a message in bytes. P4Runtime's large messages are a pipeline (p4c's JSON of a large program has about
	// 5 MB, op25b's 1 MB) and a batch (10,000 updates have about 1 MB).
	DefaultMessage = 16 << 20
	// DefaultElements is the limit on submessages, repeated values and map entries in a message. An update of a table with five match
	// fields has about 20, so this allows 50,000 updates in one Write.
	DefaultElements = 1_000_000
	// DefaultMemory is the limit on the memory of one decoded message. 50,000 updates take about 100 MiB.
	DefaultMemory = 128 << 20
	// DefaultBudget is the limit on the memory of the messages of all callers: messages that are being read or decoded, and messages that
	// wait for an answer.
	DefaultBudget = 256 << 20
	// DefaultConnections is the limit on connections of a service: controllers, collectors, and a reserve.
	DefaultConnections = 128
	// DefaultCalls is the limit on calls and streams in progress of a service.
	DefaultCalls = 1024
	// DefaultMessageWithin is the time limit for the transfer of a message. 16 MiB in a minute are 2.2 Mb/s.
	DefaultMessageWithin = time.Minute
	// DefaultBudgetWait is the time limit on the wait for a share of the budget.
	DefaultBudgetWait = 10 * time.Second
	// DefaultConnectionAge is the age at which a connection is closed, so that its client authenticates again.
	DefaultConnectionAge = 24 * time.Hour
	// DefaultConnectionGrace is the time after DefaultConnectionAge within which calls in progress must end.
	DefaultConnectionGrace = time.Minute
	// DefaultRecheck is the interval at which the certificate of a stream is verified again.
	DefaultRecheck = 30 * time.Second
)

// Limits are the limits of one Server. A zero value means the default.
type Limits struct {
	Message     int   // bytes of one message, after decompression
	Elements    int   // submessages, repeated values and map entries of one message
	Memory      int64 // bytes of one decoded message
	Connections int
	Calls       int // calls and streams in progress

	MessageWithin, BudgetWait time.Duration
	// ConnectionAge may be negative, which means no maximum age.
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
