package compile

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// TestSideBySide verifies that a group that is one phase ahead needs entries only for the rule that differs, and for the more specific rules that
// precede it.
func TestSideBySide(t *testing.T) {
	b := policytest.Example(t)
	in := policy.InForce{Default: "mobile-carriers", Groups: map[string]string{"mobile": "all-destinations", "isdn": "mobile-carriers"}}
	c, err := Compile(b, nil, "edge-1", in, policytest.Moment(t, "2006-08-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	up, down := pipeline.Exactly(pipeline.UpDst), pipeline.Exactly(pipeline.DownSrc)
	smtp, submission, submissions := pipeline.Exactly(serviceSMTP), pipeline.Exactly(serviceSubmission), pipeline.Exactly(serviceSubmissions)
	toRelay, toCarrier, exempt := pipeline.Exactly(classRelay), pipeline.Exactly(classCarrier), pipeline.Exactly(SubscriberExempt)
	mobile := pipeline.Exactly(groupMobile)
	want := map[pipeline.VerdictKey]pipeline.Verdict{
		{Service: smtp, RemoteClass: toRelay, Priority: 7}:                             {Action: pipeline.Permit, Rule: idRelay},
		{Service: submission, RemoteClass: toRelay, Priority: 7}:                       {Action: pipeline.Permit, Rule: idRelay},
		{Service: submissions, RemoteClass: toRelay, Priority: 7}:                      {Action: pipeline.Permit, Rule: idRelay},
		{Service: submission, Priority: 6}:                                             {Action: pipeline.Permit, Rule: idSubmission},
		{Service: submissions, Priority: 6}:                                            {Action: pipeline.Permit, Rule: idSubmission},
		{Service: smtp, SubscriberClass: exempt, Priority: 5}:                          {Action: pipeline.Permit, Rule: idExempt},
		{Group: mobile, Leg: up, Service: smtp, RemoteClass: toCarrier, Priority: 4}:   {Action: pipeline.Drop, Rule: idCarrier},
		{Group: mobile, Leg: down, Service: smtp, RemoteClass: toCarrier, Priority: 4}: {Action: pipeline.Drop, Rule: idCarrier},
		{Group: mobile, Leg: up, Service: smtp, Priority: 3}:                           {Action: pipeline.Drop, Rule: idSMTPAll},
		{Group: mobile, Leg: down, Service: smtp, Priority: 3}:                         {Action: pipeline.Drop, Rule: idSMTPAll},
		{Leg: up, Service: smtp, RemoteClass: toCarrier, Priority: 2}:                  {Action: pipeline.Drop, Rule: idCarrier},
		{Leg: down, Service: smtp, RemoteClass: toCarrier, Priority: 2}:                {Action: pipeline.Drop, Rule: idCarrier},
		{Leg: up, Service: smtp, Priority: 1}:                                          {Action: pipeline.Monitor, Rule: idSMTPAll},
		{Leg: down, Service: smtp, Priority: 1}:                                        {Action: pipeline.Monitor, Rule: idSMTPAll},
	}
	if diff := cmp.Diff(want, c.State.Verdicts); diff != "" {
		t.Errorf("verdicts, -want +got:\n%s", diff)
	}
	if got, want := c.InForce.String(), "mobile-carriers; all-destinations: mobile"; got != want {
		t.Errorf("in force: %q, want %q", got, want)
	}
	for name, want := range map[string]Rule{
		"smtp-carrier": {5, "smtp-carrier", policy.Drop, "smtp (TCP 25) of every line to mobile-carrier is dropped"},
		"smtp-all": {6, "smtp-all", policy.Drop, "smtp (TCP 25) of every other line to any server passes, and is counted as what a drop would stop (phase mobile-carriers); " +
			"smtp (TCP 25) of lines of mobile to any server is dropped (phase all-destinations)"},
	} {
		if got, _ := c.RuleByName(name); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	var stages []string
	for _, s := range c.Staged {
		stages = append(stages, fmt.Sprint(s.Name, " ", len(s.Verdicts)))
	}
	// The phase of group mobile is staged for all groups. With that rule set no group has a phase of its own, so the rule set needs only 10
	// entries.
	if diff := cmp.Diff([]string{"all-destinations 10", "before 14"}, stages); diff != "" {
		t.Errorf("staged, -want +got:\n%s", diff)
	}
}

// TestRulesOf verifies that RulesOf describes what the rules of a phase do to lines in that phase.
func TestRulesOf(t *testing.T) {
	b := policytest.Example(t)
	c, err := NewCompiler(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		phase string
		drain bool
		want  Rule
	}{
		{"mobile-carriers", false, Rule{6, "smtp-all", policy.Monitor, "smtp (TCP 25) of every line to any server passes, and is counted as what a drop would stop"}},
		{"all-destinations", false, Rule{6, "smtp-all", policy.Drop, "smtp (TCP 25) of every line to any server is dropped"}},
		{"all-destinations", true, Rule{6, "smtp-all", policy.Drop, "smtp (TCP 25) of every line to any server is dropped; in the drain, segments without SYN pass and are counted"}},
	} {
		rules, err := c.RulesOf(x.phase, x.drain)
		if err != nil || rules[6] != x.want {
			t.Errorf("%s, drain %v: %v\ngot  %+v\nwant %+v", x.phase, x.drain, err, rules[6], x.want)
		}
	}
	if _, err := c.RulesOf("befor", false); !errors.Is(err, policy.ErrUnknownPhase) {
		t.Errorf("got %v, want ErrUnknownPhase", err)
	}
}

// TestCommonEnd verifies that rules that two phases share at the end are compiled only once.
func TestCommonEnd(t *testing.T) {
	b := policytest.Example(t)
	c, err := Compile(b, nil, "edge-1", policy.InForce{Default: "before", Groups: map[string]string{"mobile": "mobile-carriers"}}, policytest.Moment(t, "2006-08-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	// 6 standing entries, and 2 legs each for smtp-carrier of mobile, smtp-carrier of the other groups, and the shared smtp-all.
	if got := len(c.State.Verdicts); got != 12 {
		t.Errorf("%d entries, want 12", got)
	}
}

// TestNoIdleEntries verifies that a rule has no entry for a group if an earlier rule of the group's phase matches all of the group's segments.
func TestNoIdleEntries(t *testing.T) {
	b := policytest.Example(t)
	rules := &b.Policy.Phases[2].Rules
	*rules = append([]policy.PhaseRule{{Name: "mobile-all", Groups: []string{"mobile"}, Service: "smtp", Action: policy.Reject}}, *rules...)
	c, err := Compile(b, nil, "edge-1", policy.InForce{Default: "before", Groups: map[string]string{"mobile": "all-destinations"}}, policytest.Moment(t, "2006-08-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.State.Verdicts); got != 12 { // 6 standing entries, and 2 legs each for mobile-all and the two rules of phase before
		t.Errorf("%d entries, want 12", got)
	}
}

// TestFewestEntries verifies that the default phase is not the base if nearly all groups are in another phase.
func TestFewestEntries(t *testing.T) {
	b := policytest.Example(t)
	in := policy.InForce{Default: "before", Groups: map[string]string{}}
	for _, g := range b.Policy.LineGroups {
		in.Groups[g.Name] = "all-destinations"
	}
	c, err := Compile(b, nil, "edge-1", in, policytest.Moment(t, "2006-08-01T00:00:00Z"))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.State.Verdicts); got != 14 { // 6 standing entries, 4 for unnamed lines, 4 for all groups
		t.Errorf("%d entries, want 14", got)
	}
}

// TestDrainSideBySide verifies that a switch does not drain if a phase without drain is in force for a group that has lines on the switch.
func TestDrainSideBySide(t *testing.T) {
	b := policytest.Example(t)
	b.Policy.Phases[2].SynOnly = true
	for _, x := range []struct {
		in   policy.InForce
		want bool
	}{
		{policy.Everywhere("all-destinations"), true},
		{policy.Everywhere("before"), false},
		{policy.InForce{Default: "all-destinations", Groups: map[string]string{"mobile": "before"}}, false},
		{policy.InForce{Default: "all-destinations", Groups: map[string]string{"isdn": "before"}}, true}, // group isdn has no line on this switch
		{policy.InForce{Default: "before", Groups: map[string]string{"mobile": "all-destinations"}}, false},
	} {
		c, err := Compile(b, nil, "edge-1", x.in, policytest.Moment(t, "2006-08-01T00:00:00Z"))
		if err != nil {
			t.Fatal(err)
		}
		if c.State.SynOnly != x.want {
			t.Errorf("%v: SynOnly is %v", x.in, c.State.SynOnly)
		}
	}
}

// TestSideBySideRefused verifies that Compile refuses unknown names, and refuses phases that together need more than policy.MaxVerdicts entries.
func TestSideBySideRefused(t *testing.T) {
	b := policytest.Example(t)
	for want, x := range map[string]struct {
		groups map[string]string
		kind   error
	}{
		`unknown line group "mobil"; did you mean "mobile"? line groups: adsl, isdn, bflets, hikari-premium, mobile`: {map[string]string{"mobil": "before"}, policy.ErrUnknownGroup},
		`unknown phase "befor"; did you mean "before"? phases: before, mobile-carriers, all-destinations`:            {map[string]string{"mobile": "befor"}, policy.ErrUnknownPhase},
	} {
		_, err := Compile(b, nil, "edge-1", policy.InForce{Default: "before", Groups: x.groups}, time.Time{})
		if !errors.Is(err, x.kind) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	p := b.Policy
	in := policy.InForce{Default: "before", Groups: map[string]string{}}
	for i := len(p.LineGroups); i < 125; i++ {
		p.LineGroups = append(p.LineGroups, policy.LineGroup{Name: fmt.Sprintf("g%d", i)})
	}
	for i, g := range p.LineGroups {
		if i < 62 {
			in.Groups[g.Name] = "all-destinations"
		}
	}
	c, err := Compile(b, nil, "edge-1", in, time.Time{})
	const want = `compile switch "edge-1": invalid policy or inventory: phases before and all-destinations side by side need 258 verdict entries, ` +
		`and a switch has room for 256; put fewer line groups in a phase of their own`
	if !errors.Is(err, policy.ErrInvalid) || err.Error() != want {
		t.Errorf("got  %v, %v\nwant %s", c, err, want)
	}
}
