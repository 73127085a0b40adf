package p4rtserver

import (
	"encoding/binary"
	"fmt"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/internal/softswitch/engine"
)

// The largest valid values in v1model's standard metadata. egress_port has 9 bits, and the value 511 means drop. egress_rid has 16
// bits.
const (
	maxPort     = engine.DropPort - 1
	maxInstance = 1<<16 - 1
)

// writeReplication applies an update to the packet replication engine (spec 9.5). The message is stored as the client wrote it,
// for reads.
func (p *pipeline) writeReplication(op p4v1.Update_Type, e *p4v1.PacketReplicationEngineEntry) error {
	switch v := e.GetType().(type) {
	case *p4v1.PacketReplicationEngineEntry_MulticastGroupEntry:
		return p.writeMulticast(op, v.MulticastGroupEntry)
	case *p4v1.PacketReplicationEngineEntry_CloneSessionEntry:
		return p.writeClone(op, v.CloneSessionEntry)
	}
	return invalidf("packet_replication_engine_entry: not set; it must be a multicast_group_entry or a clone_session_entry")
}

func (p *pipeline) writeMulticast(op p4v1.Update_Type, g *p4v1.MulticastGroupEntry) error {
	id := g.GetMulticastGroupId()
	_, exists := p.groups[id]
	if err := checkExists(op, exists, "multicast group", id); err != nil {
		return err
	}
	if op == p4v1.Update_DELETE {
		if err := p.eng.DeleteMulticastGroup(id); err != nil {
			return engineError(err)
		}
		p.hold(-keptCost(p.groups[id], p.groups[id].GetReplicas()))
		delete(p.groups, id)
		return nil
	}
	kept := proto.Clone(g).(*p4v1.MulticastGroupEntry)
	replicas, err := readReplicas(kept.Replicas, true)
	if err != nil {
		return prefixed(err, "multicast group %d: ", id)
	}
	more := keptCost(kept, kept.Replicas) - keptCost(p.groups[id], p.groups[id].GetReplicas())
	if err := p.room(more); err != nil {
		return err
	}
	if err := p.eng.SetMulticastGroup(id, replicas); err != nil {
		return engineError(err)
	}
	p.hold(more)
	p.groups[id] = kept
	return nil
}

func (p *pipeline) writeClone(op p4v1.Update_Type, c *p4v1.CloneSessionEntry) error {
	id := c.GetSessionId()
	_, exists := p.sessions[id]
	if err := checkExists(op, exists, "clone session", id); err != nil {
		return err
	}
	if op == p4v1.Update_DELETE {
		if err := p.eng.DeleteCloneSession(id); err != nil {
			return engineError(err)
		}
		p.hold(-keptCost(p.sessions[id], p.sessions[id].GetReplicas()))
		delete(p.sessions, id)
		return nil
	}
	kept := proto.Clone(c).(*p4v1.CloneSessionEntry)
	replicas, err := readReplicas(kept.Replicas, false)
	if err != nil {
		return prefixed(err, "clone session %d: ", id)
	}
	more := keptCost(kept, kept.Replicas) - keptCost(p.sessions[id], p.sessions[id].GetReplicas())
	if err := p.room(more); err != nil {
		return err
	}
	// class_of_service is stored and returned. It has no effect, because the switch has no queues.
	if err := p.eng.SetCloneSession(id, engine.CloneSession{Replicas: replicas, TruncateBytes: int(kept.PacketLengthBytes)}); err != nil {
		return engineError(err)
	}
	p.hold(more)
	p.sessions[id] = kept
	return nil
}

// keptCost returns the memory of a stored multicast group or clone session. It returns 0 if m is nil.
func keptCost(m proto.Message, rs []*p4v1.Replica) int64 {
	return int64(proto.Size(m)) + costReplica*int64(len(rs))
}

func checkExists(op p4v1.Update_Type, exists bool, kind string, id uint32) error {
	switch {
	case id == 0:
		return invalidf("%s id 0 is not a valid id", kind)
	case op == p4v1.Update_INSERT && exists:
		return status.Errorf(codes.AlreadyExists, "%s %d: it exists; MODIFY changes it", kind, id)
	case op != p4v1.Update_INSERT && !exists:
		return status.Errorf(codes.NotFound, "%s %d: %v: no such %s", kind, id, op, kind)
	}
	return nil
}

// readReplicas converts replicas to engine replicas. It also converts their ports in place to canonical form.
func readReplicas(in []*p4v1.Replica, unique bool) ([]engine.Replica, error) {
	if len(in) > MaxReplicas {
		return nil, status.Errorf(codes.ResourceExhausted, "%d replicas; at most %d", len(in), MaxReplicas)
	}
	out := make([]engine.Replica, 0, len(in))
	seen := make(map[engine.Replica]bool, len(in))
	for i, r := range in {
		if len(r.GetBackupReplicas()) > 0 {
			return nil, status.Errorf(codes.Unimplemented, "replica %d: backup_replicas are not supported", i)
		}
		port, err := replicaPort(r)
		if err != nil {
			return nil, prefixed(err, "replica %d: ", i)
		}
		if r.Instance > maxInstance {
			return nil, invalidf("replica %d: instance %d: the largest is %d", i, r.Instance, maxInstance)
		}
		e := engine.Replica{Port: port, Instance: r.Instance}
		if unique && seen[e] {
			return nil, invalidf("replica %d: port %d, instance %d: given twice", i, e.Port, e.Instance)
		}
		seen[e] = true
		out = append(out, e)
	}
	return out, nil
}

func replicaPort(r *p4v1.Replica) (uint32, error) {
	var port uint32
	if k, ok := r.GetPortKind().(*p4v1.Replica_Port); ok {
		c, err := canonical(k.Port, 32)
		if err != nil {
			return 0, withCode(codes.OutOfRange, fmt.Errorf("port: %w", err))
		}
		k.Port = c
		port = binary.BigEndian.Uint32(padded(c, 4))
	} else if r.GetPortKind() == nil {
		return 0, invalidf("port: missing")
	} else {
		port = uint32(r.ProtoReflect().Get(r.ProtoReflect().Descriptor().Fields().ByName("egress_port")).Uint())
	}
	if port > maxPort {
		return 0, invalidf("port %d: v1model's ports are 0 to %d", port, maxPort)
	}
	return port, nil
}

// writeValueSet replaces the members of a parser value set (spec 9.6).
func (p *pipeline) writeValueSet(op p4v1.Update_Type, e *p4v1.ValueSetEntry) error {
	if err := onlyModify(op, "value set entry"); err != nil {
		return err
	}
	v, ok := p.schema.valueSets[e.GetValueSetId()]
	if !ok {
		return invalidf("value set id %#x (%s): not a value set of the P4Info", e.GetValueSetId(), p.schema.nameOf(e.GetValueSetId()))
	}
	if len(e.Members) > v.size {
		return status.Errorf(codes.ResourceExhausted, "value set %q: %d members; it holds %d", v.name, len(e.Members), v.size)
	}
	members := make([][]engine.Match, 0, len(e.Members))
	seen := map[string]bool{}
	for i, m := range e.Members {
		d, err := decodeMatches(m.GetMatch(), v.fields)
		if err != nil {
			return invalidf("value set %q: member %d: %v", v.name, i, err)
		}
		key := entryKey(&table{}, d, 0)
		if seen[key] {
			return status.Errorf(codes.AlreadyExists, "value set %q: member %d: given twice", v.name, i)
		}
		seen[key] = true
		members = append(members, d)
	}
	more := setCost(members) - setCost(v.prog.Members())
	if err := p.room(more); err != nil {
		return err
	}
	if err := p.eng.SetValueSet(v.name, members); err != nil {
		return engineError(err)
	}
	p.hold(more)
	return nil
}
