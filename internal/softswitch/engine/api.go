package engine

import (
	"time"
)

// MaxFrame is the size, in bytes, of the largest frame that Process accepts: a jumbo payload of 9,216 bytes, the Ethernet header and two
// 802.1Q tags. Frames have no FCS.
const MaxFrame = 9238

// DropPort is the value of v1model's egress_spec that drops the packet.
const DropPort = 511

// Options holds the options of an Engine. The zero value is usable.
type Options struct {
	// Clock returns the time for timestamps, meters and idle timeouts. The default is time.Now. Clock is called once for each packet.
	Clock func() time.Time
	// Log receives the lines of log_msg and of failed assert and assume statements. If Log is nil, the lines are discarded. Log is called while a
	// Worker processes a packet and holds its lock, so it must neither block nor call the Engine.
	Log func(msg string)
	// Seed is the seed of random(). A worker's sequence depends only on Seed and the worker's number.
	Seed uint64
	// PriorityQueues is the number of queues of each port. 0 means 1, as in simple_switch. The engine does not queue packets. However, it drops a
	// packet if no queue has the number in standard_metadata.priority, as bmv2 does.
	PriorityQueues int
	// DigestQueue is the largest number of digests that may be waiting for the receiver or held by it. Further digests are dropped and counted. 0
	// means 1,024.
	DigestQueue int
	// MaxState limits the memory of the program's arrays, in bytes. 0 means DefaultMaxState.
	MaxState int64
	// Native has generated code of programs that may be loaded. Other programs are interpreted.
	Native []*Native
}

// A Match is an entry's match on one field of a table key. Values are byte strings as in P4Runtime: big-endian, with optional leading
// zeros.
//
// An exact match uses Value. An LPM match uses Value and PrefixLen, in bits. Ternary and optional matches use Value and Mask. A range match
// uses Value as the low bound and Mask as the high bound, both inclusive. A match with Wildcard set matches every value.
type Match struct {
	Value, Mask []byte
	PrefixLen   int
	Wildcard    bool
}

// An ActionCall is an action with its arguments. Args has one big-endian value for each parameter, in the program's order.
type ActionCall struct {
	Name string
	Args [][]byte
}

// An Entry is an entry of a table. As in P4Runtime, the matching entry with the largest priority wins. In a table without ternary, range or
// optional fields, the priority is 0.
type Entry struct {
	Matches  []Match
	Priority int32
	// Action is the action of an entry in a direct table. In an indirect table, Action must be empty.
	Action ActionCall
	// Member or Group is the id of the member or group to which an entry of an indirect table refers. HasGroup decides which of the two is
	// used.
	Member, Group uint32
	// HasGroup selects Group instead of Member. The flag is necessary because 0 is a valid member id and a valid group id.
	HasGroup bool
	// IdleTimeout is stored for the P4Runtime server. The engine never removes an entry by itself.
	IdleTimeout time.Duration
	// Cookie is stored for the P4Runtime server. The engine does not read it.
	Cookie []byte
	// Const is set on entries that the program declares. It is ignored on writes.
	Const bool
}

// An ActionParam is a parameter of an action, with its width in bits.
type ActionParam struct {
	Name  string
	Width int
}

// A CounterValue is the value of a counter. As in bmv2, counters always count both packets and bytes.
type CounterValue struct{ Packets, Bytes uint64 }

// A Replica is a copy that the replication engine creates. The copy is sent to Port with Instance as its egress_rid.
type Replica struct {
	Port     uint32
	Instance uint32
}

// A CloneSession defines the copies that a clone to the session creates. TruncateBytes is the length to which clones are cut when they are
// sent. 0 means no truncation.
type CloneSession struct {
	Replicas      []Replica
	TruncateBytes int
}

// A Digest is a digest that the program has sent. It contains the name of its learn list and one big-endian value of (width+7)/8 bytes for
// each field. The receiver owns the digest until it calls Release.
type Digest struct {
	Name   string
	ListID int
	Values [][]byte

	bytes []byte // the array behind Values
	spare chan *Digest
}

// Release returns the digest to the engine. The receiver must not use it afterwards.
func (d *Digest) Release() { d.spare <- d }

// Stats holds the counts of all workers since Load, including workers that are closed.
type Stats struct {
	// In counts the frames passed to Process, and Out the frames passed to emit.
	In, Out uint64
	// Oversize counts frames longer than MaxFrame, and Empty counts frames of zero bytes. The parser sees neither of them.
	Oversize, Empty uint64
	// ParserErrors counts packets for which the parser raised an error. v1model itself does not drop such packets.
	ParserErrors uint64
	// ChecksumErrors counts packets that failed checksum verification.
	ChecksumErrors uint64
	// IngressDrops and EgressDrops count packets that the program marked to drop.
	IngressDrops, EgressDrops uint64
	// NoReplica counts packets sent to a multicast group without replicas, and clones sent to a session without replicas.
	NoReplica uint64
	// NoQueue counts packets that were dropped because no queue has the number of their priority.
	NoQueue uint64
	// Looped counts packets that were dropped because they exceeded MaxPasses.
	Looped uint64
	// AssertsFailed counts assert and assume statements that failed.
	AssertsFailed uint64
	// Digests counts digests that were put into the queue, and DigestsDropped counts digests that were dropped because the queue was full.
	Digests, DigestsDropped uint64
}

// MaxPasses limits the number of passes through ingress or egress that one received packet may cause, including resubmissions,
// recirculations, clones and replicas. bmv2 has no such limit. Without it, a program that loops would occupy its worker forever.
const MaxPasses = 4096
