package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

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
		Use:   "find {ADDRESS | LINE}",
		Short: "show which line has an address now, its switch, exemptions and phase, and what passes",
		Long: `Show the line that has an address now, by the inventory or by its session, or the line with a name: its switch and line group, its
exemptions, the phase, and what that means for mail. This requires the role operator. The audit chain records who asks, the line and the
ticket, but not the address. If the controller has an access file, --ticket is required.`,
		Example: `  op25b find 192.0.2.77 --ticket ABUSE-812
  op25b find adsl-home --ticket DESK-4711`,
		Args: exactly(1),
	}
	cmd.Flags().StringVar(&ticket, "ticket", "", "ticket for which the line is looked up, for the audit chain")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		q := &op25bv1.FindAddressRequest{Address: args[0], Ticket: ticket}
		addr, err := netip.ParseAddr(args[0])
		byName := err != nil
		if byName {
			q.Address, q.Line = "", args[0]
		}
		if addr.Zone() != "" || byName && (strings.ContainsAny(args[0], ":/%") || strings.Trim(args[0], "0123456789.") == "") {
			return fmt.Errorf("%q: must be an IPv4 or IPv6 address, such as 192.0.2.11, or the name of a line", args[0]) // not taken for a name
		}
		r, err := client.Ask(ctx, c.timeout, c.Subscriber.FindAddress, q)
		if err != nil {
			return err
		}
		return c.view.Found(r, byName)
	})
	return cmd
}

// lineStates maps the values of --state to states of lines.
var lineStates = map[string]op25bv1.LineState{
	"confirmed": op25bv1.LineState_LINE_STATE_CONFIRMED, "not-confirmed": op25bv1.LineState_LINE_STATE_NOT_CONFIRMED, "no-phase": op25bv1.LineState_LINE_STATE_NO_PHASE,
}

func newLines() *cobra.Command {
	var o clientOptions
	var state string
	var limit int
	q := &op25bv1.ListLinesRequest{}
	cmd := &cobra.Command{
		Use:   "lines",
		Short: "list lines of the inventory, with their phase and whether their switch has it",
		Long: `List lines of the inventory: the switch, the line group, the phase that should be in force for the line, and whether the switch is
confirmed to have it. The list has no addresses: op25b find shows which line has one.`,
		Example: `  op25b lines --switch edge-1 --group adsl
  op25b lines --state not-confirmed --limit 1000
  op25b lines --exempt`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringSliceVar(&q.Groups, "group", nil, "only lines of these line groups, separated by commas")
	f.StringSliceVar(&q.Switches, "switch", nil, "only lines of these switches, separated by commas")
	f.StringVar(&state, "state", "", "only lines in this state: confirmed, not-confirmed or no-phase")
	f.BoolVar(&q.Exempt, "exempt", false, "only exempt lines")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"confirmed", "not-confirmed", "no-phase"}, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	f.IntVar(&limit, "limit", listLimit, "maximum number of lines to list")
	f.StringVar(&q.After, "after", "", "list the lines after this one, which ended the list before")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		var known bool
		if q.State, known = lineStates[state]; !known && state != "" {
			return fmt.Errorf("--state %q: must be confirmed, not-confirmed or no-phase", state)
		}
		q.Limit = uint32(limit)
		r, err := client.Ask(ctx, c.timeout, c.Fleet.ListLines, q)
		if err != nil {
			return err
		}
		return c.view.Lines(r)
	})
	return cmd
}
