package openconfig

import (
	"context"
	"fmt"
	"runtime/metrics"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"
)

// fixed is a source that never changes.
type fixed struct{ state *State }

func (f fixed) Snapshot(context.Context, Parts) (*State, error) { return f.state, nil }

func (f fixed) Watch(ctx context.Context, changed func()) error {
	changed()
	<-ctx.Done()
	return nil
}

// FuzzI12GNMI sends arbitrary bytes as a Get and as the subscriptions of a Subscribe. Each request must be answered
// with a limited amount of memory.
func FuzzI12GNMI(f *testing.F) {
	state := &State{ACLSet: "op25b"}
	for i := range uint32(8) {
		state.Interfaces = append(state.Interfaces, Interface{
			Name: fmt.Sprint("port-", i), Port: i + 1, Oper: OperUp, Counters: &InterfaceCounters{}, ACL: []ACLEntry{{SequenceID: 1}, {SequenceID: 2}},
		})
	}
	s, err := NewServer(fixed{state}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []*gpb.GetRequest{
		{Path: []*gpb.Path{at()}},
		{Path: []*gpb.Path{at("...", "counters")}, Encoding: gpb.Encoding_PROTO},
		{Path: []*gpb.Path{at("interfaces", "interface", "name=port-1"), at("acl", "*")}, UseModels: models(), Encoding: gpb.Encoding_JSON_IETF},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	const perByte, once = 64 << 10, 64 << 20 // a path of two bytes may select the whole tree
	f.Fuzz(func(t *testing.T, b []byte) {
		samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
		metrics.Read(samples)
		before := samples[0].Value.Uint64()
		get := &gpb.GetRequest{}
		if proto.Unmarshal(b, get) == nil {
			_, _ = s.Get(t.Context(), get)
		}
		list := &gpb.SubscriptionList{}
		if proto.Unmarshal(b, list) == nil {
			if p, err := newPlan(s.schema, list, s.opts); err == nil {
				r := readingOf(s.schema, state)
				_, _ = p.start(r, time.Now(), false)
				_ = p.take(r, time.Now(), true)
			}
		}
		metrics.Read(samples)
		if took, may := samples[0].Value.Uint64()-before, uint64(once+perByte*len(b)); took > may {
			t.Errorf("%d bytes made the server allocate %d", len(b), took)
		}
	})
}
