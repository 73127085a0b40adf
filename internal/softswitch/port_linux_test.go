package softswitch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/internal/wire"
)

// inNamespace runs f in a new network namespace. It skips the test if the process lacks the privilege to create one.
func inNamespace(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "SKIPPED "+t.Name()+": network interfaces need root; run the tests as root to see this one")
		t.Skip("needs root")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := netns.New()
	if err != nil {
		runtime.UnlockOSThread()
		fmt.Fprintln(os.Stderr, "SKIPPED "+t.Name()+": no network namespace here: "+err.Error())
		t.Skip("needs network namespaces")
	}
	t.Cleanup(func() { _ = fresh.Close() })
	defer func() {
		if err := errors.Join(netns.Set(home), home.Close()); err != nil {
			t.Fatal(err) // the thread stays locked and exits with this goroutine
		}
		runtime.UnlockOSThread()
	}()
	f()
}

func change(t *testing.T, name string, do func(netlink.Link) error) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = do(l)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func addPair(t *testing.T) {
	t.Helper()
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "access-1"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "host"}); err != nil {
		t.Fatal(err)
	}
	change(t, "access-1", netlink.LinkSetUp)
	change(t, "host", netlink.LinkSetUp)
}

// TestPortFollowsItsInterface verifies that an ON_CHANGE subscriber gets the state of a port's interface, as in RFC 8343. The interface
// goes down, loses its carrier, is removed, and comes back with another index.
func TestPortFollowsItsInterface(t *testing.T) {
	sw := newSwitch(t) // the switch and its services start before the thread enters the namespace, because other threads make the connections
	services, err := sw.Listen(Addrs{GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	conn, err := grpc.NewClient(services.Addrs.GNMI, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	inNamespace(t, func() {
		addPair(t)
		link, err := wire.OpenInterface("access-1")
		if err != nil {
			t.Fatal(err)
		}
		if err := sw.Attach(1, link); err != nil {
			t.Fatal(err)
		}
		told := states(t, gpb.NewGNMIClient(conn))
		wait := func(what string, is func(map[string]string) bool) map[string]string {
			t.Helper()
			timeout := time.After(30 * time.Second)
			last := map[string]string{}
			for {
				select {
				case last = <-told:
					if is(last) {
						return last
					}
				case <-timeout:
					t.Fatalf("never %s; last %v", what, last)
				}
			}
		}
		first := wait("up", func(s map[string]string) bool {
			return s["oper-status"] == "UP" && s["admin-status"] == "UP" && s["ifindex"] != ""
		})
		change(t, "host", netlink.LinkSetDown)
		without := wait("without carrier", func(s map[string]string) bool {
			return s["oper-status"] == "LOWER_LAYER_DOWN" || s["oper-status"] == "DOWN"
		})
		if without["last-change"] <= first["last-change"] {
			t.Errorf("last-change %s, was %s", without["last-change"], first["last-change"])
		}
		change(t, "access-1", netlink.LinkSetDown)
		wait("set down", func(s map[string]string) bool { return s["oper-status"] == "DOWN" && s["admin-status"] == "DOWN" })
		change(t, "access-1", netlink.LinkDel)
		wait("gone", func(s map[string]string) bool { return s["oper-status"] == "NOT_PRESENT" && s["ifindex"] == "" })
		addPair(t)
		wait("back", func(s map[string]string) bool {
			return s["oper-status"] == "UP" && s["ifindex"] != "" && s["ifindex"] != first["ifindex"]
		})
	})
}

// states subscribes to the state of access-1. The returned channel receives the state after each notification.
func states(t *testing.T, client gpb.GNMIClient) <-chan map[string]string {
	t.Helper()
	stream, err := client.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interfaces"}, {Name: "interface", Key: map[string]string{"name": "access-1"}}, {Name: "state"}, {Name: "*"}}}
	list := &gpb.SubscriptionList{Encoding: gpb.Encoding_PROTO, Subscription: []*gpb.Subscription{{Path: path, Mode: gpb.SubscriptionMode_ON_CHANGE}}}
	if err := stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
		t.Fatal(err)
	}
	out := make(chan map[string]string, 64)
	go func() {
		now := map[string]string{}
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			for _, d := range m.GetUpdate().GetDelete() {
				delete(now, d.Elem[len(d.Elem)-1].Name)
			}
			for _, u := range m.GetUpdate().GetUpdate() {
				v := u.Val.GetStringVal()
				if _, number := u.Val.GetValue().(*gpb.TypedValue_UintVal); number {
					v = fmt.Sprint(u.Val.GetUintVal())
				}
				now[u.Path.Elem[len(u.Path.Elem)-1].Name] = v
			}
			copied := map[string]string{}
			for k, v := range now {
				copied[k] = v
			}
			out <- copied
		}
	}()
	return out
}
