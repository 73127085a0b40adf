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

// nameOptions are the flags of commands that can show the names of lines.
type nameOptions struct {
	reason string
	csv    bool
}

// maxNames is the number of lines whose names one command shows. Each hundred are one audited call.
const maxNames = 1000

func newForecast() *cobra.Command {
	var o clientOptions
	var n nameOptions
	var phase string
	var groups, switches []string
	var resolve bool
	cmd := &cobra.Command{
		Use:   "forecast --phase NAME",
		Short: "show how many lines a phase would newly stop, and how many of them use port 25",
		Long: `Show how many lines a phase would newly stop if it were activated now, per switch and line group, and how many of them used port 25 in the
last 7 days: with one server, as a mail program does, or with several. A line is newly affected if a server on port 25 that it can
reach now is stopped then.

The controller knows the use of port 25 from the rules that monitor or stop it. It answers for the switches that it owns. --resolve
shows the names of the lines that use port 25; the audit chain records who asked, and why.`,
		Example: `  op25b forecast --phase mobile-carriers
  op25b forecast --phase mobile-carriers --groups adsl --resolve --reason 'letters to customers, OP25B-21'
  op25b forecast --phase all-destinations --csv > forecast.csv`,
		Args: exactly(0),
	}
	f := cmd.Flags()
	f.StringVar(&phase, "phase", "", "phase of the policy")
	f.StringSliceVar(&groups, "groups", nil, "only lines of these line groups, separated by commas")
	f.StringSliceVar(&switches, "switches", nil, "only these switches, separated by commas")
	f.BoolVar(&resolve, "resolve", false, "show the names of the lines that use port 25; requires --reason and the role operator")
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
		r, err := client.Ask(ctx, c.timeout, c.Abuse.Forecast, &op25bv1.ForecastRequest{Phase: phase, Groups: groups, Switches: switches})
		if err != nil {
			return err
		}
		var named *op25bv1.ResolveLinesResponse
		if resolve {
			ids := make([]string, len(r.Lines))
			for i, l := range r.Lines {
				ids[i] = l.Id
			}
			if named, err = c.resolve(ctx, ids, n.reason); err != nil {
				return err
			}
		}
		if n.csv {
			return view.ForecastCSV(cmd.OutOrStdout(), r, named)
		}
		return c.view.Forecast(r, named)
	})
	return cmd
}

// resolve returns the names of lines. It makes a call for each hundred.
func (c *console) resolve(ctx context.Context, ids []string, reason string) (*op25bv1.ResolveLinesResponse, error) {
	const together = 100 // the limit of the API
	if len(ids) > maxNames {
		return nil, fmt.Errorf("--resolve: %d lines use port 25; must be at most %d: limit them with --groups or --switches", len(ids), maxNames)
	}
	all := &op25bv1.ResolveLinesResponse{}
	for len(ids) > 0 {
		n := min(len(ids), together)
		r, err := client.Ask(ctx, c.timeout, c.Abuse.ResolveLines, &op25bv1.ResolveLinesRequest{Ids: ids[:n], Reason: reason})
		if err != nil {
			return nil, err
		}
		all.Lines, all.Record = append(all.Lines, r.Lines...), r.Record
		ids = ids[n:]
	}
	return all, nil
}
