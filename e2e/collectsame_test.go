package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// TestTheLoadSendsWhatTheServerSends verifies that the benchmark's load sends the same messages as the real server for the same state. It
// compares the first values, the sync response and samples.
func TestTheLoadSendsWhatTheServerSends(t *testing.T) {
	const every = 5 * time.Millisecond
	sample := func(names ...string) *gpb.Subscription {
		return &gpb.Subscription{Path: pathOf(names...), Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(every)}
	}
	change := func(names ...string) *gpb.Subscription {
		return &gpb.Subscription{Path: pathOf(names...), Mode: gpb.SubscriptionMode_ON_CHANGE}
	}
	entry := []string{"acl", "interfaces", "interface", "ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry", "state"}
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_STREAM, Encoding: gpb.Encoding_PROTO, Subscription: []*gpb.Subscription{
		sample("interfaces", "interface", "state", "counters"),
		change("interfaces", "interface", "state", "oper-status"),
		change("interfaces", "interface", "state", "id"),
		sample(append(entry, "matched-packets")...),
		sample(append(entry, "matched-octets")...),
		change("system", "state", "boot-time"),
		sample("acl", "acl-sets", "acl-set", "leg-entries", "leg-entry", "state", "matched-octets"),
	}}
	const samples = 2
	state := loadedState(3, 2)
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	load := newLoad(state)
	g := grpc.NewServer(grpc.ForceServerCodecV2(bytesCodec{}))
	gpb.RegisterGNMIServer(g, load)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	defer func() { <-served }()
	defer g.Stop()
	for target := range uint64(2) {
		conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var got [1 + samples][]*gpb.SubscribeResponse
		if err := subscribeBytes(t.Context(), conn, list, func(s grpc.ClientStream) (err error) { got, err = bursts(s); return err }); err != nil {
			t.Fatal(err)
		}
		for k := range uint64(1 + samples) {
			// The real server sends samples of a state that does not change.
			var want [1 + samples][]*gpb.SubscribeResponse
			err := withServer(state(1000*target+k), list, func(s grpc.ClientStream) (err error) { want, err = bursts(s); return err })
			if err != nil {
				t.Fatal(err)
			}
			updates := 0
			for _, m := range want[k] {
				updates += len(m.GetUpdate().GetUpdate())
			}
			sampled := 3*8 + 3*2*2 + 4*2 // the counters of interfaces, entries and legs
			if k == 0 && updates != sampled+3+3+1 || k > 0 && updates != sampled {
				t.Errorf("the real server sent %d values in burst %d, want %d, at first with 7 states", updates, k, sampled)
			}
			if diff := cmp.Diff(want[k], got[k], protocmp.Transform(), protocmp.IgnoreFields(&gpb.Notification{}, "timestamp")); diff != "" {
				t.Errorf("target %d, burst %d (-server +load):\n%s", target, k, diff)
			}
			for _, m := range got[k] {
				age := time.Since(time.Unix(0, m.GetUpdate().GetTimestamp()))
				if m.GetUpdate() != nil && (age < 0 || age > time.Hour) {
					t.Errorf("a message has the time %d, which is %v ago", m.GetUpdate().GetTimestamp(), age)
				}
			}
		}
		conn.Close()
	}
}

// bursts returns the messages up to the sync response, and the messages of the next samples, which have different timestamps.
func bursts(stream grpc.ClientStream) (all [3][]*gpb.SubscribeResponse, err error) {
	at := int64(0)
	for burst := 0; ; {
		var b []byte
		if err := stream.RecvMsg(&b); err != nil {
			return all, err
		}
		res := &gpb.SubscribeResponse{}
		if err := proto.Unmarshal(b, res); err != nil {
			return all, err
		}
		now := res.GetUpdate().GetTimestamp()
		if burst > 0 && at != now && at != 0 {
			burst++
		}
		if burst == len(all) {
			return all, nil
		}
		all[burst] = append(all[burst], res)
		if at = now; res.GetSyncResponse() {
			burst, at = 1, 0
		}
	}
}

func pathOf(names ...string) *gpb.Path {
	p := &gpb.Path{}
	for _, n := range names {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: n})
	}
	return p
}
