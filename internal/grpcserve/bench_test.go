package grpcserve

import (
	"context"
	"net"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// An echo is a P4Runtime server that returns the packets that it receives, unless a test sets its
// functions.
type echo struct {
	p4v1.UnimplementedP4RuntimeServer
	write  func(context.Context, *p4v1.WriteRequest) error
	stream func(p4v1.P4Runtime_StreamChannelServer) error
}

func (e *echo) Write(ctx context.Context, r *p4v1.WriteRequest) (*p4v1.WriteResponse, error) {
	if e.write != nil {
		if err := e.write(ctx, r); err != nil {
			return nil, err
		}
	}
	return &p4v1.WriteResponse{}, nil
}

func (e *echo) StreamChannel(s p4v1.P4Runtime_StreamChannelServer) error {
	if e.stream != nil {
		return e.stream(s)
	}
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if err := s.Send(&p4v1.StreamMessageResponse{Update: &p4v1.StreamMessageResponse_Packet{Packet: &p4v1.PacketIn{Payload: m.GetPacket().GetPayload()}}}); err != nil {
			return err
		}
	}
}

// updates returns a batch of n table entries that have the form of op25b's exemptions.
func updates(n int) *p4v1.WriteRequest {
	r := &p4v1.WriteRequest{DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}}
	for i := range n {
		match := func(id uint32) *p4v1.FieldMatch {
			return &p4v1.FieldMatch{FieldId: id, FieldMatchType: &p4v1.FieldMatch_Exact_{Exact: &p4v1.FieldMatch_Exact{Value: []byte{byte(i), byte(i >> 8), 1, 2}}}}
		}
		r.Updates = append(r.Updates, &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{
			TableId: 33554433, Match: []*p4v1.FieldMatch{match(1), match(2), match(3), match(4), match(5)},
			Action: &p4v1.TableAction{Type: &p4v1.TableAction_Action{Action: &p4v1.Action{ActionId: 16777217, Params: []*p4v1.Action_Param{{ParamId: 1, Value: []byte{1}}}}}},
		}}}})
	}
	return r
}

// BenchmarkCall compares this server with a server that uses gRPC's own transport.
func BenchmarkCall(b *testing.B) {
	for _, served := range []struct {
		name  string
		serve func(l net.Listener) (stop func())
	}{
		{"grpc", func(l net.Listener) func() {
			g := grpc.NewServer(grpc.MaxRecvMsgSize(DefaultMessage))
			p4v1.RegisterP4RuntimeServer(g, &echo{})
			go func() { _ = g.Serve(l) }()
			return g.Stop
		}},
		{"grpcserve", func(l net.Listener) func() {
			s, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			p4v1.RegisterP4RuntimeServer(s, &echo{})
			go s.Serve(l)
			return s.Close
		}},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		stop := served.serve(l)
		conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		client := p4v1.NewP4RuntimeClient(conn)
		for _, size := range []struct {
			name string
			n    int
		}{{"1", 1}, {"1000", 1000}, {"10000", 10000}} {
			r := updates(size.n)
			b.Run(served.name+"/write/"+size.name, func(b *testing.B) {
				for b.Loop() {
					if _, err := client.Write(b.Context(), r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(served.name+"/packets", func(b *testing.B) {
			stream, err := client.StreamChannel(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			m := &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{Payload: make([]byte, 100)}}}
			const window = 64
			ready := make(chan struct{}, window)
			go func() {
				for {
					if _, err := stream.Recv(); err != nil {
						return
					}
					<-ready
				}
			}()
			for b.Loop() {
				ready <- struct{}{}
				if err := stream.Send(m); err != nil {
					b.Fatal(err)
				}
			}
		})
		_ = conn.Close()
		stop()
	}
}
