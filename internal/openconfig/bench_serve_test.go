package openconfig

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// counting is a codec that counts the bytes of messages without decoding them, so that a benchmark measures only the server.
type counting struct {
	messages, bytes *atomic.Int64
}

func (counting) Name() string { return "proto" }

func (counting) Marshal(v any) (mem.BufferSlice, error) {
	b, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

func (c counting) Unmarshal(data mem.BufferSlice, _ any) error {
	c.messages.Add(1)
	c.bytes.Add(int64(data.Len()))
	return nil
}

// bare is a server that sends the same messages to every subscriber without end, using gRPC's own code.
type bare struct {
	gpb.UnimplementedGNMIServer
	messages []*gpb.SubscribeResponse
	pause    bool // pause after the first round
}

func (s *bare) Subscribe(stream gpb.GNMI_SubscribeServer) error {
	for {
		for _, m := range s.messages {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		if s.pause {
			<-stream.Context().Done()
			return nil
		}
	}
}

// A crowd is the set of subscribers of one server, each with its own connection.
type crowd struct {
	messages, bytes atomic.Int64
	stop            func()
}

func newCrowd(b *testing.B, s gpb.GNMIServer, subscribers int, list *gpb.SubscriptionList) *crowd {
	b.Helper()
	lis, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, s)
	var running sync.WaitGroup
	running.Go(func() { _ = g.Serve(lis) })
	c := &crowd{}
	ctx, cancel := context.WithCancel(b.Context())
	codec := counting{&c.messages, &c.bytes}
	for range subscribers {
		conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec)))
		if err != nil {
			b.Fatal(err)
		}
		stream, err := gpb.NewGNMIClient(conn).Subscribe(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
			b.Fatal(err)
		}
		running.Go(func() {
			defer conn.Close()
			var m gpb.SubscribeResponse
			for stream.RecvMsg(&m) == nil {
			}
		})
	}
	c.stop = func() {
		cancel()
		g.Stop()
		running.Wait()
	}
	return c
}

// sixtyFour returns a switch of 64 ports, with 16 rules on each that have counted packets.
func sixtyFour() *State {
	st := &State{ACLSet: "op25b", System: &System{Hostname: "edge-1"}}
	for i := range 64 {
		in := Interface{Name: fmt.Sprint("access-", i), Port: uint32(i + 1), Oper: OperUp, Counters: &InterfaceCounters{InPkts: 1e9, InOctets: 1e12, OutPkts: 1e9, OutOctets: 1e12}}
		for r := range 16 {
			in.ACL = append(in.ACL, ACLEntry{SequenceID: uint32(r + 1), MatchedPackets: 1e6, MatchedOctets: 6e7})
		}
		st.Interfaces = append(st.Interfaces, in)
	}
	return st
}

// everything returns a subscription to all counters of a switch.
func everything(interval time.Duration) *gpb.SubscriptionList {
	return listOf(gpb.SubscriptionList_STREAM, sample(interval, at("interfaces")), sample(interval, at("acl")))
}

// messagesOf returns the messages of one sample, and the number of their leaves.
func messagesOf(b *testing.B, s *Server, list *gpb.SubscriptionList) (messages []*gpb.SubscribeResponse, leaves int) {
	b.Helper()
	once := proto.Clone(list).(*gpb.SubscriptionList)
	once.Mode = gpb.SubscriptionList_ONCE
	pickers, err := s.pickers(once)
	if err != nil {
		b.Fatal(err)
	}
	h, leave := s.enter(s.only)
	defer leave()
	out := &sender{stream: &recorder{ctx: b.Context(), messages: &messages}, encoding: list.GetEncoding()}
	if err := h.answer(b.Context(), pickers, false, out); err != nil {
		b.Fatal(err)
	}
	messages = messages[:len(messages)-1] // without the sync response
	for _, m := range messages {
		leaves += len(m.GetUpdate().GetUpdate())
	}
	return messages, leaves
}

// A recorder is a stream that stores the messages.
type recorder struct {
	gpb.GNMI_SubscribeServer
	ctx      context.Context
	messages *[]*gpb.SubscribeResponse
}

func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Send(m *gpb.SubscribeResponse) error {
	raw, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	kept := &gpb.SubscribeResponse{}
	*r.messages = append(*r.messages, kept)
	return proto.Unmarshal(raw, kept)
}

// encoded returns the messages with their bytes as unknown fields, which gRPC copies instead of encoding them.
func encoded(b *testing.B, messages []*gpb.SubscribeResponse) (out []*gpb.SubscribeResponse) {
	b.Helper()
	for _, m := range messages {
		raw, err := proto.Marshal(m)
		if err != nil {
			b.Fatal(err)
		}
		e := &gpb.SubscribeResponse{}
		e.ProtoReflect().SetUnknown(raw)
		out = append(out, e)
	}
	return out
}

// BenchmarkServe measures the updates that subscribers receive when they read as fast as they can. It compares them with a bare gRPC stream of
// the same messages, which gRPC encodes, and with the same stream of messages that are already encoded.
//
//	go test ./internal/openconfig -run ^$ -bench BenchmarkServe -benchtime 5s
func BenchmarkServe(b *testing.B) {
	s, err := NewServer(fixed{sixtyFour()}, Options{MinSample: time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	list := everything(time.Millisecond)
	messages, leaves := messagesOf(b, s, list)
	for _, subscribers := range []int{1, 50} {
		rates := map[string]float64{}
		for _, served := range []struct {
			name   string
			server gpb.GNMIServer
		}{{"bare", &bare{messages: messages}}, {"encoded", &bare{messages: encoded(b, messages)}}, {"server", s}} {
			b.Run(fmt.Sprint(served.name, "/", subscribers), func(b *testing.B) {
				c := newCrowd(b, served.server, subscribers, list)
				defer c.stop()
				for c.messages.Load() < int64(subscribers*len(messages)) { // wait for the initial values
					time.Sleep(time.Millisecond)
				}
				first, start := c.messages.Load(), time.Now()
				for b.Loop() { // one round for all subscribers
					want := c.messages.Load() + int64(subscribers*len(messages))
					for c.messages.Load() < want {
						time.Sleep(100 * time.Microsecond)
					}
				}
				got := float64(c.messages.Load()-first) * float64(leaves) / float64(len(messages))
				rates[served.name] = got / time.Since(start).Seconds()
				b.ReportMetric(rates[served.name], "updates/s")
				for _, floor := range []string{"bare", "encoded"} {
					if rate := rates[floor]; rate > 0 {
						b.ReportMetric(rates[served.name]/rate, "of-"+floor)
					}
				}
			})
		}
	}
}

// BenchmarkSubscriberHeap measures the memory of a subscriber that waits for its next sample, including both ends of its connection. The lower
// bound is a bare gRPC stream.
func BenchmarkSubscriberHeap(b *testing.B) {
	const subscribers = 50
	changing := listOf(gpb.SubscriptionList_STREAM, onChange(at("interfaces")), onChange(at("acl")))
	s, err := NewServer(fixed{sixtyFour()}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	messages, _ := messagesOf(b, s, changing)
	for _, tc := range []struct {
		name   string
		server gpb.GNMIServer
		list   *gpb.SubscriptionList
	}{
		{"bare", &bare{messages: messages, pause: true}, changing},
		{"sample", s, everything(time.Hour)},
		{"on-change", s, changing},
	} {
		b.Run(tc.name, func(b *testing.B) {
			heap := func() float64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return float64(m.HeapAlloc)
			}
			for b.Loop() {
				before := heap()
				c := newCrowd(b, tc.server, subscribers, tc.list)
				for c.messages.Load() < int64(subscribers*len(messages)) {
					time.Sleep(time.Millisecond)
				}
				waiting := heap()
				for range 20 { // wait until the readings after the initial values have ended
					waiting = min(waiting, heap())
				}
				b.ReportMetric((waiting-before)/subscribers, "B/subscriber")
				c.stop()
			}
		})
	}
}
