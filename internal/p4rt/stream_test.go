package p4rt

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
)

func digest(list uint64) *p4v1.StreamMessageResponse {
	return &p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Digest{Digest: &p4v1.DigestList{DigestId: 5, ListId: list}}}
}

func TestStreamMessages(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	s := dialed(t, fake.serve(t))
	stream := <-fake.streams
	for _, m := range []*p4v1.StreamMessageResponse{
		digest(9),
		{Update: &p4v1.StreamMessageResponse_Packet{Packet: &p4v1.PacketIn{Payload: []byte("frame")}}},
		{Update: &p4v1.StreamMessageResponse_IdleTimeoutNotification{IdleTimeoutNotification: &p4v1.IdleTimeoutNotification{Timestamp: 3}}},
		{Update: &p4v1.StreamMessageResponse_Error{Error: &p4v1.StreamError{CanonicalCode: int32(codes.InvalidArgument)}}},
		{Update: &p4v1.StreamMessageResponse_Other{}},
	} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	list := <-s.Digests()
	if list.GetListId() != 9 {
		t.Errorf("digest list %v", list)
	}
	if p := <-s.PacketIns(); string(p.GetPayload()) != "frame" {
		t.Errorf("packet %v", p)
	}
	if n := <-s.IdleTimeouts(); n.GetTimestamp() != 3 {
		t.Errorf("idle timeout %v", n)
	}
	if e := <-s.StreamErrors(); codes.Code(e.GetCanonicalCode()) != codes.InvalidArgument {
		t.Errorf("stream error %v", e)
	}

	if err := s.Ack(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if err := s.PacketOut(t.Context(), &p4v1.PacketOut{Payload: []byte("out")}); err != nil {
		t.Fatal(err)
	}
	want := []*p4v1.StreamMessageRequest{
		{Update: &p4v1.StreamMessageRequest_DigestAck{DigestAck: &p4v1.DigestListAck{DigestId: 5, ListId: 9}}},
		{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{Payload: []byte("out")}}},
	}
	if diff := cmp.Diff(want, []*p4v1.StreamMessageRequest{<-stream.got, <-stream.got}, protocmp.Transform()); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

// If nobody reads digests, the session still handles a demotion, and messages of other kinds are not dropped.
func TestFullQueueBlocksNothing(t *testing.T) {
	fake := &fakeSwitch{streams: make(chan *fakeStream, 1)}
	cfg := fake.serve(t)
	cfg.QueueSize = 2
	s := dialed(t, cfg)
	stream := <-fake.streams
	for i := range uint64(5) {
		if err := stream.Send(digest(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: &p4v1.PacketIn{}}}); err != nil {
		t.Fatal(err)
	}
	stream.arbitration(codes.AlreadyExists, ElectionID{Low: 43})
	<-s.Demoted()
	if got := s.Drops(); got != (Drops{Digests: 3}) {
		t.Errorf("drops %+v, want 3 digests", got)
	}
	if first, second := <-s.Digests(), <-s.Digests(); first.GetListId() != 0 || second.GetListId() != 1 {
		t.Errorf("lists %d and %d are left, want the oldest two", first.GetListId(), second.GetListId())
	}
	if <-s.PacketIns() == nil {
		t.Error("the packet is gone")
	}
	if err := s.Ack(t.Context(), &p4v1.DigestList{}); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("ack without primacy: %v, want ErrNotPrimary", err)
	}
	if err := s.PacketOut(t.Context(), &p4v1.PacketOut{}); !errors.Is(err, ErrNotPrimary) {
		t.Errorf("packet without primacy: %v, want ErrNotPrimary", err)
	}
}

// If the switch does not read its stream, a sender blocks until its context ends or the session ends.
func TestSendBlocked(t *testing.T) {
	full := make(chan struct{})
	fake := &fakeSwitch{arbitrate: func(s *fakeStream, _ *p4v1.MasterArbitrationUpdate) error {
		s.arbitration(codes.OK, testElection)
		<-full // the switch reads nothing
		return nil
	}}
	s := dialed(t, fake.serve(t))
	defer close(full)
	<-s.sending // like a Send that flow control blocks
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 2)
	go func() { result <- s.PacketOut(ctx, &p4v1.PacketOut{}) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	go func() { result <- s.PacketOut(t.Context(), &p4v1.PacketOut{}) }()
	s.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
