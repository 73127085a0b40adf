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
		Long: `Show the offset of each controller's clock from the clock of the controller that answers, and whether each controller puts dates
in force.

A controller whose clock is in doubt holds dates: no phase begins and no exemption ends by its clock. Phases that are in force stay
in force, and phases can still be activated and rolled back.`,
		Example: `  op25b clock`,
		Args:    exactly(0),
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
		Long: `End the hold of a controller whose clock is right although it differs from the store and from the other controllers. Dates that have
passed by its clock are put in force immediately. Without CONTROLLER, confirm the clock of the controller that answers.

Run op25b clock first. If the clock is wrong, set it: the hold then ends without a confirmation.`,
		Example: `  op25b clock confirm noc-1 --reason 'the host was off over the weekend'`,
		Args:    atMost(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason, kept in the audit record")
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
			fmt.Fprintln(c.errOut, "Confirmed. op25b clock shows when the controller has ended its hold.")
		}
		return nil
	})
	return cmd
}
