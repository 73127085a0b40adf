package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// changeOptions are the flags of every command that changes the intent.
type changeOptions struct {
	reason string
	yes    bool
	noWait bool
}

func addChange(cmd *cobra.Command, o *changeOptions) {
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept with the change, and in the audit record")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for the switches once the change is stored")
}

// check refuses a change that nobody has given a reason for, and one that somebody would have to be asked about where nobody is. look is
// the command that shows what there is to know before, and do what is done.
func (o *changeOptions) check(c *console, look, do string) error {
	if err := needReason(o.reason); err != nil {
		return err
	}
	if !o.yes && (c.json || !isTerminal(c.in)) {
		return fmt.Errorf("nobody can be asked here: look at op25b %s first, and %s with --yes", look, do)
	}
	return nil
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("--reason is missing: say why, for whoever reads the history and the audit chain")
	}
	return nil
}

type applyOptions struct {
	client clientOptions
	change changeOptions
	files  []string
	saved  string
	base   uint64
	full   bool
}

func newApply() *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply {-f DIR | PLANFILE} --reason TEXT",
		Short: "put a policy and an inventory in force",
		Long: `apply shows the plan, asks, stores the documents as the next revision, and tells how the switches are brought to it. It exits with
0 when all are, with 1 if one failed: the controllers go on trying. An interrupt leaves the change as it is. Documents that a switch
would refuse, such as more entries than a table has room for, are not stored.

What was planned is what is applied: if another revision comes between, nothing is changed. A saved plan is applied as it was shown,
as long as no other revision came after it.`,
		Example: `  op25b apply -f examples/spinnet-2006 --reason 'first policy'
  op25b apply change.plan --reason 'OP25B-17' --yes`,
		Args: cobra.MaximumNArgs(1),
	}
	addFiles(cmd, &o.files)
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "refuse to change another revision than this; 0 is the current one")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every line of the documents that differs")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, args []string) error {
		if len(args) == 1 {
			o.saved = args[0]
		}
		return runApply(ctx, o, c)
	})
	return cmd
}

func runApply(ctx context.Context, o applyOptions, c *console) error {
	switch {
	case len(o.files) == 0 && o.saved == "":
		return errors.New("nothing to apply: give -f DIR, or the file of a saved plan")
	case len(o.files) > 0 && o.saved != "":
		return fmt.Errorf("-f %s and plan %s: give only one of them", o.files[0], o.saved)
	case o.saved != "" && o.base != 0:
		return fmt.Errorf("--base %d: plan %s has its own; leave out --base", o.base, o.saved)
	}
	if err := o.change.check(c, "plan", "apply"); err != nil {
		return err
	}
	q := &op25bv1.ApplyRequest{Reason: o.change.reason, NoWait: o.change.noWait, RequestId: client.NewRequest()}
	var planned *op25bv1.Plan
	var docs []document
	var err error
	if o.saved != "" {
		if planned, err = loadPlan(o.saved); err != nil {
			return err
		}
		q.Plan = &op25bv1.Plan{Base: planned.Base, Files: planned.Files} // what else it has is for people, and takes room
	} else {
		if docs, err = readDocuments(o.files); err != nil {
			return err
		}
		if planned, err = c.plan(ctx, docs, &op25bv1.PlanRequest{Base: o.base}, o.full); err != nil {
			return err
		}
		q.Files, q.Base = messages(docs), planned.Base
	}
	if !c.json { // what follows says there what was done
		if err := c.view.Plan(planned, o.full); err != nil {
			return err
		}
	}
	if err := refused(planned); err != nil {
		return err
	}
	if !planned.Changes {
		if c.json {
			return c.view.Plan(planned, o.full)
		}
		return nil
	}
	if !o.change.yes {
		if err := c.confirm(ctx, "Apply it?"); err != nil {
			return err
		}
	}
	return here(change(ctx, c, c.Intent.Apply, q, planned.Base), docs)
}

// confirm asks whether to go on, and returns an error if not.
func (c *console) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(c.errOut, "\n%s Only yes does: ", question)
	answer := make(chan string, 1)
	go func() { // it ends with the process: a terminal cannot be told to stop reading
		line, _ := bufio.NewReader(c.in).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.errOut)
		return ctx.Err()
	case text := <-answer:
		if text != "yes" {
			return errors.New("nothing was changed")
		}
		return nil
	}
}
