package web

import (
	"cmp"
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// countedData has what the rules of a switch counted in the last hour and in the last day.
type countedData struct {
	NoHistory bool // the controller keeps no history
	Empty     bool // a part of the day was recorded, and no rule counted in it
	Rules     []countedRow
	Recorded  []string // a sentence for the hour and one for the day
}

// A countedRow has the packets that a rule counted in a phase on a leg. A count is "-" if no part of its time was recorded.
type countedRow struct{ Name, Leg, Phase, Hour, Day string }

// counted returns what the rules of a switch counted lately. It returns nil if the controller does not answer for the switch.
func (v *visit) counted(ctx context.Context, name string) *countedData {
	var counts [2]*op25bv1.CountedSince
	for i, since := range []time.Duration{time.Hour, 24 * time.Hour} {
		r, err := v.telemetry.ListCounters(ctx, connect.NewRequest(&op25bv1.ListCountersRequest{Switches: []string{name}, Since: durationpb.New(since)}))
		switch {
		case connect.CodeOf(err) == connect.CodeFailedPrecondition:
			return &countedData{NoHistory: true}
		case err != nil, len(r.Msg.Switches) == 0, r.Msg.Switches[0].Counted == nil:
			return nil
		}
		counts[i] = r.Msg.Switches[0].Counted
	}
	d := &countedData{Recorded: []string{v.recorded(v.T("last hour"), counts[0]), v.recorded(v.T("last day"), counts[1])}}
	type key struct{ rule, leg, phase string }
	var order []key
	packets := [2]map[key]string{{}, {}}
	for i, c := range counts {
		for _, n := range c.Rules {
			k := key{n.Rule, n.Leg, n.Phase}
			if !slices.Contains(order, k) {
				order = append(order, k)
			}
			packets[i][k] = prose.Number(n.Packets)
		}
	}
	for _, k := range order {
		d.Rules = append(d.Rules, countedRow{k.rule, k.leg, k.phase, cmp.Or(packets[0][k], nothing(counts[0])), cmp.Or(packets[1][k], nothing(counts[1]))})
	}
	d.Empty = len(order) == 0 && counts[1].Recorded.AsDuration() > 0
	return d
}

// nothing is the count of a rule that an answer leaves out.
func nothing(c *op25bv1.CountedSince) string {
	if c.Recorded.AsDuration() == 0 {
		return "-"
	}
	return "0"
}

// recorded says how much of a time was recorded. All of it was recorded if less than half a minute is missing, which a record of whole minutes cannot
// tell, and less than a tenth: of a short time, half a minute is a whole switch that was not recorded.
func (b base) recorded(when string, c *op25bv1.CountedSince) string {
	whole, part := c.To.AsTime().Sub(c.From.AsTime()), c.Recorded.AsDuration()
	missing := whole - part
	switch {
	case part == 0:
		return b.T("recorded none", when)
	case missing < time.Minute/2 && missing < whole/10 || missing <= 0:
		return b.T("recorded all", when)
	}
	whole = whole.Round(time.Minute)
	shown := part.Round(time.Minute)
	if shown >= whole {
		shown = part.Truncate(time.Minute)
	}
	return b.T("recorded part", when, b.lasting(shown), b.lasting(whole))
}

// lasting renders a duration in hours and minutes, or from three days on in days and hours.
func (b base) lasting(d time.Duration) string {
	hours, minutes := int(d.Hours()), int(d.Minutes())%60
	switch {
	case d < time.Minute:
		return b.T("under a minute")
	case hours >= 72 && hours%24 == 0:
		return b.T("days", hours/24)
	case hours >= 72:
		return b.T("days and hours", hours/24, hours%24)
	case hours == 0:
		return b.T("minutes", minutes)
	case minutes == 0:
		return b.T("hours", hours)
	}
	return b.T("hours and minutes", hours, minutes)
}
