package p4rtserver

import (
	"context"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Write applies a batch of updates in order (spec 12). Each update succeeds or fails independently. If any update fails, the status is
// UNKNOWN with one p4.v1.Error for every update. Batches are applied one after another. When the response is sent, the data plane uses
// the new state.
func (s *Server) Write(ctx context.Context, req *p4v1.WriteRequest) (*p4v1.WriteResponse, error) {
	if s.isClosed() {
		return nil, errClosed()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	roleID := req.ProtoReflect().Get(req.ProtoReflect().Descriptor().Fields().ByName("role_id")).Uint()
	if err := s.arb.authorize(req.DeviceId, req.Role, roleID, req.ElectionId); err != nil {
		return nil, err
	}
	p := s.controlled()
	if p == nil {
		return nil, errNoPipeline()
	}
	if req.Atomicity != p4v1.WriteRequest_CONTINUE_ON_ERROR {
		return nil, status.Errorf(codes.Unimplemented, "atomicity %v: not supported; CONTINUE_ON_ERROR is", req.Atomicity)
	}
	var errs []error
	for i, u := range req.Updates {
		if err := p.apply(u); err != nil {
			if errs == nil {
				errs = make([]error, len(req.Updates))
			}
			errs[i] = brief(err)
		}
	}
	if errs != nil {
		return nil, batchError("write", errs, metadataLimit(ctx))
	}
	return &p4v1.WriteResponse{}, nil
}

// apply applies one update. If it returns an error, nothing has changed. The error is a gRPC status.
func (p *pipeline) apply(u *p4v1.Update) error {
	op := u.GetType()
	switch op {
	case p4v1.Update_INSERT, p4v1.Update_MODIFY, p4v1.Update_DELETE:
	default:
		return invalidf("update type %v: it must be INSERT, MODIFY or DELETE", op)
	}
	switch e := u.GetEntity().GetEntity().(type) {
	case *p4v1.Entity_TableEntry:
		return p.writeTable(op, e.TableEntry)
	case *p4v1.Entity_DirectCounterEntry:
		return p.writeDirectCounter(op, e.DirectCounterEntry)
	case *p4v1.Entity_DirectMeterEntry:
		return p.writeDirectMeter(op, e.DirectMeterEntry)
	case *p4v1.Entity_CounterEntry:
		return p.writeCounter(op, e.CounterEntry)
	case *p4v1.Entity_MeterEntry:
		return p.writeMeter(op, e.MeterEntry)
	case *p4v1.Entity_RegisterEntry:
		return p.writeRegister(op, e.RegisterEntry)
	case *p4v1.Entity_ActionProfileMember:
		return p.writeMember(op, e.ActionProfileMember)
	case *p4v1.Entity_ActionProfileGroup:
		return p.writeGroup(op, e.ActionProfileGroup)
	case *p4v1.Entity_PacketReplicationEngineEntry:
		return p.writeReplication(op, e.PacketReplicationEngineEntry)
	case *p4v1.Entity_ValueSetEntry:
		return p.writeValueSet(op, e.ValueSetEntry)
	case *p4v1.Entity_DigestEntry:
		return p.digests.configure(op, e.DigestEntry)
	case *p4v1.Entity_ExternEntry:
		return status.Error(codes.Unimplemented, "extern_entry: v1model has no externs beyond those of P4Runtime")
	}
	return invalidf("entity: not set, or of a kind that this version of P4Runtime does not have")
}

// onlyModify returns an error for an update other than MODIFY. It is used for objects that the control plane can neither create nor
// remove.
func onlyModify(op p4v1.Update_Type, kind string) error {
	if op != p4v1.Update_MODIFY {
		return invalidf("%s: update type %v: only MODIFY is allowed", kind, op)
	}
	return nil
}
