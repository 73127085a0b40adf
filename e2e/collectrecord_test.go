package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"op25b/internal/openconfig"
)

// leastCounter is the smallest value of a counter of a loaded switch. The counters stay below 2^42, so their encoded length never changes.
// No other number in the state is as large, except for times.
const leastCounter = 1 << 30

// counterAt returns the value at step k of a counter that begins at base.
func counterAt(base, k uint64) uint64 { return base + k*(base%997+1) }

// loadedState returns the state of a switch at step k. It has rules on 4 legs, and no lines.
func loadedState(interfaces, rules int) func(k uint64) *openconfig.State {
	return func(k uint64) *openconfig.State {
		st := &openconfig.State{
			ACLSet: "op25b",
			System: &openconfig.System{Hostname: "edge", SoftwareVersion: "1", BootTime: time.Unix(1159660800, 0)},
		}
		n := uint64(0)
		packets := func() uint64 { n++; return counterAt(leastCounter+7919*n, k) }
		octets := func() uint64 { n++; return counterAt(leastCounter<<6+7919*n, k) }
		for i := range interfaces {
			in := openconfig.Interface{
				Name: fmt.Sprintf("access-%d", i+1), Port: uint32(i + 1), IfIndex: uint32(i + 10), Oper: openconfig.OperUp,
				Counters: &openconfig.InterfaceCounters{
					InPkts: packets(), InOctets: octets(), InDiscards: packets(), InErrors: packets(),
					OutPkts: packets(), OutOctets: octets(), OutDiscards: packets(), OutErrors: packets(),
				},
			}
			for rule := range rules {
				in.ACL = append(in.ACL, openconfig.ACLEntry{SequenceID: uint32(rule + 1), MatchedPackets: packets(), MatchedOctets: octets()})
			}
			st.Interfaces = append(st.Interfaces, in)
		}
		for leg := openconfig.LegUpDst; leg <= openconfig.LegUpSrc; leg++ {
			for rule := range rules {
				st.Legs = append(st.Legs, openconfig.LegEntry{
					Epoch: 1, Leg: leg, SequenceID: uint32(rule + 1), Matched: openconfig.Tally{Packets: packets(), Octets: octets()},
				})
			}
		}
		return st
	}
}

// A recording contains the messages for a list of subscriptions.
type recording struct {
	first   []template // the messages up to and including the sync response
	samples []sampled  // the messages of each sample interval
}

type sampled struct {
	every    time.Duration
	messages []template
	bytes    int
}

// A template is an encoded SubscribeResponse with the positions of its timestamp and its counters.
type template struct {
	encoded  []byte
	time     int // the position of the timestamp; 0 if there is none
	counters []place
}

type place struct {
	at, size int
	base     uint64
}

// fill returns a copy of the message with the counters of step k.
func (t *template) fill(pool mem.BufferPool, k uint64, at time.Time) mem.Buffer {
	buf := pool.Get(len(t.encoded))
	b := *buf
	copy(b, t.encoded)
	if t.time > 0 {
		putVarint(b[t.time:], uint64(at.UnixNano()), 9)
	}
	for _, c := range t.counters {
		putVarint(b[c.at:], counterAt(c.base, k), c.size)
	}
	return mem.NewBuffer(buf, pool)
}

// putVarint writes a number as a varint of the given length.
func putVarint(b []byte, v uint64, size int) {
	for i := range size - 1 {
		b[i] = byte(v>>(7*i)) | 0x80
	}
	b[size-1] = byte(v >> (7 * (size - 1)))
}

// recordServer returns the messages that the real server sends for a STREAM subscription to a switch.
func recordServer(st *openconfig.State, list *gpb.SubscriptionList) (*recording, error) {
	if list.GetMode() != gpb.SubscriptionList_STREAM || list.GetEncoding() != gpb.Encoding_PROTO {
		return nil, fmt.Errorf("a %v in %v: the load serves STREAM in PROTO only", list.GetMode(), list.GetEncoding())
	}
	first, err := untilSync(st, list)
	if err != nil {
		return nil, err
	}
	r := &recording{first: first}
	by := map[uint64]*gpb.SubscriptionList{}
	var order []uint64
	for _, s := range list.GetSubscription() {
		if s.GetMode() != gpb.SubscriptionMode_SAMPLE {
			continue
		}
		every := s.GetSampleInterval()
		if by[every] == nil {
			by[every] = &gpb.SubscriptionList{Mode: list.GetMode(), Encoding: list.GetEncoding()}
			order = append(order, every)
		}
		by[every].Subscription = append(by[every].Subscription, s)
	}
	for _, every := range order {
		messages, err := untilSync(st, by[every])
		if err != nil {
			return nil, err
		}
		messages = messages[:len(messages)-1] // without the sync response
		if len(messages) == 0 {
			continue // the switch has no such values
		}
		s := sampled{every: time.Duration(every), messages: messages}
		for i := range messages {
			s.bytes += len(messages[i].encoded)
		}
		r.samples = append(r.samples, s)
	}
	return r, nil
}

// untilSync returns the messages of the real server up to and including the sync response.
func untilSync(st *openconfig.State, list *gpb.SubscriptionList) (messages []template, err error) {
	// The load determines the intervals. The real server only produces the first messages.
	list = proto.CloneOf(list)
	err = withServer(st, list, func(stream grpc.ClientStream) error {
		for {
			var b []byte
			if err := stream.RecvMsg(&b); err != nil {
				return err
			}
			t, sync, err := newTemplate(b)
			if err != nil {
				return err
			}
			messages = append(messages, t)
			if sync {
				return nil
			}
		}
	})
	return messages, err
}

// withServer subscribes to a real server that has a state, and calls read with the stream.
func withServer(st *openconfig.State, list *gpb.SubscriptionList, read func(grpc.ClientStream) error) error {
	s, err := openconfig.NewServer(still{st}, openconfig.Options{MinSample: time.Millisecond})
	if err != nil {
		return err
	}
	lis := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	gpb.RegisterGNMIServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	defer func() { <-served }()
	defer g.Stop()
	conn, err := grpc.NewClient("passthrough:///load", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		return err
	}
	defer conn.Close()
	return subscribeBytes(context.Background(), conn, list, read)
}

// subscribeBytes subscribes, and calls read with the stream of encoded messages.
func subscribeBytes(ctx context.Context, conn *grpc.ClientConn, list *gpb.SubscriptionList, read func(grpc.ClientStream) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	desc := &grpc.StreamDesc{StreamName: "Subscribe", ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, gpb.GNMI_Subscribe_FullMethodName, grpc.ForceCodecV2(bytesCodec{}))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
		return err
	}
	return read(stream)
}

// newTemplate finds the timestamp and the counters in an encoded SubscribeResponse. It reports whether the message is the sync response.
func newTemplate(b []byte) (t template, sync bool, err error) {
	t.encoded = slices.Clone(b)
	var res gpb.SubscribeResponse
	if err := proto.Unmarshal(b, &res); err != nil {
		return t, false, err
	}
	n := res.GetUpdate()
	if n == nil {
		return t, res.GetSyncResponse(), nil
	}
	fields(b, 0, func(num protowire.Number, notification []byte, at int) {
		fields(notification, at, func(num protowire.Number, field []byte, at int) {
			if num == 1 {
				t.time = at
			}
			if num != 4 {
				return
			}
			fields(field, at, func(num protowire.Number, value []byte, at int) {
				if num != 3 {
					return
				}
				fields(value, at, func(num protowire.Number, _ []byte, at int) {
					v, size := protowire.ConsumeVarint(b[at:])
					if num == 3 && size >= 5 && size <= 6 { // timestamps have 9 bytes, and other numbers are small
						t.counters = append(t.counters, place{at, size, v})
					}
				})
			})
		})
	})
	for _, c := range t.counters {
		if c.base < leastCounter {
			err = fmt.Errorf("%d is not a counter of the state", c.base)
		}
	}
	if t.time == 0 {
		err = errors.Join(err, errors.New("the message has no time"))
	}
	return t, false, err
}

// fields calls visit for each field of a valid encoded message that begins at the position at. visit receives the position of the value, and
// its content if the value is bytes.
func fields(b []byte, at int, visit func(num protowire.Number, value []byte, at int)) {
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		size := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[tag:])
			visit(num, value, at+tag+size-len(value))
		} else {
			visit(num, nil, at+tag)
		}
		b, at = b[tag+size:], at+tag+size
	}
}
