package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/plan"
	op25bv1 "op25b/proto/op25b/v1"
)

type statusOptions struct {
	client   clientOptions
	switches []string
	watch    bool
	wait     bool
	exitZero bool
}

func newStatus() *cobra.Command {
	var o statusOptions
	cmd := &cobra.Command{
		Use:   "status [SWITCH...]",
		Short: "show the state of each switch",
		Long: `List the switches with their state, revision, phases in force and owning controller. FOR is the time since the state began, SEEN the time
since the switch last answered its controller, LEASES the number of lines with a lease as of then. REVISION 6 -> 7 means that the switch
is at 6 and is being brought to 7; the reason is on the line below. A switch is unknown if no live controller confirms its last reported
state. A switch that is HELD for maintenance keeps its revision and phase, and nothing is written to it (op25b switch-hold).

Exit with 1 if a switch has failed, cannot be reached or is unknown, and with 0 otherwise, also while switches are being brought to a
revision or are held. With --exit-zero and with --watch, exit with 0 in any case. With --wait, exit with 1 if a switch is held, as
soon as all others have converged.`,
		Example: `  op25b status
  op25b status --wait --timeout 30s
  op25b status --watch edge-1`,
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "print a line for each change, until interrupted")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until all switches have converged, and fail after --timeout")
	cmd.Flags().BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 even if a switch has failed or is unknown")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		o.switches = args
		if o.watch && o.wait {
			return errors.New("--watch and --wait: give only one of them")
		}
		return runStatus(ctx, o, c)
	})
	return cmd
}

func runStatus(ctx context.Context, o statusOptions, c *console) error {
	switch {
	case o.wait:
		return awaitConverged(ctx, o, c)
	case o.watch:
		return client.Watch(ctx, c.timeout, c.Fleet.WatchSwitches, &op25bv1.WatchSwitchesRequest{Switches: o.switches}, c.view.Changes)
	}
	r, err := client.Ask(ctx, c.timeout, c.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{Switches: o.switches})
	if err != nil {
		return err
	}
	if err := c.view.Switches(r); err != nil {
		return err
	}
	if !o.exitZero && slices.ContainsFunc(r.Switches, bad) {
		return errReported
	}
	return nil
}

// bad reports whether a switch needs attention.
func bad(s *op25bv1.SwitchStatus) bool {
	return s.Failed || s.State == op25bv1.SwitchState_SWITCH_STATE_UNKNOWN
}

// awaitConverged waits until all switches have converged, and then shows them.
func awaitConverged(ctx context.Context, o statusOptions, c *console) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.timeout > 0 { // the timeout is not a context deadline: connect would send a deadline to the controller, which could then end the call first
		timer := time.AfterFunc(c.timeout, func() { cancel(errNotConverged) })
		defer timer.Stop()
	}
	var seen seenSwitches
	enough := errors.New("enough")
	q := &op25bv1.WatchSwitchesRequest{Switches: o.switches}
	err := client.Watch(ctx, 0, c.Fleet.WatchSwitches, q, func(r *op25bv1.WatchSwitchesResponse) error {
		all, converged := seen.take(r)
		if held := heldBack(all, r.Revision); !converged && held == nil {
			return nil
		} else if held != nil {
			return cmp.Or(c.view.Switches(&op25bv1.ListSwitchesResponse{Revision: r.Revision, Switches: all, Notices: r.Notices}), held)
		}
		return cmp.Or(c.view.Switches(&op25bv1.ListSwitchesResponse{Revision: r.Revision, Switches: all, Notices: r.Notices}), enough)
	})
	switch {
	case errors.Is(err, enough):
		return nil
	case errors.Is(context.Cause(ctx), errNotConverged):
		return fmt.Errorf("%w within %v; op25b status shows the reason", errNotConverged, c.timeout)
	}
	return err
}

// seenSwitches holds the statuses of a watch's switches in the order in which they were first reported, which is the
// order of the inventory.
type seenSwitches struct{ all []*op25bv1.SwitchStatus }

// take records the statuses in a message and reports whether all switches have converged to the message's revision.
func (x *seenSwitches) take(r *op25bv1.WatchSwitchesResponse) (all []*op25bv1.SwitchStatus, converged bool) {
	for _, s := range r.Switches {
		same := func(known *op25bv1.SwitchStatus) bool { return known.Switch == s.Switch }
		if i := slices.IndexFunc(x.all, same); i >= 0 {
			x.all[i] = s
		} else {
			x.all = append(x.all, s)
		}
	}
	x.all = slices.DeleteFunc(x.all, func(s *op25bv1.SwitchStatus) bool { return slices.Contains(r.Gone, s.Switch) })
	behind := func(s *op25bv1.SwitchStatus) bool { return !s.Converged || s.Revision < r.Revision }
	return x.all, len(x.all) > 0 && !slices.ContainsFunc(x.all, behind)
}

// heldBack returns an error if only held switches have not converged to a revision, and nil otherwise.
func heldBack(all []*op25bv1.SwitchStatus, revision uint64) error {
	var held []string
	for _, s := range all {
		switch {
		case s.State == op25bv1.SwitchState_SWITCH_STATE_HELD:
			held = append(held, s.Switch)
		case !s.Converged || s.Revision < revision:
			return nil
		}
	}
	if len(held) == 0 {
		return nil
	}
	return fmt.Errorf("revision %d is not in force on %s: HELD for maintenance until op25b switch-release", revision, strings.Join(held, ", "))
}

var errNotConverged = errors.New("the switches have not converged")

type driftOptions struct {
	client   clientOptions
	switches []string
	full     bool
}

func newDrift() *cobra.Command {
	var o driftOptions
	cmd := &cobra.Command{
		Use:   "drift [SWITCH...]",
		Short: "show changes that others made to the switches",
		Long: `Read switches and compare them with the state that a controller last brought them to. drift writes nothing: controllers repair drift at
their next audit (op25b serve --audit-every), or earlier if the switch notifies them.

Exit with 0 if there is no drift, with 2 if there is, and with 1 on an error, or if a switch could not be read and no other has
drifted.`,
		Example: `  op25b drift
  op25b drift edge-1 --full -o json`,
	}
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry that differs")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		o.switches = args
		return runDrift(ctx, o, c)
	})
	return cmd
}

func runDrift(ctx context.Context, o driftOptions, c *console) error {
	q := &op25bv1.DriftRequest{Switches: o.switches}
	if o.full {
		q.MaxEntries = plan.MaxEntries
	}
	r, err := client.Ask(ctx, c.timeout, c.Fleet.Drift, q)
	if err != nil {
		return err
	}
	if err := c.view.Drift(r, o.full); err != nil {
		return err
	}
	switch {
	case r.Drifted:
		return errChanges
	case r.GetPlan().GetTotals().GetSwitchesUnread() > 0:
		return errReported
	}
	return nil
}
