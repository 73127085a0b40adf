package rollout

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// ticketFinding returns what the gate of tickets says of a ring.
func ticketFinding(bound TicketBound, seen Tickets, now time.Time) Finding {
	gates := DefaultGates()
	gates.Tickets = bound
	for _, f := range gates.Evaluate(Stage{Name: "first", Switches: []string{"a"}}, Reading{Time: now, Tickets: seen}) {
		if f.Gate == TicketsOpened {
			return f
		}
	}
	return Finding{}
}

// TestTickets verifies what the gate says of support tickets, and the text that an operator reads.
func TestTickets(t *testing.T) {
	bound := TicketBound{Lines: 5, Within: 5 * time.Minute}
	at := func(ago time.Duration) time.Time { return epoch.Add(-ago) }
	for _, c := range []struct {
		bound TicketBound
		seen  Tickets
		want  string
	}{
		{TicketBound{}, Tickets{Lines: 100, Unplaced: 100, Full: true}, "pass: support tickets are not watched, because the ring has no bound for them"},
		{bound, Tickets{Lines: 5, Unplaced: 5, Heard: epoch}, "pass: lines with support tickets since the change: 5 of at most 5"},
		{bound, Tickets{Heard: at(5 * time.Minute), Silent: "tokyo"}, "pass: lines with support tickets since the change: 0 of at most 5"},
		{bound, Tickets{Heard: at(5*time.Minute + time.Second), Silent: "tokyo"}, "no-data: the support desk tokyo was last heard 5m1s ago, and must be heard every 5m0s"},
		{bound, Tickets{Silent: "tokyo"}, "no-data: the support desk tokyo was not heard yet, and must be heard every 5m0s"},
		{bound, Tickets{}, "no-data: a support desk was not heard yet, and must be heard every 5m0s"},
		{bound, Tickets{Lines: 6, Heard: epoch}, "hold: lines with support tickets since the change: 6, and at most 5 may have some"},
		{bound, Tickets{Lines: 6, Silent: "tokyo"}, "hold: lines with support tickets since the change: 6, and at most 5 may have some"},
		{bound, Tickets{Unplaced: 6, Heard: epoch}, "hold: support tickets of unknown lines since the change: 6; at most 5 lines may have tickets, and these may be in the ring"},
		{bound, Tickets{Full: true, Heard: epoch}, "hold: there are so many support tickets that no more are recorded"},
	} {
		if got, want := ticketFinding(c.bound, c.seen, epoch).String(), "tickets of ring first: "+c.want; got != want {
			t.Errorf("%+v:\n got %s\nwant %s", c.seen, got, want)
		}
	}
}

// TestTicketsNeverPassUnheard verifies that a ring with a bound passes only if every desk was heard in time and no number is above the bound, and that
// more tickets never make a gate pass.
func TestTicketsNeverPassUnheard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := TicketBound{Lines: rapid.IntRange(1, 20).Draw(t, "bound"), Within: time.Duration(rapid.IntRange(1, 600).Draw(t, "within")) * time.Second}
		age := time.Duration(rapid.IntRange(-60, 1200).Draw(t, "age")) * time.Second
		seen := Tickets{
			Lines: rapid.IntRange(0, 30).Draw(t, "lines"), Unplaced: rapid.IntRange(0, 30).Draw(t, "unplaced"), Heard: epoch.Add(-age), Full: rapid.Bool().Draw(t, "full"),
		}
		if rapid.IntRange(0, 4).Draw(t, "never") == 0 {
			seen.Heard = time.Time{}
		}
		f := ticketFinding(bound, seen, epoch)
		well := !seen.Heard.IsZero() && age <= bound.Within && seen.Lines <= bound.Lines && seen.Unplaced <= bound.Lines && !seen.Full
		if (f.Verdict == Pass) != well || f.Verdict == GoBack || f.Text == "" {
			t.Fatalf("%+v, %+v: %v", bound, seen, f)
		}
		more := seen
		more.Lines += rapid.IntRange(0, 10).Draw(t, "more")
		if next := ticketFinding(bound, more, epoch); f.Verdict != Pass && next.Verdict == Pass {
			t.Fatalf("%+v: %v, and with more tickets %v", seen, f, next)
		}
	})
}
