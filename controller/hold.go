package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newSwitchHold() *cobra.Command {
	var o clientOptions
	var reason string
	var noWait bool
	cmd := &cobra.Command{
		Use:   "switch-hold SWITCH --reason TEXT",
		Short: "write nothing to a switch while it is maintained",
		Long: `Hold a switch for maintenance: nothing is written to it, not even the program or entries of sessions and leases, until it is released with
op25b switch-release. The switch keeps what it has, and exemptions and leases still end in it by its own clock. Changes of documents and
phases go on on the other switches. The hold outlives controllers, and counters are still collected.

switch-hold waits until the controller of the switch has confirmed that it writes nothing: a change that is being written is finished
first. If the controller does not confirm that within --timeout, the hold is stored and switch-hold fails.`,
		Example: `  op25b switch-hold edge-1 --reason 'new line card, OP25B-51'`,
		Args:    exactly(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason, shown with the switch and kept in the audit record")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the controller of the switch has confirmed the hold")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if err := needReason(reason); err != nil {
			return err
		}
		if _, err := client.Ask(ctx, c.timeout, c.Fleet.HoldSwitch, &op25bv1.HoldSwitchRequest{Switch: args[0], Reason: reason}); err != nil || noWait {
			return err
		}
		st, err := c.awaitSwitch(ctx, args[0], func(s *op25bv1.SwitchStatus) bool { return s.State == op25bv1.SwitchState_SWITCH_STATE_HELD })
		if errors.Is(err, errNotConverged) {
			return fmt.Errorf("the hold of %s is stored, but its controller has not confirmed it within %v: do not rely on it before op25b status shows HELD", args[0], c.timeout)
		}
		if err != nil {
			return err
		}
		return c.view.Switches(st)
	})
	return cmd
}

func newSwitchRelease() *cobra.Command {
	var o clientOptions
	var reason string
	var noWait bool
	cmd := &cobra.Command{
		Use:   "switch-release SWITCH",
		Short: "end the hold of a switch, and bring it to the wanted revision",
		Long: `End the hold of a switch. Its controller reads the whole switch and brings it to the wanted revision. switch-release waits until it has
converged, and exits with 1 if it fails or if it has not converged within --timeout.`,
		Example: `  op25b switch-release edge-1`,
		Args:    exactly(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason, kept in the audit record; may be omitted")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the switch has converged")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if _, err := client.Ask(ctx, c.timeout, c.Fleet.ReleaseSwitch, &op25bv1.ReleaseSwitchRequest{Switch: args[0], Reason: reason}); err != nil || noWait {
			return err
		}
		st, err := c.awaitSwitch(ctx, args[0], func(s *op25bv1.SwitchStatus) bool {
			return s.State != op25bv1.SwitchState_SWITCH_STATE_HELD && (s.Failed || s.Converged)
		})
		if errors.Is(err, errNotConverged) {
			return fmt.Errorf("%s is released and has not converged within %v; op25b status shows the reason", args[0], c.timeout)
		}
		if err != nil {
			return err
		}
		if err := c.view.Switches(st); err != nil || !st.Switches[0].Failed {
			return err
		}
		return errReported
	})
	return cmd
}

// awaitSwitch waits until a switch is in a state, and returns its status. It returns errNotConverged after --timeout.
func (c *console) awaitSwitch(ctx context.Context, name string, is func(*op25bv1.SwitchStatus) bool) (found *op25bv1.ListSwitchesResponse, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.timeout > 0 { // see awaitConverged
		timer := time.AfterFunc(c.timeout, func() { cancel(errNotConverged) })
		defer timer.Stop()
	}
	enough := errors.New("enough")
	q := &op25bv1.WatchSwitchesRequest{Switches: []string{name}}
	err = client.Watch(ctx, 0, c.Fleet.WatchSwitches, q, func(r *op25bv1.WatchSwitchesResponse) error {
		for _, s := range r.Switches {
			if is(s) {
				found = &op25bv1.ListSwitchesResponse{Revision: r.Revision, Switches: []*op25bv1.SwitchStatus{s}, Notices: r.Notices}
				return enough
			}
		}
		return nil
	})
	if errors.Is(err, enough) {
		return found, nil
	}
	return nil, cmp.Or(context.Cause(ctx), err)
}
