package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"op25b/internal/p4rt"
)

// onEveryEstate runs a test on the embedded switch and on bmv2. Both start in the state of the same estate's first revision.
func onEveryEstate(t *testing.T, r *rand.Rand, test func(t *testing.T, e *estate, d *device)) {
	t.Helper()
	seeds := [2]uint64{r.Uint64(), r.Uint64()}
	first := newEstate(rand.New(rand.NewPCG(seeds[0], seeds[1])))
	state, err := first.compile()
	if err != nil {
		t.Fatal(err)
	}
	onEveryTarget(t, state, func(t *testing.T, d *device) {
		e := newEstate(rand.New(rand.NewPCG(seeds[0], seeds[1])))
		if _, err := e.compile(); err != nil {
			t.Fatal(err)
		}
		test(t, e, d)
	})
}

// A controller is a P4Runtime session with a device. It counts its write requests and pushes.
type controller struct {
	*p4rt.Session
	writes, pushes int
	onWrite        func(n int) // called after the reply to each write; may be nil
}

// takeOver opens a session with an election id and waits until the session is primary. The session writes one update per request, and
// ends with the test.
func takeOver(tb testing.TB, d *device, election uint64, onWrite func(n int)) *controller {
	tb.Helper()
	return takeOverIn(tb, d, election, 1, onWrite)
}

// takeOverIn is like takeOver, but the session writes up to batch updates per request.
func takeOverIn(tb testing.TB, d *device, election uint64, batch int, onWrite func(n int)) *controller {
	tb.Helper()
	c := &controller{onWrite: onWrite}
	counting := func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, conn, opts...)
		switch {
		case strings.HasSuffix(method, "/Write"):
			c.writes++
			if c.onWrite != nil {
				c.onWrite(c.writes)
			}
		case strings.HasSuffix(method, "/SetForwardingPipelineConfig"):
			c.pushes++
		}
		return err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	var err error
	c.Session, err = p4rt.Dial(ctx, p4rt.Config{
		Addr: d.addr, DeviceID: 1, ElectionID: p4rt.ElectionID{Low: election}, BatchSize: batch,
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(counting)},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.WaitPrimary(ctx); err != nil {
		tb.Fatal(err)
	}
	return c
}
