// Package demo plays the programme of 2006 on one switch, with real mail from virtual hosts: every subscriber to every server, in every
// phase, over IPv4 and IPv6. It compares what happened with the policy's text, and what the switch counted, read over gNMI, with
// what the hosts sent.
//
// It is the controller's own path and no other: the policy is compiled, the switch is brought to it over P4Runtime, and the rule that
// decided is read from the counters, never taken from the policy.
package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"op25b/internal/bring"
	"op25b/internal/netsim"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// settle is how long the switch may take to count what has been sent to it. The packets are on their way for microseconds; on bmv2
// one reading of the counters takes some milliseconds.
const settle = 5 * time.Second

// Options are what a play is told.
type Options struct {
	Bundle *policy.Bundle
	Switch string // of the inventory
	Lines  Lines  // how its lines are connected, whatever the inventory says of that
	Rig    Rig
	// Progress is told what goes on, in a few words; it may be nil. It is called from several goroutines, one at a time.
	Progress func(text string)
	// Show is called with the report while everything still runs; it may be nil. Its error becomes Play's.
	Show func(ctx context.Context, r *Report) error
}

// Play plays every phase of the policy and reports what it saw. An error means that the demo itself could not go on; whether all went as
// the policy says is in the report.
func Play(ctx context.Context, o Options) (*Report, error) {
	bundle := *o.Bundle
	bundle.Inventory = o.Lines.inventory(bundle.Inventory)
	o.Bundle = &bundle
	sw, ok := bundle.Inventory.Switch(o.Switch)
	if !ok {
		return nil, fmt.Errorf("%w %q", policy.ErrUnknownSwitch, o.Switch)
	}
	p := &player{options: o, sw: sw}
	if p.options.Progress == nil {
		p.options.Progress = func(string) {}
	}
	defer p.close()
	var err error
	if p.session, err = p4rt.Dial(ctx, p4rt.Config{Addr: o.Rig.P4Runtime, DeviceID: o.Rig.DeviceID, ElectionID: p4rt.ElectionID{Low: 1}}); err != nil {
		return nil, err
	}
	if err := p.session.WaitPrimary(ctx); err != nil {
		return nil, err
	}
	if p.counters, err = newReadings(ctx, o.Rig.GNMI); err != nil {
		return nil, err
	}
	report := &Report{}
	for i := range o.Bundle.Policy.Phases {
		ph := &o.Bundle.Policy.Phases[i]
		phase, err := p.phase(ctx, ph)
		if err != nil {
			return report, fmt.Errorf("phase %q: %w", ph.Name, err)
		}
		report.Phases = append(report.Phases, *phase)
	}
	if o.Show != nil {
		return report, o.Show(ctx, report)
	}
	return report, nil
}

// A player is one play. It closes what it opened.
type player struct {
	options  Options
	sw       *policy.Switch
	session  *p4rt.Session
	counters *readings
	world    *world // nil before the first phase

	mu sync.Mutex // guards calls of Progress
}

// close ignores how connections end: the report stands whatever they say.
func (p *player) close() {
	if p.world != nil {
		_ = p.world.Close()
	}
	if p.counters != nil {
		_ = p.counters.Close()
	}
	if p.session != nil {
		_ = p.session.Close()
	}
}

// phase puts one phase in force and sends all mail under it.
func (p *player) phase(ctx context.Context, ph *policy.Phase) (*Phase, error) {
	pol := p.options.Bundle.Policy
	compiled, err := policy.Compile(p.options.Bundle, nil, p.sw.Name, policy.Everywhere(ph.Name), pol.Begins(ph))
	if err != nil {
		return nil, err
	}
	p.tell("phase " + ph.Name + ": writing the rules")
	if _, err := bring.Converge(ctx, p.session, &compiled.State); err != nil {
		return nil, err
	}
	if p.world == nil { // not before there is a program: bmv2 takes no packets until then
		if p.world, err = newWorld(p.options.Rig, p.sw, p.options.Lines); err != nil {
			return nil, err
		}
	}
	before, err := p.counters.read(ctx)
	if err != nil {
		return nil, err
	}
	attempts := make([][]Attempt, len(p.world.subscribers))
	sent := make([]sentCounts, len(p.world.subscribers)) // because of each subscriber's mails
	work, workCtx := errgroup.WithContext(ctx)
	for i, s := range p.world.subscribers {
		sent[i] = sentCounts{}
		work.Go(func() error {
			// One mail after the other on one line, so that the counter that moves belongs to the mail that is under way.
			for _, t := range p.world.destinations {
				for _, v6 := range []bool{false, true} {
					a, asked, answered, err := p.attempt(workCtx, compiled, ph, s, t, v6)
					if err != nil {
						return fmt.Errorf("%s to %s port %d: %w", s.line.Name, t.site.name, t.port(), err)
					}
					attempts[i] = append(attempts[i], a)
					sent[i].add(s.port, a.Want.Rule, asked)
					// A server's answers meet the same rules, mirrored, on the port that it is behind.
					sent[i].add(t.site.port, a.Want.Rule, answered)
				}
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	after, err := p.counters.read(ctx)
	if err != nil {
		return nil, err
	}
	result := &Phase{Phase: ph.Name, Effective: ph.Effective.String(), Attempts: slices.Concat(attempts...)}
	all := sentCounts{}
	for _, one := range sent {
		all.merge(one)
	}
	// Nothing is sent to the rules of an interface that is not in all, so nothing may be counted there.
	for _, name := range slices.Sorted(maps.Keys(after)) {
		result.Counters = append(result.Counters, compare(compiled, name, after[name].minus(before[name]), all[name])...)
	}
	return result, nil
}

// attempt sends one mail and finds out by which rule the switch decided about it. It returns what the subscriber sent, and what the server
// sent back from port 25.
func (p *player) attempt(ctx context.Context, c *policy.Compiled, ph *policy.Phase, s *subscriber, t destination, v6 bool) (_ Attempt, asked, answered count, err error) {
	before, err := p.counters.read(ctx)
	if err != nil {
		return Attempt{}, count{}, count{}, err
	}
	own, _ := s.host.Addr(v6)
	answers := func(f netsim.Flow) bool { return f.Remote == own && f.LocalPort == netsim.PortSMTP }
	all, allBack := s.host.Sent(nil), t.host.Sent(answers)
	outcome, addr, err := p.world.send(ctx, s, t, v6)
	if err != nil {
		return Attempt{}, count{}, count{}, err
	}
	frames, back := s.host.Sent(nil).Minus(all), t.host.Sent(answers).Minus(allBack)
	asked, answered = count{frames.Packets, frames.Bytes}, count{back.Packets, back.Bytes}

	a := Attempt{From: s.line.Name, To: t.site.name, Port: t.port(), Family: "ipv4"}
	if v6 {
		a.Family = "ipv6"
	}
	switch outcome.Outcome {
	case netsim.Delivered:
		a.Result = Delivered
	case netsim.Blocked:
		a.Result = Blocked
	default:
		a.Result = Failed
		a.Error = outcome.Err.Error()
	}
	a.Want = expect(p.options.Bundle.Policy, ph, s.line, addr, t.port())
	moved, err := p.counters.settled(ctx, s.port, before[s.port], asked)
	if err != nil {
		return Attempt{}, count{}, count{}, err
	}
	a.Rule, a.Action = names(c, moved)
	p.tell(fmt.Sprintf("phase %s: %s -> %s:%d %s %s", ph.Name, a.From, a.To, a.Port, a.Family, a.Result))
	return a, asked, answered, nil
}

func (p *player) tell(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Progress(text)
}

// names are the rules that counted and what they do; more than one, or none, is a fault that the report shows.
func names(c *policy.Compiled, moved ruleCounts) (rule, action string) {
	var rules, actions []string
	for _, id := range slices.Sorted(maps.Keys(moved)) {
		r, ok := c.Rules[pipeline.RuleID(id)]
		if !ok {
			r = policy.Rule{Name: fmt.Sprintf("unknown rule %d", id)}
		}
		rules, actions = append(rules, r.Name), append(actions, string(r.Action))
	}
	return strings.Join(rules, "+"), strings.Join(actions, "+")
}

// compare puts what an interface counted beside what was sent to it, rule by rule.
func compare(c *policy.Compiled, name string, counted ruleCounts, sent map[string]count) []Counter {
	rows := map[string]Counter{}
	for id, n := range counted {
		rule, action := names(c, ruleCounts{id: n})
		rows[rule] = Counter{Interface: name, Rule: rule, Action: action, Packets: n.packets, Octets: n.octets}
	}
	for rule, n := range sent {
		row := rows[rule]
		r, _ := c.RuleByName(rule)
		row.Interface, row.Rule, row.Action = name, rule, string(r.Action)
		row.Sent, row.SentBytes = n.packets, n.octets
		rows[rule] = row
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b Counter) int { return strings.Compare(a.Rule, b.Rule) })
}
