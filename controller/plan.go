package main

import (
	"context"
	"errors"
	"fmt"

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
		Use:   "plan",
		Short: "show what a policy and an inventory would change, and change nothing",
		Long: `Compare documents with the current revision, and the entries that they compile to with the entries on the switches. Exit with 0 if
nothing would change, with 2 if something would, and with 1 on an error or if a switch would refuse the change, or if it is not proved.

Without -f, plan for the current documents: the changes are what the controllers would repair. With --restore, plan what op25b restore
would do.`,
		Example: `  op25b plan -f examples/spinnet-2006
  op25b plan -f examples/spinnet-2006 --out change.plan; op25b apply change.plan --reason 'OP25B-17'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q; op25b plan show FILE shows a saved plan; usage: %s", args[0], cmd.UseLine())
			}
			return nil
		},
	}
	addFiles(cmd, &o.files)
	cmd.Flags().StringVar(&o.out, "out", "", "save the plan to this file, for op25b apply")
	cmd.Flags().StringArrayVar(&o.switches, "switch", nil, "plan only for this switch; may be repeated")
	cmd.Flags().Uint64Var(&o.base, "base", 0, "revision that the plan is based on; any other is refused; 0 means the current one")
	cmd.Flags().BoolVar(&o.full, "full", false, "show every entry and every document line that differs")
	cmd.Flags().Uint64Var(&o.restore, "restore", 0, "plan the restoration of this revision, instead of -f")
	addClient(cmd, &o.client)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("restore") && o.restore == 0 { // in the request, 0 means that the flag was not given
			return errors.New("--restore 0: must be a number from 1; op25b history lists the revisions")
		}
		return nil
	}
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error { return runPlan(ctx, o, c) })
	cmd.AddCommand(newPlanShow(), newPlanApprove())
	return cmd
}

func addFiles(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVarP(files, "file", "f", nil, "YAML file, or directory of YAML files; may be repeated")
}

func runPlan(ctx context.Context, o planOptions, c *console) error {
	switch {
	case o.out != "" && len(o.files) == 0:
		return fmt.Errorf("--out %s: requires -f, because only a plan of documents can be saved", o.out)
	case o.out != "" && len(o.switches) > 0:
		return fmt.Errorf("--out %s: a saved plan is for all switches; omit --switch", o.out)
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
	case made.GetTotals().GetSwitchesRefused() > 0, made.GetProof() != nil && !made.GetProof().GetProved():
		return errReported
	case made.Changes:
		return errChanges
	}
	return nil
}

// plan requests a plan from the controller. Faults in the returned error refer to the local paths of files.
func (c *console) plan(ctx context.Context, docs []document, q *op25bv1.PlanRequest, full bool) (*op25bv1.Plan, error) {
	q.Files = messages(docs)
	if full {
		q.MaxEntries = plan.MaxEntries
	}
	r, err := askProved(ctx, c, c.Intent.Plan, q)
	if err != nil {
		return nil, here(err, docs)
	}
	if r.Plan == nil {
		return nil, errors.New("the controller answered without a plan")
	}
	return r.Plan, nil
}

// refused returns an error if a switch would refuse the planned change.
func refused(p *op25bv1.Plan) error {
	for _, s := range p.Switches {
		if s.Error != "" && !s.Waits {
			return fmt.Errorf("switch %q would refuse this, so nothing was changed: %s", s.Switch, s.Error)
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

// A faultsHere is an error that a controller returned for documents that are stored on this host.
type faultsHere struct {
	error
	docs []document
}

func (f faultsHere) Unwrap() error { return f.error }

// here wraps an error from a controller, so that its faults refer to the local paths of files.
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

// explain is like client.Explain, except that faults refer to local paths of files, and to flags instead of fields of the
// request.
func explain(err error) client.Failure {
	f := client.Explain(err)
	var lost *lostAnswer
	if errors.As(err, &lost) {
		f.Message, f.Request, f.Outcome = lost.Error(), lost.Request, lost.outcome()
	}
	var documents invalidDocuments
	if errors.As(err, &documents) {
		f.Faults = documents.faults()
	}
	var command flagged
	if errors.As(err, &command) {
		for i, fault := range f.Faults {
			if fault.File == "" {
				place := command.place(fault.Path)
				f.Faults[i].Place = &place
			}
		}
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
