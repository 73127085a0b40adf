package telemetry

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/openconfig"
)

func TestOnce(t *testing.T) {
	src := newSource(openconfig.Interface{
		Name: "access-1", Port: 1, IfIndex: 12, Oper: openconfig.OperUp,
		Counters: &openconfig.InterfaceCounters{
			InPkts: 1, InOctets: 2, InDiscards: 3, InErrors: 4,
			OutPkts: 5, OutOctets: 18446744073709551615, OutDiscards: 7, OutErrors: 8,
		},
		ACL: []openconfig.ACLEntry{{SequenceID: 3, MatchedPackets: 8, MatchedOctets: 480}},
	}, openconfig.Interface{Name: "network", Port: 2, Oper: openconfig.OperDown})
	came := time.Unix(1159660801, 0)
	c, err := Dial(t.Context(), listen(t, newServer(t, src)), Options{Target: "edge-7", Now: func() time.Time { return came }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Interface{
		{
			Name: "access-1", Port: 1, IfIndex: 12, Oper: "UP", Counters: [numCounters]uint64{1, 2, 3, 4, 5, 18446744073709551615, 7, 8},
			Reported: [numCounters]bool{true, true, true, true, true, true, true, true},
			ACL:      []ACLCount{{ACLKey{"op25b", "ACL_MIXED", 3}, Count{8, 480}}}, At: stamp, Seen: came,
		},
		{Name: "network", Port: 2, Oper: "DOWN"},
	}
	if d := cmp.Diff(want, got.Interfaces); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
	if e, ok := got.Interface("access-1").Entry("op25b", 3); !ok || e.Packets != 8 {
		t.Errorf("entry 3 of access-1: %v, %v", e, ok)
	}
	if _, ok := got.Interface("access-1").Entry("op25b", 4); ok || got.Interface("access-9") != nil {
		t.Error("an entry or interface that is not there was found")
	}
}

// TestForeignTarget reads a target of another vendor. The target supports only JSON_IETF, and sends subtrees and
// leaves, names with and without modules, prefixes, and one invalid value.
func TestForeignTarget(t *testing.T) {
	ietf := func(s string) *gpb.TypedValue {
		return &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: []byte(s)}}
	}
	came := time.Unix(7, 0)
	f := &foreign{encodings: []gpb.Encoding{gpb.Encoding_ASCII, gpb.Encoding_JSON_IETF}, models: []string{"openconfig-interfaces", "openconfig-acl"}}
	f.answer = func(list *gpb.SubscriptionList, stream gpb.GNMI_SubscribeServer) error {
		if list.GetEncoding() != gpb.Encoding_JSON_IETF {
			return status.Errorf(codes.Unimplemented, "encoding %v", list.GetEncoding())
		}
		for _, n := range []*gpb.Notification{
			{
				Timestamp: 1, Prefix: mustPath(t, "/openconfig-interfaces:interfaces/interface[name=eth0]"),
				Update: []*gpb.Update{
					{Path: mustPath(t, "/state"), Val: ietf(`{"openconfig-interfaces:oper-status":"UP","mtu":1500,"counters":{"in-pkts":"18446744073709551615","in-octets":12,"in-errors":"many"}}`)},
					{Path: mustPath(t, "/state/counters/out-pkts"), Val: ietf(`"42"`)},
					{Path: mustPath(t, "/state/counters/out-octets"), Val: &gpb.TypedValue{Value: &gpb.TypedValue_IntVal{IntVal: 43}}},
					{Path: mustPath(t, "/state/counters/out-errors"), Val: &gpb.TypedValue{Value: &gpb.TypedValue_IntVal{IntVal: -1}}},
					{Path: mustPath(t, "/state/counters/out-discards"), Val: ietf(`{"x":`)},
					{Path: mustPath(t, "/state/name"), Val: nil},
				},
			},
			{
				Timestamp: 2,
				Update: []*gpb.Update{{Path: mustPath(t, "/acl"), Val: ietf(`{"openconfig-acl:interfaces":{"interface":[{"id":"eth0","ingress-acl-sets":{"ingress-acl-set":[
					{"set-name":"s","type":"openconfig-acl:ACL_IPV4","acl-entries":{"acl-entry":[
						{"sequence-id":10,"state":{"sequence-id":10,"matched-packets":"5","matched-octets":"300"}}]}}]}}]}}`)}},
			},
		} {
			if err := stream.Send(note(n)); err != nil {
				return err
			}
		}
		return stream.Send(synced())
	}
	c, err := Dial(t.Context(), listen(t, f), Options{Now: func() time.Time { return came }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := &Interface{
		Name: "eth0", Oper: "UP", At: time.Unix(0, 2), Seen: came,
		ACL: []ACLCount{{ACLKey{"s", "ACL_IPV4", 10}, Count{5, 300}}},
	}
	for counter, v := range map[int]uint64{InPkts: 18446744073709551615, InOctets: 12, OutPkts: 42, OutOctets: 43} {
		want.Counters[counter], want.Reported[counter] = v, true
	}
	if d := cmp.Diff(want, got.Interface("eth0")); d != "" {
		t.Errorf("want - got +:\n%s", d)
	}
	if got.Rejected != 3 || got.FirstRejected != `/interfaces/interface[name=eth0]/state/counters/in-errors: "many": must be a number of 64 bits` {
		t.Errorf("rejected %d, first %s; want the errors, the negative number and the torn JSON", got.Rejected, got.FirstRejected)
	}
}

func TestOnceRefusals(t *testing.T) {
	proto := []gpb.Encoding{gpb.Encoding_PROTO}
	for _, tc := range []struct {
		name string
		f    *foreign
		want error
	}{
		{"no encoding", &foreign{encodings: []gpb.Encoding{gpb.Encoding_ASCII}}, ErrNoEncoding},
		{"no sync response", &foreign{encodings: proto, answer: func(*gpb.SubscriptionList, gpb.GNMI_SubscribeServer) error { return nil }}, ErrNotSynced},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := NewClient(listen(t, tc.f), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Once(t.Context()); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	stub := &gpb.UnimplementedGNMIServer{} // bmv2 behaves in the same way
	if _, err := Dial(t.Context(), listen(t, stub), Options{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("a stub of a server: %v", err)
	}
}

// TestOnceAfterAnOutage verifies that a target that was unreachable is reached at the next call, without waiting for
// gRPC's own backoff.
func TestOnceAfterAnOutage(t *testing.T) {
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	lis.Close()
	if _, err := Dial(t.Context(), addr, Options{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), addr) {
		t.Errorf("nobody there: %v", err)
	}
	p := &place{}
	c := p.client(t)
	for range 3 {
		if _, err := c.Once(t.Context()); status.Code(err) != codes.Unavailable {
			t.Errorf("nobody there: %v", err)
		}
	}
	stop := p.serve(newServer(t, newSource(linkOf("a", 1, 5))))
	defer stop()
	got, err := c.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Interface("a").Counters[InPkts] != 5 {
		t.Errorf("got %v", got.Interface("a"))
	}
}
