package store

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Each answer of etcd has a header with a cluster id and a revision. The functions in this file check the headers of all answers. The
// store was replaced if the cluster id is different, or if the revision is lower than a revision that was known before the request was
// sent.

// redialBackoff configures the pause before a member is dialed again. gRPC's default pause grows to two minutes, so that a member would
// stay unused for up to two minutes after it is reachable again.
var redialBackoff = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

// A sight is the state of etcd that is known when a request is sent.
type sight struct {
	gen  *Generation
	high int64
}

func (s *Store) sight() sight {
	s.etcdState.mu.Lock()
	defer s.etcdState.mu.Unlock()
	return sight{s.etcdState.gen, s.etcdState.high}
}

// observe checks the header of an answer. If the answer is not linearizable, a lower revision may come from a member that lags behind. In
// this case, observe only makes the sentinel check the store.
func (s *Store) observe(h *etcdserverpb.ResponseHeader, before sight, linearizable bool) {
	if h == nil || h.ClusterId == 0 {
		return
	}
	st := &s.etcdState
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.gen != before.gen:
		return // the request was sent in an earlier generation
	case st.cluster == 0:
		st.cluster = h.ClusterId
	case st.cluster != h.ClusterId:
		s.replacedLocked(before.gen, fmt.Sprintf("etcd is cluster %x, and was cluster %x", h.ClusterId, st.cluster))
		return
	}
	if h.Revision > 0 && h.Revision < before.high {
		if linearizable {
			s.replacedLocked(before.gen, fmt.Sprintf("etcd is at revision %d, and was at %d", h.Revision, before.high))
		} else {
			s.sentinel.kick()
		}
		return
	}
	st.high = max(st.high, h.Revision)
}

// linearizable reports whether the answer to req must have at least the revision of every answer that was received before req was sent.
func linearizable(req any) bool {
	switch r := req.(type) {
	case *etcdserverpb.RangeRequest:
		return !r.Serializable
	case *etcdserverpb.TxnRequest, *etcdserverpb.PutRequest, *etcdserverpb.DeleteRangeRequest:
		return true
	}
	return false
}

type headed interface {
	GetHeader() *etcdserverpb.ResponseHeader
}

// dialOptions returns the options for connections. They pass the header of every answer to observe.
func (s *Store) dialOptions() []grpc.DialOption {
	unary := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		before := s.sight()
		err := invoke(ctx, method, req, reply, cc, opts...)
		if answer, ok := reply.(headed); ok && err == nil {
			s.observe(answer.GetHeader(), before, linearizable(req))
		}
		return err
	}
	stream := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, begin grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		before := s.sight()
		st, err := begin(ctx, desc, cc, method, opts...)
		if err != nil {
			return nil, err
		}
		return &observed{ClientStream: st, s: s, before: before}, nil
	}
	redial := grpc.ConnectParams{Backoff: redialBackoff, MinConnectTimeout: 5 * time.Second}
	return []grpc.DialOption{grpc.WithConnectParams(redial), grpc.WithChainUnaryInterceptor(unary), grpc.WithChainStreamInterceptor(stream)}
}

// An observed is a stream of watch responses or lease renewals whose headers are checked.
type observed struct {
	grpc.ClientStream
	s      *Store
	before sight
}

var _ grpc.ClientStream = (*observed)(nil)

// RecvMsg receives a message and checks its header.
func (o *observed) RecvMsg(m any) error {
	err := o.ClientStream.RecvMsg(m)
	if answer, ok := m.(headed); ok && err == nil {
		o.s.observe(answer.GetHeader(), o.before, false)
	}
	return err
}
