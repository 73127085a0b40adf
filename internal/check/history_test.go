package check_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"op25b/examples"
	"op25b/internal/check"
	"op25b/internal/compile"
	"op25b/internal/policy"
)

// twoEdges returns the worked example with a second switch, edge-2, that has a single line.
func twoEdges(t testing.TB) *policy.Bundle {
	t.Helper()
	b := bundle(t, examples.SpinNet2006())
	far := b.Inventory.Switches[0].Lines[0]
	far.Name, far.MACs, far.Prefixes = "adsl-far", nil, nil
	second := b.Inventory.Switches[0]
	second.Name, second.DeviceID, second.Lines, second.RejectFrom = "edge-2", 2, []policy.Line{far}, nil
	b.Inventory.Switches = append(b.Inventory.Switches, second)
	if err := policy.Validate(t.Context(), b.Policy, b.Inventory); err != nil {
		t.Fatal(err)
	}
	return b
}

func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// rollout contains a phase that is activated early for one group on edge-1, the activation of an earlier phase for the same group, and a
// phase that keeps edge-2 behind.
var rollout = []policy.Activation{
	{Phase: "all-destinations", Groups: []string{"adsl"}, Switches: []string{"edge-1"}, At: moment("2006-08-01T05:03:00Z")},
	{Phase: "before", Switches: []string{"edge-2"}, At: moment("2006-07-01T00:00:00+09:00")},
	{Phase: "mobile-carriers", Groups: []string{"adsl"}, Switches: []string{"edge-1"}, At: moment("2006-08-20T00:00:00+09:00")},
}

const (
	carrier = "203.0.113.25"
	other   = "203.0.113.129"
)

// TestActivations verifies that the phase, Since and Next in an answer are those of the line's group on the line's switch. The dates are
// those of TestProgrammeOf2006.
func TestActivations(t *testing.T) {
	c := check.New(check.Source{Bundle: twoEdges(t), Activations: rollout}, check.Options{})
	const nobody = "10.1.1.1" // an address that belongs to no line
	for _, tc := range []struct {
		named, at, line, to string
		phase               string
		outcome             check.Outcome
		since, next         string
	}{
		{"", "2006-07-01", "adsl-bot", other, "mobile-carriers 06-01", check.Monitored, "before 05-18", "all-destinations 08-01 14:03 blocked"},
		{"", "2006-08-10", "adsl-bot", other, "all-destinations 08-01 14:03", check.Blocked, "all-destinations 08-01 14:03", "mobile-carriers 08-20 monitored"},
		{"", "2006-09-01", "adsl-bot", other, "mobile-carriers 08-20", check.Monitored, "mobile-carriers 08-20", "all-destinations 10-01 blocked"},
		// All phases since June block this connection, so the outcome has not changed since then.
		{"", "2006-09-01", "adsl-bot", carrier, "mobile-carriers 08-20", check.Blocked, "mobile-carriers 06-01", ""},
		// The activation affects neither another group on the same switch nor an unnamed line.
		{"", "2006-08-10", "mobile-sim", other, "mobile-carriers 06-01", check.Monitored, "before 05-18", "all-destinations 10-01 blocked"},
		{"", "2006-08-10", nobody, other, "mobile-carriers 06-01", check.Monitored, "before 05-18", "all-destinations 10-01 blocked"},
		// The activation does not affect the same group on the other switch.
		{"", "2006-08-10", "adsl-far", other, "before 07-01", check.Monitored, "before 05-18", "all-destinations 10-01 blocked"},
		{"", "2006-08-10", "adsl-far", carrier, "before 07-01", check.Monitored, "before 07-01", "all-destinations 10-01 blocked"},
		// A question that names a phase is answered for the phase's last period that began before the time of the question, or else for its
		// first period.
		{"all-destinations", "2006-12-01", "adsl-bot", other, "all-destinations 10-01", check.Blocked, "all-destinations 10-01", ""},
		{"all-destinations", "2006-09-01", "adsl-bot", other, "all-destinations 08-01 14:03", check.Blocked, "all-destinations 08-01 14:03", "mobile-carriers 08-20 monitored"},
		{"all-destinations", "2006-07-01", "adsl-bot", other, "all-destinations 08-01 14:03", check.Blocked, "all-destinations 08-01 14:03", "mobile-carriers 08-20 monitored"},
		{"before", "2006-12-01", "adsl-bot", carrier, "before 05-18", check.Monitored, "before 05-18", "mobile-carriers 06-01 blocked"},
	} {
		q := check.Question{Line: tc.line, To: tc.to, Port: 25, At: day(tc.at), Phase: tc.named}
		if tc.line == nobody {
			q.Line, q.From, q.Switch = "", addr(nobody), "edge-1"
		}
		a := ask(t, c, q)
		r := a.Results[0]
		next := ""
		if r.Next != nil {
			next = fmt.Sprint(stamped(r.Next.Phase), " ", r.Next.Outcome)
		}
		if stamped(a.Phase) != tc.phase || a.Outcome != tc.outcome || stamped(r.Since) != tc.since || next != tc.next {
			t.Errorf("%s %q %s -> %s:\nin %s %s, since %s, next %q\nwant %+v", tc.at, tc.named, tc.line, tc.to, stamped(a.Phase), a.Outcome, stamped(r.Since), next, tc)
		}
		// The text of the rule describes its effect on this line only, without the phases of other lines.
		want := map[check.Outcome]policy.Action{check.Blocked: policy.Drop, check.Monitored: policy.Monitor}[tc.outcome]
		if r.Rule.Action != want || strings.Contains(r.Rule.Text, "phase") {
			t.Errorf("%s %s -> %s: %+v", tc.at, tc.line, tc.to, r.Rule)
		}
	}
}

// stamped returns the name of a phase with the month, day and time at which it began.
func stamped(p check.Phase) string {
	return p.Name + " " + strings.TrimSuffix(p.Since.Format("01-02 15:04"), " 00:00")
}

// TestWayBackThatIsNotKnown covers the line adsl-far, which has neither tags nor a station, so that the switch treats replies to it as
// replies to an unnamed line. While the line's group is in an earlier phase, the phase of unnamed lines decides about the replies.
func TestWayBackThatIsNotKnown(t *testing.T) {
	acts := []policy.Activation{
		{Phase: "before", Groups: []string{"adsl"}, Switches: []string{"edge-2"}, At: moment("2006-07-01T00:00:00+09:00")},
		{Phase: "before", At: moment("2006-08-01T00:00:00+09:00")}, // the group is already in this phase
	}
	c := check.New(check.Source{Bundle: twoEdges(t), Activations: acts}, check.Options{})
	const note = `the switch cannot assign replies to line "adsl-far" and takes them for an unnamed line's: phase mobile-carriers decides`
	for _, tc := range []struct {
		at, phase   string
		outcome     check.Outcome
		leg         policy.Leg
		since, next string
		noted       bool
	}{
		{"2006-06-15", "mobile-carriers 06-01", check.Blocked, policy.UpDst, "mobile-carriers 06-01", "mobile-carriers 07-01 blocked", false},
		{"2006-07-15", "before 07-01", check.Blocked, policy.DownSrc, "mobile-carriers 07-01", "before 08-01 monitored", true},
		{"2006-08-15", "before 07-01", check.Monitored, policy.UpDst, "before 08-01", "all-destinations 10-01 blocked", false},
	} {
		a := ask(t, c, check.Question{Line: "adsl-far", To: carrier, Port: 25, At: day(tc.at)})
		r := a.Results[0]
		next := fmt.Sprint(stamped(r.Next.Phase), " ", r.Next.Outcome)
		if stamped(a.Phase) != tc.phase || a.Outcome != tc.outcome || r.Leg != tc.leg || stamped(r.Since) != tc.since || next != tc.next {
			t.Errorf("%s: in %s %s on %s, since %s, next %s; want %+v", tc.at, stamped(a.Phase), a.Outcome, r.Leg, stamped(r.Since), next, tc)
		}
		if slices.Contains(a.Notes, note) != tc.noted || strings.HasSuffix(r.Rule.Text, "is dropped") != (tc.outcome == check.Blocked) {
			t.Errorf("%s: rule %+v, notes %q", tc.at, r.Rule, a.Notes)
		}
	}
}

// TestPhaseThatNeverCame activates a phase at exactly the date of another phase. The activation must take precedence, and a question that
// names the other phase must be answered for its date.
func TestPhaseThatNeverCame(t *testing.T) {
	acts := []policy.Activation{{Phase: "before", At: moment("2006-06-01T00:00:00+09:00")}}
	c := check.New(check.Source{Bundle: twoEdges(t), Activations: acts}, check.Options{})
	q := check.Question{Line: "adsl-bot", To: carrier, Port: 25, At: day("2006-07-01")}
	if a := ask(t, c, q); a.Phase.Name != "before" || !a.Phase.Since.Equal(moment("2006-05-18T00:00:00+09:00")) || a.Results[0].Next.Name != "all-destinations" {
		t.Errorf("in force %+v, next %+v", a.Phase, a.Results[0].Next)
	}
	q.Phase = "mobile-carriers"
	a := ask(t, c, q)
	if r := a.Results[0]; a.Outcome != check.Blocked || stamped(a.Phase) != "mobile-carriers 06-01" || r.Since != a.Phase || r.Next != nil {
		t.Errorf("%s in %s, since %s, next %+v", a.Outcome, stamped(a.Phase), stamped(r.Since), r.Next)
	}
}

// TestNothingInForceYet activates a phase for a group before the first phase of the switch begins. The activation must take effect only
// when that phase begins.
func TestNothingInForceYet(t *testing.T) {
	acts := []policy.Activation{{Phase: "mobile-carriers", Groups: []string{"mobile"}, At: moment("2006-05-01T00:00:00+09:00")}}
	c := check.New(check.Source{Bundle: twoEdges(t), Activations: acts}, check.Options{})
	_, err := c.Ask(t.Context(), check.Question{Line: "mobile-sim", To: carrier, Port: 25, At: day("2006-05-10")})
	const want = `no phase in force at 2006-05-10T09:00:00+09:00 on switch "edge-1": the first, "mobile-carriers", begins at 2006-05-18T00:00:00+09:00`
	if !errors.Is(err, check.ErrNoPhase) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestPhasesThatNoSwitchHolds verifies that a question fails if the phases in force at its time need more entries than the switch has room
// for. Questions about other times must skip such a period.
func TestPhasesThatNoSwitchHolds(t *testing.T) {
	b := twoEdges(t)
	early := policy.Activation{Phase: "all-destinations", At: moment("2006-07-01T00:00:00Z")}
	for i := len(b.Policy.LineGroups); i < 125; i++ {
		b.Policy.LineGroups = append(b.Policy.LineGroups, policy.LineGroup{Name: fmt.Sprintf("g%d", i)})
	}
	for _, g := range b.Policy.LineGroups[:62] {
		early.Groups = append(early.Groups, g.Name)
	}
	c := check.New(check.Source{Bundle: b, Activations: []policy.Activation{early, {Phase: "mobile-carriers", At: moment("2006-07-02T00:00:00Z")}}}, check.Options{})
	q := check.Question{Line: "adsl-bot", To: other, Port: 25, At: moment("2006-07-01T12:00:00Z")}
	if _, err := c.Ask(t.Context(), q); !errors.Is(err, policy.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	for _, at := range []string{"2006-06-15", "2006-07-03"} {
		q.At = day(at)
		if r := ask(t, c, q).Results[0]; r.Outcome != check.Monitored || r.Since.Name != "before" || r.Next == nil || !r.Next.Since.Equal(moment("2006-10-01T00:00:00+09:00")) {
			t.Errorf("%s: %s since %s, next %+v", at, r.Outcome, stamped(r.Since), r.Next)
		}
	}
}

// apart returns numbers that differ from the positions of the names, as they do after many changes of the documents.
func apart(t testing.TB, b *policy.Bundle) *compile.Numbers {
	t.Helper()
	n, err := compile.Number(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	turn := func(given compile.Given) compile.Given {
		most := uint16(0)
		for _, x := range given {
			most = max(most, x.Number)
		}
		given = maps.Clone(given)
		for name, x := range given {
			x.Number = 2*most + 3 - x.Number
			given[name] = x
		}
		return given
	}
	n.LineGroups, n.Services, n.Remotes, n.Rules = turn(n.LineGroups), turn(n.Services), turn(n.Remotes), turn(n.Rules)
	for name, lines := range n.Lines {
		n.Lines[name] = turn(lines)
	}
	return n
}

// TestNumbersAreNotPositions verifies that the numbers determine the rule id in an answer and nothing else.
func TestNumbersAreNotPositions(t *testing.T) {
	b := twoEdges(t)
	numbers := apart(t, b)
	plain := check.New(check.Source{Bundle: b, Activations: rollout}, check.Options{})
	numbered := check.New(check.Source{Bundle: b, Numbers: numbers, Activations: rollout}, check.Options{})
	for _, line := range []string{"adsl-bot", "business-fixed"} {
		for _, to := range []string{carrier, other, "198.51.100.25"} {
			for _, port := range []uint16{25, 587} {
				q := check.Question{Line: line, To: to, Port: port, At: day("2006-08-10")}
				want, got := ask(t, plain, q), ask(t, numbered, q)
				if n, ofPhase := numbers.Rules[got.Results[0].Rule.Name]; ofPhase {
					if id := got.Results[0].Rule.ID; uint16(id) != n.Number || id == want.Results[0].Rule.ID {
						t.Errorf("%+v: rule %s has id %d, want %d", q, got.Results[0].Rule.Name, id, n.Number)
					}
					want.Results[0].Rule.ID = got.Results[0].Rule.ID
				}
				if want, got := asJSON(t, want), asJSON(t, got); got != want {
					t.Errorf("%+v:\n%s\nwant\n%s", q, got, want)
				}
			}
		}
	}
}

// TestNumbersOfOtherDocuments verifies that a question about a source that does not compile returns the compiler's error.
func TestNumbersOfOtherDocuments(t *testing.T) {
	b := twoEdges(t)
	n := apart(t, b)
	delete(n.Remotes, "mobile-carrier")
	_, err := check.New(check.Source{Bundle: b, Numbers: n}, check.Options{}).Ask(t.Context(), check.Question{Line: "adsl-bot", To: other, Port: 25, At: day("2006-08-10")})
	if !errors.Is(err, compile.ErrNumbers) || !strings.Contains(err.Error(), `remote class "mobile-carrier" has none`) {
		t.Errorf("got %v, want ErrNumbers of mobile-carrier", err)
	}
}
