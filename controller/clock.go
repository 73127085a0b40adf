package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newClock() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "show the clocks of the controllers, or confirm one",
		Long: `clock shows how far the clock of each controller is from that of the controller that answers, and whether it puts dates in force.

A controller holds dates while its clock is in doubt: no phase begins and no exemption ends by its clock. What is in force stays in force,
and phases can be activated and rolled back as ever.`,
		Example: `  op25b clock`,
		Args:    cobra.NoArgs,
	}
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Fleet.ListClocks, &op25bv1.ListClocksRequest{})
		if err != nil {
			return err
		}
		return c.view.Clocks(r)
	})
	cmd.AddCommand(newClockConfirm())
	return cmd
}

func newClockConfirm() *cobra.Command {
	var o clientOptions
	var reason string
	cmd := &cobra.Command{
		Use:   "confirm [CONTROLLER] --reason TEXT",
		Short: "confirm that the clock of a controller is right",
		Long: `confirm ends the hold of a controller whose clock is right although it differs from what the store and the other controllers say. Dates
that have come by its clock are put in force at once. Without a name it is the controller that answers.

Look at op25b clock first. If the clock is wrong, set it right instead: the hold then ends by itself.`,
		Example: `  op25b clock confirm noc-1 --reason 'the machine was off over the weekend'`,
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit record")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if err := needReason(reason); err != nil {
			return err
		}
		q := &op25bv1.ConfirmClockRequest{Reason: reason}
		if len(args) > 0 {
			q.Controller = args[0]
		}
		if _, err := client.Ask(ctx, c.timeout, c.Fleet.ConfirmClock, q); err != nil {
			return err
		}
		if !c.json {
			fmt.Fprintln(c.errOut, "Confirmed. op25b clock shows when the controller has taken it up.")
		}
		return nil
	})
	return cmd
}
