package controller

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sync/errgroup"

	"op25b/internal/api"
	"op25b/internal/rollout/tickets"
)

// Tickets configures where support desks report tickets about mail, for the gate of a rollout.
type Tickets struct {
	// Listening is the listener for reports; an empty Addr means that the controller receives none.
	Listening api.Listening
	// Clients are the support desks that may report, and that must be heard. It is required by Listening.
	Clients *tickets.Clients
}

// desks returns the names of the support desks.
func (t Tickets) desks() []string {
	if t.Clients == nil {
		return nil
	}
	return t.Clients.Names()
}

// openTickets opens the listener for support tickets.
func (c *Controller) openTickets() (err error) {
	if c.cfg.Tickets.Listening.Addr == "" {
		return nil
	}
	if c.tickets, err = api.Listen(c.cfg.Tickets.Listening); err != nil {
		return fmt.Errorf("--tickets: %w", err)
	}
	return nil
}

// TicketsAddr returns the address for support tickets, or nil if the controller receives none.
func (c *Controller) TicketsAddr() net.Addr {
	if c.tickets == nil {
		return nil
	}
	return c.tickets.Addr()
}

// startTickets begins to receive support tickets.
func (c *Controller) startTickets(ctx context.Context, to tickets.Listener, work *errgroup.Group) {
	if c.tickets == nil {
		return
	}
	server := tickets.New(tickets.Config{Listener: to, Clients: c.cfg.Tickets.Clients, Now: c.clock.Trusted, Registerer: c.metrics, Logger: c.log})
	work.Go(func() error { return api.Serve(ctx, c.tickets, server, c.log) })
}

func (c *Controller) closeTickets() {
	if c.tickets != nil {
		_ = c.tickets.Close() // Run may have closed it already
	}
}
