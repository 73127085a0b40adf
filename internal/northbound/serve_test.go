package northbound

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"op25b/internal/openconfig"
)

// alone returns a controller that owns the switch, and a client of it.
func alone(t *testing.T) (*cluster, *node, gpb.GNMIClient) {
	t.Helper()
	c := newCluster(t)
	n := c.node(t, "noc-1")
	c.apply(t, n)
	n.take("before")
	return c, n, client(t, n.addr, nil)
}

// TestSameNumbersAsTheSwitch verifies that a collector reads the same numbers here and from the switch. This also applies after a restart
// of the switch, when totals would differ.
func TestSameNumbersAsTheSwitch(t *testing.T) {
	c, n, north := alone(t)
	direct := client(t, c.edge.addr, nil)
	compare := func() {
		t.Helper()
		for _, at := range []string{"/interfaces", "/acl/interfaces", "/acl/acl-sets/acl-set/leg-entries/leg-entry/state/matched-packets", "/system/state/boot-time", "/system/state/hostname"} {
			want := must(get(within(t), t, direct, "", at))(t)
			got := ""
			n.until(func() bool {
				got = must(get(within(t), t, north, "edge-1", at))(t)
				return got == want || t.Failed()
			})
			if got != want || want == "" {
				t.Errorf("%s: %s, want %s", at, got, want)
			}
		}
	}
	compare()
	c.edge.set(counted(time.Unix(2e9, 0), 3)) // the switch has restarted, and had counted 5 packets before
	compare()
}

// TestRules verifies that the entries of the ACL set have names, meanings and actions. A monitored rule has the action accept, and its
// description contains monitor.
func TestRules(t *testing.T) {
	_, n, north := alone(t)
	entries := func() map[string][2]string {
		var set struct {
			Entries struct {
				Entry []struct {
					ID    int `json:"sequence-id"`
					State struct {
						Description string
						Packets     string `json:"matched-packets"`
					}
					Actions struct {
						State struct {
							Action string `json:"forwarding-action"`
						}
					}
				} `json:"acl-entry"`
			} `json:"openconfig-acl:acl-entries"`
		}
		text := must(get(within(t), t, north, "edge-1", "/acl/acl-sets/acl-set[name=op25b][type=ACL_MIXED]"))(t)
		if strings.Contains(text, "line\"") || strings.Contains(text, "77") {
			t.Errorf("lines are served: %s", text)
		}
		if err := json.Unmarshal([]byte(text), &set); err != nil {
			t.Fatal(err, text)
		}
		all := make(map[string][2]string)
		for _, e := range set.Entries.Entry {
			name, does, _ := strings.Cut(e.State.Description, ": ")
			if len(does) < 20 {
				t.Errorf("rule %d is described as %q", e.ID, e.State.Description)
			}
			all[name] = [2]string{e.Actions.State.Action, e.State.Packets}
		}
		return all
	}
	got := entries()
	for name, want := range map[string][2]string{
		"relay (permit)": {"openconfig-acl:ACCEPT", "0"}, "fail-closed (drop)": {"openconfig-acl:DROP", "0"}, "smtp-all (monitor)": {"openconfig-acl:ACCEPT", "5"},
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q of %q", name, got[name], want, got)
		}
	}
	// The description follows the phase in force, and its subscribers are notified.
	stream, _, err := subscribe(within(t), t, north, "edge-1", &gpb.Subscription{
		Path: parsed(t, "/acl/acl-sets/acl-set/acl-entries/acl-entry[sequence-id=6]/actions/state/forwarding-action"), Mode: gpb.SubscriptionMode_ON_CHANGE,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.follow("all-destinations; mobile-carriers: isdn")
	if r := must(stream.Recv())(t); r.GetUpdate().GetUpdate()[0].GetVal().GetStringVal() != "DROP" {
		t.Errorf("the change is %v", r)
	}
	if got := entries()["smtp-all (drop)"]; got != [2]string{"openconfig-acl:DROP", "5"} {
		t.Errorf("in the second phase: %q", got)
	}
}

// TestModes verifies that all modes of Subscribe work for a target, and that Set is refused with a reason.
func TestModes(t *testing.T) {
	c, _, north := alone(t)
	caps := must(north.Capabilities(within(t), &gpb.CapabilityRequest{}))(t)
	if len(caps.GetSupportedModels()) == 0 || len(caps.GetSupportedEncodings()) != 3 {
		t.Errorf("capabilities: %v", caps)
	}
	_, err := north.Set(within(t), &gpb.SetRequest{Prefix: &gpb.Path{Target: "edge-1"}})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "change the policy with op25b apply") {
		t.Errorf("set: %v", err)
	}
	for name, want := range map[string]string{
		"":       "prefix.target is missing: this server has several targets; valid: edge-1",
		"edge-9": `prefix.target "edge-9" is unknown; valid: edge-1`,
		"*":      `prefix.target "*" is not supported`,
	} {
		if _, err := get(within(t), t, north, name, "/acl"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("target %q: %v", name, err)
		}
	}
	list := func(mode gpb.SubscriptionList_Mode) *gpb.SubscribeRequest {
		return &gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: &gpb.SubscriptionList{
			Prefix: &gpb.Path{Target: "edge-1"}, Encoding: gpb.Encoding_PROTO, Mode: mode, Subscription: []*gpb.Subscription{sampled(t)},
		}}}
	}
	for _, mode := range []gpb.SubscriptionList_Mode{gpb.SubscriptionList_ONCE, gpb.SubscriptionList_POLL, gpb.SubscriptionList_STREAM} {
		ctx, cancel := context.WithCancel(within(t))
		stream := must(north.Subscribe(ctx))(t)
		if err := stream.Send(list(mode)); err != nil {
			t.Fatal(err)
		}
		r := must(stream.Recv())(t)
		if r.GetUpdate().GetPrefix().GetTarget() != "edge-1" || r.GetUpdate().GetUpdate()[0].GetVal().GetUintVal() == 0 {
			t.Errorf("%v: %v", mode, r)
		}
		if r := must(stream.Recv())(t); !r.GetSyncResponse() {
			t.Errorf("%v: no sync response, but %v", mode, r)
		}
		if mode == gpb.SubscriptionList_POLL {
			c.edge.set(counted(time.Unix(1e9, 0), 9))
			if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Poll{Poll: &gpb.Poll{}}}); err != nil {
				t.Fatal(err)
			}
		}
		if mode != gpb.SubscriptionList_ONCE {
			must(stream.Recv())(t)
		}
		cancel()
	}
}

// TestNotCurrent verifies that requests are not answered while the values are not current. A running subscription survives a short
// interruption, and ends after a long one.
func TestNotCurrent(t *testing.T) {
	c, n, north := alone(t)
	stream, first, err := subscribe(within(t), t, north, "edge-1", sampled(t))
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	for range 2 { // a short interruption
		c.edge.stop()
		n.until(func() bool {
			_, err := get(within(t), t, north, "edge-1", "/acl")
			return status.Code(err) == codes.Unavailable
		})
		c.edge.start(t, c.edge.addr)
		c.edge.set(counted(time.Unix(1e9, 0), 12))
		for packets := uint64(0); packets != 12; {
			packets = must(stream.Recv())(t).GetUpdate().GetUpdate()[0].GetVal().GetUintVal()
		}
	}
	c.edge.stop()
	at := time.Now()
	err = failure(stream)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the counters are not current: the gNMI subscription to "+c.edge.addr+" is ") {
		t.Errorf("the subscription ended with %v", err)
	}
	if took := time.Since(at); took < quiet/2 {
		t.Errorf("it ended after %v, want about %v", took, quiet)
	}
	n.until(func() bool {
		_, err = get(within(t), t, north, "edge-1", "/acl")
		return err != nil && strings.Contains(err.Error(), "disconnected (unreachable)")
	})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "its newest value is ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("get: %v", err)
	}
}

// TestStale verifies that the values of a switch that hangs become stale while its session is still open.
func TestStale(t *testing.T) {
	c, n, north := alone(t)
	stream, _, err := subscribe(within(t), t, north, "edge-1", sampled(t))
	if err != nil {
		t.Fatal(err)
	}
	c.edge.hang()
	n.until(func() bool {
		_, err = get(within(t), t, north, "edge-1", "/acl")
		return err != nil && strings.Contains(err.Error(), "is stale (silent) since ")
	})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("get: %v", err)
	}
	if err := failure(stream); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "the counters are not current") {
		t.Errorf("the subscription ended with %v", err)
	}
}

// TestRuleOfAnEarlierPhase verifies that a rule that counted in an earlier phase keeps its name, and has no action.
func TestRuleOfAnEarlierPhase(t *testing.T) {
	_, n, north := alone(t)
	n.follow("mail-elsewhere") // a phase that is not in the documents, so that none of their rules is in force
	n.until(func() bool {
		text, err := get(within(t), t, north, "edge-1", "/acl/acl-sets/acl-set/acl-entries/acl-entry[sequence-id=6]")
		return err == nil && strings.Contains(text, `"description":"smtp-all (not in the phases in force)"`) && !strings.Contains(text, "forwarding-action")
	})
}

// TestOnlyWhatTheSwitchReports verifies that a counter that the switch does not report is omitted instead of served as 0.
func TestOnlyWhatTheSwitchReports(t *testing.T) {
	c, n, north := alone(t)
	st := counted(time.Unix(2e9, 0), 3)
	st.Interfaces = append(st.Interfaces,
		openconfig.Interface{Name: "access-2", Port: 2, Oper: openconfig.OperDown},
		openconfig.Interface{Name: "access-3", Port: 3, Counters: &openconfig.InterfaceCounters{
			InOctets: 7, OutErrors: 9, Absent: openconfig.AllCounters &^ (openconfig.InOctets | openconfig.OutErrors),
		}})
	c.edge.set(st)
	at := func(name, below string) (string, error) {
		return get(within(t), t, north, "edge-1", "/interfaces/interface[name="+name+"]/state/"+below)
	}
	n.until(func() bool { _, err := at("access-3", "counters"); return err == nil })
	if _, err := at("access-2", "counters"); status.Code(err) != codes.NotFound {
		t.Errorf("counters that the switch does not have: %v", err)
	}
	const want = `{"openconfig-interfaces:in-octets":"7","openconfig-interfaces:out-errors":"9"}`
	if got, err := at("access-3", "counters"); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
