package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/intent"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/strict"
	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

func newShow() *cobra.Command {
	var o clientOptions
	var dir string
	cmd := &cobra.Command{
		Use:   "show [REVISION]",
		Short: "show or save the documents of a revision, by default of the current one",
		Long: `Print the documents of a revision as one YAML stream. With --out, save them as files in a directory instead, with which op25b plan and
op25b apply work. Files that exist are not replaced. Only the owner can read the saved files, because they contain subscribers'
addresses.`,
		Example: `  op25b show
  op25b show 6 --out revision-6; op25b plan -f revision-6`,
		Args: atMost(1),
	}
	cmd.Flags().StringVar(&dir, "out", "", "save the documents in this directory")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, args []string) error {
		var number uint64
		if len(args) == 1 {
			var err error
			if number, err = revision(args[0], 1); err != nil {
				return err
			}
		}
		r, err := client.Ask(ctx, c.timeout, c.Intent.Show, &op25bv1.ShowRequest{Revision: number})
		if err != nil {
			return err
		}
		if dir != "" {
			if err := saveDocuments(dir, r.Files); err != nil {
				return err
			}
		}
		return c.view.Documents(r, dir)
	})
	return cmd
}

// saveDocuments writes documents into a directory, which it creates if necessary. It replaces no file, and writes nothing if one of them exists.
func saveDocuments(dir string, files []*op25bv1.File) error {
	for _, f := range files {
		// The names come from the controller, and must not lead out of the directory.
		if !filepath.IsLocal(filepath.FromSlash(f.GetName())) {
			return fmt.Errorf("--out %s: the controller sent a document with the name %q, which leads out of the directory", dir, f.GetName())
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("--out %s: %s exists and is not replaced; give an empty directory", dir, path)
		}
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("--out %s: %w", dir, withoutPath(err))
		}
		if err := saveDocument(path, f.Data); err != nil {
			return fmt.Errorf("--out %s: %s: %w", dir, f.Name, withoutPath(err))
		}
	}
	return nil
}

func saveDocument(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// validation is the result of op25b validate as JSON.
type validation struct {
	Valid    bool   `json:"valid"`
	Policy   string `json:"policy"`
	Phases   int    `json:"phases"`
	Switches int    `json:"switches"`
	Lines    int    `json:"lines"`
}

func newValidate() *cobra.Command {
	var files []string
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "validate -f DIR",
		Short: "check documents without a controller, for CI",
		Long: `Read a policy and an inventory as a controller does, compile them for each switch, and check that every table has room. Print each fault as
FILE:LINE:COLUMN. validate needs no controller and no switch, so it does not see what depends on the current revision.

Exit with 0 if the documents are valid, and with 1 otherwise.`,
		Example: `  op25b validate -f examples/spinnet-2006`,
		Args:    exactly(0),
	}
	addFiles(cmd, &files)
	addOutput(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v, err := validate(cmd.Context(), files)
		if err != nil {
			return err
		}
		if output == jsonOutput {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "valid: policy %s with %s, %s with %s\n", prose.Escape(v.Policy), prose.Count(v.Phases, "phase"),
			prose.Count(v.Switches, "switch"), prose.Count(v.Lines, "line"))
		return err
	}
	return cmd
}

// validate checks documents in the way in which a controller checks them before it stores them.
func validate(ctx context.Context, paths []string) (v validation, err error) {
	if len(paths) == 0 {
		return v, errors.New("no documents: give -f DIR")
	}
	docs, err := readDocuments(paths)
	if err != nil {
		return v, err
	}
	bundle, err := policy.LoadContext(ctx, local(docs), nil)
	if err != nil {
		return v, invalidDocuments{err}
	}
	draft, err := intent.Draft(bundle)
	if err != nil {
		return v, err
	}
	planner, err := plan.New(plan.Config{})
	if err != nil {
		return v, err
	}
	if err := planner.Fits(ctx, draft); err != nil {
		return v, fmt.Errorf("the documents do not fit: %w", errors.Unwrap(err))
	}
	v = validation{Valid: true, Policy: bundle.Policy.Name, Phases: len(bundle.Policy.Phases), Switches: len(bundle.Inventory.Switches)}
	for i := range bundle.Inventory.Switches {
		v.Lines += len(bundle.Inventory.Switches[i].Lines)
	}
	return v, nil
}

// An invalidDocuments is an error about documents on this host. All of its faults are printed.
type invalidDocuments struct{ error }

func (e invalidDocuments) Unwrap() error { return e.error }

// faults returns the faults of the documents.
func (e invalidDocuments) faults() []client.Fault {
	var faults strict.Faults
	errors.As(e.error, &faults)
	all := make([]client.Fault, len(faults))
	for i, f := range faults {
		all[i] = client.Fault{File: f.Pos.File, Line: uint32(f.Pos.Line), Column: uint32(f.Pos.Col), Path: f.Path, What: f.What, Way: f.Way}
	}
	return all
}
