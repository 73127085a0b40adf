package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// offenderOptions are the flags of op25b offenders.
type offenderOptions struct {
	client  clientOptions
	classes []string
	limit   int
	csv     bool
	resolve []string
	forget  bool
	yes     bool
	reason  string
}

func newOffenders() *cobra.Command {
	var o offenderOptions
	cmd := &cobra.Command{
		Use:   "offenders",
		Short: "show the lines that look infected, under pseudonyms",
		Long: `Show the activity on port 25 of the lines in the last 7 days, with their class: bot-like, own server, misconfigured client or
unclassified. Only line groups with watchInfected: true in the policy are watched. Lines are shown under pseudonyms, which are keyed
hashes and change when the key is replaced.

--resolve shows the names of lines; the audit chain records who asked, and why. --forget destroys the key and the activity of all lines
on the controller.`,
		Example: `  op25b offenders --class bot-like
  op25b offenders --csv > offenders.csv
  op25b offenders --resolve 1bf712e88bae2f94 --reason 'spam report, ABUSE-812'
  op25b offenders --forget --reason 'erasure, DPO-7' --yes`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.classes, "class", nil, "only these classes, separated by commas")
	f.IntVar(&o.limit, "limit", listLimit, "most lines to list")
	f.BoolVar(&o.csv, "csv", false, "print CSV")
	f.StringSliceVar(&o.resolve, "resolve", nil, "pseudonyms whose names to show, separated by commas; requires --reason and the role operator")
	f.BoolVar(&o.forget, "forget", false, "destroy the key and the activity of all lines; requires --reason and the role admin")
	f.BoolVarP(&o.yes, "yes", "y", false, "with --forget, do not ask for confirmation")
	f.StringVar(&o.reason, "reason", "", "reason for --resolve or --forget, kept in the audit record")
	addClient(cmd, &o.client)
	cmd.RunE = o.client.ask(func(ctx context.Context, c *console, _ []string) error {
		if err := o.check(c); err != nil {
			return err
		}
		switch {
		case o.forget:
			return o.destroy(ctx, c)
		case len(o.resolve) > 0:
			r, err := c.resolve(ctx, c.Client, o.resolve, o.reason)
			if err != nil {
				return err
			}
			return c.view.Resolved(r)
		}
		if err := checkLimit(o.limit); err != nil {
			return err
		}
		r, err := client.Ask(ctx, c.timeout, c.Abuse.ListOffenders, &op25bv1.ListOffendersRequest{Classes: o.classes, Limit: uint32(o.limit)})
		if err != nil {
			return err
		}
		if o.csv {
			return view.OffendersCSV(cmd.OutOrStdout(), r)
		}
		return c.view.Offenders(r)
	})
	return cmd
}

// check returns an error if the flags contradict each other.
func (o *offenderOptions) check(c *console) error {
	named := o.forget || len(o.resolve) > 0
	switch {
	case o.forget && len(o.resolve) > 0:
		return errors.New("--forget and --resolve: give only one of them")
	case o.csv && (c.json || named):
		return errors.New("--csv: cannot be combined with -o json, --resolve or --forget")
	case named && strings.TrimSpace(o.reason) == "":
		return errors.New("--reason is missing: give the reason, which the audit chain keeps")
	case o.forget && !o.yes && (c.json || !isTerminal(c.in)):
		return fmt.Errorf("no confirmation is possible %s: look at op25b offenders first, then forget with --yes", c.unasked())
	}
	return nil
}

// destroy asks for confirmation and destroys the activity of lines.
func (o *offenderOptions) destroy(ctx context.Context, c *console) error {
	if !o.yes {
		if err := c.confirm(ctx, "Destroy the recorded activity of all lines?"); err != nil {
			return err
		}
	}
	r, err := client.Ask(ctx, c.timeout, c.Abuse.ForgetLines, &op25bv1.ForgetLinesRequest{Reason: o.reason})
	if err != nil {
		return err
	}
	return c.view.Forgotten(r)
}
