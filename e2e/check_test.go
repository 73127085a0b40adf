package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/check"
	"op25b/internal/compile"
	"op25b/internal/policy"
	"op25b/internal/reference"
	"op25b/internal/reference/generate"
)

// TestCheckSaysWhatTheModelSays checks connections between random lines and random servers under random policies. Several phases are in force,
// and numbers differ from positions. The test compares each answer with the reference model's decisions on the checker's two frames, in the
// phase that the answer names.
func TestCheckSaysWhatTheModelSays(t *testing.T) {
	policies, questions := 8, 40
	if longform.On() {
		policies, questions = 150, 200
	}
	seed := uint64(time.Now().UnixNano())
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	r := rand.New(rand.NewPCG(seed, 0))
	seen, apart := map[check.Outcome]int{}, 0
	for range policies {
		p, inv := generate.Documents(r)
		acts := drawActivations(r, p)
		c := check.New(check.Source{Bundle: &policy.Bundle{Policy: p, Inventory: inv}, Numbers: drawNumbers(t, r, p, inv), Activations: acts}, check.Options{Now: generate.Now})
		sw, _ := inv.Switch(generate.SwitchName)
		for range questions {
			q := check.Question{Trace: true, Switch: sw.Name, Port: []uint16{25, 25, 25, 587, 465, 26, 443}[r.IntN(7)]}
			q.To = drawServer(r, p).String()
			if r.IntN(3) == 0 {
				q.Phase = p.Phases[r.IntN(len(p.Phases))].Name
			}
			if r.IntN(5) > 0 && len(sw.Lines) > 0 {
				q.Line = sw.Lines[r.IntN(len(sw.Lines))].Name
			}
			if q.Line == "" || r.IntN(4) == 0 {
				q.From = drawSubscriber(r, sw)
			}
			a, err := c.Ask(t.Context(), q)
			if errors.Is(err, check.ErrFamily) || errors.Is(err, check.ErrShared) {
				continue
			}
			if err != nil {
				t.Fatalf("seed %d: %+v: %v", seed, q, err)
			}
			if q.Phase != "" && a.Phase.Name != q.Phase || q.Phase == "" && a.Phase.Name != inForce(p, acts, a.Group.Name) {
				t.Fatalf("seed %d: %+v: answered for phase %q\n%+v", seed, q, a.Phase.Name, a)
			}
			back := a.Phase.Name
			if q.Phase == "" {
				back = inForce(p, acts, "")
			}
			if err := compareAnswer(p, inv, a, back); err != nil {
				t.Fatalf("seed %d: %+v: %v\n%+v", seed, q, err, a)
			}
			seen[a.Outcome]++
			if q.Phase == "" && a.Phase.Name != inForce(p, acts, "") {
				apart++
			}
		}
	}
	t.Logf("answers: %v, %d of them for lines in a phase of their group's own", seen, apart)
	if apart == 0 && longform.On() {
		t.Errorf("seed %d: no line was in another phase than its neighbours", seed)
	}
	for _, o := range []check.Outcome{check.Delivered, check.Blocked, check.Monitored, check.Rejected, check.Limited} {
		if seen[o] == 0 && (longform.On() || o == check.Delivered || o == check.Blocked) {
			t.Errorf("seed %d: none of the answers is %s: %v", seed, o, seen)
		}
	}
}

// compareAnswer compares an answer with the decisions of a fresh model. unnamed is the phase of unnamed lines, which decides about a SYN-ACK
// whose line is not known.
func compareAnswer(p *policy.Policy, inv *policy.Inventory, a *check.Answer, unnamed string) error {
	got, phase := a.Results[0], a.Phase.Name
	model := reference.New(p, inv, a.Switch, phase, generate.Now())
	up := model.Decide(0, uint16(*got.Trace.Up[0].Port), got.Trace.Frame)
	down := model.Decide(0, uint16(*got.Trace.Down[0].Port), got.Trace.ReplyFrame)
	back := phase
	if down.LineIndex == 0 {
		back = unnamed
		down = reference.New(p, inv, a.Switch, back, generate.Now()).Decide(0, uint16(*got.Trace.Down[0].Port), got.Trace.ReplyFrame)
	}
	outcome := func(d reference.Decision, limited bool) check.Outcome {
		switch {
		case d.Rejected:
			return check.Rejected
		case !d.Passes:
			return check.Blocked
		case limited:
			return check.Limited
		case d.Verdict == reference.Monitor:
			return check.Monitored
		}
		return check.Delivered
	}
	want, decision := outcome(up, ruleLimits(p, phase, up.RuleName)), up
	if want.Passes() {
		if on := outcome(down, ruleLimits(p, back, down.RuleName)); worse(on, want) {
			want, decision = on, down
		}
	}
	rule := ""
	if got.Rule != nil {
		rule = got.Rule.Name
	}
	if got.Outcome != want || rule != decision.RuleName {
		return errors.New("the model says " + string(want) + " by rule " + decision.RuleName)
	}
	return nil
}

// drawActivations draws activations for some line groups. Some are later than generate.Now, as if made by a controller whose clock was ahead.
func drawActivations(r *rand.Rand, p *policy.Policy) []policy.Activation {
	acts := make([]policy.Activation, r.IntN(4))
	for i := range acts {
		acts[i] = policy.Activation{
			Phase: p.Phases[r.IntN(len(p.Phases))].Name, Switches: [][]string{nil, {generate.SwitchName}, {"elsewhere"}}[r.IntN(3)],
			At: generate.Now().AddDate(0, 0, r.IntN(40)-30),
		}
		for _, g := range p.LineGroups {
			if r.IntN(2) == 0 {
				acts[i].Groups = append(acts[i].Groups, g.Name)
			}
		}
	}
	slices.SortFunc(acts, func(a, b policy.Activation) int { return a.At.Compare(b.At) })
	return acts
}

// inForce returns the phase of a group's lines at generate.Now. It is the phase of the last activation that covers the lines, unless the date
// of a later phase came after that activation. Without an activation, it is the last phase by date. The group "" means unnamed lines.
func inForce(p *policy.Policy, acts []policy.Activation, group string) string {
	ph, _ := p.PhaseAt(generate.Now())
	phase := ph.Name
	order := func(name string) int {
		return slices.IndexFunc(p.Phases, func(x policy.Phase) bool { return x.Name == name })
	}
	for _, a := range acts {
		covers := (a.Groups == nil || slices.Contains(a.Groups, group)) && (a.Switches == nil || a.Switches[0] == generate.SwitchName)
		if covers {
			phase = ph.Name
			if !p.Begins(ph).After(a.At) || order(ph.Name) <= order(a.Phase) {
				phase = a.Phase
			}
		}
	}
	return phase
}

// drawNumbers returns numbers that differ from the positions of the names, as if earlier names had been removed.
func drawNumbers(t *testing.T, r *rand.Rand, p *policy.Policy, inv *policy.Inventory) *compile.Numbers {
	t.Helper()
	old, gone := *p, func(i int) string { return fmt.Sprintf("gone-%d", i) }
	old.LineGroups, old.Services, old.Remotes, old.Phases = nil, nil, nil, []policy.Phase{{}}
	for i := range r.IntN(3) {
		old.LineGroups = append(old.LineGroups, policy.LineGroup{Name: gone(i)})
		old.Services = append(old.Services, policy.Service{Name: gone(i)})
		old.Remotes = append(old.Remotes, policy.Remote{Name: gone(i)})
		old.Phases[0].Rules = append(old.Phases[0].Rules, policy.PhaseRule{Name: gone(i)})
	}
	// Append the present names in another order.
	old.LineGroups = append(old.LineGroups, reversed(p.LineGroups)...)
	old.Services = append(old.Services, reversed(p.Services)...)
	old.Remotes = append(old.Remotes, reversed(p.Remotes)...)
	prev, err := compile.Number(nil, &policy.Bundle{Policy: &old, Inventory: &policy.Inventory{}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := compile.Number(prev, &policy.Bundle{Policy: p, Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func reversed[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func ruleLimits(p *policy.Policy, phase, rule string) bool {
	ph, _ := p.Phase(phase)
	for _, r := range ph.Rules {
		if r.Name == rule {
			return r.Action == policy.Limit
		}
	}
	return false
}

func worse(a, b check.Outcome) bool {
	order := map[check.Outcome]int{check.Delivered: 0, check.Monitored: 1, check.Limited: 2, check.Rejected: 3, check.Blocked: 4}
	return order[a] > order[b]
}

func drawServer(r *rand.Rand, p *policy.Policy) netip.Addr {
	if r.IntN(3) > 0 {
		remote := p.Remotes[r.IntN(len(p.Remotes))]
		return remote.Prefixes[r.IntN(len(remote.Prefixes))].Addr().Next()
	}
	return []netip.Addr{netip.MustParseAddr("198.18.7.7"), netip.MustParseAddr("2620::7")}[r.IntN(2)]
}

func drawSubscriber(r *rand.Rand, sw *policy.Switch) netip.Addr {
	for range 5 {
		if len(sw.Lines) == 0 {
			break
		}
		if prefixes := sw.Lines[r.IntN(len(sw.Lines))].Prefixes; len(prefixes) > 0 {
			return prefixes[r.IntN(len(prefixes))].Addr()
		}
	}
	return netip.MustParseAddr("10.99.0.1")
}
