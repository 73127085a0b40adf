package e2e

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmic/pkg/api"
	"github.com/openconfig/gnmic/pkg/api/target"

	"op25b/internal/agent"
	"op25b/internal/bring/bringtest"
	"op25b/internal/openconfig"
	"op25b/internal/p4rt"
	"op25b/internal/softswitch"
	"op25b/internal/wire"
)

// gnmicTarget returns gnmic's client, which is connected to a gNMI server.
func gnmicTarget(t *testing.T, addr string) *target.Target {
	t.Helper()
	tg, err := api.NewTarget(api.Name("edge-1"), api.Address(addr), api.Insecure(true), api.Timeout(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.CreateGNMIClient(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tg.Close() })
	return tg
}

// TestGNMIC verifies that gnmic's client can read the counters of the embedded switch. It uses Capabilities, Get with JSON_IETF, and
// Subscribe with ONCE and STREAM.
func TestGNMIC(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	near, far := wire.Pipe("access-1", "host")
	if err := sw.Attach(accessPort, near); err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	session, err := p4rt.Dial(ctx, p4rt.Config{Addr: services.Addrs.P4Runtime, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.WaitPrimary(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := bringtest.Converge(ctx, session, filtering(0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	tg := gnmicTarget(t, services.Addrs.GNMI)
	if _, err := tg.Capabilities(ctx); err != nil {
		t.Fatal(err)
	}

	const path = "/acl/interfaces/interface[id=access-1]/ingress-acl-sets/ingress-acl-set[set-name=op25b][type=ACL_MIXED]" +
		"/acl-entries/acl-entry[sequence-id=5]/state/matched-packets"
	stream, err := api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeSTREAM(),
		api.Subscription(api.Path(path), api.SubscriptionModeSAMPLE(), api.SampleInterval(time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	responses, failures := tg.SubscribeStreamChan(ctx, stream, "acl")

	drop := segment(t, v4(192<<24|2<<8|11), v4(203<<24|113<<8|129), 25)
	for range 3 {
		if err := far.Send(drop); err != nil {
			t.Fatal(err)
		}
	}
	for counted := uint64(0); counted != 3; {
		select {
		case err := <-failures:
			t.Fatal(err)
		case r := <-responses:
			for _, u := range r.GetUpdate().GetUpdate() {
				counted = u.GetVal().GetUintVal()
			}
		}
	}

	// The switch's own source and the source of an agent over P4Runtime must have the same counters.
	overP4Runtime, err := agent.New(session, agent.Config{Ports: map[uint32]string{accessPort: "access-1"}})
	if err != nil {
		t.Fatal(err)
	}
	var states []*openconfig.State
	for _, s := range []openconfig.Source{sw.Source(), overP4Runtime} {
		state, err := s.Snapshot(ctx, openconfig.AllParts)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, state)
	}
	own, remote := states[0], states[1]
	if d := cmp.Diff(own.Lines, remote.Lines) + cmp.Diff(own.Legs, remote.Legs) + cmp.Diff(own.Interfaces[0].ACL, remote.Interfaces[0].ACL); d != "" || len(own.Lines) != 1 || len(own.Legs) != 4 {
		t.Errorf("%d lines and %d legs; own - over P4Runtime +:\n%s", len(own.Lines), len(own.Legs), d)
	}

	get, err := api.NewGetRequest(api.EncodingJSON_IETF(), api.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	got, err := tg.Get(ctx, get)
	if err != nil {
		t.Fatal(err)
	}
	var text string // a string, because RFC 7951 encodes 64-bit numbers as strings
	if err := json.Unmarshal(only(t, got.GetNotification()).GetJsonIetfVal(), &text); err != nil || text != "3" {
		t.Errorf("Get says %q (%v), want \"3\"", text, err)
	}

	once, err := api.NewSubscribeRequest(api.EncodingPROTO(), api.SubscriptionListModeONCE(), api.Subscription(api.Path("/interfaces/interface[name=*]/state/counters/in-pkts")))
	if err != nil {
		t.Fatal(err)
	}
	all, err := tg.SubscribeOnce(ctx, once)
	if err != nil {
		t.Fatal(err)
	}
	var notifications []*gnmi.Notification
	for _, r := range all {
		if n := r.GetUpdate(); n != nil {
			notifications = append(notifications, n)
		}
	}
	if n := only(t, notifications).GetUintVal(); n != 3 {
		t.Errorf("access-1 received %d frames, want 3", n)
	}
}

// only returns the value of the only update in notifications. It fails the test if there is not exactly one update.
func only(t *testing.T, notifications []*gnmi.Notification) *gnmi.TypedValue {
	t.Helper()
	var updates []*gnmi.Update
	for _, n := range notifications {
		updates = append(updates, n.GetUpdate()...)
	}
	if len(updates) != 1 {
		t.Fatalf("%d updates came, want 1: %v", len(updates), notifications)
	}
	return updates[0].GetVal()
}
