package main

import (
	"fmt"

	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"op25b/internal/api"
	"op25b/internal/controller"
	"op25b/internal/rollout/tickets"
)

// ticketOptions are the flags of op25b serve about support tickets.
type ticketOptions struct {
	listen  string
	clients string
}

func (o *ticketOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.listen, "tickets", "", "address on which support desks report tickets about mail, with the TLS files of the API; empty means none")
	f.StringVar(&o.clients, "ticket-clients", "", "YAML file with the support desks that may report tickets, and that must be heard while a rollout watches them")
}

// tickets returns the settings of support tickets. like is the listener of the API, whose TLS files the listener for reports shares. A controller may
// know the desks without receiving their reports.
func (o *ticketOptions) tickets(like api.Listening, log *zap.Logger) (t controller.Tickets, err error) {
	if o.clients == "" {
		if o.listen != "" {
			return t, fmt.Errorf("--tickets %s: requires --ticket-clients with the file of the support desks", o.listen)
		}
		return t, nil
	}
	if o.listen != "" {
		t.Listening = like
		t.Listening.Addr = o.listen
	}
	var warnings []string
	if t.Clients, warnings, err = tickets.OpenClients(o.clients); err != nil {
		return t, fmt.Errorf("--ticket-clients: %w", err)
	}
	for _, text := range warnings {
		log.Warn(text)
	}
	return t, nil
}
