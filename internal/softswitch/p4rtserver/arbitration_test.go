package p4rtserver

import (
	"fmt"
	"io"
	"sync"
	"testing"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestArbitration checks the rules of spec 5.3 and 5.4. A step is one event, after which exactly the listed messages must arrive. The order is
// checked for each controller.
func TestArbitration(t *testing.T) {
	const (
		ok     = codes.OK
		backup = codes.AlreadyExists
		none   = codes.NotFound
	)
	type told struct {
		who     string
		code    codes.Code
		highest *p4v1.Uint128
	}
	type step struct {
		who   string
		role  string
		id    *p4v1.Uint128
		close bool
		told  []told
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"the first with an id is primary", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
		}},
		{"unset id is a backup, and no primary has ever been", []step{
			{who: "a", told: []told{{"a", none, nil}}},
			{who: "b", id: id(0), told: []told{{"a", backup, id(0)}, {"b", ok, id(0)}}},
		}},
		{"two without id may be there at once", []step{
			{who: "a", told: []told{{"a", none, nil}}},
			{who: "b", told: []told{{"b", none, nil}}},
		}},
		{"a lower id is a backup, and only it is told", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", backup, id(5)}}},
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}}, // a has received nothing since the first step
		}},
		{"a higher id takes over", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(6), told: []told{{"a", backup, id(6)}, {"b", ok, id(6)}}},
		}},
		{"the high half counts first", []step{
			{who: "a", id: id(1 << 63), told: []told{{"a", ok, id(1 << 63)}}},
			{who: "b", id: &p4v1.Uint128{High: 1}, told: []told{{"a", backup, &p4v1.Uint128{High: 1}}, {"b", ok, &p4v1.Uint128{High: 1}}}},
		}},
		{"no promotion when the primary leaves", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", backup, id(5)}}},
			{who: "c", told: []told{{"c", backup, id(5)}}},
			{who: "a", close: true, told: []told{{"b", none, id(5)}, {"c", none, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", none, id(5)}}}, // the id is still lower than the highest id seen
			{who: "b", id: id(5), told: []told{{"c", backup, id(5)}, {"b", ok, id(5)}}},
		}},
		{"a backup that leaves is nobody's news", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", backup, id(5)}}},
			{who: "b", close: true},
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
		}},
		{"the primary steps down", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", backup, id(5)}}},
			{who: "a", id: id(3), told: []told{{"a", none, id(5)}, {"b", none, id(5)}}},
			{who: "a", id: id(7), told: []told{{"b", backup, id(7)}, {"a", ok, id(7)}}},
		}},
		{"the primary unsets its id", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "a", told: []told{{"a", none, id(5)}}},
		}},
		{"the primary raises its id", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", id: id(4), told: []told{{"b", backup, id(5)}}},
			{who: "a", id: id(9), told: []told{{"b", backup, id(9)}, {"a", ok, id(9)}}},
		}},
		{"an id is free again when its owner has another", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "a", id: id(6), told: []told{{"a", ok, id(6)}}},
			{who: "b", id: id(5), told: []told{{"b", backup, id(6)}}},
		}},
		{"an id is free again when its owner has left", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "w", told: []told{{"w", backup, id(5)}}},
			{who: "a", close: true, told: []told{{"w", none, id(5)}}},
			{who: "b", id: id(5), told: []told{{"w", backup, id(5)}, {"b", ok, id(5)}}},
		}},
		{"roles are separate", []step{
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
			{who: "b", role: "learner", id: id(5), told: []told{{"b", ok, id(5)}}},
			{who: "c", role: "learner", id: id(3), told: []told{{"c", backup, id(5)}}},
			{who: "b", close: true, told: []told{{"c", none, id(5)}}},
			{who: "a", id: id(5), told: []told{{"a", ok, id(5)}}},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			all := map[string]*controller{}
			for i, s := range tc.steps {
				c := all[s.who]
				if c == nil {
					c = r.controller()
					all[s.who] = c
				}
				if s.close {
					if err := c.stream.CloseSend(); err != nil {
						t.Fatal(err)
					}
					if _, err := c.next(); err != io.EOF {
						t.Fatalf("step %d: %s: %v, want EOF", i, s.who, err)
					}
				} else {
					c.arbitrate(arbitration(device, s.role, s.id))
				}
				for _, w := range s.told {
					t.Logf("step %d: %s hears", i, w.who)
					all[w.who].told(w.code, w.highest)
				}
			}
		})
	}
}

func TestArbitrationRefused(t *testing.T) {
	cfg, err := anypb.New(wrapperspb.String("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		before  *p4v1.MasterArbitrationUpdate // the first message on the same stream
		other   *p4v1.MasterArbitrationUpdate // the message of another connected controller
		send    *p4v1.StreamMessageRequest
		code    codes.Code
		message string
	}{
		{
			name: "wrong device", send: arb(arbitration(7, "", id(1))), code: codes.NotFound,
			message: "device id 7: not known here; this server's device is 1",
		},
		{
			name: "device 0", send: arb(arbitration(0, "", id(1))), code: codes.NotFound,
			message: "device id 0: not known here; this server's device is 1",
		},
		{
			name: "device changed", before: arbitration(device, "", id(1)), send: arb(arbitration(7, "", id(1))), code: codes.FailedPrecondition,
			message: "arbitration: device id 7: this stream is bound to device 1",
		},
		{
			name: "role changed", before: arbitration(device, "", id(1)), send: arb(arbitration(device, "x", id(1))), code: codes.FailedPrecondition,
			message: `arbitration: role "x": this stream is bound to the default role; open another stream for another role`,
		},
		{
			name: "election id in use", other: arbitration(device, "", id(9)), send: arb(arbitration(device, "", id(9))), code: codes.InvalidArgument,
			message: "arbitration: election id 9 is in use by another live controller of the default role; choose another",
		},
		{
			name: "election id in use, asked again", other: arbitration(device, "", id(9)), before: arbitration(device, "", id(3)),
			send: arb(arbitration(device, "", id(9))), code: codes.InvalidArgument,
			message: "arbitration: election id 9 is in use by another live controller of the default role; choose another",
		},
		{
			name: "role config", send: arb(&p4v1.MasterArbitrationUpdate{DeviceId: device, ElectionId: id(1), Role: &p4v1.Role{Name: "x", Config: cfg}}),
			code:    codes.InvalidArgument,
			message: `arbitration: role.config of type "type.googleapis.com/google.protobuf.StringValue": this server knows no role configuration; leave it unset for full pipeline access`,
		},
		{
			name: "too many streams", other: arbitration(device, "crowd", nil), before: nil,
			send: arb(arbitration(device, "crowd", nil)), code: codes.ResourceExhausted,
			message: `arbitration: role "crowd" has 1 open streams, its limit`,
		},
		{
			name: "too many roles", other: arbitration(device, "one", nil), send: arb(arbitration(device, "two", nil)), code: codes.ResourceExhausted,
			message: `arbitration: role "two": the server has seen 1 named roles, its limit`,
		},
		{
			name: "packet first", send: &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: &p4v1.PacketOut{}}},
			code: codes.FailedPrecondition, message: "stream: first message is packet; it must be arbitration",
		},
		{
			name: "nothing first", send: &p4v1.StreamMessageRequest{}, code: codes.FailedPrecondition,
			message: "stream: first message is empty or of an unknown kind; it must be arbitration",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{MaxRoles: 1}
			if tc.other.GetRole().GetName() == "crowd" {
				o.MaxStreams = 1
			}
			r := newRig(t, o)
			if tc.other != nil {
				c := r.controller()
				c.arbitrate(tc.other)
				if _, err := c.next(); err != nil {
					t.Fatal(err)
				}
			}
			c := r.controller()
			if tc.before != nil {
				c.arbitrate(tc.before)
				if _, err := c.next(); err != nil {
					t.Fatal(err)
				}
			}
			c.send(tc.send)
			c.ended(tc.code, tc.message)
		})
	}
}

func arb(m *p4v1.MasterArbitrationUpdate) *p4v1.StreamMessageRequest {
	return &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Arbitration{Arbitration: m}}
}

// TestArbitrationWaitsForWrites delays a write. The new primary must be notified, and may write, only after the write has ended. The old
// primary must be notified at once and may no longer write.
func TestArbitrationWaitsForWrites(t *testing.T) {
	r := newRig(t, Options{})
	old, next := r.controller(), r.controller()
	old.arbitrate(arbitration(device, "", id(1)))
	old.told(codes.OK, id(1))

	r.server.mu.Lock() // a Write in progress holds mu
	next.arbitrate(arbitration(device, "", id(2)))
	old.told(codes.AlreadyExists, id(2))
	for _, e := range []uint64{1, 2} {
		if err := r.server.arb.authorize(device, "", 0, id(e)); status.Code(err) != codes.PermissionDenied {
			t.Errorf("election id %d while the write is in flight: %v, want PERMISSION_DENIED", e, err)
		}
	}
	r.server.mu.Unlock()
	next.told(codes.OK, id(2))
	if err := r.server.arb.authorize(device, "", 0, id(2)); err != nil {
		t.Error(err)
	}
}

// TestManyControllers lets many controllers connect and raise their ids at the same time. In the end, the primary must be the controller with
// the highest id.
func TestManyControllers(t *testing.T) {
	r := newRig(t, Options{})
	const n, rounds = 12, 10
	var wg sync.WaitGroup
	for i := range n {
		c := r.controller()
		wg.Go(func() {
			for k := range rounds {
				e := uint64(k*n + i + 1)
				if err := c.stream.Send(arb(arbitration(device, "", id(e)))); err != nil {
					t.Error(err)
					return
				}
				for { // skips notifications about other controllers until the answer to this id
					m, err := c.stream.Recv()
					if err != nil {
						t.Error(err)
						return
					}
					a := m.GetArbitration()
					if a.ElectionId.GetLow() >= e {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	r.server.arb.mu.Lock()
	defer r.server.arb.mu.Unlock()
	p := r.server.arb.roles[""].primary
	if p == nil || p.election.low != n*rounds {
		t.Fatalf("primary %v, want the one with election id %d", p, n*rounds)
	}
}

// TestSlowReaderOfArbitration verifies that a controller's stream ends if the controller does not read arbitration messages.
func TestSlowReaderOfArbitration(t *testing.T) {
	r := newRig(t, Options{ControlQueue: 4})
	s, err := r.server.openSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.server.closeSession(s)
	for range 5 {
		if err := r.server.arb.update(s, arbitration(device, "", nil)); err != nil {
			t.Fatal(err)
		}
	}
	<-s.ended
	wantStatus(t, s.reason, codes.ResourceExhausted, "stream: 4 arbitration messages wait unread; read the stream")
}

func TestElectionIDString(t *testing.T) {
	for want, e := range map[string]*electionID{"unset": nil, "0": {}, "7": {low: 7}, "1:0": {high: 1}} {
		if got := fmt.Sprint(e); got != want {
			t.Errorf("%#v: %q, want %q", e, got, want)
		}
	}
}
