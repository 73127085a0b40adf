package p4rt

import (
	"context"
	"errors"
	"fmt"
	"io"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
)

// Read returns every entity that matches one of the filters (section 13). If Read returns an error, it returns no
// entities. Without filters, Read sends no request and returns no entities.
//
// bmv2 stops at the first filter that it does not support. It supports neither the wildcard for the direct counters
// of all tables, nor registers, nor value sets. Read direct counters table by table instead.
func (r *Reader) Read(ctx context.Context, filters ...*p4v1.Entity) ([]*p4v1.Entity, error) {
	var all []*p4v1.Entity
	err := r.ReadEach(ctx, func(batch []*p4v1.Entity) error {
		if all == nil {
			all = batch // avoids a copy if the server answers in one message
			return nil
		}
		all = append(all, batch...)
		return nil
	}, filters...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// ReadEach is like Read, for answers that should not be in memory as a whole. It calls fn with the entities of each
// message, in the order in which they are received. An error from fn ends the read and is returned unchanged. If
// ReadEach returns an error, fn may have received only a part of the answer.
func (r *Reader) ReadEach(ctx context.Context, fn func([]*p4v1.Entity) error, filters ...*p4v1.Entity) error {
	return r.readEach(ctx, "read", fn, filters)
}

func (r *Reader) readEach(ctx context.Context, op string, fn func([]*p4v1.Entity) error, filters []*p4v1.Entity) error {
	var answer *p4v1.ReadResponse
	return r.follow(ctx, op, filters, func(stream grpc.ClientStream) error {
		answer = new(p4v1.ReadResponse)
		return stream.RecvMsg(answer)
	}, func() error {
		if len(answer.GetEntities()) == 0 {
			return nil
		}
		return fn(answer.GetEntities())
	})
}

// follow performs a read. It calls receive to receive the next message of the answer from the stream, and handle to
// process that message.
func (r *Reader) follow(
	ctx context.Context, op string, filters []*p4v1.Entity, receive func(grpc.ClientStream) error, handle func() error, opts ...grpc.CallOption,
) error {
	if err := r.ended(); err != nil {
		return r.fail(op, nil, err)
	}
	if len(filters) == 0 {
		return nil
	}
	ctx, stall, cancel := newStall(ctx, r.cfg.CallTimeout)
	defer cancel()
	stream, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, p4v1.P4Runtime_Read_FullMethodName, opts...)
	if err == nil {
		err = stream.SendMsg(&p4v1.ReadRequest{DeviceId: r.cfg.DeviceID, Role: r.cfg.Role, Entities: filters})
	}
	if err == nil || errors.Is(err, io.EOF) { // after io.EOF, the stream has already ended, and receive returns the reason
		err = stream.CloseSend()
	}
	if err != nil {
		return r.rpcError(ctx, op, err)
	}
	for {
		err := receive(stream)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return r.rpcError(ctx, op, err)
		}
		stall.rest() // the time that handle takes does not count towards the timeout
		if err := handle(); err != nil {
			return err
		}
		stall.alive()
	}
}

// ReadTables reads the entries of each table with one request per table. It calls fn exactly once for each table,
// even if the table is empty. Default entries are not included, because they must be read with is_default_action
// (section 9.1). ReadTables stops at the first error from the switch or from fn.
func (r *Reader) ReadTables(ctx context.Context, ids []uint32, fn func(id uint32, entries []*p4v1.TableEntry) error) error {
	for _, id := range ids {
		if id == 0 {
			return r.fail("read table 0", nil, errors.New("a table id must be > 0: 0 is the wildcard over all tables"))
		}
		op := fmt.Sprintf("read table 0x%08x", id)
		var entries []*p4v1.TableEntry
		err := r.readEach(ctx, op, func(batch []*p4v1.Entity) error {
			for _, e := range batch {
				entry := e.GetTableEntry()
				if entry.GetTableId() != id {
					return r.fail(op, nil, fmt.Errorf("answered with a %s of table 0x%08x", EntityKind(e), entry.GetTableId()))
				}
				entries = append(entries, entry)
			}
			return nil
		}, []*p4v1.Entity{{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: id}}}})
		if err != nil {
			return err
		}
		if err := fn(id, entries); err != nil {
			return err
		}
	}
	return nil
}

// EntityKind returns the kind of an entity, which is the name of the field that is set, such as "table_entry". It
// returns "empty entity" if no field is set.
func EntityKind(e *p4v1.Entity) string {
	m := e.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("entity")); f != nil {
		return string(f.Name())
	}
	return "empty entity"
}
