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

type storeService struct {
	*server
	turn chan struct{} // contains a token while a backup is in progress
}

func newStoreService(s *server) storeService { return storeService{s, make(chan struct{}, 1)} }

var _ op25bv1connect.StoreServiceHandler = storeService{}

// backupPart is the maximum number of bytes of a backup in one message.
const backupPart = 256 << 10

// Backup streams a backup of the store.
func (s storeService) Backup(ctx context.Context, _ *connect.Request[op25bv1.BackupRequest], out *connect.ServerStream[op25bv1.BackupResponse]) error {
	ctx, cancel := s.stream(ctx)
	defer cancel(nil)
	id := caller(ctx)
	if _, err := s.Store.Audit().Append(ctx, store.AuditRecord{Who: id.Who, Role: string(id.Role), Verb: "backup", Object: "store"}); err != nil && !errors.Is(err, store.ErrFull) {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return connect.NewError(connect.CodeResourceExhausted, errors.New("another backup is in progress: try again when it has ended"))
	}
	info, err := s.Store.Backup(ctx, backupStream{out})
	if err != nil {
		return err
	}
	return out.Send(&op25bv1.BackupResponse{Part: &op25bv1.BackupResponse_Summary{Summary: BackupSummary(info)}})
}

// BackupSummary converts a description of a backup to a message.
func BackupSummary(info store.BackupInfo) *op25bv1.BackupSummary {
	return &op25bv1.BackupSummary{
		Made: timestamppb.New(info.Made), Store: info.Store, Revision: info.Revision, AuditSeq: info.Audit.Seq, AuditHash: info.Audit.Hash,
		Keys: uint64(info.Keys), Bytes: uint64(info.Bytes),
	}
}

// A backupStream is an io.Writer that sends the written bytes to the caller.
type backupStream struct {
	to *connect.ServerStream[op25bv1.BackupResponse]
}

// Write sends the bytes in messages of at most backupPart bytes.
func (b backupStream) Write(data []byte) (int, error) {
	n := 0
	for n < len(data) {
		part := data[n:min(n+backupPart, len(data))]
		if err := b.to.Send(&op25bv1.BackupResponse{Part: &op25bv1.BackupResponse_Data{Data: part}}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
