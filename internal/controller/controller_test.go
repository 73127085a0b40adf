package controller

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/clock"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config(t *testing.T) Config {
	t.Helper()
	return Config{
		Name: "noc", Store: store.Config{Dir: t.TempDir()}, Clock: clock.System(),
		Listening: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles,
	}
}

// TestFirstDocuments verifies that the first documents are stored before any caller is served, and
// only when the controller starts for the first time.
func TestFirstDocuments(t *testing.T) {
	c := config(t)
	c.First = examples.SpinNet2006()
	for range 2 {
		opened, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- opened.Run(ctx) }()
		for update := range opened.Book().Watch(ctx, 0) {
			if update.Intent != nil {
				break
			}
		}
		in, err := opened.Book().Current(t.Context())
		if err != nil || in.Number != 1 || in.Author != "serve noc" {
			t.Errorf("the current revision is %+v, %v", in, err)
		}
		stop()
		if err := errors.Join(<-ended, opened.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenFails verifies that a failed Open leaves nothing open, so that the address and the data
// directory can be used again.
func TestOpenFails(t *testing.T) {
	c := config(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tc := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"skew":          {func(c *Config) { c.Skew = time.Millisecond }, clock.ErrBound},
		"address":       {func(c *Config) { c.Listening.Addr = taken.Addr().String() }, nil},
		"insecure":      {func(c *Config) { c.Listening.Addr = "192.0.2.1:2525" }, api.ErrListen},
		"insecure gNMI": {func(c *Config) { c.GNMI.Addr = "192.0.2.1:9340" }, api.ErrListen},
		"taken gNMI":    {func(c *Config) { c.GNMI.Addr = taken.Addr().String() }, nil},
		"no store":      {func(c *Config) { c.Store.Dir = "" }, store.ErrConfig},
	} {
		bad := c
		tc.change(&bad)
		if opened, err := Open(t.Context(), bad); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: opened %v, %v, want %v", name, opened != nil, err, tc.want)
		}
	}
	opened, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Book().Current(t.Context()); !errors.Is(err, intent.ErrNone) {
		t.Errorf("an empty store has %v", err)
	}
	if err := opened.Close(); err != nil {
		t.Error(err)
	}
}

// TestGNMI verifies that the northbound gNMI listens at once, serves after the start, and ends with
// the controller.
func TestGNMI(t *testing.T) {
	c := config(t)
	if opened, err := Open(t.Context(), c); err != nil || opened.GNMIAddr() != nil {
		t.Errorf("without an address: %v, %v", opened.GNMIAddr(), err)
	} else if err := opened.Close(); err != nil {
		t.Error(err)
	}
	c.GNMI.Addr = "127.0.0.1:0"
	opened, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- opened.Run(ctx) }()
	conn, err := grpc.NewClient(opened.GNMIAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = gpb.NewGNMIClient(conn).Capabilities(t.Context(), &gpb.CapabilityRequest{}, grpc.WaitForReady(true))
	if err != nil {
		t.Error(err)
	}
	var addrs fleet.Addresses
	for members := range opened.store.WatchMembers(ctx) {
		if len(members) == 1 {
			addrs = fleet.AddressesOf(members[0])
			break
		}
	}
	if want := (fleet.Addresses{API: opened.Addr().String(), GNMI: opened.GNMIAddr().String(), GNMIPlain: true}); addrs != want {
		t.Errorf("published is %+v, want %+v", addrs, want)
	}
	stop()
	if err := errors.Join(<-ended, conn.Close(), opened.Close()); err != nil {
		t.Error(err)
	}
}
