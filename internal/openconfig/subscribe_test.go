package openconfig

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
)

var counterNames = []string{
	"in-octets", "in-pkts", "in-discards", "in-errors", "out-octets", "out-pkts", "out-discards", "out-errors",
}

// A subscriber is one Subscribe call with its results.
type subscriber struct {
	t      *testing.T
	stream gpb.GNMI_SubscribeClient
}

func subscribe(t *testing.T, c gpb.GNMIClient, list *gpb.SubscriptionList) *subscriber {
	t.Helper()
	stream, err := c.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &subscriber{t, stream}
	s.send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}})
	return s
}

func (s *subscriber) send(req *gpb.SubscribeRequest) {
	s.t.Helper()
	if err := s.stream.Send(req); err != nil {
		s.t.Fatal(err)
	}
}

// A change is a message as text, with updates by path and deletes. A sync response has neither.
type change struct {
	updates map[string]string
	deletes []string
	sync    bool
	note    *gpb.Notification
}

func (s *subscriber) next() change {
	s.t.Helper()
	res, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	c := change{updates: make(map[string]string), sync: res.GetSyncResponse(), note: res.GetUpdate()}
	for _, u := range res.GetUpdate().GetUpdate() {
		c.updates[pathText(slices.Concat(c.note.GetPrefix().GetElem(), u.GetPath().GetElem()))] = valueText(u.GetVal())
	}
	for _, d := range res.GetUpdate().GetDelete() {
		c.deletes = append(c.deletes, pathText(slices.Concat(c.note.GetPrefix().GetElem(), d.GetElem())))
	}
	slices.Sort(c.deletes)
	return c
}

// initial reads until the sync response, and returns the updates that came before it.
func (s *subscriber) initial() map[string]string {
	s.t.Helper()
	all := make(map[string]string)
	for {
		c := s.next()
		if c.sync {
			return all
		}
		maps.Copy(all, c.updates)
	}
}

func (s *subscriber) wantNext(updates map[string]string, deletes ...string) {
	s.t.Helper()
	c := s.next()
	if c.sync || !maps.Equal(c.updates, updates) || !slices.Equal(c.deletes, deletes) {
		s.t.Fatalf("got  %v, deletes %v, sync %v\nwant %v, deletes %v", c.updates, c.deletes, c.sync, updates, deletes)
	}
}

func (s *subscriber) wantEnd(code codes.Code, text string) {
	s.t.Helper()
	for {
		_, err := s.stream.Recv()
		if err == nil {
			continue
		}
		if code == codes.OK && errors.Is(err, io.EOF) {
			return
		}
		wantStatus(s.t, err, code, text)
		return
	}
}

func valueText(v *gpb.TypedValue) string {
	switch v.GetValue().(type) {
	case *gpb.TypedValue_UintVal:
		return fmt.Sprint(v.GetUintVal())
	case *gpb.TypedValue_StringVal:
		return v.GetStringVal()
	case *gpb.TypedValue_JsonIetfVal:
		return string(v.GetJsonIetfVal())
	default:
		return fmt.Sprint(v)
	}
}

func listOf(mode gpb.SubscriptionList_Mode, subs ...*gpb.Subscription) *gpb.SubscriptionList {
	return &gpb.SubscriptionList{Mode: mode, Encoding: gpb.Encoding_PROTO, Subscription: subs}
}

func sample(every time.Duration, p *gpb.Path) *gpb.Subscription {
	return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(every)}
}

func onChange(p *gpb.Path) *gpb.Subscription {
	return &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_ON_CHANGE}
}

var (
	everyCounter = at("interfaces", "interface", "name=*", "state", "counters")
	everyStatus  = at("interfaces", "interface", "state", "oper-status")
	everyRule    = at("acl", "interfaces", "interface", "ingress-acl-sets", "ingress-acl-set", "acl-entries", "acl-entry")
)

const (
	status1 = "/interfaces/interface[name=access-1]/state/oper-status"
	status2 = "/interfaces/interface[name=network]/state/oper-status"
)

func TestOnce(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{Now: fixedStamp})
	for _, enc := range []gpb.Encoding{gpb.Encoding_PROTO, gpb.Encoding_JSON_IETF} {
		l := listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: everyRule}, &gpb.Subscription{Path: everyStatus})
		l.Encoding = enc
		l.Prefix = &gpb.Path{Target: "edge-7"}
		s := subscribe(t, c, l)
		got := map[string]string{}
		var prefixes []string
		for m := s.next(); !m.sync; m = s.next() {
			if m.note.GetTimestamp() != stamp.UnixNano() || m.note.GetPrefix().GetTarget() != "edge-7" {
				t.Errorf("stamp %d, target %q", m.note.GetTimestamp(), m.note.GetPrefix().GetTarget())
			}
			prefixes = append(prefixes, pathText(m.note.GetPrefix().GetElem()))
			maps.Copy(got, m.updates)
		}
		// There is one notification for each interface with leaves of the subscription.
		if want := []string{"/acl/interfaces/interface[id=access-1]", "/interfaces/interface[name=access-1]", "/interfaces/interface[name=network]"}; !slices.Equal(prefixes, want) {
			t.Errorf("prefixes %v, want %v", prefixes, want)
		}
		want := map[string]string{
			aclEntry("access-1", "3") + "/state/sequence-id":     "3",
			aclEntry("access-1", "3") + "/state/matched-packets": "8",
			aclEntry("access-1", "3") + "/state/matched-octets":  "480",
			aclEntry("access-1", "7") + "/state/sequence-id":     "7",
			aclEntry("access-1", "7") + "/state/matched-packets": "1",
			aclEntry("access-1", "7") + "/state/matched-octets":  "60",
			status1: "UP",
			status2: "DOWN",
		}
		if enc == gpb.Encoding_JSON_IETF { // 64-bit numbers are encoded as strings, but 32-bit numbers are not
			for path, v := range want {
				if path[len(path)-2:] != "id" {
					want[path] = `"` + v + `"`
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%v: got  %v\nwant %v", enc, got, want)
		}
		s.wantEnd(codes.OK, "")
	}
}

func TestOnceOfNothing(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{})
	missing := subscribe(t, c, listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: at("interfaces", "interface", "name=eth9")}))
	if got := missing.initial(); len(got) != 0 {
		t.Errorf("an interface that is not there sent %v", got)
	}
	missing.wantEnd(codes.OK, "")
	l := listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: everyStatus})
	l.UpdatesOnly = true
	only := subscribe(t, c, l)
	if !only.next().sync {
		t.Error("updates_only sends the sync response alone")
	}
	only.wantEnd(codes.OK, "")
}

func TestOnceOfMany(t *testing.T) {
	st := &State{}
	for i := range 1000 {
		st.Interfaces = append(st.Interfaces, Interface{Name: fmt.Sprint("access-", i), Port: uint32(i + 1), Counters: &InterfaceCounters{InPkts: uint64(i)}})
	}
	c := serve(t, newFake(st), Options{})
	s := subscribe(t, c, listOf(gpb.SubscriptionList_ONCE, &gpb.Subscription{Path: everyCounter}))
	total := 0
	for {
		m := s.next()
		if m.sync {
			break
		}
		if len(m.updates) > maxUpdates {
			t.Errorf("%d updates in one message, the most is %d", len(m.updates), maxUpdates)
		}
		total += len(m.updates)
	}
	if total != 8000 {
		t.Errorf("%d leaves, want 8 counters of 1,000 interfaces", total)
	}
}

func TestPoll(t *testing.T) {
	src := newFake(twoPorts())
	c := serve(t, src, Options{})
	s := subscribe(t, c, listOf(gpb.SubscriptionList_POLL, &gpb.Subscription{Path: everyStatus}))
	if got, want := s.initial(), map[string]string{status1: "UP", status2: "DOWN"}; !maps.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	st := twoPorts()
	st.Interfaces[0].Oper = OperDown
	src.set(st, false)
	poll := &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Poll{Poll: &gpb.Poll{}}}
	s.send(poll)
	if got, want := s.initial(), map[string]string{status1: "DOWN", status2: "DOWN"}; !maps.Equal(got, want) {
		t.Fatalf("polled: got %v, want %v", got, want)
	}
	if err := s.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	s.wantEnd(codes.OK, "")

	other := subscribe(t, c, listOf(gpb.SubscriptionList_POLL, &gpb.Subscription{Path: everyStatus}))
	other.send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: listOf(gpb.SubscriptionList_STREAM)}})
	other.wantEnd(codes.InvalidArgument, "subscribe: only poll messages may follow a SubscriptionList of mode POLL; open another RPC for other paths")
}

func TestSubscribeRefusals(t *testing.T) {
	src := newFake(twoPorts())
	c := serve(t, src, Options{})
	sub := func(l *gpb.SubscriptionList) *gpb.SubscribeRequest {
		return &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: l}}
	}
	stream := gpb.SubscriptionList_STREAM
	ascii := listOf(stream, onChange(everyStatus))
	ascii.Encoding = gpb.Encoding_BYTES
	beat := onChange(everyStatus)
	beat.HeartbeatInterval = 5
	defined := sample(time.Minute, everyStatus)
	defined.Mode = gpb.SubscriptionMode_TARGET_DEFINED
	wrong := onChange(everyStatus)
	wrong.Mode = 7
	for _, tc := range []struct {
		name string
		req  *gpb.SubscribeRequest
		code codes.Code
		text string
	}{
		{
			"a poll first", &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Poll{Poll: &gpb.Poll{}}}, codes.InvalidArgument,
			"subscribe: the first message must hold a SubscriptionList (field subscribe); there is no subscription yet",
		},
		{
			"nothing first", &gpb.SubscribeRequest{}, codes.InvalidArgument,
			"subscribe: the first message must hold a SubscriptionList (field subscribe); there is no subscription yet",
		},
		{"no subscription", sub(listOf(stream)), codes.InvalidArgument, "subscribe: the SubscriptionList has no subscription"},
		{"a list mode", sub(listOf(4, onChange(everyStatus))), codes.InvalidArgument, "subscribe: list mode 4; valid: STREAM, ONCE, POLL"},
		{
			"a mode", sub(listOf(stream, wrong)), codes.InvalidArgument,
			`path "/interfaces/interface/state/oper-status": subscription mode 7; valid: TARGET_DEFINED, ON_CHANGE, SAMPLE`,
		},
		{"an encoding", sub(ascii), codes.Unimplemented, "encoding BYTES is not supported; supported: JSON_IETF, JSON, PROTO"},
		{
			"a path", sub(listOf(stream, onChange(at("qos")))), codes.Unimplemented,
			`path "/qos" is not served; below / there is: interfaces, acl, system`,
		},
		{
			"a path, once", sub(listOf(gpb.SubscriptionList_ONCE, onChange(at("qos")))), codes.Unimplemented,
			`path "/qos" is not served; below / there is: interfaces, acl, system`,
		},
		{
			"too fast", sub(listOf(stream, sample(time.Millisecond, everyStatus))), codes.InvalidArgument,
			`path "/interfaces/interface/state/oper-status": sample_interval of 1000000 ns is not supported; the least is 1000000000 ns (1s), the most 2^63-1 ns`,
		},
		{
			"too slow", sub(listOf(stream, sample(-1, everyStatus))), codes.InvalidArgument,
			`path "/interfaces/interface/state/oper-status": sample_interval of 18446744073709551615 ns is not supported; the least is 1000000000 ns (1s), the most 2^63-1 ns`,
		},
		{
			"a heartbeat too fast", sub(listOf(stream, beat)), codes.InvalidArgument,
			`path "/interfaces/interface/state/oper-status": heartbeat_interval of 5 ns is not supported; the least is 1000000000 ns (1s), the most 2^63-1 ns`,
		},
		{
			"an interval that the target defines", sub(listOf(stream, defined)), codes.InvalidArgument,
			`path "/interfaces/interface/state/oper-status": sample_interval with TARGET_DEFINED; leave it out, or use SAMPLE`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw, err := c.Subscribe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s := &subscriber{t, raw}
			s.send(tc.req)
			s.wantEnd(tc.code, tc.text)
		})
	}
	if n := src.readCount(); n != 0 {
		t.Errorf("the source was read %d times for requests that are refused", n)
	}
}

func TestStreamRefusesMore(t *testing.T) {
	c := serve(t, newFake(twoPorts()), Options{})
	for _, more := range []*gpb.SubscribeRequest{
		{Request: &gpb.SubscribeRequest_Poll{Poll: &gpb.Poll{}}},
		{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: listOf(gpb.SubscriptionList_STREAM, onChange(everyStatus))}},
	} {
		s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(everyStatus)))
		s.initial()
		s.send(more)
		s.wantEnd(codes.InvalidArgument, "subscribe: nothing may follow a SubscriptionList of mode STREAM; open another RPC for other paths")
	}
}

func TestSourceFails(t *testing.T) {
	src := newFake(twoPorts())
	c := serve(t, src, Options{})
	s := subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(everyStatus)))
	s.initial()
	src.watchErr <- errors.New("netlink gone")
	s.wantEnd(codes.Unavailable, "changes can no longer be watched: netlink gone")

	s = subscribe(t, c, listOf(gpb.SubscriptionList_STREAM, onChange(everyStatus)))
	s.initial()
	src.fail(errors.New("switch gone"))
	src.set(twoPorts(), true)
	s.wantEnd(codes.Unavailable, "the counters cannot be read: switch gone")
	s = subscribe(t, c, listOf(gpb.SubscriptionList_ONCE, onChange(everyStatus)))
	s.wantEnd(codes.Unavailable, "the counters cannot be read: switch gone")
}
