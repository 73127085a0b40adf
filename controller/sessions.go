package main

import (
	"context"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newSessions() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "count the lines whose address is known by their session",
		Long: `Count the lines of each switch that have dynamic addresses, and those among them that have a session. The controllers learn the sessions
from RADIUS accounting (op25b serve --radius), and from DHCP servers and other sources (op25b sessions report). IN FORCE and WAITING count
the sessions that need entries on the switch: those whose entries the switch has confirmed, and the others.`,
		Example: `  op25b sessions
  op25b sessions -o json`,
		Args: exactly(0),
	}
	cmd.AddCommand(newSessionsReport())
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Subscriber.ListSessions, &op25bv1.ListSessionsRequest{})
		if err != nil {
			return err
		}
		return c.view.Sessions(r)
	})
	return cmd
}

func newFind() *cobra.Command {
	var o clientOptions
	var ticket string
	cmd := &cobra.Command{
		Use:   "find ADDRESS",
		Short: "show which line has an address now",
		Long: `Show the line that has an address now, by the inventory or by its session. This requires the role operator. The audit chain records who
asks, the line and the ticket, but not the address. If the controller has an access file, --ticket is required.`,
		Example: `  op25b find 192.0.2.77 --ticket ABUSE-812`,
		Args:    exactly(1),
	}
	cmd.Flags().StringVar(&ticket, "ticket", "", "ticket for which the line is looked up, for the audit chain")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Subscriber.FindAddress, &op25bv1.FindAddressRequest{Address: args[0], Ticket: ticket})
		if err != nil {
			return err
		}
		return c.view.Found(r)
	})
	return cmd
}
