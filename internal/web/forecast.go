package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// maxMissing is the largest number of missing switches whose names a forecast lists.
const maxMissing = 20

// leastWatched is the shortest time after which the record can show who uses port 25. Many mail programs are not used every day.
const leastWatched = 24 * time.Hour

// ahead reports for each phase whether it has yet to come into force for at least some lines. The phases are ordered by date. Phases before
// the last phase in force are past.
func ahead(phases []*op25bv1.Phase) []bool {
	last := 0
	for i, p := range phases {
		if p.Everywhere || len(p.InForce) > 0 {
			last = i
		}
	}
	still := make([]bool, len(phases))
	for i, p := range phases {
		still[i] = i >= last && !p.Everywhere
	}
	return still
}

// forecast returns sentences about the lines that a phase would newly stop if it came into force now. It returns none if the controller
// cannot be queried.
func (v *visit) forecast(ctx context.Context, phase string, fleet *op25bv1.ListSwitchesResponse) []string {
	r, err := v.abuse.Forecast(ctx, connect.NewRequest(&op25bv1.ForecastRequest{Phase: phase}))
	if err != nil {
		return nil
	}
	all := v.forecastText(r.Msg)
	var blind []string
	for _, s := range fleet.GetSwitches() {
		if waits(s.State) && !slices.Contains(r.Msg.Missing, s.Switch) {
			blind = append(blind, s.Switch)
		}
	}
	if len(blind) > 0 {
		all = append(all, v.T("forecast blind", v.names(blind)))
	}
	return all
}

// forecastText renders the numbers of a forecast, and describes what they do not include.
func (b base) forecastText(r *op25bv1.ForecastResponse) []string {
	var affected, used, one, bots, affectedByLease, usedByLease uint64
	for _, row := range r.Rows {
		affected, used, one, bots = affected+uint64(row.Affected), used+uint64(row.Used), one+uint64(row.OneServer), bots+uint64(row.BotLike)
		affectedByLease, usedByLease = affectedByLease+uint64(row.AffectedByLease), usedByLease+uint64(row.UsedByLease)
	}
	var all []string
	switch {
	case affected > 0 && used == 0:
		all = append(all, b.T("forecast unused", prose.Number(affected), r.Days))
	case affected > 0:
		all = append(all, b.T("forecast", prose.Number(affected), prose.Number(used), r.Days, prose.Number(one), prose.Number(bots)))
	case len(r.Missing) == 0:
		all = append(all, b.T("forecast none"))
	default:
		all = append(all, b.T("forecast none here"))
	}
	if affectedByLease+usedByLease > 0 {
		all = append(all, b.T("forecast lease", prose.Number(affectedByLease), prose.Number(usedByLease)))
	}
	all = append(all, b.T("forecast compared"))
	if r.Since != nil {
		switch watched := b.Now.Sub(r.Since.AsTime()); {
		case watched < leastWatched:
			all = append(all, b.T("forecast too little", b.lasting(max(watched, 0)), b.At(r.Since.AsTime())))
		case watched < time.Duration(r.Days)*24*time.Hour:
			all = append(all, b.T("forecast young", b.lasting(watched), b.At(r.Since.AsTime())))
		default:
			all = append(all, b.T("forecast base", r.Days))
		}
	}
	if r.Incomplete {
		all = append(all, b.T("forecast incomplete"))
	}
	if len(r.Missing) > 0 {
		all = append(all, b.T("forecast missing", b.names(r.Missing)))
	}
	for _, o := range r.Owners {
		all = append(all, b.T("forecast owner", b.names(o.Switches), o.Controller))
	}
	return all
}

// names lists names, and gives the number of names that do not fit.
func (b base) names(all []string) string {
	if len(all) <= maxMissing {
		return strings.Join(all, b.T("comma"))
	}
	return b.T("names and more", strings.Join(all[:maxMissing], b.T("comma")), prose.Number(len(all)-maxMissing))
}
