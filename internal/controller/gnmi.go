package controller

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"

	"op25b/internal/api"
	"op25b/internal/grpcserve"
	"op25b/internal/northbound"
	"op25b/internal/openconfig/p4source"
	"op25b/internal/tally"
	"op25b/internal/tlsfiles"
	"op25b/internal/tlsfiles/expiry"
	"op25b/p4src"
)

// A GNMI configures the northbound gNMI of a controller. It uses the TLS files of the API, and the same rules for plain text.
type GNMI struct {
	// Addr is the address to listen on, as host:port. If it is empty, the northbound gNMI is not served.
	Addr string
	// Advertise is the address to which other controllers forward calls for this controller. It defaults to the address of the listener.
	Advertise string
	// CA is a PEM file with the CAs that issued the gNMI certificates of the other controllers. If it is empty, the system's CAs are used.
	CA string
}

// These are the limits of the northbound gNMI. A collector may have a connection and a stream for each of 1,000 switches.
const (
	gnmiConnections = 1200
	gnmiCalls       = 4096
	// gnmiMessage and gnmiElements limit a request. They equal the limits of a switch's gNMI.
	gnmiMessage  = 1 << 20
	gnmiElements = 20_000
)

// A gnmiServer is the open listener of the northbound gNMI.
type gnmiServer struct {
	cfg      GNMI
	api      api.Listening
	tls      *tls.Config // nil for plain text
	peers    func(host string) (*tls.Config, error)
	listener net.Listener
	gate     *api.Gate
	log      *zap.Logger
}

// listenGNMI opens the listener of the northbound gNMI. It returns nil if the northbound gNMI is not served.
func listenGNMI(cfg Config) (_ *gnmiServer, err error) {
	if cfg.GNMI.Addr == "" {
		return nil, nil
	}
	g := &gnmiServer{cfg: cfg.GNMI, api: cfg.Listening, log: cfg.Logger}
	g.api.Addr = cfg.GNMI.Addr
	if g.tls, err = g.api.Secure(); err != nil {
		return nil, fmt.Errorf("--gnmi: %w", err)
	}
	if g.tls != nil {
		ends := cfg.Certificates.Of(expiry.Peer, "")
		g.peers = func(host string) (*tls.Config, error) {
			return tlsfiles.Client(tlsfiles.Files{CA: cfg.GNMI.CA, ServerName: host, OnError: cfg.Listening.OnError, Ends: ends})
		}
		if _, err := g.peers("localhost"); err != nil { // report a bad file now instead of at the first forwarded call
			return nil, fmt.Errorf("--gnmi-ca: %w", err)
		}
	}
	if g.listener, err = grpcserve.Listen("gNMI", cfg.GNMI.Addr); err != nil {
		return nil, err
	}
	return g, nil
}

// Close closes the listener. The receiver may be nil.
func (g *gnmiServer) Close() error {
	if g == nil {
		return nil
	}
	return g.listener.Close()
}

// advertise returns the address at which other controllers reach the server.
func (g *gnmiServer) advertise() string { return cmp.Or(g.cfg.Advertise, g.listener.Addr().String()) }

// service returns the gNMI service of a controller. handler is the API, whose callers and roles apply to the service too.
func (g *gnmiServer) service(c *Controller, handler http.Handler, counters *tally.Tally) (*northbound.Service, error) {
	layout, err := p4source.Find(p4src.P4Info())
	if err != nil {
		return nil, err
	}
	g.gate = api.GateOf(handler)
	return northbound.New(northbound.Config{
		Name: c.cfg.Name, Store: c.store, Book: c.book, Counters: counters, Gate: g.gate, ACLSet: layout.ACL.Set,
		PeerTLS: g.peers, Insecure: g.api.Insecure, Logger: c.log,
	})
}

// serve serves until ctx ends.
func (g *gnmiServer) serve(ctx context.Context, north *northbound.Service) error {
	server, err := grpcserve.New(grpcserve.Options{
		Name: "northbound gNMI", TLS: g.tls, Admit: g.gate.Admit, Logger: g.log,
		Limits: grpcserve.Limits{Message: gnmiMessage, Elements: gnmiElements, Connections: gnmiConnections, Calls: gnmiCalls},
	})
	if err != nil {
		return err
	}
	north.Register(server)
	following, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { north.Run(following) })
	stop := context.AfterFunc(ctx, server.Close)
	defer stop()
	server.Serve(g.listener)
	server.Close() // Close waits for the handlers
	if ctx.Err() == nil {
		return fmt.Errorf("the northbound gNMI on %s has failed: see the line above", g.listener.Addr())
	}
	return nil
}
