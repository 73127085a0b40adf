package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"op25b/internal/view/prose"
	op25bv1 "op25b/proto/op25b/v1"
)

// Rollout shows a rollout with its rings, why it does not go on, and what the operator can do.
func (t *table) Rollout(r *op25bv1.Rollout, at *timestamppb.Timestamp, utcOffset string) error {
	z := t.zone(utcOffset)
	var b strings.Builder
	what := "phase " + plain(r.Phase) + " for all line groups"
	switch {
	case r.Policy != "":
		what = "the documents of policy " + plain(r.Policy)
	case len(r.Groups) > 0:
		what = "phase " + plain(r.Phase) + " for groups " + list(r.Groups)
	}
	head := fmt.Sprintf("Rollout %s of %s is %s since %s.", plain(r.Id), what, rolloutWord(r.State), z.moment(r.Since))
	b.WriteString(wrapped("", head, 4))
	b.WriteString(wrapped("", fmt.Sprintf("Started by %s: %s", plain(r.Author), plain(r.Reason)), 4))
	if r.SteeredBy != "" {
		b.WriteString(wrapped("", fmt.Sprintf("Last command by %s: %s", plain(r.SteeredBy), plain(r.Note)), 4))
	}
	g := grid{head: []string{"RING", "SWITCHES", "SOAK", "TICKETS", "STATE"}, shrink: []int{0, 4}}
	for i, ring := range r.Rings {
		g.add(ring.Name, prose.Number(len(ring.Switches)), short(ring.GetSoak().AsDuration()), ringTickets(ring), ringState(r, i, at))
	}
	b.WriteString(g.text(t, ""))
	for _, f := range r.Findings {
		b.WriteString(wrapped("  ", findingText(f), 4))
	}
	if next := nextStep(r.State); next != "" {
		b.WriteString(wrapped("", next, 4))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// short returns a duration without units that are 0.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// list joins names from the network.
func list(names []string) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = plain(n)
	}
	return strings.Join(all, ", ")
}

// rolloutWord returns the name of a state.
func rolloutWord(s op25bv1.RolloutState) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.String(), "ROLLOUT_STATE_")), "_", "-")
}

// ringTickets says how many lines of a ring have support tickets.
func ringTickets(r *op25bv1.Ring) string {
	if r.TicketBound == 0 {
		return "not watched"
	}
	text := prose.Number(int(r.TicketLines)) + " of " + prose.Number(int(r.TicketBound))
	if r.UnplacedTickets > 0 {
		text += ", " + prose.Number(int(r.UnplacedTickets)) + " of no line"
	}
	return text
}

// ringState says where a ring is.
func ringState(r *op25bv1.Rollout, i int, at *timestamppb.Timestamp) string {
	what := "phase"
	if r.Policy != "" {
		what = "documents"
	}
	switch hand := int(r.Ring); {
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_DONE:
		return "has the " + what
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_WENT_BACK:
		return "does not have the " + what
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_GOING_BACK && i <= hand:
		return "is to lose the " + what
	case i > hand:
		return "waits"
	case i < hand:
		return "has the " + what
	case r.State == op25bv1.RolloutState_ROLLOUT_STATE_SOAKING:
		return fmt.Sprintf("soaks, %s so far", short(at.AsTime().Sub(r.Since.AsTime())))
	}
	return map[op25bv1.RolloutState]string{
		op25bv1.RolloutState_ROLLOUT_STATE_MEASURING:   "is measured before the change",
		op25bv1.RolloutState_ROLLOUT_STATE_REHEARSING:  "is given the " + what + " for the rehearsal",
		op25bv1.RolloutState_ROLLOUT_STATE_TAKING_BACK: "loses the " + what + " for the rehearsal",
		op25bv1.RolloutState_ROLLOUT_STATE_ADVANCING:   "is given the " + what,
		op25bv1.RolloutState_ROLLOUT_STATE_HELD:        "is held",
		op25bv1.RolloutState_ROLLOUT_STATE_PAUSED:      "is paused",
	}[r.State]
}

// findingText returns a finding in one line.
func findingText(f *op25bv1.Finding) string {
	verdict := map[op25bv1.FindingVerdict]string{
		op25bv1.FindingVerdict_FINDING_VERDICT_NO_DATA: "NO DATA",
		op25bv1.FindingVerdict_FINDING_VERDICT_HOLD:    "HOLDS",
		op25bv1.FindingVerdict_FINDING_VERDICT_GO_BACK: "GOES BACK",
	}[f.Verdict]
	text := verdict + ": " + plain(f.Gate)
	if f.Ring != "" {
		text += ", ring " + plain(f.Ring)
	}
	if len(f.Switches) > 0 {
		shown := f.Switches[:min(len(f.Switches), 5)]
		text += ", " + list(shown)
		if more := len(f.Switches) - len(shown); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
	}
	return text + ": " + plain(f.Text)
}

// nextStep returns what an operator can do.
func nextStep(s op25bv1.RolloutState) string {
	switch s {
	case op25bv1.RolloutState_ROLLOUT_STATE_HELD:
		return "The rollout goes on by itself when missing data arrive. To accept what HOLDS it: op25b rollout resume --reason TEXT. To go back: op25b rollout abort --reason TEXT"
	case op25bv1.RolloutState_ROLLOUT_STATE_PAUSED:
		return "To go on: op25b rollout resume --reason TEXT. To go back: op25b rollout abort --reason TEXT"
	}
	return ""
}

// rolloutChange returns what a rollout brings, in a few words.
func rolloutChange(r *op25bv1.Rollout) string {
	if r.Policy != "" {
		return "documents of " + r.Policy
	}
	return "phase " + r.Phase
}

// Rollouts shows the rollouts, one a line.
func (t *table) Rollouts(r *op25bv1.ListRolloutsResponse) error {
	if len(r.Rollouts) == 0 {
		_, err := io.WriteString(t.w, "There was no rollout yet.\n")
		return err
	}
	z := t.zone(r.UtcOffset)
	g := grid{head: []string{"ID", "CHANGE", "RINGS", "STATE", "SINCE", "BY", "REASON"}, shrink: []int{1, 5, 6}}
	for _, x := range r.Rollouts {
		g.add(x.Id, rolloutChange(x), prose.Number(len(x.Rings)), rolloutWord(x.State), z.moment(x.Since), x.Author, x.Reason)
	}
	_, err := io.WriteString(t.w, g.text(t, ""))
	return err
}
