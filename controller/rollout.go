package main

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newRollout() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "rollout",
		Short: "bring a phase or new documents to the switches ring by ring, and go back by itself on bad signs",
		Long: `Bring a change, which is a phase or new documents, to the switches ring by ring. A ring is a set of switches. A ring gets the change only
after the ring before it has had the change for its soak time, with every gate passing. The first ring gets the change, loses it, and
gets it again, so that the way back is known.

Some gates take the change back from all rings without asking: packets to port 587 or 465 of other providers are stopped; mail to the own
relays stops; the counters stand still; a switch has drift or is unreachable; a table is above 95 % full. Others hold the rollout until
an operator resumes it: more lines are stopped than forecast, or newly stopped although none was forecast, or have support tickets than
the ring allows. Missing data hold it until they arrive. While a rollout runs, other changes of documents and phases are refused.`,
		Example: `  op25b rollout start --phase all-destinations --rings rings.yaml --reason OP25B-41
  op25b rollout start -f next --rings rings.yaml --reason OP25B-44
  op25b rollout status --watch
  op25b rollout abort --reason 'tickets from Osaka'`,
	})
	cmd.AddCommand(newRolloutStart(), newRolloutStatus(), newRolloutHistory(),
		newSteer("pause", "stop the rollout where it is", "Stop the rollout where it is. Gates can still take the change back.", op25bv1.RolloutCommand_ROLLOUT_COMMAND_PAUSE),
		newSteer("resume", "continue a rollout that is paused or held",
			"Continue a rollout that is paused, or that a gate holds. The gates that hold it are accepted: they hold neither the ring at hand\nagain, whose soak time begins anew, nor later rings by what they say of this ring. Missing data cannot be accepted.", op25bv1.RolloutCommand_ROLLOUT_COMMAND_RESUME),
		newSteer("abort", "take the change back from all rings",
			"Take the change back from all rings. All switches have the phases and documents again that they had before the rollout.",
			op25bv1.RolloutCommand_ROLLOUT_COMMAND_ABORT))
	return cmd
}

// maxRingsFile is the limit on the size of a rings file, in bytes. The controller has the same limit.
const maxRingsFile = 128 << 10

func newRolloutStart() *cobra.Command {
	var o rolloutOptions
	q := &op25bv1.StartRolloutRequest{}
	cmd := &cobra.Command{
		Use: "start {--phase PHASE | -f DIR} --rings FILE --reason TEXT", Short: "start a rollout",
		Long: `Start a rollout of a phase, or of the documents in DIR. FILE is a document of kind Rings, which divides all switches of the inventory
into rings. Each ring behind the first must have every kind of lines (switch model, line group, form of access) that a later ring has.

For documents, show the plan and ask for confirmation first, as op25b apply does. The same documents are refused as there, and also those
that take a switch away, or that move a line to a switch of another ring. The change and the way back are proved on the twin.`,
		Example: `  op25b rollout start --phase all-destinations --groups adsl --rings rings.yaml --reason OP25B-41
  op25b rollout start -f next --rings rings.yaml --reason OP25B-44`,
		Args: exactly(0),
	}
	addFiles(cmd, &o.files)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation of documents")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every document line that differs")
	cmd.Flags().BoolVar(&q.MassChange, "mass-change", false, "confirm that the documents remove a large share of a table's entries or of all lines; see MASS in the plan")
	cmd.Flags().StringVar(&q.Phase, "phase", "", "phase to put in force")
	cmd.Flags().StringSliceVar(&q.Groups, "groups", nil, "only lines of these line groups, separated by commas")
	cmd.Flags().StringVar(&o.rings, "rings", "", "file with the rings")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "reason, kept with the rollout and in the audit records")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error { return startRollout(ctx, o, q, c) })
	return cmd
}

type rolloutOptions struct {
	client clientOptions
	files  []string
	rings  string
	yes    bool
	full   bool
}

func startRollout(ctx context.Context, o rolloutOptions, q *op25bv1.StartRolloutRequest, c *console) error {
	switch {
	case q.Phase == "" && len(o.files) == 0:
		return errors.New("--phase is missing: give a phase of the policy (op25b phase list), or -f DIR with new documents")
	case len(o.files) > 0 && (q.Phase != "" || len(q.Groups) > 0):
		return fmt.Errorf("-f %s, and --phase or --groups: give only one of them", o.files[0])
	case o.rings == "":
		return errors.New("--rings is missing: give a file with a document of kind Rings")
	}
	if err := needReason(q.Reason); err != nil {
		return err
	}
	data, err := readFlag("--rings", o.rings, maxRingsFile)
	if err != nil {
		return err
	}
	q.RingsFile, q.Rings = o.rings, data
	docs, err := readDocuments(o.files)
	if err != nil {
		return err
	}
	if len(docs) > 0 {
		if err := confirmDocuments(ctx, o, q, docs, c); err != nil {
			return err
		}
	}
	r, err := askProved(ctx, c, c.Rollout.Start, q)
	if err != nil {
		return here(err, docs)
	}
	return c.view.Rollout(r.Rollout, r.Time, r.UtcOffset)
}

// confirmDocuments shows the plan of the documents, asks for confirmation, and adds the documents to the request.
func confirmDocuments(ctx context.Context, o rolloutOptions, q *op25bv1.StartRolloutRequest, docs []document, c *console) error {
	change := changeOptions{reason: q.Reason, yes: o.yes}
	if err := change.check(c, "plan", "start"); err != nil {
		return err
	}
	planned, err := c.plan(ctx, docs, &op25bv1.PlanRequest{}, o.full)
	if err != nil {
		return err
	}
	if !c.json {
		if err := c.view.Plan(planned, o.full); err != nil {
			return err
		}
	}
	if err := refused(planned); err != nil {
		return err
	}
	if len(planned.Removals) > 0 && !q.MassChange {
		return fmt.Errorf("mass change: the plan removes more than %g %% at once, see MASS; no rollout was started; if this is meant, start it with --mass-change", planned.MassPercent)
	}
	if !o.yes {
		if err := c.confirm(ctx, "Bring it to the rings, one after the other?"); err != nil {
			return err
		}
	}
	q.Files, q.Base = messages(docs), planned.Base
	return nil
}

func newRolloutStatus() *cobra.Command {
	var o clientOptions
	var watch bool
	cmd := &cobra.Command{
		Use: "status", Short: "show the rollout that runs, or that ended last",
		Long: `Show the rollout that runs, or the one that ended last: its rings, and why it does not go on. With --watch, show it again after each
change, until interrupted.`,
		Example: `  op25b rollout status --watch`,
		Args:    exactly(0),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the rollout after each change, until interrupted")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if !watch {
			r, err := client.Ask(ctx, c.timeout, c.Rollout.Show, &op25bv1.ShowRolloutRequest{})
			if err != nil {
				return err
			}
			return c.view.Rollout(r.Rollout, r.Time, r.UtcOffset)
		}
		stream, err := c.Rollout.Watch(ctx, connect.NewRequest(&op25bv1.WatchRolloutRequest{}))
		if err != nil {
			return err
		}
		defer stream.Close()
		for stream.Receive() {
			if err := c.view.Rollout(stream.Msg().Rollout, stream.Msg().Time, stream.Msg().UtcOffset); err != nil {
				return err
			}
		}
		return stream.Err()
	})
	return cmd
}

func newRolloutHistory() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use: "history", Short: "list the rollouts, the newest first",
		Example: `  op25b rollout history`,
		Args:    exactly(0),
	}
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Rollout.List, &op25bv1.ListRolloutsRequest{})
		if err != nil {
			return err
		}
		return c.view.Rollouts(r)
	})
	return cmd
}

func newSteer(use, short, long string, command op25bv1.RolloutCommand) *cobra.Command {
	var o clientOptions
	q := &op25bv1.SteerRolloutRequest{Command: command}
	cmd := &cobra.Command{
		Use: use + " --reason TEXT", Short: short, Long: long,
		Example: `  op25b rollout ` + use + ` --reason OP25B-42`,
		Args:    exactly(0),
	}
	cmd.Flags().StringVar(&q.Reason, "reason", "", "reason, kept with the rollout and in the audit record")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := needReason(q.Reason); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Rollout.Steer, q)
		if err != nil {
			return err
		}
		return c.view.Rollout(r.Rollout, r.Time, r.UtcOffset)
	})
	return cmd
}
