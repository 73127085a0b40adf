package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	op25bv1 "op25b/proto/op25b/v1"
)

// Lines are listed in parts, by group, switch and state. A line is confirmed only if its switch has confirmed its phase at the current revision. //
// I11
func TestListLines(t *testing.T) {
	w := newWorld(t, nil)
	in := w.put(spinnet(t))
	c := op25bv1.NewFleetServiceClient(w.dial())
	list := func(q *op25bv1.ListLinesRequest) (string, uint32) {
		t.Helper()
		var all []string
		for {
			r, err := c.ListLines(within(t), q)
			if err != nil {
				t.Fatal(q, err)
			}
			for _, l := range r.Lines {
				all = append(all, fmt.Sprintf("%s %s %s", l.Line, l.Phase, strings.TrimPrefix(l.State.String(), "LINE_STATE_")))
			}
			if q.After = r.Next; r.Next == "" {
				return strings.Join(all, ", "), r.Total
			}
		}
	}
	const every = "adsl-home before NOT_CONFIRMED, adsl-bot before NOT_CONFIRMED, business-fixed before NOT_CONFIRMED, mobile-sim before NOT_CONFIRMED"
	if got, n := list(&op25bv1.ListLinesRequest{Limit: 1}); got != every || n != 4 {
		t.Errorf("%d: %s", n, got)
	}
	w.switches.tell(&op25bv1.SwitchStatus{Switch: "edge-1", State: op25bv1.SwitchState_SWITCH_STATE_CONVERGED, Converged: true, Revision: in.Number, Wanted: in.Number, InForce: "before; mobile-carriers: mobile"})
	for _, x := range []struct {
		q    *op25bv1.ListLinesRequest
		want string
	}{
		{&op25bv1.ListLinesRequest{Groups: []string{"adsl"}, Switches: []string{"edge-1"}}, "adsl-home before CONFIRMED, adsl-bot before CONFIRMED"},
		{&op25bv1.ListLinesRequest{State: op25bv1.LineState_LINE_STATE_NOT_CONFIRMED}, "mobile-sim before NOT_CONFIRMED"},
		{&op25bv1.ListLinesRequest{State: op25bv1.LineState_LINE_STATE_NO_PHASE}, ""},
		{&op25bv1.ListLinesRequest{Exempt: true}, "business-fixed before CONFIRMED"},
	} {
		if got, _ := list(x.q); got != x.want {
			t.Errorf("%v: %s, want %s", x.q, got, x.want)
		}
	}
	for _, bad := range []*op25bv1.ListLinesRequest{{Groups: []string{"x"}}, {Switches: []string{"x"}}, {After: "x"}, {Limit: 1001}} {
		if _, err := c.ListLines(within(t), bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// A line is found by its name, with its exemptions, its phase and the rules for its mail, and the audit chain has a record of it.
func TestFindLine(t *testing.T) {
	w := newWorld(t, nil)
	w.put(spinnet(t))
	c := op25bv1.NewSubscriberServiceClient(w.dial())
	r, err := c.FindAddress(within(t), &op25bv1.FindAddressRequest{Line: "business-fixed"})
	if err != nil || !r.Found || r.Switch != "edge-1" || r.LineGroup != "bflets" || r.Phase != "before" || r.PhaseConfirmed || len(r.Exemptions) != 1 || r.Exemptions[0].Line != "business-fixed" {
		t.Fatal(r, err)
	}
	var rules []string
	for _, rule := range r.Rules {
		rules = append(rules, rule.Remote+" "+rule.Action+" "+rule.Rule)
	}
	if !slices.Equal(rules, []string{"mobile-carrier monitor smtp-carrier", "any monitor smtp-all"}) {
		t.Errorf("the rules are %q", rules)
	}
	if _, err := c.FindAddress(within(t), &op25bv1.FindAddressRequest{Line: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown line: %v", err)
	}
	if _, err := c.FindAddress(within(t), &op25bv1.FindAddressRequest{Line: "adsl-home", Address: "192.0.2.1"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("both: %v", err)
	}
	if got := w.lookups(2); len(got) < 1 || !strings.Contains(got[0], "find|line business-fixed||by its name, revision 1") {
		t.Errorf("the audit chain has %q", got)
	}
}
