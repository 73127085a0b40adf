package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newPhase() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "phase",
		Short: "show the phases of the policy, put one in force, or go back",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newPhaseList(), newPhaseShow(), newPhaseActivate(), newPhaseRollback())
	return cmd
}

func newPhaseList() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use: "list", Short: "list the phases, and where each is in force",
		Example: `  op25b phase list`,
		Args:    cobra.NoArgs,
	}
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Phase.ListPhases, &op25bv1.ListPhasesRequest{})
		if err != nil {
			return err
		}
		return c.view.Phases(r)
	})
	return cmd
}

func newPhaseShow() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use: "show PHASE", Short: "show a phase with its rules",
		Example: `  op25b phase show all-destinations`,
		Args:    cobra.ExactArgs(1),
	}
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		r, err := client.Ask(ctx, c.timeout, c.Phase.ShowPhase, &op25bv1.ShowPhaseRequest{Phase: args[0]})
		if err != nil {
			return err
		}
		return c.view.Phase(r)
	})
	return cmd
}

// scopeOptions are the flags that say where a phase is put in force.
type scopeOptions struct {
	client   clientOptions
	change   changeOptions
	groups   []string
	switches []string
	base     uint64
	until    string // activate only
}

// untilNextDate is the value of --until.
const untilNextDate = "next-date"

func addScope(cmd *cobra.Command, o *scopeOptions) {
	cmd.Flags().StringSliceVar(&o.groups, "groups", nil, "for lines of these line groups alone, separated by commas")
	cmd.Flags().StringSliceVar(&o.switches, "switches", nil, "on these switches alone, separated by commas")
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "refuse to change another revision than this; 0 is the current one")
	addClient(cmd, &o.client)
}

func newPhaseActivate() *cobra.Command {
	var o scopeOptions
	cmd := &cobra.Command{
		Use:   "activate PHASE --reason TEXT",
		Short: "put a phase in force now",
		Long: `activate puts a phase in force, before its date or again after a later phase. The phase stays until another one is activated, or until the
date of a phase that stands later in the policy. The date of an earlier phase ends it only with --until next-date. In a switch all rules
change at once; everything else stays as it is.

activate first shows which phases it replaces, on which switches and for which lines, and which date will replace it and when. Then it asks.`,
		Example: `  op25b phase activate mobile-carriers --groups adsl --reason 'first ring, OP25B-21'
  op25b phase activate all-destinations --until next-date --reason 'one night, OP25B-23'
  op25b phase activate all-destinations --reason 'OP25B-24' --yes`,
		Args: cobra.ExactArgs(1),
	}
	addScope(cmd, &o)
	cmd.Flags().StringVar(&o.until, "until", "", "next-date: until the next date of the policy, also that of an earlier phase")
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		if err := o.change.check(c, "phase list", "activate"); err != nil {
			return err
		}
		if o.until != "" && o.until != untilNextDate {
			return fmt.Errorf("--until %s: must be %s, or be left out", o.until, untilNextDate)
		}
		on, err := o.confirm(ctx, c, args[0], "Activate it?")
		if err != nil {
			return err
		}
		return change(ctx, c, c.Phase.Activate, &op25bv1.ActivateRequest{
			Phase: args[0], Groups: o.groups, Switches: o.switches, Base: on.Revision, Reason: o.change.reason, NoWait: o.change.noWait,
			UntilNextDate: o.until == untilNextDate, RequestId: client.NewRequest(),
		}, on.Revision)
	})
	return cmd
}

func newPhaseRollback() *cobra.Command {
	var o scopeOptions
	cmd := &cobra.Command{
		Use:   "rollback --reason TEXT",
		Short: "undo the last activation of a phase",
		Long: `rollback undoes the last activation, where it was made and nowhere else: the lines are as if it had not been made. With --groups or
--switches it undoes the last activation that touched them, for them alone. Repeated, it undoes the activation before that. It passes over
activations that make no difference any more. It does not undo a phase that came by its date: activate the phase before it.

rollback first shows which activation it undoes and which phases change, on which switches and for which lines. Then it asks; --yes does not
ask.`,
		Example: `  op25b phase rollback --reason 'a business customer cannot send'
  op25b phase rollback --groups adsl --switches edge-1,edge-2 --reason 'OP25B-22' --yes`,
		Args: cobra.NoArgs,
	}
	addScope(cmd, &o)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := o.change.check(c, "phase list", "roll back"); err != nil {
			return err
		}
		on, err := o.confirm(ctx, c, "", "Go back?")
		if err != nil {
			return err
		}
		return change(ctx, c, c.Phase.Rollback, &op25bv1.RollbackRequest{
			Groups: o.groups, Switches: o.switches, Base: on.Revision, Reason: o.change.reason, NoWait: o.change.noWait, Shown: on.Time,
			RequestId: client.NewRequest(),
		}, on.Revision)
	})
	return cmd
}

// confirm shows what a change of phase would change and asks whether to go on; an empty phase is a rollback's. It returns the revision to
// make the change on, and the moment of what was shown, which with --yes is none.
func (o *scopeOptions) confirm(ctx context.Context, c *console, phase, question string) (*op25bv1.PreviewResponse, error) {
	if o.change.yes {
		base, err := c.current(ctx, o.base)
		return &op25bv1.PreviewResponse{Revision: base}, err
	}
	shown, err := client.Ask(ctx, c.timeout, c.Phase.Preview, &op25bv1.PreviewRequest{Phase: phase, Groups: o.groups, Switches: o.switches, Base: o.base, UntilNextDate: o.until == untilNextDate})
	if err != nil {
		return nil, err
	}
	if err := c.view.Preview(shown); err != nil {
		return nil, err
	}
	return shown, c.confirm(ctx, question)
}

// current is the current revision, unless another is asked for.
func (c *console) current(ctx context.Context, base uint64) (uint64, error) {
	if base != 0 {
		return base, nil
	}
	r, err := client.Ask(ctx, c.timeout, c.Intent.Current, &op25bv1.CurrentRequest{})
	return r.GetRevision().GetNumber(), err
}
