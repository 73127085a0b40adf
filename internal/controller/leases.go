package controller

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"op25b/internal/api"
	"op25b/internal/lease/ledger"
	"op25b/internal/lease/mailserver"
	"op25b/internal/store"
)

// Leases configures where mail servers report logins, which grant leases to lines and to addresses outside all lines.
type Leases struct {
	// Listening is the listener for reports; an empty Addr means that the controller receives none.
	Listening api.Listening
	// Clients are the mail servers that may report. If it is nil, only programs on this host may.
	Clients *mailserver.Clients
}

// leases is the part of a controller that knows the leases.
type leases struct {
	ledger   *ledger.Ledger
	server   *mailserver.Server
	listener net.Listener // nil if no reports are received
}

// openLeases opens the listener for reports of logins. The store and the sessions must be open.
func (c *Controller) openLeases() error {
	cfg := ledger.Config{Store: c.store, Book: c.book, Now: c.clock.Trusted, Registerer: c.metrics, Logger: c.log}
	if c.sessions != nil {
		cfg.Sessions, cfg.Key = c.sessions.register, c.cfg.Sessions.Key
	}
	c.leases = &leases{ledger: ledger.New(cfg)}
	if c.cfg.Leases.Listening.Addr == "" {
		return nil
	}
	var err error
	if c.leases.listener, err = api.Listen(c.cfg.Leases.Listening); err != nil {
		return fmt.Errorf("--leases: %w", err)
	}
	c.leases.server = mailserver.New(mailserver.Config{
		Leases: c.leases.ledger, Clients: c.cfg.Leases.Clients, Now: c.clock.Trusted, Registerer: c.metrics, Logger: c.log,
		Record: func(ctx context.Context, client string) error {
			_, err := c.store.Audit().Append(ctx, store.AuditRecord{Who: client, Role: "mail server", Verb: "report", Object: "lines", Detail: "logins"})
			return err
		},
	})
	return nil
}

// LeasesAddr returns the address for reports of logins, or nil if the controller receives none.
func (c *Controller) LeasesAddr() net.Addr {
	if c.leases == nil || c.leases.listener == nil {
		return nil
	}
	return c.leases.listener.Addr()
}

// start begins to read leases and to receive reports of logins.
func (l *leases) start(ctx context.Context, c *Controller, work *errgroup.Group) {
	work.Go(func() error { l.ledger.Run(ctx); return nil })
	if l.listener != nil {
		work.Go(func() error { return api.Serve(ctx, l.listener, l.server, c.log) })
	}
}

func (l *leases) close() error {
	if l == nil || l.listener == nil {
		return nil
	}
	if err := l.listener.Close(); !errors.Is(err, net.ErrClosed) { // Run may have closed it already
		return err
	}
	return nil
}
