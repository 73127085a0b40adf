package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
		Long: `status lists the switches: state, revision, phases in force, the controller that owns each, since when it is so (FOR), and when the
switch last answered its controller (SEEN). REVISION 6 -> 7 is a switch that is at 6 and is to be brought to 7; the reason stands below it.
A switch is unknown if no living controller confirms what was last reported of it.

It exits with 1 if a switch has failed, cannot be reached or is unknown, and with 0 otherwise, also while switches are being brought to a
revision. With --exit-zero that is no error. --watch always ends with 0.`,
		Example: `  op25b status
  op25b status --wait --timeout 30s
  op25b status --watch edge-1`,
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on, with a line for each change, until interrupted")
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait until the switches are converged, and fail if they are not within --timeout")
	cmd.Flags().BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 also if a switch has failed or is unknown")
	cmd.MarkFlagsMutuallyExclusive("watch", "wait")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		o.switches = args
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
		return errAlreadyTold
	}
	return nil
}

// bad reports whether somebody has to look after a switch.
func bad(s *op25bv1.SwitchStatus) bool {
	return s.Failed || s.State == op25bv1.SwitchState_SWITCH_STATE_UNKNOWN
}

// awaitConverged shows the switches once all are converged.
func awaitConverged(ctx context.Context, o statusOptions, c *console) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.timeout > 0 { // not the context's own deadline: the controller would be told of it, and it would be chance who ends the call
		timer := time.AfterFunc(c.timeout, func() { cancel(errNotConverged) })
		defer timer.Stop()
	}
	known := map[string]*op25bv1.SwitchStatus{}
	enough := errors.New("enough")
	q := &op25bv1.WatchSwitchesRequest{Switches: o.switches}
	err := client.Watch(ctx, 0, c.Fleet.WatchSwitches, q, func(r *op25bv1.WatchSwitchesResponse) error {
		for _, s := range r.Switches {
			known[s.Switch] = s
		}
		for _, name := range r.Gone {
			delete(known, name)
		}
		all := make([]*op25bv1.SwitchStatus, 0, len(known))
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if s := known[name]; !s.Converged || s.Revision < r.Revision {
				return nil
			}
			all = append(all, known[name])
		}
		if len(all) == 0 {
			return nil
		}
		return cmp.Or(c.view.Switches(&op25bv1.ListSwitchesResponse{Revision: r.Revision, Switches: all}), enough)
	})
	switch {
	case errors.Is(err, enough):
		return nil
	case errors.Is(context.Cause(ctx), errNotConverged):
		return fmt.Errorf("%w within %v; op25b status says why", errNotConverged, c.timeout)
	}
	return err
}

var errNotConverged = errors.New("the switches are not converged")

type driftOptions struct {
	client   clientOptions
	switches []string
	full     bool
}

func newDrift() *cobra.Command {
	var o driftOptions
	cmd := &cobra.Command{
		Use:   "drift [SWITCH...]",
		Short: "say what another hand did to the switches",
		Long: `drift reads switches and compares them with what they were last brought to. It writes nothing: controllers repair by themselves,
at the next look (op25b serve --audit-every) or as soon as they are told.

It exits with 0 if there is no drift, with 2 if there is, and with 1 for an error, or if a switch could not be read and no other
has drifted.`,
		Example: `  op25b drift
  op25b drift edge-1 --full -o json`,
	}
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry")
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
		return errAlreadyTold
	}
	return nil
}
