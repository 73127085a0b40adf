package p4rtserver

import (
	"context"
	"runtime/metrics"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"op25b/internal/softswitch/engine"
)

// A request may allocate at most fuzzOnce plus fuzzPerByte for each of its bytes, whatever a controller sends. Programs have a separate
// budget, because they are compiled.
const (
	fuzzPerByte = 4096
	fuzzOnce    = 64 << 20
)

// FuzzI12P4Runtime sends arbitrary bytes as each kind of P4Runtime request to a switch. The switch's program has one object of every kind.
func FuzzI12P4Runtime(f *testing.F) {
	config := objectsConfig(f)
	s, err := New(Options{
		DeviceID: device, Load: func(b []byte) (*engine.Engine, error) { return engine.Load(b, engine.Options{MaxState: 16 << 20}) },
		Inject: func(uint32, []byte) {}, MaxState: 16 << 20,
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	sess, err := s.openSession(context.Background())
	if err != nil {
		f.Fatal(err)
	}
	if err := s.arb.update(sess, arbitration(device, "", id(1))); err != nil {
		f.Fatal(err)
	}
	push := &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: device, ElectionId: id(1), Action: p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT, Config: config,
	}
	if _, err := s.SetForwardingPipelineConfig(context.Background(), push); err != nil {
		f.Fatal(err)
	}
	seed := func(kind byte, m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, b)
	}
	write := &p4v1.WriteRequest{DeviceId: device, ElectionId: id(1)}
	for _, e := range []*p4v1.Entity{
		{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{}}},
		{Entity: &p4v1.Entity_MeterEntry{MeterEntry: &p4v1.MeterEntry{}}},
		{Entity: &p4v1.Entity_RegisterEntry{RegisterEntry: &p4v1.RegisterEntry{}}},
		{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{}}},
		{Entity: &p4v1.Entity_DigestEntry{DigestEntry: &p4v1.DigestEntry{}}},
		{Entity: &p4v1.Entity_ValueSetEntry{ValueSetEntry: &p4v1.ValueSetEntry{}}},
		{Entity: &p4v1.Entity_ActionProfileGroup{ActionProfileGroup: &p4v1.ActionProfileGroup{}}},
	} {
		write.Updates = append(write.Updates, &p4v1.Update{Type: p4v1.Update_MODIFY, Entity: e})
		seed(1, &p4v1.ReadRequest{DeviceId: device, Entities: []*p4v1.Entity{e, e}})
	}
	seed(0, write)
	seed(2, push)
	seed(3, &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{Payload: make([]byte, 60)}}})
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		before := allocated()
		switch kind % 4 {
		case 0:
			m := &p4v1.WriteRequest{}
			if proto.Unmarshal(b, m) == nil {
				m.DeviceId, m.ElectionId, m.Role = device, id(1), ""
				_, _ = s.Write(t.Context(), m)
			}
		case 1:
			m := &p4v1.ReadRequest{}
			if proto.Unmarshal(b, m) == nil {
				m.DeviceId, m.Role = device, ""
				_ = s.Read(m, discard{t.Context()})
			}
		case 2:
			m := &p4v1.SetForwardingPipelineConfigRequest{}
			if proto.Unmarshal(b, m) == nil {
				m.DeviceId, m.ElectionId, m.Role = device, id(1), ""
				m.Action = p4v1.SetForwardingPipelineConfigRequest_VERIFY // VERIFY keeps the running program
				_, _ = s.SetForwardingPipelineConfig(t.Context(), m)
			}
		case 3:
			m := &p4v1.StreamMessageRequest{}
			if proto.Unmarshal(b, m) == nil && m.GetArbitration() == nil {
				s.handle(sess, m)
			}
		}
		if took, may := allocated()-before, uint64(fuzzOnce+fuzzPerByte*len(b)); took > may {
			t.Errorf("%d bytes made the server allocate %d", len(b), took)
		}
	})
}

// allocated returns the total number of bytes allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// discard is a client that reads all messages and drops them.
type discard struct{ ctx context.Context }

var _ p4v1.P4Runtime_ReadServer = discard{}

func (d discard) Send(*p4v1.ReadResponse) error { return nil }
func (d discard) Context() context.Context      { return d.ctx }
func (d discard) SetHeader(metadata.MD) error   { return nil }
func (d discard) SendHeader(metadata.MD) error  { return nil }
func (d discard) SetTrailer(metadata.MD)        {}
func (d discard) SendMsg(any) error             { return nil }
func (d discard) RecvMsg(any) error             { return nil }

var _ grpc.ServerStream = discard{}
