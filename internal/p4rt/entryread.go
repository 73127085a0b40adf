package p4rt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"op25b/internal/p4entry"
	"op25b/internal/pipeline"
)

// ReadEntries reads all entries of the given tables, with one request per table, and calls fn with each entry. An
// error from fn ends the read and is returned unchanged. If an entry cannot be part of any State, ReadEntries returns
// pipeline.ErrForeign.
func (r *Reader) ReadEntries(ctx context.Context, tables []pipeline.Table, fn func(pipeline.Entry) error) error {
	var form p4entry.Entry
	for _, t := range tables {
		op := fmt.Sprintf("read %v", t)
		var answer encodedMessage
		err := r.follow(ctx, op, []*p4v1.Entity{Request(t)}, func(stream grpc.ClientStream) error {
			return stream.RecvMsg(&answer)
		}, func() error {
			defer answer.free()
			var stop error // error from fn or from decoding an entity
			err := eachField(answer.bytes(), func(field protowire.Number, _ uint64, entity []byte) error {
				if field != 1 { // ReadResponse.entities
					return nil
				}
				e, err := readEntity(entity, &form)
				if err != nil {
					stop = r.fail(op, nil, err)
				} else {
					stop = fn(e)
				}
				return stop
			})
			if err != nil && stop == nil {
				err = r.fail(op, nil, fmt.Errorf("the answer is no ReadResponse: %w", err))
			}
			return err
		}, asEncoded)
		if err != nil {
			return err
		}
	}
	return nil
}

// Request returns the filter that reads all entries of a table.
func Request(t pipeline.Table) *p4v1.Entity {
	if t.IsGroups() {
		return &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
			Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: &p4v1.MulticastGroupEntry{}},
		}}}
	}
	request := &p4v1.TableEntry{TableId: t.ID(), IsDefaultAction: t.OnlyDefault()}
	if t.Metered() {
		request.MeterConfig = &p4v1.MeterConfig{} // also requests the meters of the entries
	}
	return &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: request}}
}

// EntryOf converts a message to an entry. It ignores counters, metadata and idle times. It returns
// pipeline.ErrForeign if the entity cannot be part of any State.
func EntryOf(m *p4v1.Entity) (pipeline.Entry, error) {
	encoded, err := proto.Marshal(m)
	if err != nil {
		return pipeline.Entry{}, fmt.Errorf("%w: %w", pipeline.ErrForeign, err)
	}
	var form p4entry.Entry
	return readEntity(encoded, &form)
}

// readEntity decodes an encoded Entity. form is scratch space.
func readEntity(b []byte, form *p4entry.Entry) (e pipeline.Entry, err error) {
	kind := "an empty entity"
	err = eachField(b, func(field protowire.Number, _ uint64, in []byte) (err error) {
		switch field {
		case 2: // Entity.table_entry
			*form = p4entry.Entry{Match: form.Match[:0], Params: form.Params[:0]}
			if err := readTableEntry(in, form); err != nil {
				return err
			}
			kind = ""
			e, err = pipeline.FromForm(form)
			return err
		case 9: // Entity.packet_replication_engine_entry
			kind = "an entry of the packet replication engine that is no multicast group"
			return eachField(in, func(field protowire.Number, _ uint64, in []byte) (err error) {
				if field == 1 { // PacketReplicationEngineEntry.multicast_group_entry
					kind = ""
					e, err = readGroup(in)
				}
				return err
			})
		}
		kind = fmt.Sprintf("an entity of kind %d", field)
		return nil
	})
	if err == nil && kind != "" {
		err = errors.New(kind)
	}
	if err != nil && !errors.Is(err, pipeline.ErrForeign) {
		err = fmt.Errorf("%w: %w", pipeline.ErrForeign, err)
	}
	return e, err
}

func readTableEntry(b []byte, e *p4entry.Entry) error {
	return eachField(b, func(field protowire.Number, v uint64, in []byte) error {
		switch field {
		case 1:
			e.Table = uint32(v)
		case 2:
			e.Match = append(e.Match, p4entry.Match{})
			return readMatch(in, &e.Match[len(e.Match)-1])
		case 3:
			return eachField(in, func(field protowire.Number, _ uint64, in []byte) error {
				if field != 1 { // TableAction.action
					return errors.New("an entry with an action profile's member, group or set")
				}
				return readAction(in, e)
			})
		case 4:
			e.Priority = int32(v)
		case 6:
			e.Meter = &p4entry.Meter{}
			return eachField(in, func(field protowire.Number, v uint64, _ []byte) error {
				switch field {
				case 1:
					e.Meter.CIR = int64(v)
				case 2:
					e.Meter.CBurst = int64(v)
				case 3:
					e.Meter.PIR = int64(v)
				case 4:
					e.Meter.PBurst = int64(v)
				}
				return nil
			})
		case 8:
			e.Default = v != 0
		}
		return nil
	})
}

func readMatch(b []byte, m *p4entry.Match) error {
	return eachField(b, func(field protowire.Number, v uint64, in []byte) error {
		switch field {
		case 1:
			m.Field = uint32(v)
			return nil
		case 2:
			m.Kind = p4entry.Exact
		case 3:
			m.Kind = p4entry.Ternary
		case 4:
			m.Kind = p4entry.LPM
		case 6:
			m.Kind = p4entry.Range
		case 7:
			m.Kind = p4entry.Optional
		default:
			return nil
		}
		return eachField(in, func(field protowire.Number, v uint64, in []byte) error {
			switch {
			case field == 1:
				m.Value = in
			case m.Kind == p4entry.LPM:
				m.PrefixLen = int32(v)
			default:
				m.Mask = in
			}
			return nil
		})
	})
}

func readAction(b []byte, e *p4entry.Entry) error {
	return eachField(b, func(field protowire.Number, v uint64, in []byte) error {
		switch field {
		case 1:
			e.Action = uint32(v)
		case 4:
			e.Params = append(e.Params, p4entry.Param{})
			p := &e.Params[len(e.Params)-1]
			return eachField(in, func(field protowire.Number, v uint64, in []byte) error {
				switch field {
				case 2:
					p.ID = uint32(v)
				case 3:
					p.Value = in
				}
				return nil
			})
		}
		return nil
	})
}

func readGroup(b []byte) (pipeline.Entry, error) {
	var id uint32
	var ports []pipeline.Port
	err := eachField(b, func(field protowire.Number, v uint64, in []byte) error {
		switch field {
		case 1:
			id = uint32(v)
		case 2: // replicas
			var port pipeline.Port
			err := eachField(in, func(field protowire.Number, v uint64, in []byte) error {
				switch field {
				case 1: // egress_port is deprecated since P4Runtime 1.4, but bmv2 uses it in answers
					port = pipeline.Port(v)
				case 3: // port
					for _, x := range in {
						port = port<<8 | pipeline.Port(x)
					}
				}
				return nil
			})
			ports = append(ports, port)
			return err
		}
		return nil
	})
	slices.Sort(ports)
	return pipeline.NewGroup(id, ports), err
}

// eachField calls fn for each field of an encoded message. The arguments are the field's number, its value if the
// field is a varint, and its bytes if the field has a length.
func eachField(b []byte, fn func(field protowire.Number, v uint64, in []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var in []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			in, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := fn(field, v, in); err != nil {
			return err
		}
	}
	return nil
}

// ReadBack reads single entries of tables, and returns those that the switch has. Only the match of each given entry counts.
func (r *Reader) ReadBack(ctx context.Context, entries []pipeline.Entry) ([]pipeline.Entry, error) {
	var all []pipeline.Entry
	for _, e := range entries { // bmv2 answers a request for several entries with an error if it lacks one of them
		filter := Entity(e)
		filter.GetTableEntry().Action = nil
		err := r.readEach(ctx, "read "+e.Table(), func(batch []*p4v1.Entity) error {
			for _, m := range batch {
				got, err := EntryOf(m)
				if err != nil {
					return r.fail("read "+e.Table(), nil, err)
				}
				all = append(all, got)
			}
			return nil
		}, []*p4v1.Entity{filter})
		if err != nil && status.Code(err) != codes.NotFound {
			return nil, err
		}
	}
	return all, nil
}
