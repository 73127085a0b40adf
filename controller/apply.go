package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"op25b/internal/client"
	op25bv1 "op25b/proto/op25b/v1"
)

// changeOptions are the flags common to all commands that change the intent.
type changeOptions struct {
	reason string
	yes    bool
	noWait bool
}

func addChange(cmd *cobra.Command, o *changeOptions) {
	cmd.Flags().StringVar(&o.reason, "reason", "", "reason, kept with the change and in the audit record")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation")
	cmd.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for the switches after the change is stored")
}

// check returns an error if the reason is missing, or if the change requires confirmation and the command cannot ask for it. look is the
// command that shows the change beforehand, and do is the verb of the change.
func (o *changeOptions) check(c *console, look, do string) error {
	if err := needReason(o.reason); err != nil {
		return err
	}
	if !o.yes && (c.json || !isTerminal(c.in)) {
		return fmt.Errorf("no confirmation is possible %s: look at op25b %s first, then %s with --yes", c.unasked(), look, do)
	}
	return nil
}

// unasked returns the reason why the command cannot ask for confirmation.
func (c *console) unasked() string {
	if c.json {
		return "with -o json"
	}
	return "because stdin is not a terminal"
}

func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("--reason is missing: give the reason for the change, which the history and the audit chain keep")
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
	mass   bool
	// unproved is true if the documents are applied even if they are not proved.
	unproved bool
}

func newApply() *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply {-f DIR | PLANFILE} --reason TEXT",
		Short: "put a policy and an inventory in force",
		Long: `Show the plan, ask for confirmation, store the documents as the next revision, and show the progress of each switch. Exit with 0 when all
switches have converged, and with 1 if a switch has failed; the controllers keep retrying it. An interrupt ends the command, not the
change. Documents that a switch would refuse, such as more entries than a table has room for, are not stored.

A change that removes more than a share of a table's entries on a switch, or of all lines, is refused without --mass-change
(op25b serve --mass-change sets the share). The access file can require that a second person approves it: op25b plan approve.

Documents that are not proved on the twin are refused. If you are sure that the proof is wrong, --unproved stores them nevertheless. The
revision then stays UNPROVED in op25b status and op25b history until the same or other documents are applied and proved. The access file
can require that a second person approves it.

apply changes exactly what the plan shows: if another revision was stored after the plan was made, nothing is changed. The same
holds for a saved plan.`,
		Example: `  op25b apply -f examples/spinnet-2006 --reason 'first policy'
  op25b apply change.plan --reason 'OP25B-17' --yes`,
		Args: atMost(1),
	}
	addFiles(cmd, &o.files)
	addChange(cmd, &o.change)
	cmd.Flags().Uint64Var(&o.base, "base", 0, "revision that the change is based on; any other is refused; 0 means the current one")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every document line that differs")
	cmd.Flags().BoolVar(&o.mass, "mass-change", false, "confirm that the change removes a large share of a table's entries or of all lines; see MASS in the plan")
	cmd.Flags().BoolVar(&o.unproved, "unproved", false, "store the documents even if they are not proved on the twin; requires the role admin")
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
		return errors.New("no documents: give -f DIR, or the file of a saved plan")
	case len(o.files) > 0 && o.saved != "":
		return fmt.Errorf("-f %s and saved plan %s: give only one of them", o.files[0], o.saved)
	case o.saved != "" && o.base != 0:
		return fmt.Errorf("--base %d: the saved plan %s has its own base; omit --base", o.base, o.saved)
	}
	if err := o.change.check(c, "plan", "apply"); err != nil {
		return err
	}
	q := &op25bv1.ApplyRequest{Reason: o.change.reason, NoWait: o.change.noWait, RequestId: client.NewRequest(), MassChange: o.mass, Unproved: o.unproved}
	var planned *op25bv1.Plan
	var docs []document
	var err error
	if o.saved != "" {
		if planned, err = loadPlan(o.saved); err != nil {
			return err
		}
		q.Plan = &op25bv1.Plan{Base: planned.Base, Files: planned.Files} // the other fields are only for display
	} else {
		if docs, err = readDocuments(o.files); err != nil {
			return err
		}
		if planned, err = c.plan(ctx, docs, &op25bv1.PlanRequest{Base: o.base}, o.full); err != nil {
			return err
		}
		q.Files, q.Base = messages(docs), planned.Base
	}
	if o.saved != "" {
		old, err := c.superseded(ctx, planned.Base)
		switch {
		case err != nil:
			return err
		case old: // the controller refuses the outdated plan and records the refusal
			return change(ctx, c, c.Intent.Apply, q, planned.Base)
		}
	}
	if !c.json { // with -o json, only progress messages are printed
		if err := c.view.Plan(planned, o.full); err != nil {
			return err
		}
	}
	if err := refused(planned); err != nil {
		return err
	}
	if len(planned.Removals) > 0 && !o.mass {
		return fmt.Errorf("mass change: the plan removes more than %g %% at once, see MASS; nothing was stored; if this is meant, apply it with --mass-change", planned.MassPercent)
	}
	if p := planned.Proof; p != nil && !p.Proved && !o.unproved {
		return errors.New("not proved on the twin, as the plan shows; nothing was stored; if you are sure that the proof is wrong, apply it with --unproved")
	}
	if !planned.Changes && planned.Unproved == "" {
		if c.json {
			return c.view.Plan(planned, o.full)
		}
		return nil
	}
	if !o.change.yes {
		question := "Apply it?"
		if p := planned.Proof; p != nil && !p.Proved {
			question = "It is NOT PROVED. Apply it nevertheless?"
		}
		if err := c.confirm(ctx, question); err != nil {
			return err
		}
	}
	return here(change(ctx, c, c.Intent.Apply, q, planned.Base), docs)
}

// superseded reports whether a later revision than base is current.
func (c *console) superseded(ctx context.Context, base uint64) (bool, error) {
	r, err := client.Ask(ctx, c.timeout, c.Intent.Current, &op25bv1.CurrentRequest{})
	if connect.CodeOf(err) == connect.CodeFailedPrecondition { // there is no revision yet
		return false, nil
	}
	return r.GetRevision().GetNumber() > base, err
}

// confirm asks a question, and returns an error unless the answer is yes.
func (c *console) confirm(ctx context.Context, question string) error {
	fmt.Fprintf(c.errOut, "\n%s Type yes to continue: ", question)
	answer := make(chan string, 1)
	go func() { // a read from a terminal cannot be cancelled, so the goroutine ends only with the process
		line, _ := bufio.NewReader(c.in).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.errOut)
		return ctx.Err()
	case text := <-answer:
		if text != "yes" {
			return errors.New("not confirmed, nothing was changed")
		}
		return nil
	}
}
