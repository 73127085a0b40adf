// Package portaltest has a fake of the API that the portal uses, for tests over real HTTP.
package portaltest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/check/mailbox"
	"op25b/internal/client"
	"op25b/internal/policy"
	"op25b/internal/publication"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
	"op25b/proto/op25b/v1/op25bv1connect"
)

// A Controller is a fake of a controller: PortalService over HTTP on loopback.
type Controller struct {
	op25bv1connect.UnimplementedPortalServiceHandler
	t    testing.TB
	addr string

	mu        sync.Mutex // guards the fields below
	server    *http.Server
	served    chan struct{}
	published *op25bv1.Publication
	changed   chan struct{}
	now       time.Time
	asked     []*op25bv1.AskOwnLineRequest
	answer    func(*op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error)
	silent    bool
}

// Start starts a controller without a publication. It stops at the end of the test.
func Start(t testing.TB) *Controller {
	t.Helper()
	c := &Controller{t: t, changed: make(chan struct{}), now: time.Now()}
	c.Again()
	t.Cleanup(c.Stop)
	return c
}

// Again listens again after Stop, on the same address.
func (c *Controller) Again() {
	c.t.Helper()
	addr := c.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.Handle(op25bv1connect.NewPortalServiceHandler(c))
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server, served := &http.Server{Handler: mux, Protocols: &protocols, ReadHeaderTimeout: time.Minute}, make(chan struct{})
	c.mu.Lock()
	c.server, c.served = server, served
	c.mu.Unlock()
	go func() { defer close(served); _ = server.Serve(l) }()
}

// Stop closes the listener and all connections.
func (c *Controller) Stop() {
	c.mu.Lock()
	server, served := c.server, c.served
	c.server = nil
	c.mu.Unlock()
	if server != nil {
		_ = server.Close()
		<-served
	}
}

// Client returns a client of the controller.
func (c *Controller) Client() *client.Client {
	c.t.Helper()
	x, err := client.New(client.Config{Server: c.addr})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(x.Close)
	return x
}

// Addr returns the address of the controller.
func (c *Controller) Addr() string { return c.addr }

// Publish replaces the publication. It sets the id.
func (c *Controller) Publish(p *op25bv1.Publication) {
	p = proto.CloneOf(p)
	p.Id = ""
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		c.t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	p.Id = hex.EncodeToString(sum[:8])
	c.change(func() { c.published = p })
}

// SetTime sets the controller's clock, which stands still.
func (c *Controller) SetTime(at time.Time) { c.change(func() { c.now = at }) }

// SetSilent makes the controller send nothing more.
func (c *Controller) SetSilent(silent bool) { c.change(func() { c.silent = silent }) }

// OnAsk sets the function that answers AskOwnLine.
func (c *Controller) OnAsk(answer func(*op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error)) {
	c.change(func() { c.answer = answer })
}

// Asked returns the requests of AskOwnLine so far.
func (c *Controller) Asked() []*op25bv1.AskOwnLineRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*op25bv1.AskOwnLineRequest(nil), c.asked...)
}

func (c *Controller) change(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
	close(c.changed)
	c.changed = make(chan struct{})
}

// WatchPublication sends the publication, and a sign of life with each other change.
func (c *Controller) WatchPublication(ctx context.Context, req *connect.Request[op25bv1.WatchPublicationRequest], stream *connect.ServerStream[op25bv1.WatchPublicationResponse]) error {
	known := req.Msg.Known
	for {
		c.mu.Lock()
		p, now, changed, silent := c.published, c.now, c.changed, c.silent
		c.mu.Unlock()
		if p == nil {
			return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("there is no intent yet"))
		}
		if !silent {
			m := &op25bv1.WatchPublicationResponse{Time: timestamppb.New(now), Id: p.Id}
			if p.Id != known {
				m.Publication, known = p, p.Id
			}
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AskOwnLine records the request and answers it with the function of OnAsk. Without one, no line has the address.
func (c *Controller) AskOwnLine(_ context.Context, req *connect.Request[op25bv1.AskOwnLineRequest]) (*connect.Response[op25bv1.AskOwnLineResponse], error) {
	c.mu.Lock()
	c.asked = append(c.asked, req.Msg)
	answer := c.answer
	c.mu.Unlock()
	r, err := &op25bv1.AskOwnLineResponse{}, error(nil)
	if answer != nil {
		r, err = answer(req.Msg)
	}
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(r), nil
}

// Publication returns revision 7, which publishes documents and a directory. Every switch confirmed the phases in force at the time now.
func Publication(t testing.TB, files []strict.File, providers strict.File, now time.Time, acts ...policy.Activation) *op25bv1.Publication {
	t.Helper()
	b, err := policy.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := mailbox.Load(providers)
	if err != nil {
		t.Fatal(err)
	}
	d, err := publication.Make(publication.Source{Bundle: b, Activations: acts, Revision: 7, Stored: now.Add(-time.Hour), Directory: directory}, now)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, sw := range b.Inventory.Switches {
		if in, ok := b.Policy.InForceAt(acts, sw.Name, now); ok {
			seen[sw.Name] = in.String()
		}
	}
	return d.Publish(now, seen)
}
