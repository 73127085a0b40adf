package engine

import (
	"time"
)

// MaxFrame is the largest frame in bytes that Process takes: a jumbo payload of 9,216 bytes, Ethernet header and two
// 802.1Q tags. Frames carry no FCS.
const MaxFrame = 9238

// DropPort is the egress_spec with which v1model says that a packet is dropped.
const DropPort = 511

// Options are what an Engine takes from its surroundings. The zero value is usable.
type Options struct {
	// Clock gives the time for timestamps, meters and idle timeouts; time.Now if nil. It is read once per packet.
	Clock func() time.Time
	// Log takes the lines of log_msg and of failed assert and assume statements; they are discarded if nil.
	// It is called on the packet path, under a Worker's lock: it must not block nor call into the Engine.
	Log func(msg string)
	// Seed starts the generator behind random(); a worker's sequence depends on it and on the worker's number alone.
	Seed uint64
	// PriorityQueues is how many queues each port has; 1 if zero, as simple_switch has by default. There is no queueing here,
	// but a packet whose standard_metadata.priority names a queue that is not there is dropped, as bmv2 drops it.
	PriorityQueues int
	// DigestQueue is how many digests wait for the receiver, or are not yet released by it, before more are dropped and
	// counted; 1,024 if zero.
	DigestQueue int
	// MaxState is the memory in bytes that the program's arrays may take; DefaultMaxState if zero.
	MaxState int64
}

// A Match is one field of a table key, in the bytes of P4Runtime: big-endian, leading zeros optional.
//
// exact uses Value; lpm uses Value and PrefixLen in bits; ternary and optional use Value and Mask; range uses Value as the
// low and Mask as the high bound, both inclusive. Wildcard stands for a field that is left out: everything matches.
type Match struct {
	Value, Mask []byte
	PrefixLen   int
	Wildcard    bool
}

// An ActionCall is an action with its arguments, one big-endian value for each parameter in the program's order.
type ActionCall struct {
	Name string
	Args [][]byte
}

// An Entry is one entry of a table. Larger priorities win, as in P4Runtime; a table without ternary, range or optional
// fields wants priority 0.
type Entry struct {
	Matches  []Match
	Priority int32
	// Action is the action of an entry in a direct table; it stays empty in an indirect one.
	Action ActionCall
	// Member or Group names what an entry of an indirect table points at; exactly one of them is set.
	Member, Group uint32
	// HasGroup tells Group from Member, since 0 is a valid id of both.
	HasGroup bool
	// IdleTimeout is kept for the server; the engine never removes an entry by itself.
	IdleTimeout time.Duration
	// Cookie is kept for the server, never read here.
	Cookie []byte
	// Const is set on entries that the program itself declares. Writes ignore it.
	Const bool
}

// An ActionParam is one parameter of an action: its name and its width in bits.
type ActionParam struct {
	Name  string
	Width int
}

// A CounterValue is what a counter has seen; bmv2's counters always count both.
type CounterValue struct{ Packets, Bytes uint64 }

// A Replica is one copy that the replication engine makes: out of Port, with Instance in egress_rid.
type Replica struct {
	Port     uint32
	Instance uint32
}

// A CloneSession says what a clone to this session becomes. TruncateBytes shortens the clones to that many bytes when they
// leave; 0 leaves them whole.
type CloneSession struct {
	Replicas      []Replica
	TruncateBytes int
}

// A Digest is one delivered digest: the name of its learn list and one big-endian value for each field, of
// (width+7)/8 bytes. The receiver has it until Release.
type Digest struct {
	Name   string
	ListID int
	Values [][]byte

	bytes []byte // what Values are parts of
	spare chan *Digest
}

// Release gives the digest back to the engine that delivered it. The receiver may not touch it any more.
func (d *Digest) Release() { d.spare <- d }

// Stats count packets since Load, over all workers.
type Stats struct {
	// In are frames given to Process; Out those given to emit.
	In, Out uint64
	// Oversize are frames longer than MaxFrame, Empty those of no bytes; neither enters the parser.
	Oversize, Empty uint64
	// ParserErrors are packets for which the parser set an error. v1model does not drop them by itself.
	ParserErrors uint64
	// ChecksumErrors are packets for which a verified checksum did not match.
	ChecksumErrors uint64
	// IngressDrops and EgressDrops are packets that the program marked to drop.
	IngressDrops, EgressDrops uint64
	// NoReplica are packets sent to a multicast group, and clones sent to a session, without replicas.
	NoReplica uint64
	// NoQueue are packets whose priority names no queue.
	NoQueue uint64
	// Looped are passes beyond MaxPasses that were cut off.
	Looped uint64
	// AssertsFailed are asserts and assumptions of the program that did not hold.
	AssertsFailed uint64
	// Digests are digests delivered to the queue, DigestsDropped those that found it full.
	Digests, DigestsDropped uint64
}

// MaxPasses bounds how often one received packet may go through ingress or egress, counting every resubmission,
// recirculation, clone and replica. bmv2 has no such bound; a program that loops would hold its worker for ever.
const MaxPasses = 4096
