package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"op25b/p4src"
)

// switchMiB is the memory limit of an embedded switch, in MiB, whatever its callers send. It is twice the sum of the switch's
// limits, because the garbage collector may double the heap.
const switchMiB = 1024

// A switchProcess is an embedded switch that runs as a separate process.
type switchProcess struct {
	*process
	gnmi string
}

func startSwitch(t testing.TB, args ...string) *switchProcess {
	t.Helper()
	command, dir, env := commandIn(t)
	d, said, err := launch(command, dir, env, append([]string{"switch", "--p4runtime", "127.0.0.1:0", "--gnmi", "127.0.0.1:0"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := said["p4runtime"].(string)
	gnmi, _ := said["gnmi"].(string)
	s := &switchProcess{process: &process{daemon: d, addr: addr}, gnmi: gnmi}
	t.Cleanup(func() { s.finish(t) })
	return s
}

// dialSwitch connects to a service of the switch, without client-side limits.
func dialSwitch(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// encoded sets the unknown fields of the empty message m so that b becomes the wire form of m, and returns m.
func encoded[M proto.Message](m M, b []byte) M {
	m.ProtoReflect().SetUnknown(b)
	return m
}

// A siege is one switch under attack.
type siege struct {
	t       *testing.T
	s       *switchProcess
	p4      p4v1.P4RuntimeClient
	gnmi    gpb.GNMIClient
	primary p4v1.P4Runtime_StreamChannelClient
}

func beginSiege(t *testing.T) *siege {
	t.Helper()
	s := startSwitch(t)
	x := &siege{t: t, s: s, p4: p4v1.NewP4RuntimeClient(dialSwitch(t, s.addr)), gnmi: gpb.NewGNMIClient(dialSwitch(t, s.gnmi))}
	x.primary = x.stream(x.p4, 1)
	return x
}

// ctx returns a context with a deadline, so that an attack that hangs fails the test.
func (x *siege) ctx() context.Context {
	ctx, cancel := context.WithTimeout(x.t.Context(), 2*time.Minute)
	x.t.Cleanup(cancel)
	return ctx
}

func (x *siege) stream(client p4v1.P4RuntimeClient, election uint64) p4v1.P4Runtime_StreamChannelClient {
	x.t.Helper()
	stream, err := client.StreamChannel(x.ctx())
	if err != nil {
		x.t.Fatal(err)
	}
	if err := stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{
		Arbitration: &p4v1.MasterArbitrationUpdate{DeviceId: 1, ElectionId: &p4v1.Uint128{Low: election}},
	}}); err != nil {
		x.t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		x.t.Fatal(err)
	}
	return stream
}

func (x *siege) push(action p4v1.SetForwardingPipelineConfigRequest_Action, config []byte) error {
	_, err := x.p4.SetForwardingPipelineConfig(x.ctx(), &p4v1.SetForwardingPipelineConfigRequest{
		DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Action: action,
		Config: &p4v1.ForwardingPipelineConfig{P4Info: p4src.P4Info(), P4DeviceConfig: config},
	})
	return err
}

// refused verifies that the switch refused an attack and still runs.
func (x *siege) refused(err error, valid ...codes.Code) {
	x.t.Helper()
	got := grpcstatus.Code(err)
	for _, c := range valid {
		if got == c {
			return
		}
	}
	x.t.Errorf("%v, want one of %v", err, valid)
}

// I12: neither a single message nor many messages can crash the embedded switch. All attacks are made on the same switch, one
// after the other. The switch must answer after each attack and never exceed its memory limit.
func TestI12BoundedSwitch(t *testing.T) {
	if testing.Short() {
		t.Skip("bounds the memory of a process, which the race detector multiplies")
	}
	x := beginSiege(t)
	for _, a := range []struct {
		name string
		run  func(*siege)
	}{
		{"empty updates", (*siege).emptyUpdates},
		{"programs", (*siege).programs},
		{"unread errors of packet-outs", (*siege).unreadErrors},
		{"gNMI paths", (*siege).gnmiPaths},
		{"gNMI subscriptions", (*siege).subscriptions},
		{"roles", (*siege).roles},
		{"metadata of entries", (*siege).metadata},
		{"reads", (*siege).reads},
		{"unread answers", (*siege).unreadAnswers},
		{"failing updates", (*siege).failingUpdates},
	} {
		t.Run(a.name, func(t *testing.T) {
			x.t = t
			a.run(x)
			if _, err := x.p4.Capabilities(x.ctx(), &p4v1.CapabilitiesRequest{}); err != nil {
				t.Fatalf("the switch does not answer: %v", err)
			}
			if peak := x.s.peak(t); peak > switchMiB {
				t.Errorf("the switch had %d MiB, may have %d", peak, switchMiB)
			} else {
				t.Logf("the switch had at most %d MiB", peak)
			}
		})
	}
	x.t = t
}

func (x *siege) emptyUpdates() {
	for _, mib := range []int{127, 15} {
		m := encoded(&p4v1.WriteRequest{}, bytes.Repeat([]byte{0x22, 0}, mib<<19))
		_, err := x.p4.Write(x.ctx(), m)
		x.refused(err, codes.ResourceExhausted)
		_, err = x.p4.Write(x.ctx(), m, grpc.UseCompressor(gzip.Name))
		x.refused(err, codes.ResourceExhausted)
	}
	entities := encoded(&p4v1.ReadRequest{}, bytes.Repeat([]byte{0x12, 0}, 7<<20))
	reads, err := x.p4.Read(x.ctx(), entities)
	if err == nil {
		_, err = reads.Recv()
	}
	x.refused(err, codes.ResourceExhausted)
}

// programs pushes small programs that need much memory.
func (x *siege) programs() {
	with := func(name string, change func(map[string]any)) {
		var program map[string]any
		if err := json.Unmarshal(p4src.DeviceConfig(), &program); err != nil {
			x.t.Fatal(err)
		}
		change(program)
		text, err := json.Marshal(program)
		if err != nil {
			x.t.Fatal(err)
		}
		err = x.push(p4v1.SetForwardingPipelineConfigRequest_VERIFY, text)
		if x.refused(err, codes.InvalidArgument, codes.ResourceExhausted); x.t.Failed() {
			x.t.Fatal(name)
		}
	}
	with("registers", func(p map[string]any) {
		p["register_arrays"] = append(p["register_arrays"].([]any), map[string]any{"name": "r", "id": 900, "size": 16777216, "bitwidth": 65536})
	})
	with("many registers", func(p map[string]any) {
		for i := range 1000 {
			p["register_arrays"] = append(p["register_arrays"].([]any), map[string]any{"name": fmt.Sprint("r", i), "id": 900 + i, "size": 16777216, "bitwidth": 8})
		}
	})
	with("counters", func(p map[string]any) {
		for i := range 100 {
			p["counter_arrays"] = append(p["counter_arrays"].([]any), map[string]any{"name": fmt.Sprint("c", i), "id": 900 + i, "size": 16777216})
		}
	})
	with("headers", func(p map[string]any) {
		p["header_types"] = append(p["header_types"].([]any), map[string]any{"name": "big", "id": 900, "fields": []any{[]any{"f", 65536, false}}})
		for i := range 10_000 {
			p["headers"] = append(p["headers"].([]any), map[string]any{"name": fmt.Sprint("h", i), "id": 1000 + i, "header_type": "big"})
		}
	})
	// The program is large and has its only fault, an unknown name, at the end, so everything before the fault is compiled.
	with("primitives", func(p map[string]any) {
		actions := p["actions"].([]any)
		for _, a := range actions {
			if list := a.(map[string]any)["primitives"].([]any); len(list) > 2 {
				bulk := []any{list[0]}
				for range 40_000 {
					bulk = append(bulk, map[string]any{"op": list[0].(map[string]any)["op"], "parameters": list[0].(map[string]any)["parameters"]})
				}
				a.(map[string]any)["primitives"] = bulk
				break
			}
		}
		p["pipelines"] = append(p["pipelines"].([]any), map[string]any{"name": "no such pipeline"})
	})
	with("tables", func(p map[string]any) {
		pipeline := p["pipelines"].([]any)[0].(map[string]any)
		tables := pipeline["tables"].([]any)
		text, err := json.Marshal(tables[0])
		if err != nil {
			x.t.Fatal(err)
		}
		for i := range 10_000 {
			var copied map[string]any
			if err := json.Unmarshal(text, &copied); err != nil {
				x.t.Fatal(err)
			}
			delete(copied, "source_info")
			copied["name"], copied["id"] = fmt.Sprint("t", i), 1000+i
			tables = append(tables, copied)
		}
		pipeline["tables"] = tables
		p["pipelines"] = append(p["pipelines"].([]any), map[string]any{"name": "no such pipeline"})
	})
	for name, text := range map[string][]byte{
		"objects": []byte(`{"headers":[` + strings.Repeat("{},", 5<<20) + `{}]}`),
		"arrays":  []byte(`{"header_types":[{"fields":[` + strings.Repeat("[],", 5<<20) + `[]]}]}`),
		"values":  []byte(`{"__meta__":{"version":[` + strings.Repeat("1,", 7<<20) + `1]}}`),
		"depth":   []byte(strings.Repeat(`{"a":`, 3<<20)),
	} {
		if x.refused(x.push(p4v1.SetForwardingPipelineConfigRequest_VERIFY, text), codes.InvalidArgument); x.t.Failed() {
			x.t.Fatal(name)
		}
	}
	if err := x.push(p4v1.SetForwardingPipelineConfigRequest_VERIFY_AND_COMMIT, p4src.DeviceConfig()); err != nil {
		x.t.Fatal(err)
	}
}

// unreadErrors sends packets that the switch refuses, and does not read the errors.
func (x *siege) unreadErrors() {
	var all sync.WaitGroup
	for i := range uint64(4) {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(x.ctx(), 20*time.Second)
			defer cancel()
			client := p4v1.NewP4RuntimeClient(dialSwitch(x.t, x.s.addr))
			stream, err := client.StreamChannel(ctx)
			if err != nil {
				x.t.Error(err)
				return
			}
			_ = stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{
				Arbitration: &p4v1.MasterArbitrationUpdate{DeviceId: 1, Role: &p4v1.Role{Name: fmt.Sprint("backup", i)}, ElectionId: &p4v1.Uint128{}},
			}})
			m := &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{Payload: make([]byte, 15<<20)}}}
			for range 40 {
				if err := stream.Send(m); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
}

func (x *siege) gnmiPaths() {
	for name, m := range map[string]*gpb.GetRequest{
		"empty elements":  {Path: []*gpb.Path{encoded(&gpb.Path{}, bytes.Repeat([]byte{0x1a, 0}, 60<<20))}},
		"within the size": {Path: []*gpb.Path{encoded(&gpb.Path{}, bytes.Repeat([]byte{0x1a, 0}, 9<<10))}},
		"depths":          {Path: []*gpb.Path{{Elem: repeat(&gpb.PathElem{Name: "..."}, 30)}}},
		"roots":           {Path: repeat(&gpb.Path{}, 5000)},
		"a long name":     {Path: []*gpb.Path{{Elem: []*gpb.PathElem{{Name: strings.Repeat("x", 900<<10)}}}}},
	} {
		_, err := x.gnmi.Get(x.ctx(), m)
		if x.refused(err, codes.ResourceExhausted, codes.InvalidArgument, codes.Unimplemented); x.t.Failed() {
			x.t.Fatal(name)
		}
	}
}

func (x *siege) subscriptions() {
	for range 50 {
		stream, err := x.gnmi.Subscribe(x.ctx())
		if err != nil {
			x.t.Fatal(err)
		}
		list := &gpb.SubscriptionList{Encoding: gpb.Encoding_PROTO, Mode: gpb.SubscriptionList_STREAM}
		list.Subscription = repeat(&gpb.Subscription{Path: &gpb.Path{Elem: []*gpb.PathElem{{Name: "..."}}}, Mode: gpb.SubscriptionMode_ON_CHANGE}, 1024)
		if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil && !errors.Is(err, io.EOF) {
			x.t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			x.refused(err, codes.ResourceExhausted)
		}
	}
}

// roles opens streams with very long role names.
func (x *siege) roles() {
	for i := range 30 {
		stream, err := x.p4.StreamChannel(x.ctx())
		if err != nil {
			x.t.Fatal(err)
		}
		name := fmt.Sprint(i) + strings.Repeat("r", 15<<20)
		_ = stream.Send(&p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{
			Arbitration: &p4v1.MasterArbitrationUpdate{DeviceId: 1, Role: &p4v1.Role{Name: name}, ElectionId: &p4v1.Uint128{Low: 1}},
		}})
		_, err = stream.Recv()
		x.refused(err, codes.InvalidArgument, codes.ResourceExhausted)
	}
}

// metadata writes entries with large metadata until the switch is full.
func (x *siege) metadata() {
	full := false
	for i := range 40 {
		group := &p4v1.MulticastGroupEntry{MulticastGroupId: uint32(i + 1), Metadata: make([]byte, 15<<20)}
		_, err := x.p4.Write(x.ctx(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Updates: []*p4v1.Update{{
			Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_PacketReplicationEngineEntry{PacketReplicationEngineEntry: &p4v1.PacketReplicationEngineEntry{
				Type: &p4v1.PacketReplicationEngineEntry_MulticastGroupEntry{MulticastGroupEntry: group},
			}}},
		}}})
		full = full || err != nil
	}
	if !full {
		x.t.Error("600 MiB of metadata were taken")
	}
}

// reads reads all entries many times.
func (x *siege) reads() {
	everything := &p4v1.Entity{Entity: &p4v1.Entity_CounterEntry{CounterEntry: &p4v1.CounterEntry{}}}
	for _, n := range []int{100, 9_000, 100_000} {
		stream, err := x.p4.Read(x.ctx(), &p4v1.ReadRequest{DeviceId: 1, Entities: repeat(everything, n)})
		if err == nil {
			_, err = stream.Recv()
		}
		x.refused(err, codes.ResourceExhausted)
	}
	for range 50 { // the switch allows these reads, but the test does not receive the answers
		stream, err := x.p4.Read(x.ctx(), &p4v1.ReadRequest{DeviceId: 1, Entities: repeat(everything, 4)})
		if err != nil {
			x.t.Fatal(err)
		}
		_ = stream
	}
}

// unreadAnswers requests the program and does not read the answer.
func (x *siege) unreadAnswers() {
	ctx, cancel := context.WithTimeout(x.ctx(), 20*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range 8 {
		client := p4v1.NewP4RuntimeClient(dialSwitch(x.t, x.s.addr))
		for range 90 {
			all.Go(func() {
				_, _ = client.GetForwardingPipelineConfig(ctx, &p4v1.GetForwardingPipelineConfigRequest{DeviceId: 1})
			})
		}
	}
	all.Wait()
}

// failingUpdates writes a large batch in which every update fails.
func (x *siege) failingUpdates() {
	u := &p4v1.Update{Type: p4v1.Update_INSERT, Entity: &p4v1.Entity{Entity: &p4v1.Entity_TableEntry{TableEntry: &p4v1.TableEntry{TableId: 1}}}}
	_, err := x.p4.Write(x.ctx(), &p4v1.WriteRequest{DeviceId: 1, ElectionId: &p4v1.Uint128{Low: 1}, Updates: repeat(u, 200_000)})
	x.refused(err, codes.Unknown)
	if !strings.Contains(grpcstatus.Convert(err).Message(), "200000 of 200000 failed") {
		x.t.Error(err)
	}
}

func repeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}
