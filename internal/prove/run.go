package prove

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"op25b/internal/compile"
	"op25b/internal/meaning"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/reconcile"
	"op25b/internal/reference"
	"op25b/internal/softswitch"
)

// A Change is a change of one switch.
type Change struct {
	Switch string
	// Old is the state before the change and OldBundle its documents. Both are nil for an empty switch.
	Old       *compile.Compiled
	OldBundle *policy.Bundle
	// New is the state after the change and Bundle its documents.
	New    *compile.Compiled
	Bundle *policy.Bundle
	Now    time.Time // of the compilation
	// PolicyDigest identifies the policies of Bundle and OldBundle. Their inventories may differ.
	PolicyDigest string
	// Sentences is what the plan says about the change. If it is not nil, mail that is newly stopped or opened must be in it.
	Sentences []meaning.Sentence
}

// Bounds of a proof.
const (
	// MaxPackets is the number of packets of a proof of one content. 80,000 exemptions on 8,000 lines need about 400,000.
	MaxPackets = 600_000
	// maxPart is the number of packets up to which only the slice of a switch is loaded that they can meet. They are kept in memory.
	maxPart = 100_000
	// maxSamples is the number of packets that are tried between the steps of a change.
	maxSamples = 4_096
	// maxCuts is the number of states within a step that are tried. The updates of a step may be sent in any order.
	maxCuts = 4
	// MaxCounterexamples is the number of packets that a proof shows.
	MaxCounterexamples = 3
	// maxDisagreements ends a proof that has failed often enough.
	maxDisagreements = 200
)

// A run is the proof of one change of one switch.
type run struct {
	*Change
	sw     *policy.Switch
	scope  *scope
	maker  *maker
	twin   *twin
	order  Order
	result *Result
	// The part of the switch that is loaded, and of the documents: all of it if slice is nil.
	slice   *slice
	was, is *pipeline.State
	policy  *policy.Policy
	part    *policy.Switch
	exempt  []compile.Exempt
	shots   []*shot
	// touched has the entries that the change adds or changes; nil if the whole switch is proved.
	touched map[pipeline.Key]bool
	failed  int
}

// An Order returns the steps that turn the entries of a switch into a state. It is reconcile.Make but for tests.
type Order func(have []pipeline.Entry, want *pipeline.State, contract *pipeline.Contract, opts reconcile.Options) (*reconcile.Plan, error)

// prepare makes the packets of a part of the switch, and selects what they can meet. If they are too many, the whole switch is proved.
func (r *run) prepare() {
	r.policy, r.part, r.exempt = r.Bundle.Policy, r.sw, r.New.Exempt
	r.maker = newMaker(r.policy, r.sw, r.New, r.Now)
	r.was, r.is = &pipeline.State{}, &r.New.State
	if !r.scope.whole {
		r.maker.make(r.scope, func(s *shot) bool {
			r.shots = append(r.shots, s.clone())
			return len(r.shots) <= maxPart
		})
		if len(r.shots) > maxPart {
			r.scope.whole, r.shots = true, nil
		}
	}
	if r.Old != nil {
		r.was = &r.Old.State
	}
	if !r.scope.whole {
		r.slice = newSlice(r.shots, r.scope)
		r.is, r.exempt = r.slice.state(r.New), r.slice.exempt(r.New)
		r.policy, r.part = r.slice.documents(r.Bundle, r.sw)
		if r.Old != nil {
			r.was = r.slice.state(r.Old)
		}
	}
}

// digest identifies what the proof is about: the policies, the lines, and the entries before and after the change. The names of switches and lines
// are no part of it, so that switches with the same content are proved once.
func (r *run) digest() (d digest, err error) {
	h := sha256.New()
	fmt.Fprintf(h, "%v %v %v %q %q %s\n", r.scope.whole, r.scope.rules, r.scope.ports, r.PolicyDigest, r.New.InForce, r.Now.Format(time.DateOnly))
	for _, port := range r.part.Ports {
		fmt.Fprintln(h, port.Number, port.Role, port.MACs)
	}
	for i := range r.part.Lines {
		l := r.maker.byName[r.part.Lines[i].Name]
		fmt.Fprintln(h, l.key, l.group, l.macs, l.prefixes, l.exempt)
	}
	for _, state := range []*pipeline.State{r.was, r.is} {
		entries, err := entriesOf(state)
		if err != nil {
			return d, err
		}
		var b []byte
		for _, e := range entries {
			if b = e.AppendBinary(b); len(b) > 1<<16 {
				_, _ = h.Write(b) // a hash returns no error
				b = b[:0]
			}
		}
		_, _ = h.Write(b)
	}
	return digest(h.Sum(nil)), nil
}

// prove carries out the change on the twin, and tries the packets.
func (r *run) prove(ctx context.Context, contract *pipeline.Contract) error {
	unstaged := *r.is
	unstaged.Staged = nil
	before, err := r.before(r.was)
	if err != nil {
		return err
	}
	layer, err := r.layer()
	if err != nil {
		return err
	}
	plan, err := r.order(before, &unstaged, contract, reconcile.Options{Layer: func([]pipeline.Entry) []pipeline.Entry { return layer }})
	if err != nil {
		return fmt.Errorf("order the change: %w", err)
	}
	j := &judges{
		twin: r.twin, model: r.model(r.policy, r.part, layer), words: newWords(r.New, r.maker.lines, r.exempt), numbers: numbersOf(r.New), c: r.New,
		cover: newCoverage(),
	}
	if err := r.twin.load(before); err != nil {
		return err
	}
	if err := r.transition(ctx, j, plan); err != nil {
		return err
	}
	if r.slice != nil {
		r.touched = make(map[pipeline.Key]bool)
		for i := range plan.Added {
			r.touched[plan.Added[i].Key] = true
		}
		for i := range plan.Changed {
			r.touched[plan.Changed[i].New.Key] = true
		}
	}
	return r.final(ctx, j, plan.Running)
}

// before returns the entries of the switch before the change.
func (r *run) before(was *pipeline.State) ([]pipeline.Entry, error) {
	if r.Old == nil {
		return nil, nil
	}
	return entriesOf(was)
}

// entriesOf returns the entries of a state whose rules are in force under epoch 1.
func entriesOf(state *pipeline.State) ([]pipeline.Entry, error) {
	entries, err := state.Entries()
	if err != nil {
		return nil, err
	}
	rules, err := pipeline.RuleEntries(state.Verdicts, 1)
	if err != nil {
		return nil, err
	}
	return append(append(entries, rules...), pipeline.EpochEntry(1, state.SynOnly)), nil
}

// layer returns the entries of leases that the proof gives to some lines, and the entries of lines whose addresses sessions determine.
func (r *run) layer() ([]pipeline.Entry, error) {
	all := r.New.Sessions.Held(nil)
	if r.slice != nil {
		all = slices.DeleteFunc(all, func(e pipeline.Entry) bool { return e.IsSource() && !r.slice.lines[r.New.Lines[e.SourceLine()]] })
	}
	for _, l := range r.maker.leased {
		if !r.scope.whole && !r.scope.rules {
			break
		}
		e, err := pipeline.SubscriberEntry(l.prefix, pipeline.Subscriber{Class: l.class, Line: r.New.State.Lines[l.key].Index})
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// model returns the model of the switch after the change.
func (r *run) model(p *policy.Policy, sw *policy.Switch, layer []pipeline.Entry) *reference.Model {
	inv := &policy.Inventory{Switches: []policy.Switch{*sw}}
	m := reference.NewInForce(p, inv, sw.Name, r.New.InForce, r.Now)
	for _, e := range layer {
		if e.IsSource() {
			m.Bind(e.SourcePrefix(), r.New.Lines[e.SourceLine()])
		}
	}
	if r.scope.whole || r.scope.rules {
		for _, l := range r.maker.leased {
			m.Lease(l.lease, l.prefix, l.name, 0)
		}
	}
	return m
}

// each calls f for each packet of the proof, until f returns false.
func (r *run) each(f func(*shot) bool) {
	if r.shots != nil {
		for _, s := range r.shots {
			if !f(s) {
				return
			}
		}
		return
	}
	n := 0
	r.maker.make(r.scope, func(s *shot) bool {
		if n++; n > MaxPackets {
			r.result.Limited = true
			return false
		}
		return f(s)
	})
}

// A sample is a packet that is tried between the steps.
type sample struct {
	*shot
	passes bool // by the old and by the new state
	want   Outcome
}

// passes reports whether frames reach the other side: the network if the packet is from a line, and a line if it is from the network.
func (r *run) passes(s *shot, ports []pipeline.Port) bool {
	return slices.ContainsFunc(ports, func(p pipeline.Port) bool {
		return p != s.port && (s.up || r.New.State.Ports[p] != pipeline.Network)
	})
}

// transition carries out the change on the twin, and tries samples after each step. A sample that both states pass must never be dropped (I1), and one
// that both drop must never pass (I2).
func (r *run) transition(ctx context.Context, j *judges, plan *reconcile.Plan) error {
	var samples []sample
	if len(plan.Steps) > 1 || r.Old != nil {
		var err error
		if samples, err = r.samples(j); err != nil {
			return err
		}
	}
	for i, step := range plan.Steps {
		cut := max(1, (len(step.Updates)+maxCuts-1)/maxCuts)
		for n, u := range step.Updates {
			if n%1024 == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := r.twin.write(u.Kind, u.Entry); err != nil {
				return fmt.Errorf("step %q: %w", step.Why, err)
			}
			if last := n == len(step.Updates)-1; !last && (n+1)%cut != 0 || last && i == len(plan.Steps)-1 {
				continue
			}
			at := "after"
			if n < len(step.Updates)-1 {
				at = "within"
			}
			r.result.States++
			for _, s := range samples {
				r.result.Packets++
				if passes := r.passes(s.shot, portsSent(r.twin.play(s.port, s.frame))); passes != s.passes {
					if err := r.fail(j, &disagreement{shot: s.shot, want: s.want, got: passing(passes)}, fmt.Sprintf("%s step %d of %d, %s", at, i+1, len(plan.Steps), step.Why)); err != nil {
						return err
					}
					break
				}
			}
		}
	}
	return nil
}

func passing(passes bool) string {
	if passes {
		return "passes"
	}
	return "is dropped"
}

// samples chooses packets that the state before and the state after the change treat alike. It omits the lines, addresses and ports for which a change
// does not promise anything, because the change itself moves them: see docs/limitations.md.
func (r *run) samples(j *judges) ([]sample, error) {
	type signature struct {
		kind     kind
		up, v6   bool
		group    string
		port     uint16
		flags    byte
		lease    string
		class    string
		tunneled bool
	}
	const each = 4
	var all []sample
	seen := make(map[signature]int)
	moved := r.moved()
	says := func(severities ...meaning.Severity) bool {
		return r.Sentences == nil || slices.ContainsFunc(r.Sentences, func(x meaning.Sentence) bool { return slices.Contains(severities, x.Severity) })
	}
	saysStops, saysOpens := says(meaning.Stops), says(meaning.Opens, meaning.Stops)
	var failure error
	r.each(func(s *shot) bool {
		if s.alien || moved(s) {
			return true
		}
		remote := s.from
		if s.up {
			remote = s.to
		}
		sig := signature{s.kind, s.up, remote.Addr().Is6(), j.words.groups[s.line], min(s.from.Port(), s.to.Port()), s.flags, s.lease, j.words.class(remote.Addr()), s.outerFrom.IsValid()}
		if seen[sig] >= each && (r.shots == nil || len(r.shots) > maxSamples) {
			return true
		}
		seen[sig]++
		was := r.passes(s, portsSent(r.twin.play(s.port, s.frame)))
		j.model.Forget()
		d := j.model.Decide(j.twin.Now()+softswitch.TwinPause, uint16(s.port), s.frame)
		is := r.passes(s, portsOf(d.Out))
		r.result.Packets++
		switch {
		case was == is:
			all = append(all, sample{s.clone(), was, j.numbers.want(&d)})
		case was && !saysStops:
			failure = r.fail(j, &disagreement{shot: s.clone(), want: j.numbers.want(&d), words: "the change stops no mail; the switch passes this packet now"}, "")
		case is && !saysOpens:
			failure = r.fail(j, &disagreement{shot: s.clone(), want: j.numbers.want(&d), words: "the change opens no mail; the switch drops this packet now"}, "")
		}
		return failure == nil && len(all) < maxSamples
	})
	return all, failure
}

// moved returns a function that reports whether a packet is of a line or port that the change moves, adds or removes, or whose addresses it changes.
func (r *run) moved() func(*shot) bool {
	if r.Old == nil {
		return func(s *shot) bool { return !s.up }
	}
	old := make(map[string]*policy.Line)
	if sw, ok := r.OldBundle.Inventory.Switch(r.Switch); ok {
		for i := range sw.Lines {
			old[sw.Lines[i].Name] = &sw.Lines[i]
		}
	}
	wasAt, isAt := numbersOf(r.Old).lines, numbersOf(r.New).lines
	return func(s *shot) bool {
		if r.Old.State.Ports[s.port] != r.New.State.Ports[s.port] || s.lease != "" {
			return true
		}
		if s.line == "" {
			return !s.up
		}
		l, now := old[s.line], r.maker.byName[s.line]
		return l == nil || now == nil || wasAt[s.line] != isAt[s.line] || r.Old.State.Lines[now.key].Index != isAt[s.line] || !slices.Equal(l.Prefixes, now.prefixes)
	}
}
