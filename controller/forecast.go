package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"op25b/internal/client"
	"op25b/internal/view"
	op25bv1 "op25b/proto/op25b/v1"
)

// nameOptions are the flags of commands that can show the names of lines.
type nameOptions struct {
	reason string
	csv    bool
}

// maxNames is the largest number of lines whose names one command shows. Each audited call resolves
// a hundred.
const maxNames = 1000

func newForecast() *cobra.Command {
	var o clientOptions
	var n nameOptions
	var phase string
	var groups, switches []string
	var resolve bool
	cmd := &cobra.Command{
		Use:   "forecast --phase NAME",
		Short: "show how many lines a phase would newly stop, and how many of them use that mail",
		Long: `Show how many lines a phase would newly stop if it were activated now, per switch and line group, and how many of them used that mail in the
last 7 days: with one server, as a mail program does, or with several. A line is newly affected if mail that it can send or fetch
now is stopped then, on port 25 or on another port of own servers.

BY LEASE has the lines among those that used it for which it still passes while they have a lease, after a POP3 or IMAP login.

The controller knows the use from the rules that monitor or stop it. The command asks the owners of all switches, with the same
credentials. --resolve shows the names of the lines that use such mail; the audit chain records who asked, and why.`,
		Example: `  op25b forecast --phase mobile-carriers
  op25b forecast --phase mobile-carriers --groups adsl --resolve --reason 'letters to customers, OP25B-21'
  op25b forecast --phase all-destinations --csv > forecast.csv`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&phase, "phase", "", "phase of the policy")
	f.StringSliceVar(&groups, "groups", nil, "only lines of these line groups, separated by commas")
	f.StringSliceVar(&switches, "switches", nil, "only these switches, separated by commas")
	f.BoolVar(&resolve, "resolve", false, "show the names of the lines that use such mail; requires --reason and the role operator")
	f.StringVar(&n.reason, "reason", "", "reason for --resolve, kept in the audit record")
	f.BoolVar(&n.csv, "csv", false, "print CSV")
	addClient(cmd, &o)
	cmd.RunE = o.ask(func(ctx context.Context, c *console, _ []string) error {
		switch {
		case phase == "":
			return errors.New("--phase is missing: give a phase of the policy, as op25b phase list shows them")
		case n.csv && c.json:
			return errors.New("--csv and -o json: give only one of them")
		case resolve && strings.TrimSpace(n.reason) == "":
			return errors.New("--reason is missing: give the reason for --resolve, which the audit chain keeps")
		}
		q := &op25bv1.ForecastRequest{Phase: phase, Groups: groups, Switches: switches}
		r, named, err := c.forecast(ctx, c.Client, q, resolve, n.reason)
		if err != nil {
			return err
		}
		for _, w := range r.Owners {
			more, names, err := c.forecastOf(ctx, o.Config, w, q, resolve, n.reason)
			if err != nil {
				fmt.Fprintf(c.errOut, "warning: controller %s was not asked: %v\n", w.Controller, err)
				continue
			}
			merge(r, named, more, names)
		}
		if n.csv {
			return view.ForecastCSV(cmd.OutOrStdout(), r, named)
		}
		return c.view.Forecast(r, named)
	})
	return cmd
}

// forecast queries one controller. If resolve is set, it also resolves the lines of the answer.
func (c *console) forecast(ctx context.Context, to *client.Client, q *op25bv1.ForecastRequest, resolve bool, reason string) (*op25bv1.ForecastResponse, *op25bv1.ResolveLinesResponse, error) {
	r, err := client.Ask(ctx, c.timeout, to.Abuse.Forecast, q)
	if err != nil || !resolve {
		return r, nil, err
	}
	ids := make([]string, len(r.Lines))
	for i, l := range r.Lines {
		ids[i] = l.Id
	}
	named, err := c.resolve(ctx, to, ids, reason)
	return r, named, err
}

// forecastOf queries the owner of other switches, with the credentials of the command's caller.
func (c *console) forecastOf(ctx context.Context, config client.Config, w *op25bv1.ForecastOwner, q *op25bv1.ForecastRequest, resolve bool,
	reason string,
) (*op25bv1.ForecastResponse, *op25bv1.ResolveLinesResponse, error) {
	if w.Address == "" {
		return nil, nil, errors.New("it is not present")
	}
	other, err := client.New(config.At(w.Address))
	if err != nil {
		return nil, nil, err
	}
	defer other.Close()
	r, named, err := c.forecast(ctx, other, &op25bv1.ForecastRequest{Phase: q.Phase, Groups: q.Groups, Switches: w.Switches}, resolve, reason)
	if err == nil && r.Controller != w.Controller {
		err = fmt.Errorf("controller %s answers at %s", r.Controller, w.Address)
	}
	return r, named, err
}

// merge adds another controller's answer to a forecast.
func merge(r *op25bv1.ForecastResponse, named *op25bv1.ResolveLinesResponse, more *op25bv1.ForecastResponse, names *op25bv1.ResolveLinesResponse) {
	r.Rows = append(r.Rows, more.Rows...)
	r.Lines, r.More, r.Incomplete = append(r.Lines, more.Lines...), r.More+more.More, r.Incomplete || more.Incomplete
	i := slices.IndexFunc(r.Owners, func(o *op25bv1.ForecastOwner) bool { return o.Controller == more.Controller })
	r.Missing = slices.DeleteFunc(r.Missing, func(name string) bool {
		return slices.Contains(r.Owners[i].Switches, name) && !slices.Contains(more.Missing, name)
	})
	if named != nil && names != nil {
		named.Lines, named.Record = append(named.Lines, names.Lines...), max(named.Record, names.Record)
	}
}

// resolve returns the names of lines. It makes one call per hundred lines.
func (c *console) resolve(ctx context.Context, to *client.Client, ids []string, reason string) (*op25bv1.ResolveLinesResponse, error) {
	const together = 100 // the API's limit for one call
	if len(ids) > maxNames {
		return nil, fmt.Errorf("--resolve: %d lines use port 25; must be at most %d: limit them with --groups or --switches", len(ids), maxNames)
	}
	all := &op25bv1.ResolveLinesResponse{}
	for len(ids) > 0 {
		n := min(len(ids), together)
		r, err := client.Ask(ctx, c.timeout, to.Abuse.ResolveLines, &op25bv1.ResolveLinesRequest{Ids: ids[:n], Reason: reason})
		if err != nil {
			return nil, err
		}
		all.Lines, all.Record = append(all.Lines, r.Lines...), r.Record
		ids = ids[n:]
	}
	return all, nil
}
