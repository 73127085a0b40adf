package main

import (
	"context"
	"net"
	"net/netip"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"op25b/examples"
	"op25b/internal/client"
	"op25b/internal/grpcserve"
	"op25b/internal/policy"
	"op25b/internal/portal"
	"op25b/internal/portal/content"
	"op25b/internal/portal/published"
	"op25b/internal/portal/visitor"
	op25bv1 "op25b/proto/op25b/v1"
)

// A demoPortal is the customers' portal of op25b demo --keep. It runs in this process and follows the demo's controller over its API.
type demoPortal struct {
	listener net.Listener
	line     netip.Addr // the address that stands for visitors from this host
	stop     context.CancelFunc
	running  errgroup.Group
}

// openDemoPortal listens on an address. Visitors from this host count as the first line of the switch.
func openDemoPortal(listen string, sw *policy.Switch) (*demoPortal, error) {
	l, err := grpcserve.Listen("portal", listen)
	return &demoPortal{listener: l, line: sw.Lines[0].Prefixes[0].Addr(), stop: func() {}}, err
}

func (d *demoPortal) addr() net.Addr { return d.listener.Addr() }

// start serves the portal until close is called, or ctx ends.
func (d *demoPortal) start(ctx context.Context, api *client.Client) error {
	ctx, d.stop = context.WithCancel(ctx)
	follower, err := published.Open(ctx, published.Config{Watch: api.Portal.WatchPublication})
	if err != nil {
		return err
	}
	c := portal.Config{Published: follower, AskOwnLine: d.ownLine(api.Portal.AskOwnLine)}
	if c.Content, err = content.Load(examples.Portal()); err != nil {
		return err
	}
	// A program on this host can visit as another subscriber by naming the subscriber's address in X-Forwarded-For.
	c.Proxies = visitor.Proxies{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	site, err := portal.New(c)
	if err != nil {
		return err
	}
	d.running.Go(func() error { follower.Run(ctx); return nil })
	d.running.Go(func() error { return portal.Serve(ctx, d.listener, site, nil) })
	return nil
}

// ownLine asks about the demo's line for visitors from this host, since no line of the demo has a loopback address.
func (d *demoPortal) ownLine(ask portal.OwnLine) portal.OwnLine {
	return func(ctx context.Context, q *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error) {
		if addr, err := netip.ParseAddr(q.Msg.Address); err == nil && addr.IsLoopback() {
			q.Msg.Address = d.line.String()
		}
		return ask(ctx, q)
	}
}

// close stops the portal.
func (d *demoPortal) close() {
	d.stop()
	_ = d.running.Wait() // the demo's report is complete
	_ = d.listener.Close()
}
