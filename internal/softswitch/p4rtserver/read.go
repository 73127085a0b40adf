package p4rtserver

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A ReadResponse is sent when it reaches 1,000 entities or 512 KiB, which is an eighth of gRPC's default message limit. An entity larger
// than 512 KiB is sent alone.
const (
	maxReadEntities = 1000
	maxReadBytes    = 512 << 10
)

// A snapshot is the answer to one entity of a ReadRequest. It is taken under the lock. After the lock has been released, a call of the
// snapshot passes each entity of the answer to emit, and stops at the first error.
type snapshot func(emit func(*p4v1.Entity) error) error

// Read answers all entities of a request from one consistent state, in messages of limited size (spec 13). Answers are in the order of the
// request. The answers to a wildcard are ordered by id, and table entries by insertion. If some entities of the request are refused, the
// others are still answered. The status is then UNKNOWN, with one p4.v1.Error for each entity.
//
// If there is nothing to return, Read sends one empty message, because some clients wait for a first message.
func (s *Server) Read(req *p4v1.ReadRequest, stream p4v1.P4Runtime_ReadServer) error {
	if s.isClosed() {
		return errClosed()
	}
	if err := s.arb.known(req.DeviceId, req.Role); err != nil {
		return err
	}
	done, err := s.admitRead(stream.Context(), req.Entities)
	if err != nil {
		return err
	}
	defer done()
	snaps, errs, err := s.snapshots(req.Entities)
	if err != nil {
		return err
	}
	out := chunker{stream: stream}
	for _, snap := range snaps {
		if snap == nil {
			continue
		}
		if err := snap(out.add); err != nil {
			return err
		}
	}
	if err := batchError("read", errs, metadataLimit(stream.Context())); err != nil {
		if ferr := out.flush(); ferr != nil {
			return ferr
		}
		return err
	}
	return out.finish()
}

// snapshots takes all snapshots under the lock, so that no Write can change the state between two of them.
func (s *Server) snapshots(entities []*p4v1.Entity) ([]snapshot, []error, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.controlled()
	if p == nil {
		return nil, nil, errNoPipeline()
	}
	snaps, errs := make([]snapshot, len(entities)), make([]error, len(entities))
	for i, e := range entities {
		var err error
		if snaps[i], err = p.read(e); err != nil {
			errs[i] = brief(err)
		}
	}
	return snaps, errs, nil
}

// A chunker collects entities into messages.
type chunker struct {
	stream p4v1.P4Runtime_ReadServer
	next   []*p4v1.Entity
	bytes  int
	sent   bool
}

func (c *chunker) add(e *p4v1.Entity) error {
	n := proto.Size(e)
	if len(c.next) > 0 && c.bytes+n > maxReadBytes {
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.next, c.bytes = append(c.next, e), c.bytes+n
	if len(c.next) >= maxReadEntities {
		return c.flush()
	}
	return nil
}

func (c *chunker) flush() error {
	if len(c.next) == 0 {
		return nil
	}
	m := &p4v1.ReadResponse{Entities: c.next}
	c.next, c.bytes, c.sent = nil, 0, true
	return c.stream.Send(m)
}

func (c *chunker) finish() error {
	if len(c.next) == 0 && !c.sent {
		return c.stream.Send(&p4v1.ReadResponse{})
	}
	return c.flush()
}

// read answers one entity of a request. If it returns an error, the error is a gRPC status.
func (p *pipeline) read(e *p4v1.Entity) (snapshot, error) {
	switch v := e.GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		return p.readTable(v.TableEntry)
	case *p4v1.Entity_DirectCounterEntry:
		return p.readDirectCounter(v.DirectCounterEntry)
	case *p4v1.Entity_DirectMeterEntry:
		return p.readDirectMeter(v.DirectMeterEntry)
	case *p4v1.Entity_CounterEntry:
		return p.readCounter(v.CounterEntry)
	case *p4v1.Entity_MeterEntry:
		return p.readMeter(v.MeterEntry)
	case *p4v1.Entity_RegisterEntry:
		return p.readRegister(v.RegisterEntry)
	case *p4v1.Entity_ActionProfileMember:
		return p.readMember(v.ActionProfileMember)
	case *p4v1.Entity_ActionProfileGroup:
		return p.readGroup(v.ActionProfileGroup)
	case *p4v1.Entity_PacketReplicationEngineEntry:
		return p.readReplication(v.PacketReplicationEngineEntry)
	case *p4v1.Entity_ValueSetEntry:
		return p.readValueSet(v.ValueSetEntry)
	case *p4v1.Entity_DigestEntry:
		return p.readDigest(v.DigestEntry)
	case *p4v1.Entity_ExternEntry:
		if v.ExternEntry.GetExternTypeId() == 0 { // a wildcard over all externs, of which there are none
			return func(func(*p4v1.Entity) error) error { return nil }, nil
		}
		return nil, status.Error(codes.Unimplemented, "extern_entry: v1model has no externs beyond those of P4Runtime")
	}
	return nil, invalidf("entity: not set, or of a kind that this version of P4Runtime does not have")
}

// all returns a snapshot of the given entities.
func all(in []*p4v1.Entity) snapshot {
	return func(emit func(*p4v1.Entity) error) error {
		for _, e := range in {
			if err := emit(e); err != nil {
				return err
			}
		}
		return nil
	}
}

// some returns the object with the given id. For id 0 it returns all objects, in the order of ids.
func some[T any](p *pipeline, kind string, in map[uint32]T, id uint32) ([]T, error) {
	if id == 0 {
		return ordered(in), nil
	}
	if x, ok := in[id]; ok {
		return []T{x}, nil
	}
	return nil, invalidf("%s id %#x (%s): not a %s of the P4Info", kind, id, p.schema.nameOf(id), kind)
}
