package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// listLimit is how many revisions or records a list shows unless it is told otherwise, and listMax the most that it can.
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

// revision reads an argument that names one.
func revision(arg string, least uint64) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n < least {
		return 0, fmt.Errorf("revision %q: must be a number from %d on, as op25b history lists them", arg, least)
	}
	return n, nil
}

func newHistory() *cobra.Command {
	var o clientOptions
	var before uint64
	var limit int
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "list the revisions: who changed what the switches are to do, when and why",
		Example: `  op25b history --limit 10`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().Uint64Var(&before, "before", 0, "list revisions before this one")
	cmd.Flags().IntVar(&limit, "limit", listLimit, "list at most as many")
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
		Long: `diff shows how the documents of revision B differ from those of revision A; 0 is no documents. numbers.json and activations.json are
the controllers' own: the numbers that names have in the switches, and the phases that were activated by hand.`,
		Example: `  op25b diff 6 7`,
		Args:    cobra.ExactArgs(2),
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
}

func newRestore() *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore REVISION --reason TEXT",
		Short: "put the documents and activations of an earlier revision in force again",
		Long: `restore stores what an earlier revision says as the next one. Nothing is taken from the history. It shows what will change, as
op25b diff CURRENT REVISION does, and asks.`,
		Example: `  op25b restore 6 --reason 'OP25B-23: back to what it was on Monday'
  op25b restore 6 --reason OP25B-23 --yes`,
		Args: cobra.ExactArgs(1),
	}
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "refuse to change another revision than this; 0 is the current one")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		number, err := revision(args[0], 1)
		if err != nil {
			return err
		}
		if err := o.change.check(c, "diff", "restore"); err != nil {
			return err
		}
		base, err := c.current(ctx, o.base)
		if err != nil {
			return err
		}
		if !o.change.yes {
			if err := c.confirmRestore(ctx, base, number); err != nil {
				return err
			}
		}
		return change(ctx, c, c.Intent.Restore, &op25bv1.RestoreRequest{
			Revision: number, Base: base, Reason: o.change.reason, NoWait: o.change.noWait, RequestId: client.NewRequest(),
		}, base)
	})
	return cmd
}

// confirmRestore shows how an earlier revision differs from the current one, and asks whether to go back to it.
func (c *console) confirmRestore(ctx context.Context, current, earlier uint64) error {
	r, err := client.Ask(ctx, c.timeout, c.Intent.Diff, &op25bv1.DiffRequest{From: current, To: earlier})
	if err != nil {
		return err
	}
	// Numbers do not go back.
	r.Documents = slices.DeleteFunc(r.Documents, func(d *op25bv1.DocumentDiff) bool { return d.Path == "numbers.json" })
	if len(r.Documents) == 0 {
		return nil // the controller refuses to store the same again, and says so
	}
	if err := c.view.Diff(r); err != nil {
		return err
	}
	return c.confirm(ctx, fmt.Sprintf("Restore it, revision %d -> %d?", current, earlier))
}
