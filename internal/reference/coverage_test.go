package reference_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reference"
	"op25b/internal/reference/generate"
)

// TestGeneratorReachesEverything verifies that the generator draws every case that the comparison must cover. The seed is fixed, so the result
// changes only if the generator changes.
func TestGeneratorReachesEverything(t *testing.T) {
	const policies, frames = 160, 125
	r := rand.New(rand.NewPCG(25, 587))
	seen := map[string]int{}
	lineMail := 0
	for range policies {
		p, inv := generate.Documents(r)
		world := generate.NewWorld(p, inv, generate.SwitchName)
		phase := &p.Phases[r.IntN(len(p.Phases))]
		m := reference.New(p, inv, generate.SwitchName, phase.Name, generate.Now())
		for _, e := range generate.Endings(r, p, inv, generate.SwitchName, []pipeline.ClockSecond{0}) {
			e.AddTo(m)
		}
		at := time.Duration(0)
		for range frames {
			port, frame := world.Frame(r)
			at += time.Duration(r.IntN(200_000)) * time.Microsecond
			d := m.Decide(at, port, frame)
			for _, what := range reached(d, phase) {
				seen[what]++
			}
			if d.Shape == reference.TCP && d.LineIndex != 0 {
				lineMail++
			}
		}
	}
	for _, what := range everything() {
		if seen[what] == 0 {
			t.Errorf("none of %d frames: %s", policies*frames, what)
		}
	}
	if share := float64(lineMail) / (policies * frames); share < 0.5 {
		t.Errorf("%.0f%% of the frames are a known line's and show their ports, want half", 100*share)
	}
	if testing.Verbose() {
		for _, what := range everything() {
			t.Logf("%6d %s", seen[what], what)
		}
	}
}

// reached returns the names of the cases that a decision covers.
func reached(d reference.Decision, phase *policy.Phase) []string {
	what := []string{fmt.Sprintf("shape %s", d.Shape), fmt.Sprintf("way %s", d.Way)}
	if d.Why != "" {
		what = append(what, fmt.Sprintf("fault %s", d.Why))
	}
	if !d.Asked {
		return what
	}
	what = append(what, fmt.Sprintf("rule %s", ruleKind(d.Rule)), fmt.Sprintf("outcome %d", d.Outcome))
	if d.Leg != reference.NoLeg {
		what = append(what, fmt.Sprintf("leg %s", d.Leg))
		if d.Rule >= reference.FirstPolicyRule && d.Rule < reference.LaterFragmentRule {
			what = append(what, fmt.Sprintf("%s on leg %s", d.Verdict, d.Leg))
		}
	}
	if d.Rule >= reference.LaterFragmentRule {
		what = append(what, fmt.Sprintf("%s by rule %s", d.Verdict, ruleKind(d.Rule)))
	}
	if d.Rejected {
		what = append(what, "rejected, answered "+family(d.Out[0].Frame))
	} else if d.Verdict == reference.Reject {
		what = append(what, "rejected in silence")
	}
	if d.Unsolicited != reference.NotAnswer {
		what = append(what, fmt.Sprintf("SYN-ACK %s", d.Unsolicited))
	}
	if d.Flow != nil {
		what = append(what, fmt.Sprintf("flow, SYN-ACK %t", d.Flow.SYNACK))
	}
	if d.Timed {
		what = append(what, "a token bucket decides")
	} else if d.Verdict == reference.Limit {
		what = append(what, fmt.Sprintf("limit without a bucket, passes %t", d.Passes))
	}
	i := slices.IndexFunc(phase.Rules, func(r policy.PhaseRule) bool { return r.Name == d.RuleName })
	if i >= 0 && phase.Rules[i].Leased() {
		what = append(what, "a rule for leased subscribers")
	}
	if i >= 0 && d.Verdict == reference.Monitor && phase.Rules[i].Action != policy.Monitor {
		what = append(what, "softened by the drain")
	}
	if d.LineIndex == 0 {
		what = append(what, "the unnamed line")
	}
	return what
}

// everything lists the names of all cases.
func everything() []string {
	var all []string
	for _, s := range reference.Shapes() {
		all = append(all, fmt.Sprintf("shape %s", s))
	}
	for _, f := range slices.Concat(reference.UndeterminedFaults(), reference.TinyFaults()) {
		all = append(all, fmt.Sprintf("fault %s", f))
	}
	for _, w := range reference.Ways() {
		all = append(all, fmt.Sprintf("way %s", w))
	}
	for _, rule := range []uint8{
		0, reference.FailClosedRule, reference.RelayRule, reference.SubmissionRule, reference.ExemptRule, reference.FirstPolicyRule,
		reference.LaterFragmentRule, reference.TinyFragmentRule, reference.UndeterminedRule, reference.SpoofedRule,
	} {
		all = append(all, fmt.Sprintf("rule %s", ruleKind(rule)))
	}
	for _, leg := range []reference.Leg{reference.UpDst, reference.UpSrc, reference.DownSrc, reference.DownDst} {
		all = append(all, fmt.Sprintf("leg %s", leg))
		for _, v := range []reference.Verdict{reference.Permit, reference.Monitor, reference.Limit, reference.Reject, reference.Drop} {
			all = append(all, fmt.Sprintf("%s on leg %s", v, leg))
		}
	}
	return append(all,
		"monitor by rule later-fragment", "drop by rule later-fragment", "drop by rule tiny-fragment", "permit by rule undetermined",
		"monitor by rule undetermined", "drop by rule undetermined", "monitor by rule spoofed", "drop by rule spoofed",
		"outcome -1", "outcome 0", "outcome 1", "outcome 2", "rejected in silence", "rejected, answered IPv4", "rejected, answered IPv6",
		"rejected, answered IPv4 in IPv4", "rejected, answered IPv6 in IPv4", "rejected, answered IPv4 in IPv6", "rejected, answered IPv6 in IPv6",
		"SYN-ACK answers", "SYN-ACK answers none", "flow, SYN-ACK true", "flow, SYN-ACK false", "a token bucket decides",
		"limit without a bucket, passes false", "limit without a bucket, passes true", "softened by the drain", "a rule for leased subscribers", "the unnamed line")
}

func ruleKind(id uint8) string {
	switch id {
	case 0:
		return "none"
	case reference.FailClosedRule:
		return "fail-closed"
	case reference.RelayRule:
		return "relay"
	case reference.SubmissionRule:
		return "submission"
	case reference.ExemptRule:
		return "exempt"
	case reference.LaterFragmentRule:
		return "later-fragment"
	case reference.TinyFragmentRule:
		return "tiny-fragment"
	case reference.UndeterminedRule:
		return "undetermined"
	case reference.SpoofedRule:
		return "spoofed"
	}
	return "of the policy"
}

// family returns the IP versions of the headers around an ICMP error, such as "IPv4" or "IPv6 in IPv4".
func family(frame []byte) string {
	at := 12
	for ; frame[at] != 0x08 && frame[at] != 0x86 && (frame[at] != 0x88 || frame[at+1] != 0x64); at += 4 { // skip tags
	}
	if at += 2; frame[at-1] == 0x64 {
		at += 8
	}
	name, proto := "IPv4", 9
	if frame[at]>>4 == 6 {
		name, proto = "IPv6", 6
	}
	switch frame[at+proto] {
	case 4:
		return "IPv4 in " + name
	case 41:
		return "IPv6 in " + name
	}
	return name
}
