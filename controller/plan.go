package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/plan"
	op25bv1 "op25b/proto/op25b/v1"
)

type planOptions struct {
	client   clientOptions
	files    []string
	out      string
	switches []string
	base     uint64
	full     bool
	restore  uint64
}

func newPlan() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan [-f DIR]",
		Short: "say what a policy and an inventory would change, and change nothing",
		Long: `plan compares documents with the current revision, and what they compile to with what the switches hold now. It exits with 0 if
nothing would change, with 2 if something would, and with 1 for an error or if a switch would refuse the change.

Without -f it plans for the current documents: what the controllers would put right. With --restore it plans what op25b restore would do.`,
		Example: `  op25b plan -f examples/spinnet-2006
  op25b plan -f examples/spinnet-2006 --out change.plan; op25b apply change.plan --reason 'OP25B-17'`,
		Args: cobra.NoArgs,
	}
	addFiles(cmd, &o.files)
	cmd.Flags().StringVar(&o.out, "out", "", "file to save the plan to, for op25b apply")
	cmd.Flags().StringArrayVar(&o.switches, "switch", nil, "plan for this switch alone; may be given more than once")
	cmd.Flags().Uint64Var(&o.base, "base", 0, "refuse to plan on another revision than this; 0 is the current one")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every line of the documents that differs")
	cmd.Flags().Uint64Var(&o.restore, "restore", 0, "plan to restore this revision, in place of -f")
	addClient(cmd, &o.client)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("restore") && o.restore == 0 { // it would be taken for a flag that is not given
			return errors.New("--restore 0: must be a number from 1 on, as op25b history lists them")
		}
		return nil
	}
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error { return runPlan(ctx, o, c) })
	return cmd
}

func addFiles(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "file", "f", nil, "a YAML file, or a directory of them; may be given more than once")
}

func runPlan(ctx context.Context, o planOptions, c *console) error {
	switch {
	case o.out != "" && len(o.files) == 0:
		return fmt.Errorf("--out %s: there is nothing to save without -f", o.out)
	case o.out != "" && len(o.switches) > 0:
		return fmt.Errorf("--out %s: a saved plan is of all switches; leave out --switch", o.out)
	case o.restore != 0 && len(o.files) > 0:
		return fmt.Errorf("--restore %d and -f %s: give only one of them", o.restore, o.files[0])
	}
	docs, err := readDocuments(o.files)
	if err != nil {
		return err
	}
	made, err := c.plan(ctx, docs, &op25bv1.PlanRequest{Base: o.base, Switches: o.switches, Restore: o.restore}, o.full)
	if err != nil {
		return err
	}
	if err := c.view.Plan(made, o.full); err != nil {
		return err
	}
	if o.out != "" {
		if err := savePlan(o.out, made, docs); err != nil {
			return err
		}
	}
	switch {
	case made.GetTotals().GetSwitchesRefused() > 0:
		return errAlreadyTold
	case made.Changes:
		return errChanges
	}
	return nil
}

// plan asks for a plan, of documents if there are any. Faults name files by their paths here.
func (c *console) plan(ctx context.Context, docs []document, q *op25bv1.PlanRequest, full bool) (*op25bv1.Plan, error) {
	q.Files = messages(docs)
	if full {
		q.MaxEntries = plan.MaxEntries
	}
	r, err := client.Ask(ctx, c.timeout, c.Intent.Plan, q)
	if err != nil {
		return nil, here(err, docs)
	}
	if r.Plan == nil {
		return nil, errors.New("the controller answered without a plan")
	}
	return r.Plan, nil
}

// refused is the error of a plan that a switch would refuse, or nil.
func refused(p *op25bv1.Plan) error {
	for _, s := range p.Switches {
		if s.Error != "" && !s.Waits {
			return fmt.Errorf("switch %q would refuse this, and nothing was changed: %s", s.Switch, s.Error)
		}
	}
	return nil
}

func messages(docs []document) []*op25bv1.File {
	files := make([]*op25bv1.File, len(docs))
	for i, d := range docs {
		files[i] = &op25bv1.File{Name: d.Name, Data: d.Data}
	}
	return files
}

// A faultsHere is an answer whose faults are in files here.
type faultsHere struct {
	error
	docs []document
}

func (f faultsHere) Unwrap() error { return f.error }

// here has the faults of an answer name files by their paths.
func here(err error, docs []document) error {
	if err == nil {
		return nil
	}
	var answer *connect.Error
	if !errors.As(err, &answer) {
		return err
	}
	return faultsHere{err, docs}
}

// explain is client.Explain with the paths of files here.
func explain(err error) client.Failure {
	f := client.Explain(err)
	var lost *lostAnswer
	if errors.As(err, &lost) {
		f.Message, f.Request, f.Outcome = lost.Error(), lost.Request, lost.outcome()
	}
	var local faultsHere
	if errors.As(err, &local) {
		for i := range f.Faults {
			for _, d := range local.docs {
				if d.Name == f.Faults[i].File {
					f.Faults[i].File = d.path
				}
			}
		}
	}
	return f
}

// savePlan writes a plan with its documents, for nobody else to read: they have subscribers' addresses.
func savePlan(path string, p *op25bv1.Plan, docs []document) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := errors.Join(plan.Save(f, p, messages(docs)), f.Close()); err != nil {
		return fmt.Errorf("--out %s: %w", path, err)
	}
	return nil
}

// loadPlan reads what savePlan wrote.
func loadPlan(path string) (*op25bv1.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	defer f.Close()
	p, err := plan.Load(f)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", path, err)
	}
	return p, nil
}
