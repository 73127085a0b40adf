package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/strict"
	op25bv1 "op25b/proto/op25b/v1"
)

func newPlanShow() *cobra.Command {
	var output outputFormat
	var full bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "show a saved plan, without a controller",
		Long: `Show a plan that op25b plan --out saved, as it was when it was made. show asks no controller: op25b apply refuses the plan if another
revision was stored since. A saved plan contains subscribers' addresses, also in its JSON output.`,
		Example: `  op25b plan show change.plan --full`,
		Args:    exactly(1),
	}
	cmd.Flags().BoolVar(&full, "full", false, "show every entry and document line that the plan was saved with")
	addOutput(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := loadPlan(args[0])
		if err != nil {
			return err
		}
		return newView(output, cmd.OutOrStdout()).Plan(p, full)
	}
	return cmd
}

func newPlanApprove() *cobra.Command {
	var o clientOptions
	var change changeOptions
	cmd := &cobra.Command{
		Use:   "approve FILE --reason TEXT",
		Short: "approve a mass change, or unproved documents, that another person will apply",
		Long: `Plan the documents of a saved plan again, show the result, and ask for confirmation. Then approve them, so that another person can apply
exactly these documents with op25b apply --mass-change or --unproved. The approval ends when another revision is stored. It is required
only if the access file has massChange: {secondPerson: true} or unproved: {secondPerson: true}. Nobody can approve a change of their own.`,
		Example: `  op25b plan approve change.plan --reason 'the old town leaves, NOC-900'`,
		Args:    exactly(1),
	}
	cmd.Flags().StringVar(&change.reason, "reason", "", "reason for the approval, kept in the audit record")
	cmd.Flags().BoolVarP(&change.yes, "yes", "y", false, "do not ask for confirmation")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		if err := change.check(c, "plan show FILE", "approve"); err != nil {
			return err
		}
		saved, err := loadPlan(args[0])
		if err != nil {
			return err
		}
		// The plan in the file is only what its author says. The approver sees what the controller says now about the same documents.
		r, err := askProved(ctx, c, c.Intent.Plan, &op25bv1.PlanRequest{Files: saved.Files, Base: saved.Base, MaxEntries: plan.DefaultEntries})
		if err != nil {
			return err
		}
		if !c.json {
			if err := c.view.Plan(r.GetPlan(), false); err != nil {
				return err
			}
		}
		if p := r.GetPlan(); len(p.GetRemovals()) == 0 && (p.GetProof() == nil || p.Proof.Proved) {
			return errors.New("the plan is no mass change, and it is proved, so it needs no approval: nothing was approved")
		}
		if !change.yes {
			if err := c.confirm(ctx, "Approve it?"); err != nil {
				return err
			}
		}
		files := make([]strict.File, len(saved.Files))
		for i, f := range saved.Files {
			files[i] = strict.File{Name: f.Name, Data: f.Data}
		}
		digest := intent.Digest(files, saved.Base)
		if _, err := client.Ask(ctx, c.timeout, c.Intent.Approve, &op25bv1.ApproveRequest{Digest: digest, Base: saved.Base, Reason: change.reason}); err != nil {
			return err
		}
		return c.view.Approved(&op25bv1.ApproveRequest{Digest: digest, Base: saved.Base, Reason: change.reason})
	})
	return cmd
}
