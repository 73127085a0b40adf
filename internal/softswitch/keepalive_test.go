package softswitch

import (
	"fmt"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"op25b/e2e/longform"
)

// TestClientsThatPing verifies that clients that ping every 10 s keep their connections on all three services, even without open streams
// (gRFC A8). gRPC's own server would disconnect them after 31 s, so the test takes 45 s.
func TestClientsThatPing(t *testing.T) {
	if !longform.On() {
		fmt.Fprintln(os.Stderr, "SKIPPED "+t.Name()+": it waits for 45 s; OP25B_LONG=1 runs it")
		t.Skip("long form")
	}
	services, err := newSwitch(t).Listen(Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0", Dataplane: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	over := time.After(45 * time.Second)
	var conns []*grpc.ClientConn
	for _, addr := range []string{services.Addrs.P4Runtime, services.Addrs.GNMI, services.Addrs.Dataplane} {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conn.Connect()
		for s := conn.GetState(); s != connectivity.Ready; s = conn.GetState() {
			conn.WaitForStateChange(t.Context(), s)
		}
		conns = append(conns, conn)
	}
	<-over
	for _, conn := range conns {
		if s := conn.GetState(); s != connectivity.Ready {
			t.Errorf("%s: the connection is %v after 45 s of pings", conn.Target(), s)
		}
	}
}
