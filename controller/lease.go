package main

import (
	"context"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newLease() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "lease",
		Short: "list the lines that reach own servers for a time, grant a lease, or revoke one",
		Long: `List the leases of lines, grant one, or revoke one. A lease lets a line reach own servers for a time, because somebody at the line has
logged in to a mailbox. The policy says what it opens. Mail servers report the logins (op25b serve --leases). An address outside all lines,
such as that of a customer on another provider's line, can have a lease, too.`,
		Example: `  op25b lease list
  op25b lease grant adsl-home pop-before-smtp
  op25b lease revoke adsl-home`,
	})
	cmd.AddCommand(newLeaseList(), newLeaseGrant(), newLeaseRevoke())
	return cmd
}

func newLeaseList() *cobra.Command {
	var o clientOptions
	var limit int
	q := &op25bv1.ListLeasesRequest{}
	cmd := &cobra.Command{
		Use: "list", Short: "list the leases that have not ended",
		Long: `List the leases that have not ended, ordered by line, and then those of addresses outside all lines. The addresses are not shown. This
requires the role operator.`,
		Example: `  op25b lease list
  op25b lease list --switch edge-1 --limit 1000`,
		Args: exactly(0),
	}
	cmd.Flags().StringVar(&q.Line, "line", "", "only the lease of this line")
	cmd.Flags().StringVar(&q.Switch, "switch", "", "only the leases of lines of this switch")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "number of leases, at most 1000")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		q.Limit = uint32(limit)
		r, err := client.Ask(ctx, c.timeout, c.Lease.List, q)
		if err != nil {
			return err
		}
		return c.view.Leases(r)
	})
	return cmd
}

func newLeaseGrant() *cobra.Command {
	var o clientOptions
	q := &op25bv1.GrantLeaseRequest{}
	cmd := &cobra.Command{
		Use: "grant LINE LEASE", Short: "grant a lease of the policy to a line, or renew it",
		Long: `Grant a lease of the policy to a line as a login does, or renew it. The lease is in the store when the command ends, and the switch has it
a moment later. With --address, the lease is for an address outside all lines instead, and LINE is left out: it opens own servers on the
switches that have addressLeases. The audit chain records who grants it, without the address. This requires the role lease or operator.`,
		Example: `  op25b lease grant adsl-home pop-before-smtp
  op25b lease grant --address 203.0.113.200 pop-before-smtp`,
		Args: lineUnlessAddress(&q.Address, 2),
	}
	addLeaseAddress(cmd, &q.Address)
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if q.Lease = args[len(args)-1]; q.Address == "" {
			q.Line = args[0]
		}
		r, err := client.Ask(ctx, c.timeout, c.Lease.Grant, q)
		if err != nil {
			return err
		}
		return c.view.LeaseGranted(r)
	})
	return cmd
}

func newLeaseRevoke() *cobra.Command {
	var o clientOptions
	q := &op25bv1.RevokeLeaseRequest{}
	cmd := &cobra.Command{
		Use: "revoke LINE", Short: "end the lease of a line",
		Long: `End the lease of a line, or with --address that of an address outside all lines. The next login of a customer there grants a lease again.
The audit chain records who revokes it, without the address. This requires the role lease or operator.`,
		Example: `  op25b lease revoke adsl-home
  op25b lease revoke --address 203.0.113.200`,
		Args: lineUnlessAddress(&q.Address, 1),
	}
	addLeaseAddress(cmd, &q.Address)
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if q.Address == "" {
			q.Line = args[0]
		}
		r, err := client.Ask(ctx, c.timeout, c.Lease.Revoke, q)
		if err != nil {
			return err
		}
		return c.view.LeaseRevoked(q.Line, r)
	})
	return cmd
}

func addLeaseAddress(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "address", "", "an address outside all lines, instead of the line")
}

// lineUnlessAddress requires n arguments, of which the first is a line. The line is left out if an address is given.
func lineUnlessAddress(address *string, n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if *address != "" {
			return exactly(n-1)(cmd, args)
		}
		return exactly(n)(cmd, args)
	}
}
