package compile

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/policy/policytest"
)

// leaseBundle returns the network of the worked example, whose own servers are closed to port 587 without a login. ADSL lines and addresses
// outside all lines have one lease, and mobile lines another.
func leaseBundle(t testing.TB) *policy.Bundle {
	b := policytest.Example(t)
	p := b.Policy
	p.Remotes[0].Name, p.Remotes[0].Relay, p.Remotes[0].Own = "own", false, true
	p.Leases = []policy.Lease{
		{Name: "pop", Opens: []string{"own"}, For: policy.MinLease, Cap: policy.MaxLease, Groups: []string{"adsl"}, Addresses: true},
		{Name: "mobile-pop", Opens: []string{"own"}, For: policy.MinLease, Cap: policy.MaxLease, Groups: []string{"mobile"}},
	}
	ph := &p.Phases[2]
	ph.OwnServices = []string{"smtp", "submissions"}
	ph.Rules = append([]policy.PhaseRule{
		{Name: "own-leased", Subscriber: policy.Leased, Service: "submission", Remote: "own", Action: policy.Permit},
		{Name: "own-submission", Service: "submission", Remote: "own", Action: policy.Reject},
	}, ph.Rules...)
	if err := policy.Validate(t.Context(), p, b.Inventory); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLeasedRule verifies the entries and the text of a rule for leased subscribers: one entry for each lease and each of its groups, in which group
// 0 has the addresses outside all lines, and the same groups for exempt subscribers.
func TestLeasedRule(t *testing.T) {
	b := leaseBundle(t)
	c, err := Compile(b, nil, "edge-1", policy.Everywhere("all-destinations"), october)
	if err != nil {
		t.Fatal(err)
	}
	rule, ok := c.RuleByName("own-leased")
	if want := "submission (TCP 587) of every line with a lease (pop, mobile-pop) or an exemption to own passes"; !ok || rule.Text != want {
		t.Errorf("got  %s\nwant %s", rule.Text, want)
	}
	closing, _ := c.RuleByName("own-submission")
	type holder struct {
		group string
		class pipeline.Class
	}
	got := make(map[holder]bool)
	for key, v := range c.State.Verdicts {
		switch v.Rule {
		case rule.ID:
			if v.Action != pipeline.Permit || !key.Group.Set || key.Leg != pipeline.Exactly(pipeline.UpDst) || key.RemoteClass != pipeline.Exactly[pipeline.Class](1) {
				t.Errorf("entry %+v, %+v", key, v)
			}
			got[holder{c.LineGroups[key.Group.Value].Name, key.SubscriberClass.Value}] = true
		case closing.ID:
			for other, w := range c.State.Verdicts {
				if w.Rule == rule.ID && other.Priority <= key.Priority {
					t.Errorf("the rule that closes has priority %d, and the rule for leased subscribers %d", key.Priority, other.Priority)
				}
			}
		}
	}
	want := map[holder]bool{
		{"adsl", 1}: true, {"", 1}: true, {"mobile", 1}: true, // exempt
		{"adsl", 2}: true, {"", 2}: true, {"mobile", 3}: true,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(holder{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLeasesKeepClasses verifies that a lease keeps its subscriber class when leases before it come and go. A switch can have entries of a lease
// when the policy changes, and they must not open what another lease opens.
func TestLeasesKeepClasses(t *testing.T) {
	b := leaseBundle(t)
	n, err := Number(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	classes := func() (all []string) {
		c, err := Compile(b, n, "edge-1", policy.Everywhere("before"), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for class := range pipeline.Class(6) {
			all = append(all, c.Leases[class].Name)
		}
		return all
	}
	if got := classes(); !slices.Equal(got, []string{"", "", "pop", "mobile-pop", "", ""}) {
		t.Errorf("classes are %q", got)
	}
	fresh := b.Policy.Leases[0]
	fresh.Name = "fresh"
	b.Policy.Leases = []policy.Lease{fresh, b.Policy.Leases[1]}
	if _, err := NewCompiler(b, n); err == nil {
		t.Error("a lease without a number compiles")
	}
	if n, err = Number(n, b); err != nil {
		t.Fatal(err)
	}
	if got := classes(); !slices.Equal(got, []string{"", "", "", "mobile-pop", "fresh", ""}) {
		t.Errorf("classes are %q", got)
	}
}
