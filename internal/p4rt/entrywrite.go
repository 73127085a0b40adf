package p4rt

import (
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"op25b/internal/p4entry"
	"op25b/internal/pipeline"
)

// Entries are encoded by hand, because building about ten messages for each entry would cost more than the rest of a
// write. The field numbers are those of p4runtime.proto.

// entries is a list of updates in the form of pipeline entries.
type entries []pipeline.Update

func (e entries) len() int { return len(e) }

func (e entries) message(i int) *p4v1.Update {
	u := new(p4v1.Update)
	if err := proto.Unmarshal(e.encoded(i), u); err != nil {
		panic("p4rt: encoded an update that cannot be decoded: " + err.Error())
	}
	return u
}

func (e entries) encoded(i int) []byte {
	var form p4entry.Entry
	return appendUpdate(nil, &e[i], &form)
}

func (e entries) batch(s *Session, from int) batch {
	const perUpdate = 64 // approximate size of an update in bytes
	end := min(len(e), from+s.cfg.BatchSize)
	b := make([]byte, 0, perUpdate*(end-from))
	head, err := proto.Marshal(&p4v1.WriteRequest{DeviceId: s.cfg.DeviceID, Role: s.cfg.Role, ElectionId: s.cfg.ElectionID.proto()})
	b = append(b, head...)
	var form p4entry.Entry
	to := from
	for ; to < end; to++ {
		before := len(b)
		var at int
		b, at = begin(b, 4) // WriteRequest.updates
		b = appendUpdate(b, &e[to], &form)
		if b = finish(b, at); len(b) > s.cfg.MaxBatchBytes && to > from {
			b = b[:before]
			break
		}
	}
	return batch{updates: e, from: from, to: to, request: b, err: err}
}

func appendUpdate(b []byte, u *pipeline.Update, form *p4entry.Entry) []byte {
	b = appendInt(b, 1, uint64(u.Kind)) // Update.type
	b, at := begin(b, 2)                // Update.entity
	return finish(appendEntity(b, u.Entry, form), at)
}

// appendEntity appends an entry in the encoding of an Entity. form is scratch space.
func appendEntity(b []byte, e *pipeline.Entry, form *p4entry.Entry) []byte {
	if id, ports, ok := e.Group(); ok {
		return appendGroup(b, id, ports)
	}
	e.Form(form)
	return appendTableEntry(b, form)
}

func appendTableEntry(b []byte, e *p4entry.Entry) []byte {
	b, entry := begin(b, 2) // Entity.table_entry
	b = appendInt(b, 1, uint64(e.Table))
	for i := range e.Match {
		b = appendMatch(b, &e.Match[i])
	}
	if e.Action != 0 {
		var table, action int
		b, table = begin(b, 3)  // TableEntry.action
		b, action = begin(b, 1) // TableAction.action
		b = appendInt(b, 1, uint64(e.Action))
		for _, p := range e.Params {
			var param int
			b, param = begin(b, 4) // Action.params
			b = appendInt(b, 2, uint64(p.ID))
			b = finish(appendBytes(b, 3, p.Value), param)
		}
		b = finish(finish(b, action), table)
	}
	b = appendInt(b, 4, uint64(e.Priority))
	if m := e.Meter; m != nil {
		var meter int
		b, meter = begin(b, 6) // TableEntry.meter_config
		for i, v := range []int64{m.CIR, m.CBurst, m.PIR, m.PBurst} {
			b = appendInt(b, protowire.Number(i+1), uint64(v))
		}
		b = finish(b, meter)
	}
	if e.Default {
		b = appendInt(b, 8, 1)
	}
	return finish(b, entry)
}

func appendMatch(b []byte, m *p4entry.Match) []byte {
	b, match := begin(b, 2) // TableEntry.match
	b = appendInt(b, 1, uint64(m.Field))
	var value int
	switch m.Kind {
	case p4entry.Exact:
		b, value = begin(b, 2)
		b = appendBytes(b, 1, m.Value)
	case p4entry.Ternary:
		b, value = begin(b, 3)
		b = appendBytes(appendBytes(b, 1, m.Value), 2, m.Mask)
	default: // LPM, because the pipeline has no other kind of match
		b, value = begin(b, 4)
		b = appendInt(appendBytes(b, 1, m.Value), 2, uint64(m.PrefixLen))
	}
	return finish(finish(b, value), match)
}

func appendGroup(b []byte, id uint32, ports []pipeline.Port) []byte {
	b, engine := begin(b, 9) // Entity.packet_replication_engine_entry
	b, group := begin(b, 1)  // PacketReplicationEngineEntry.multicast_group_entry
	b = appendInt(b, 1, uint64(id))
	for _, p := range ports {
		var replica int
		b, replica = begin(b, 2)
		b = appendInt(b, 2, 1) // Replica.instance
		b = finish(appendBytes(b, 3, p4entry.Canonical([]byte{byte(p >> 8), byte(p)})), replica)
	}
	return finish(finish(b, group), engine)
}

// begin starts a nested message in a field. finish later fills in its length.
func begin(b []byte, field protowire.Number) ([]byte, int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0)
	return b, len(b)
}

// finish ends the nested message that begins at offset at.
func finish(b []byte, at int) []byte {
	n := len(b) - at
	if n < 0x80 {
		b[at-1] = byte(n)
		return b
	}
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		b = append(b, 0)
	}
	copy(b[at+more:], b[at:at+n])
	protowire.AppendVarint(b[at-1:at-1], uint64(n))
	return b
}

// appendInt appends an integer field. It omits 0, as proto3 does.
func appendInt(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}

// Entity converts an entry to a message.
func Entity(e pipeline.Entry) *p4v1.Entity {
	var form p4entry.Entry
	m := new(p4v1.Entity)
	if err := proto.Unmarshal(appendEntity(nil, &e, &form), m); err != nil {
		panic("p4rt: encoded an entry that cannot be decoded: " + err.Error())
	}
	return m
}
