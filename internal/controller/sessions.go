package controller

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"op25b/internal/api"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
)

// Sessions configures which line has which address.
type Sessions struct {
	// Key encrypts the sessions in the store. If it is nil, the controller reads no sessions.
	Key *register.Key
	// Radius is the address for accounting requests; empty means that the controller receives none. Clients are the access servers that may
	// send them. Radius requires Key.
	Radius  string
	Clients *accounting.Clients
}

// sessions is the part of a controller that knows the sessions.
type sessions struct {
	register *register.Register
	server   *accounting.Server // nil if no accounting requests are received
}

// openSessions opens the socket for accounting requests. It does nothing if the controller reads no sessions. The store must be open.
func (c *Controller) openSessions() error {
	cfg := c.cfg.Sessions
	if cfg.Key == nil {
		return nil
	}
	r, err := register.New(register.Config{
		Store: c.store, Book: c.book, Key: *cfg.Key, Now: c.clock.Trusted, Registerer: c.metrics, Logger: c.log,
	})
	if err != nil {
		return err
	}
	c.sessions = &sessions{register: r}
	if cfg.Radius == "" {
		return nil
	}
	c.sessions.server, err = accounting.Listen(cfg.Radius, accounting.Config{
		Clients: cfg.Clients, Report: r.Report, Now: c.clock.Trusted, Registerer: c.metrics, Logger: c.log,
	})
	if err != nil {
		return fmt.Errorf("--radius: %w", err)
	}
	return nil
}

// RadiusAddr returns the address for accounting requests, or nil if the controller receives none.
func (c *Controller) RadiusAddr() net.Addr {
	if c.sessions == nil || c.sessions.server == nil {
		return nil
	}
	return c.sessions.server.Addr()
}

// api returns what the API knows of sessions, or nil.
func (s *sessions) api() api.Sessions {
	if s == nil {
		return nil
	}
	return s.register
}

// start begins to read sessions and to receive accounting requests.
func (s *sessions) start(ctx context.Context, work *errgroup.Group) {
	if s == nil {
		return
	}
	work.Go(func() error { s.register.Run(ctx); return nil })
	if s.server != nil {
		work.Go(func() error { return s.server.Serve(ctx) })
	}
}

func (s *sessions) close() {
	if s != nil && s.server != nil {
		_ = s.server.Close() // Run may have closed it already
	}
}
