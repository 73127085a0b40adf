package engine

import (
	"time"
)

// MaxFrame is the largest frame in bytes that Process takes: a jumbo payload of 9,216 bytes, Ethernet header and two
// 802.1Q tags. Frames carry no FCS.
const MaxFrame = 9238

// DropPort is the egress_spec of a packet to be dropped, in v1model.
const DropPort = 511

// Options configure an Engine. The zero value is usable.
type Options struct {
	// Clock returns the time for timestamps, meters and idle timeouts; time.Now if nil. It is called once for each packet.
	Clock func() time.Time
	// Log receives the lines of log_msg and of failed assert and assume statements; they are discarded if nil. It is called on the packet
	// path, under a Worker's lock: it must not block or call the Engine.
	Log func(msg string)
	// Seed seeds random(). A worker's sequence depends only on it and on the worker's number.
	Seed uint64
	// PriorityQueues is the number of queues of each port; 1 if zero, as in simple_switch. Packets are not queued here, but a packet whose
	// standard_metadata.priority names a missing queue is dropped, as in bmv2.
	PriorityQueues int
	// DigestQueue is the number of digests that may wait for the receiver or be held by it. Further ones are dropped and counted. 1,024 if
	// zero.
	DigestQueue int
	// MaxState is the memory in bytes of the program's arrays; DefaultMaxState if zero.
	MaxState int64
}

// A Match is the match of one field of a table key, in the bytes of P4Runtime: big-endian, leading zeros optional.
//
// exact uses Value; lpm uses Value and PrefixLen in bits; ternary and optional use Value and Mask; range uses Value as the low and Mask as
// the high bound, both inclusive. Wildcard means that the field is omitted and matches every value.
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

// An Entry is one entry of a table. Larger priorities win, as in P4Runtime. In a table without ternary, range or optional fields the
// priority is 0.
type Entry struct {
	Matches  []Match
	Priority int32
	// Action is the action of an entry in a direct table. It is empty in an indirect one.
	Action ActionCall
	// Member or Group is the reference of an entry in an indirect table; exactly one of them is set.
	Member, Group uint32
	// HasGroup distinguishes Group from Member, since 0 is a valid id of both.
	HasGroup bool
	// IdleTimeout is stored for the server; the engine never removes an entry by itself.
	IdleTimeout time.Duration
	// Cookie is stored for the server; the engine does not read it.
	Cookie []byte
	// Const is set on entries that the program itself declares. Writes ignore it.
	Const bool
}

// An ActionParam is one parameter of an action: its name and its width in bits.
type ActionParam struct {
	Name  string
	Width int
}

// A CounterValue is the value of a counter. bmv2's counters always count both.
type CounterValue struct{ Packets, Bytes uint64 }

// A Replica is one copy that the replication engine makes: sent out of Port, with Instance in egress_rid.
type Replica struct {
	Port     uint32
	Instance uint32
}

// A CloneSession defines the copies that a clone to this session makes. TruncateBytes is the length to which clones are cut when they
// leave; 0 leaves them whole.
type CloneSession struct {
	Replicas      []Replica
	TruncateBytes int
}

// A Digest is one delivered digest: the name of its learn list and one big-endian value for each field, of (width+7)/8 bytes. It belongs to
// the receiver until Release.
type Digest struct {
	Name   string
	ListID int
	Values [][]byte

	bytes []byte // the array that Values are parts of
	spare chan *Digest
}

// Release returns the digest to the engine that delivered it. The receiver must not use it afterwards.
func (d *Digest) Release() { d.spare <- d }

// Stats count packets since Load, over all workers.
type Stats struct {
	// In are frames passed to Process; Out those passed to emit.
	In, Out uint64
	// Oversize are frames longer than MaxFrame, Empty those without bytes; neither enters the parser.
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
	// Digests are digests delivered to the queue, DigestsDropped those dropped because it was full.
	Digests, DigestsDropped uint64
}

// MaxPasses bounds the passes of one received packet through ingress or egress, counting every resubmission, recirculation, clone and
// replica. bmv2 has no such bound; a program that loops would occupy its worker forever.
const MaxPasses = 4096
