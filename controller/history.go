package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// listLimit is the default number of revisions or records in a list, and listMax is the maximum number.
const (
	listLimit = 50
	listMax   = 1000
)

func checkLimit(limit int) error {
	if limit < 1 || limit > listMax {
		return fmt.Errorf("--limit %d: must be from 1 to %d", limit, listMax)
	}
	return nil
}

// revision parses a revision number. It returns an error if the number is less than least.
func revision(arg string, least uint64) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n < least {
		return 0, fmt.Errorf("revision %q: must be a number from %d; op25b history lists the revisions", arg, least)
	}
	return n, nil
}

func newHistory() *cobra.Command {
	var o clientOptions
	var before uint64
	var limit int
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "list the revisions: who changed the policy or the inventory, when and why",
		Example: `  op25b history --limit 10`,
		Args:    exactly(0),
	}
	cmd.Flags().Uint64Var(&before, "before", 0, "list only revisions before this one")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "maximum number of revisions to list")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := checkLimit(limit); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Intent.History, &op25bv1.HistoryRequest{Before: before, Limit: uint32(limit)})
		if err != nil {
			return err
		}
		return c.view.History(r, limit)
	})
	return cmd
}

func newDiff() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "compare the documents of two revisions",
		Long: `Show the differences between the documents of revision A and those of revision B. Revision 0 has no documents. The controllers write
two of the documents: numbers.json maps names to their numeric ids on the switches, and activations.json lists the phases that were
activated by hand.`,
		Example: `  op25b diff 6 7`,
		Args:    exactly(2),
	}
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		var q op25bv1.DiffRequest
		var err error
		if q.From, err = revision(args[0], 0); err != nil {
			return err
		}
		if q.To, err = revision(args[1], 0); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Intent.Diff, &q)
		if err != nil {
			return err
		}
		return c.view.Diff(r)
	})
	return cmd
}

type restoreOptions struct {
	client clientOptions
	change changeOptions
	base   uint64
	full   bool
}

func newRestore() *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore REVISION --reason TEXT",
		Short: "put the documents and activations of an earlier revision in force again",
		Long: `Store the documents and activations of an earlier revision as the next revision. The history keeps all revisions. restore first shows the
change, as op25b plan --restore REVISION does, and asks for confirmation. The role operator may restore the revision before the newest;
older ones require admin.`,
		Example: `  op25b restore 6 --reason 'OP25B-23: back to the policy of Monday'
  op25b restore 6 --reason OP25B-23 --yes`,
		Args: exactly(1),
	}
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "revision that the change is based on; any other is refused; 0 means the current one")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every document line that differs")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		number, err := revision(args[0], 1)
		if err != nil {
			return err
		}
		if err := o.change.check(c, fmt.Sprintf("plan --restore %d", number), "restore"); err != nil {
			return err
		}
		base, err := c.current(ctx, o.base)
		if err != nil {
			return err
		}
		if err := o.show(ctx, c, base, number); err != nil {
			return err
		}
		return change(ctx, c, c.Intent.Restore, &op25bv1.RestoreRequest{
			Revision: number, Base: base, Reason: o.change.reason, NoWait: o.change.noWait, RequestId: client.NewRequest(),
		}, base)
	})
	return cmd
}

// show shows the plan of a restoration and asks for confirmation. With --yes, show does not ask, and returns nil even if the plan cannot be
// computed.
func (o *restoreOptions) show(ctx context.Context, c *console, base, number uint64) error {
	if c.json { // with -o json, only progress messages are printed
		return nil
	}
	planned, err := c.plan(ctx, nil, &op25bv1.PlanRequest{Base: base, Restore: number}, o.full)
	switch {
	case err != nil && o.change.yes:
		fmt.Fprintf(c.errOut, "No plan could be made: %s\n", explain(err).Message)
		return nil
	case err != nil:
		return err
	}
	if err := c.view.Plan(planned, o.full); err != nil || o.change.yes {
		return err
	}
	return c.confirm(ctx, fmt.Sprintf("Restore it, revision %d -> %d?", base, number))
}
