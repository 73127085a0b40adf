package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"

	op25bv1 "op25b/proto/op25b/v1"
)

type phaseData struct {
	Name, Title, From string
	State, Where      string
	Current           bool       // the phase should be in force for some lines
	Confirmed         bool       // all its switches confirm it
	Next              bool       // the first phase that is still to come into force for some lines
	Begun             *begunData // nil unless the phase should be in force and it is known since when
	Forecast          []string   // sentences; none if the phase is in force or the controller cannot be asked
	StaysOpen         []openData // what passes without a rule; none if the controller does not report it
	Rules             []ruleData
	Counts            bool   // the rules have counts
	CountedFrom       string // a sentence; empty if it is not known from when on the rules were counted
	CountedWhat       string // says which of the counted packets were stopped; empty if no rule stops any
	NewOnly           bool   // a rule stops new connections only
}

type ruleData struct {
	Name, Action, Service, Remote, Groups, Legs string
	NewOnly                                     bool       // the rule stops new connections only
	Counted                                     *ruleCount // nil unless the phase is in force and there are counts
}

type programmeData struct {
	base
	Policy   string
	Revision uint64
	Phases   []phaseData
	Stopped  *stoppedData
	Scope    scopeData
	Undoable bool // a rollback has something to undo
}

// programme shows the phases and the traffic that their rules stop.
func (s *Site) programme(v *visit) error {
	ctx, cancel := context.WithTimeout(v.r.Context(), pageWithin)
	defer cancel()
	r, err := v.phase.ListPhases(ctx, connect.NewRequest(&op25bv1.ListPhasesRequest{}))
	if err != nil {
		return err
	}
	v.Title, v.Section, v.Zone = v.T("programme"), "programme", zone(r.Msg.UtcOffset)
	d := programmeData{base: v.base, Policy: r.Msg.Policy, Revision: r.Msg.Revision}
	d.Stopped = v.stopped(ctx)
	past := v.historyOf(ctx, r.Msg.Revision)
	fleet, err := v.fleet.ListSwitches(ctx, connect.NewRequest(&op25bv1.ListSwitchesRequest{}))
	if err != nil {
		return err
	}
	d.Scope = v.scopeOf(r.Msg, fleet.Msg)
	d.Undoable = v.MayOperate() && v.mayRollBack(ctx)
	standing := v.standing(r.Msg, fleet.Msg)
	still := ahead(r.Msg.Phases)
	next := slices.Index(still, true)
	for i, p := range r.Msg.Phases {
		shown, err := v.phase.ShowPhase(ctx, connect.NewRequest(&op25bv1.ShowPhaseRequest{Phase: p.Name}))
		if err != nil {
			return err
		}
		row := phaseData{
			Name: p.Name, Title: p.Title, From: "-", State: standing.state(i), Where: standing.where(p),
			Current: current(p), Confirmed: len(standing.open(p)) == 0, Next: i == next,
		}
		row.StaysOpen = v.staysOpen(p.StaysOpen)
		if p.Begins != nil {
			row.From = v.At(p.Begins.AsTime())
		}
		for _, rule := range shown.Msg.Rules {
			groups := strings.Join(rule.Groups, ", ")
			if groups == "" {
				groups = v.T("all groups")
			}
			service := rule.Service
			if len(rule.Ports) > 0 {
				service = v.T("in brackets", rule.Service, strings.Trim(strings.ReplaceAll(fmt.Sprint(rule.Ports), " ", v.T("comma")), "[]"))
			}
			row.Rules = append(row.Rules, ruleData{
				Name: rule.Name, Action: rule.Action, NewOnly: p.SynOnly && stopping(rule), Service: service,
				Remote: rule.Remote, Groups: groups, Legs: v.legs(rule),
			})
		}
		row.NewOnly = p.SynOnly && stopsAny(shown.Msg.Rules)
		since, known := past.beginning(p)
		if row.Current {
			row.Begun = v.begun(since, known)
		}
		if !known && p.Begins != nil {
			since.at = p.Begins.AsTime()
		}
		if row.Counts = row.Current && d.Stopped.day != nil; row.Counts {
			row.CountedFrom = v.countedIn(ctx, d.Stopped, p.Name, row.Rules, since.at)
			switch {
			case row.NewOnly:
				row.CountedWhat = v.T("counted drain")
			case stopsAny(shown.Msg.Rules):
				row.CountedWhat = v.T("counted stopped")
			}
		}
		if still[i] {
			row.Forecast = v.forecast(ctx, p.Name, fleet.Msg)
			if stopsAny(shown.Msg.Rules) && cutsOpen(r.Msg.Phases, p) {
				row.Forecast = slices.Insert(row.Forecast, min(1, len(row.Forecast)), v.T("also open"))
			}
		}
		d.Phases = append(d.Phases, row)
	}
	v.render(http.StatusOK, "programme.html", d)
	return nil
}

// mayRollBack reports whether a rollback for all lines has something to undo. It returns true if that is not known; the preview then has the reason.
func (v *visit) mayRollBack(ctx context.Context) bool {
	_, err := v.phase.Preview(ctx, connect.NewRequest(&op25bv1.PreviewRequest{}))
	return connect.CodeOf(err) != connect.CodeFailedPrecondition
}

// stopping reports whether a rule stops traffic.
func stopping(rule *op25bv1.PhaseRule) bool { return rule.Action == "drop" || rule.Action == "reject" }

// stopsAny reports whether one of the rules stops traffic.
func stopsAny(rules []*op25bv1.PhaseRule) bool { return slices.ContainsFunc(rules, stopping) }

// cutsOpen reports whether a phase that stops traffic also stops connections that a phase in force left open. A forecast counts lines, and those
// of the phase in force are already stopped for it.
func cutsOpen(phases []*op25bv1.Phase, next *op25bv1.Phase) bool {
	return !next.SynOnly && slices.ContainsFunc(phases, func(p *op25bv1.Phase) bool { return p != next && p.SynOnly && current(p) })
}

// legs describes the legs of a rule. A rule without legs has the default legs, see PhaseRule.legs.
func (b base) legs(rule *op25bv1.PhaseRule) string {
	legs := rule.Legs
	switch {
	case len(legs) > 0:
	case slices.Contains(rule.Ports, 25):
		legs = []string{"up_dst", "down_src"}
	default:
		legs = []string{"up_dst"}
	}
	words := slices.Clone(legs)
	for i, leg := range legs {
		switch leg {
		case "up_dst":
			words[i] = b.T("leg up_dst")
		case "down_src":
			words[i] = b.T("leg down_src")
		case "down_dst":
			words[i] = b.T("leg down_dst")
		case "up_src":
			words[i] = b.T("leg up_src")
		}
	}
	return strings.Join(words, b.T("semicolon"))
}
