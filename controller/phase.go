package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

func newPhase() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "phase",
		Short: "list the phases of the policy, activate one, or roll back",
		Long: `List the phases of the policy, activate one before its date or again after a later one, or roll back the last activation. A phase that
is not activated by hand begins on its date in the policy.`,
		Example: `  op25b phase list
  op25b phase activate mobile-carriers --groups adsl --reason 'first ring, OP25B-21'`,
	})
	cmd.AddCommand(newPhaseList(), newPhaseShow(), newPhaseActivate(), newPhaseRollback(), newPhaseCancel())
	return cmd
}

func newPhaseList() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use: "list", Short: "list the phases, and the switches and line groups that each is in force on",
		Example: `  op25b phase list`,
		Args:    exactly(0),
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
		Args:    exactly(1),
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

// scopeOptions are the flags that limit a change of phase to line groups and switches.
type scopeOptions struct {
	client   clientOptions
	change   changeOptions
	groups   []string
	switches []string
	base     uint64
	until    string // only activate sets until
	dryRun   bool
	at       string // only activate sets at
	unproved bool   // only activate sets unproved
}

// untilNextDate is the only valid value of --until.
const untilNextDate = "next-date"

func addScope(cmd *cobra.Command, o *scopeOptions) {
	cmd.Flags().StringSliceVar(&o.groups, "groups", nil, "only lines of these line groups, separated by commas")
	cmd.Flags().StringSliceVar(&o.switches, "switches", nil, "only these switches, separated by commas")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the change and its plan, and change nothing; exit with 2 if there is something to change")
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "revision that the change is based on; any other is refused; 0 means the current one")
	addClient(cmd, &o.client)
}

func newPhaseActivate() *cobra.Command {
	var o scopeOptions
	cmd := &cobra.Command{
		Use:   "activate PHASE --reason TEXT",
		Short: "put a phase in force now",
		Long: `Put a phase in force before its date, or again after a later phase. It stays in force until another phase is activated, or until the date
of a phase that is later in the policy. The date of an earlier phase ends it only with --until next-date. On each switch all rules
change at once.

activate first shows the phases that it replaces, per switch and line group, and the next date that will replace it. Then it asks
for confirmation. With --dry-run, it shows that and the plan, and changes nothing.

A phase that is not proved on the twin is refused, unless it leads each line back to an earlier phase of the policy. --unproved activates
it nevertheless. The revision then stays UNPROVED in op25b status and op25b history.

With --at, the activation is scheduled: it is made once at that time, whichever controllers run then. It is skipped, with the reason in
op25b status and op25b phase list, if the policy, the inventory or the phases have changed until then, if a rollout runs, or if no
controller runs within ten minutes.`,
		Example: `  op25b phase activate mobile-carriers --groups adsl --reason 'first ring, OP25B-21'
  op25b phase activate all-destinations --dry-run
  op25b phase activate all-destinations --until next-date --reason 'one night, OP25B-23'
  op25b phase activate all-destinations --at '2006-10-01 02:00' --reason 'OP25B-24'
  op25b phase activate all-destinations --reason 'OP25B-24' --yes`,
		Args: exactly(1),
	}
	addScope(cmd, &o)
	cmd.Flags().StringVar(&o.at, "at", "", "time to activate it at, in the policy's utcOffset: '2006-07-01 02:00', or 2006-07-01T02:00:00+09:00")
	cmd.Flags().BoolVar(&o.unproved, "unproved", false, "activate the phase even if it is not proved on the twin; requires the role admin")
	cmd.Flags().StringVar(&o.until, "until", "", "next-date: end the activation at the next date in the policy, even of an earlier phase")
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		if err := o.check(c, "activate", "activate"); err != nil {
			return err
		}
		if o.until != "" && o.until != untilNextDate {
			return fmt.Errorf("--until %q: must be %s or omitted", o.until, untilNextDate)
		}
		if o.unproved && o.at != "" {
			return fmt.Errorf("--unproved and --at %s: give only one of them, because a phase that is not proved is not scheduled", o.at)
		}
		if o.dryRun {
			return o.tryOut(ctx, c, args[0])
		}
		q := &op25bv1.ScheduleRequest{Phase: args[0], Groups: o.groups, Switches: o.switches, UntilNextDate: o.until == untilNextDate, Reason: o.change.reason}
		question := "Activate it?"
		if o.at != "" {
			var err error
			if q.At, q.LocalAt, err = moment("--at", o.at); err != nil {
				return err
			}
			question = "Schedule it for " + o.at + "?"
		}
		on, err := o.confirm(ctx, c, args[0], question)
		if err != nil {
			return err
		}
		if o.at != "" {
			q.Base = on.Revision
			r, err := askProved(ctx, c, c.Phase.Schedule, q)
			if err != nil {
				return err
			}
			return c.view.Scheduled(r.Scheduled, r.UtcOffset)
		}
		return change(ctx, c, c.Phase.Activate, &op25bv1.ActivateRequest{
			Phase: args[0], Groups: o.groups, Switches: o.switches, Base: on.Revision, Reason: o.change.reason, NoWait: o.change.noWait,
			UntilNextDate: o.until == untilNextDate, RequestId: client.NewRequest(), Unproved: o.unproved,
		}, on.Revision)
	})
	return cmd
}

func newPhaseCancel() *cobra.Command {
	var o clientOptions
	q := &op25bv1.CancelScheduledRequest{}
	cmd := &cobra.Command{
		Use: "cancel NUMBER --reason TEXT", Short: "cancel a scheduled activation",
		Long:    `Cancel an activation that op25b phase activate --at has scheduled. op25b phase list shows the numbers.`,
		Example: `  op25b phase cancel 3 --reason 'the work is put off, OP25B-61'`,
		Args:    exactly(1),
	}
	cmd.Flags().StringVar(&q.Reason, "reason", "", "reason, kept with the activation and in the audit record")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		var err error
		if q.Id, err = strconv.ParseUint(args[0], 10, 64); err != nil || q.Id == 0 {
			return fmt.Errorf("%q: must be the number of a scheduled activation; op25b phase list shows them", args[0])
		}
		if err := needReason(q.Reason); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Phase.CancelScheduled, q)
		if err != nil {
			return err
		}
		return c.view.Scheduled(r.Scheduled, r.UtcOffset)
	})
	return cmd
}

func newPhaseRollback() *cobra.Command {
	var o scopeOptions
	cmd := &cobra.Command{
		Use:   "rollback --reason TEXT",
		Short: "undo the last activation of a phase",
		Long: `Undo the last activation on the lines that it applied to. With --groups or --switches, undo the last activation that affected them, and
only for them. A second rollback undoes the activation before that. Activations that no longer make a difference are skipped. rollback
does not undo a phase that began by its date: activate the phase before it instead.

rollback first shows the activation that it undoes and the phases that change, per switch and line group. Then it asks for confirmation.`,
		Example: `  op25b phase rollback --reason 'a business customer cannot send'
  op25b phase rollback --groups adsl --switches edge-1,edge-2 --reason 'OP25B-22' --yes`,
		Args: exactly(0),
	}
	addScope(cmd, &o)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := o.check(c, "rollback", "roll back"); err != nil {
			return err
		}
		if o.dryRun {
			return o.tryOut(ctx, c, "")
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

// confirm shows the effect of a change of phase and asks for confirmation. An empty phase means a rollback. The response contains the
// time of the preview and the revision on which to base the change. With --yes, nothing is shown and the time is unset.
func (o *scopeOptions) confirm(ctx context.Context, c *console, phase, question string) (*op25bv1.PreviewResponse, error) {
	if o.change.yes {
		base, err := c.current(ctx, o.base)
		return &op25bv1.PreviewResponse{Revision: base}, err
	}
	shown, err := o.preview(ctx, c, phase)
	if err != nil {
		return nil, err
	}
	return shown, c.confirm(ctx, question)
}

// check returns an error unless the command may make the change. A dry run needs no reason and no confirmation.
func (o *scopeOptions) check(c *console, command, do string) error {
	if o.dryRun {
		return nil
	}
	return o.change.check(c, "phase "+command+" --dry-run", do)
}

// tryOut shows a change of phase with its plan. It returns errChanges if there is something to change, and errReported if a switch would refuse it,
// or if it is not proved.
func (o *scopeOptions) tryOut(ctx context.Context, c *console, phase string) error {
	shown, err := o.preview(ctx, c, phase)
	if err != nil {
		return err
	}
	if shown.Plan == nil {
		return errors.New("this controller cannot plan a change of phase; it is older than this command")
	}
	if !c.json { // with -o json, the preview has it
		if err := c.view.Plan(shown.Plan, false); err != nil {
			return err
		}
	}
	switch {
	case shown.Plan.GetTotals().GetSwitchesRefused() > 0, shown.Proof != nil && !shown.Proof.Proved:
		return errReported
	case slices.ContainsFunc(shown.Changes, func(c *op25bv1.PhaseChange) bool { return c.From != c.To }):
		return errChanges
	}
	return nil
}

// preview asks for the effect of a change of phase and shows it, with a forecast of the lines that an activation affects.
func (o *scopeOptions) preview(ctx context.Context, c *console, phase string) (*op25bv1.PreviewResponse, error) {
	shown, err := askProved(ctx, c, c.Phase.Preview, &op25bv1.PreviewRequest{
		Phase: phase, Groups: o.groups, Switches: o.switches, Base: o.base, UntilNextDate: o.until == untilNextDate, Plan: o.dryRun,
	})
	if err != nil {
		return nil, err
	}
	if err := c.view.Preview(shown); err != nil {
		return nil, err
	}
	if phase != "" && !c.json {
		// The activation does not depend on the forecast, so an older controller or a failure is ignored.
		f, err := client.Ask(ctx, c.timeout, c.Abuse.Forecast, &op25bv1.ForecastRequest{Phase: phase, Groups: o.groups, Switches: o.switches})
		if err == nil {
			if err := c.view.Outlook(f); err != nil {
				return nil, err
			}
		}
	}
	return shown, nil
}

// current returns base, or the current revision if base is 0.
func (c *console) current(ctx context.Context, base uint64) (uint64, error) {
	if base != 0 {
		return base, nil
	}
	r, err := client.Ask(ctx, c.timeout, c.Intent.Current, &op25bv1.CurrentRequest{})
	return r.GetRevision().GetNumber(), err
}
