package grpcserve

import (
	"fmt"
	"time"
)

// The defaults of Limits. What they allow in all, beside what the service itself keeps:
//
//	messages in work           256 MiB  DefaultBudget
//	unread data                 64 MiB  DefaultConnections x 512 KiB (connWindow)
//	goroutines and headers      64 MiB  DefaultCalls x 64 KiB
const (
	// DefaultMessage is the largest message in bytes. P4Runtime's large messages are a pipeline (p4c's JSON of a large program is some
	// 5 MB; op25b's own is 1 MB) and a batch (10,000 updates are about 1 MB).
	DefaultMessage = 16 << 20
	// DefaultElements is the largest number of submessages, repeated values and map entries in a message. An update of a table with
	// five match fields has about 20, so that this is 50,000 updates in one Write.
	DefaultElements = 1_000_000
	// DefaultMemory is the most memory that one message may take once it is decoded. 50,000 updates take about 100 MiB.
	DefaultMemory = 128 << 20
	// DefaultBudget is the memory of all messages in work, of all callers: read, decoded, or waiting for an answer.
	DefaultBudget = 256 << 20
	// DefaultConnections is the number of connections to one address: controllers, collectors, and some room.
	DefaultConnections = 128
	// DefaultCalls is the number of calls and streams in work at one address.
	DefaultCalls = 1024
	// DefaultMessageWithin is how long a message may be on its way: 16 MiB in a minute are 2.2 Mb/s.
	DefaultMessageWithin = time.Minute
	// DefaultBudgetWait is how long a message waits for its share of the budget.
	DefaultBudgetWait = 10 * time.Second
	// DefaultConnectionAge is when a connection is ended, so that its client has to authenticate again.
	DefaultConnectionAge = 24 * time.Hour
	// DefaultConnectionGrace is how much longer calls under way may take then.
	DefaultConnectionGrace = time.Minute
	// DefaultRecheck is how often the certificate behind a stream is verified again.
	DefaultRecheck = 30 * time.Second
)

// Limits are the bounds of one Server. A zero value means the default.
type Limits struct {
	Message     int   // bytes of one message, after decompression
	Elements    int   // submessages, repeated values and map entries of one message
	Memory      int64 // bytes of one decoded message
	Connections int
	Calls       int // calls and streams in work

	MessageWithin, BudgetWait time.Duration
	// ConnectionAge may be negative: connections then have no maximum age.
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
			return fmt.Errorf("%w: %s is %d; it must be > 0, or 0 for %d", ErrOptions, n.name, *n.v, n.def)
		}
		if *n.v == 0 {
			*n.v = n.def
		}
	}
	if l.Memory < 0 {
		return fmt.Errorf("%w: Memory is %d; it must be > 0, or 0 for %d", ErrOptions, l.Memory, DefaultMemory)
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
			return fmt.Errorf("%w: %s is %v; it must be > 0, or 0 for %v", ErrOptions, d.name, *d.v, d.def)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return nil
}
