package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/store"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

type auditService struct{ *server }

var _ op25bv1connect.AuditServiceHandler = auditService{}

// ListRecords lists audit records.
func (s auditService) ListRecords(ctx context.Context, req *connect.Request[op25bv1.ListRecordsRequest]) (*connect.Response[op25bv1.ListRecordsResponse], error) {
	limit, err := listLimit(req.Msg.Limit)
	if err != nil {
		return nil, err
	}
	head, err := s.Store.Audit().Head(ctx)
	if err != nil {
		return nil, err
	}
	checkpoint, err := s.Store.Audit().Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	from := req.Msg.From
	if from == 0 && head.Seq > uint64(limit) {
		from = head.Seq - uint64(limit) + 1
	}
	records, err := s.Store.Audit().Records(ctx, from, limit)
	if err != nil {
		return nil, err
	}
	in, _ := s.currentOrNone(ctx) // the audit chain can be read even if the intent cannot be read
	answer := &op25bv1.ListRecordsResponse{Head: headOf(head), Checkpoint: checkpointOf(checkpoint), UtcOffset: offsetOf(in)}
	for _, r := range records {
		answer.Records = append(answer.Records, recordOf(r))
	}
	return connect.NewResponse(answer), nil
}

func recordOf(r store.AuditRecord) *op25bv1.AuditRecord {
	return &op25bv1.AuditRecord{
		Seq: r.Seq, Time: timestamppb.New(r.Time), Who: r.Who, Role: r.Role, Verb: r.Verb, Object: r.Object,
		Reason: r.Reason, Detail: r.Detail, Prev: r.Prev, Hash: r.Hash,
	}
}

// checkpointOf converts a checkpoint to a message. It returns nil if no record has been archived.
func checkpointOf(cp store.Checkpoint) *op25bv1.AuditCheckpoint {
	if cp.Seq == 0 {
		return nil
	}
	return &op25bv1.AuditCheckpoint{Seq: cp.Seq, Hash: cp.Hash, Archive: cp.Archive, Time: timestamppb.New(cp.Time)}
}

// Verify verifies the audit chain in the store. A broken chain is reported in the response, not as an
// error.
func (s auditService) Verify(ctx context.Context, req *connect.Request[op25bv1.VerifyRequest]) (*connect.Response[op25bv1.VerifyResponse], error) {
	known := make([]store.Head, len(req.Msg.Known))
	for i, h := range req.Msg.Known {
		known[i] = store.Head{Seq: h.GetSeq(), Hash: h.GetHash()}
	}
	v, err := s.Store.Audit().VerifyFrom(ctx, known...)
	var broken *store.BreakError
	switch {
	case errors.As(err, &broken):
		return connect.NewResponse(&op25bv1.VerifyResponse{BrokenAt: broken.Seq, Broken: broken.What}), nil
	case err != nil:
		return nil, err
	}
	return connect.NewResponse(&op25bv1.VerifyResponse{Intact: true, Head: headOf(v.Head), Checkpoint: checkpointOf(v.Checkpoint)}), nil
}

// Prune deletes records that have been archived.
func (s auditService) Prune(ctx context.Context, req *connect.Request[op25bv1.PruneRequest]) (*connect.Response[op25bv1.PruneResponse], error) {
	if err := checkReason(req.Msg.Reason); err != nil {
		return nil, err
	}
	cp, id := req.Msg.GetCheckpoint(), caller(ctx)
	r, err := s.Store.Audit().Prune(ctx, store.Checkpoint{Seq: cp.GetSeq(), Hash: cp.GetHash(), Archive: cp.GetArchive()},
		store.AuditRecord{Who: id.Who, Role: string(id.Role), Reason: req.Msg.Reason})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&op25bv1.PruneResponse{Record: recordOf(r)}), nil
}

func headOf(h store.Head) *op25bv1.AuditHead { return &op25bv1.AuditHead{Seq: h.Seq, Hash: h.Hash} }
