package p4rtserver

import (
	"context"
	"time"

	p4cfg "github.com/p4lang/p4runtime/go/p4/config/v1"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"op25b/internal/softswitch/engine"
)

// Limits on the state and work that controllers can cause in the server. The gRPC server limits messages (package grpcserve), and the
// engine limits the arrays of a program.
const (
	// DefaultMaxState limits the memory of written state (entries, members, groups, replicas), in bytes. An entry with five fields takes
	// about 700 bytes, so 380,000 entries fit. op25b's largest state has 170,000 entries.
	DefaultMaxState = 256 << 20
	// DefaultMaxRead is the largest number of objects that all reads in progress may hold together. An object takes about 300 bytes.
	DefaultMaxRead = 1 << 20
	// DefaultStreamBytes is the largest number of bytes that may wait for one controller. DefaultStreamsBytes is the largest number for
	// all controllers together.
	DefaultStreamBytes  = 8 << 20
	DefaultStreamsBytes = 64 << 20
	// MaxReadEntities is the largest number of entities in a ReadRequest. The agent requests 256.
	MaxReadEntities = 10_000
	// MaxName is the largest length, in bytes, of a role's name and of any name in a P4Info. Names are limited because error messages
	// repeat them.
	MaxName = 512
	// MaxReplicas is the largest number of replicas in a multicast group or clone session, which is also the largest number of copies of a
	// packet.
	MaxReplicas = 4096
	// maxQuote is the largest number of bytes of a client's message that an error repeats.
	maxQuote = 128
	// readWait is the longest time that a Read waits for other reads. loadWait is the longest time that a push waits for another push.
	readWait, loadWait = 10 * time.Second, time.Minute
)

// The memory that stored objects take, in bytes, as measured on the heap and rounded up.
const (
	costEntry   = 320
	costMatch   = 96
	costArg     = 40
	costMember  = 320
	costReplica = 96
	costSlot    = 8 // for each unit of weight in a group
)

func matchesCost(ms []engine.Match) int64 {
	n := int64(0)
	for _, m := range ms {
		n += costMatch + 2*int64(len(m.Value)+len(m.Mask))
	}
	return n
}

func callCost(c engine.ActionCall) int64 {
	n := int64(0)
	for _, a := range c.Args {
		n += costArg + int64(len(a))
	}
	return n
}

// entryCost returns the memory that a table entry takes, including its action set.
func (p *pipeline) entryCost(t *table, en *engine.Entry) int64 {
	n := costEntry + matchesCost(en.Matches) + callCost(en.Action) + int64(len(en.Cookie))
	if t.profile != nil && en.HasGroup {
		if o := p.selectors[t.profile.id].oneShots[en.Group]; o != nil {
			n += costEntry + 4*int64(proto.Size(o.set)) + costMember*int64(len(o.members))
		}
	}
	return n
}

func groupCost(g *engine.Group) int64 {
	n := int64(costMember)
	for _, m := range g.Members {
		n += costArg + costSlot*int64(m.Weight)
	}
	return n
}

func setCost(members [][]engine.Match) int64 {
	n := int64(0)
	for _, m := range members {
		n += costArg + matchesCost(m)
	}
	return n
}

// room returns an error if there is no room for the given number of additional bytes of state. hold adds the bytes to the total once they
// are stored. For hold, a negative number releases bytes.
func (p *pipeline) room(more int64) error {
	if more > 0 && p.held+more > p.maxState {
		return status.Errorf(codes.ResourceExhausted, "the switch's forwarding state is full: it takes %d of %d bytes, and this needs %d", p.held, p.maxState, more)
	}
	return nil
}

func (p *pipeline) hold(more int64) { p.held += more }

// weight returns the approximate number of objects that an entity of a ReadRequest selects. The read holds this many objects.
func (p *pipeline) weight(e *p4v1.Entity) int64 {
	tables := func(id uint32, e *p4v1.TableEntry) int64 {
		n := int64(0)
		for _, t := range p.schema.tables {
			if id == 0 || t.id == id {
				n += int64(t.prog.Len())
			}
		}
		if id != 0 && len(e.GetMatch()) > 0 && (e.GetPriority() != 0 || p.schema.tables[id] != nil && !p.schema.tables[id].ternary) {
			return 1
		}
		return n
	}
	cells := func(in map[uint32]*array, id uint32, idx *p4v1.Index) int64 {
		if idx != nil {
			return 1
		}
		n := int64(0)
		for _, a := range in {
			if id == 0 || a.id == id {
				n += a.size
			}
		}
		return n
	}
	profiles := func() int64 {
		n := int64(0)
		for _, s := range p.selectors {
			n += int64(s.written)
		}
		return n
	}
	n := int64(0)
	switch v := e.GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		n = tables(v.TableEntry.GetTableId(), v.TableEntry)
	case *p4v1.Entity_DirectCounterEntry:
		n = tables(v.DirectCounterEntry.GetTableEntry().GetTableId(), v.DirectCounterEntry.GetTableEntry())
	case *p4v1.Entity_DirectMeterEntry:
		n = tables(v.DirectMeterEntry.GetTableEntry().GetTableId(), v.DirectMeterEntry.GetTableEntry())
	case *p4v1.Entity_CounterEntry:
		n = cells(p.schema.counters, v.CounterEntry.GetCounterId(), v.CounterEntry.GetIndex())
	case *p4v1.Entity_MeterEntry:
		n = cells(p.schema.meters, v.MeterEntry.GetMeterId(), v.MeterEntry.GetIndex())
	case *p4v1.Entity_RegisterEntry:
		n = cells(p.schema.registers, v.RegisterEntry.GetRegisterId(), v.RegisterEntry.GetIndex())
	case *p4v1.Entity_ActionProfileMember, *p4v1.Entity_ActionProfileGroup:
		n = profiles()
	case *p4v1.Entity_PacketReplicationEngineEntry:
		n = int64(len(p.groups) + len(p.sessions))
	case *p4v1.Entity_ValueSetEntry:
		for _, v := range p.schema.valueSets {
			n += int64(len(v.prog.Members()))
		}
	}
	return n + 1
}

// admitRead waits until there is room for the objects that a Read requests. The caller must call done to release the room.
func (s *Server) admitRead(ctx context.Context, entities []*p4v1.Entity) (done func(), err error) {
	if len(entities) > MaxReadEntities {
		return nil, status.Errorf(codes.ResourceExhausted, "read: %d entities; at most %d may be read in one request", len(entities), MaxReadEntities)
	}
	s.mu.RLock()
	p := s.controlled()
	n := int64(0)
	for _, e := range entities {
		if p != nil {
			n += p.weight(e)
		}
	}
	s.mu.RUnlock()
	if n > s.opts.MaxRead {
		return nil, status.Errorf(codes.ResourceExhausted, "read: about %d objects; at most %d may be read in one request: read table by table, or cell by cell", n, s.opts.MaxRead)
	}
	if err := waitFor(ctx, s.reads, n, readWait); err != nil {
		return nil, status.Error(codes.ResourceExhausted, "read: the switch serves no more reads at once: try again")
	}
	return func() { s.reads.Release(n) }, nil
}

func waitFor(ctx context.Context, s *semaphore.Weighted, n int64, wait time.Duration) error {
	if s.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return s.Acquire(ctx, n)
}

// checkNames checks the lengths of all names in a P4Info.
func checkNames(info *p4cfg.P4Info) error {
	var long string
	eachName(info.ProtoReflect(), func(name string) bool {
		if len(name) > MaxName {
			long = name
		}
		return long == ""
	})
	if long != "" {
		return invalidf("config.p4info: a name of %d bytes, which begins with %.32q: at most %d", len(long), long, MaxName)
	}
	return nil
}

// eachName calls f for every name in the message, until f returns false.
func eachName(m protoreflect.Message, f func(string) bool) bool {
	more := true
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
		case fd.Message() != nil && fd.IsList():
			for i := 0; more && i < v.List().Len(); i++ {
				more = eachName(v.List().Get(i).Message(), f)
			}
		case fd.Message() != nil:
			more = eachName(v.Message(), f)
		case fd.Kind() == protoreflect.StringKind && !fd.IsList() && (fd.Name() == "name" || fd.Name() == "alias"):
			more = f(v.String())
		}
		return more
	})
	return more
}

// quote returns a packet-out, shortened so that an error can repeat it.
func quote(p *p4v1.PacketOut) *p4v1.PacketOut {
	out := &p4v1.PacketOut{Payload: p.GetPayload()[:min(len(p.GetPayload()), maxQuote)]}
	left := maxQuote
	for _, m := range p.GetMetadata() {
		if left -= len(m.GetValue()) + 8; left < 0 {
			break
		}
		out.Metadata = append(out.Metadata, m)
	}
	return out
}
