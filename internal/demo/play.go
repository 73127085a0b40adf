// Package demo runs the phases of a policy on one switch with virtual hosts. In every phase, every subscriber sends mail to every server
// over IPv4 and IPv6. If the policy has own servers, the subscriber also submits mail to them and reads a mailbox. The demo compares each
// outcome with the policy. It also compares the switch's counters, read over gNMI, with the frames that the hosts sent.
//
// The switch is operated as in a NOC. The demo runs a controller in this process, as op25b serve does. It applies the documents and
// activates the phases through the controller's API, and waits for the status that the controller reports. The demo reads the rule that
// decided about a mail from the counters, and does not derive it from the policy.
package demo

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"op25b/internal/check/mailbox"
	"op25b/internal/client"
	"op25b/internal/compile"
	"op25b/internal/netsim"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
)

// settle limits how long the switch may take to count the frames that it received. Counting takes microseconds, but one reading of the
// counters takes some milliseconds on bmv2.
const settle = 5 * time.Second

// Options configure a play.
type Options struct {
	Files  []strict.File // the Policy and the Inventory
	Switch string        // the switch's name in the inventory
	Lines  Lines         // replaces the access of the lines in the inventory
	Rig    Rig
	// Listen is the address (host:port) of the controller's API. If it is empty, the API listens on any free port of 127.0.0.1.
	Listen string
	// GNMI and Web are the addresses (host:port) of the controller's northbound gNMI and of the NOC's page. If one is empty, it is not served.
	GNMI, Web string
	// History is the file for the history of counters. If it is empty, no history is kept.
	History string
	// Providers is the directory of mail providers, for customers' questions. If it is nil, all providers are unknown.
	Providers *mailbox.Directory
	// Up, if not nil, is called once the controller listens, before the first phase. Play returns its error.
	Up func(ctx context.Context, n NOC) error
	// Progress, if not nil, is called with a short description of each step. It is called from several goroutines, but never concurrently.
	Progress func(text string)
	// Show, if not nil, is called with the report while the controller and the hosts are still running. Play returns its error.
	Show func(ctx context.Context, r *Report) error
	// After, if not nil, is called after each phase with its report and a client of the controller. Play returns its error.
	After func(ctx context.Context, phase *Phase, c *client.Client) error
}

// A NOC is how the running controller of a play is reached. It lasts until Play returns.
type NOC struct {
	Client *client.Client
	API    net.Addr
	Web    net.Addr // the NOC's page; nil if it is not served
}

// Play runs every phase of the policy and returns a report of the outcomes. An error means that the demo was aborted. Report.OK reports
// whether all outcomes match the policy.
func Play(ctx context.Context, o Options) (*Report, error) {
	files, err := o.Lines.documents(o.Files, o.Rig, o.Switch)
	if err != nil {
		return nil, err
	}
	bundle, err := policy.Load(files)
	if err != nil {
		return nil, err
	}
	sw, ok := bundle.Inventory.Switch(o.Switch)
	if !ok {
		return nil, fmt.Errorf("%w %q", compile.ErrUnknownSwitch, o.Switch)
	}
	p := &player{options: o, files: files, policy: bundle.Policy, sw: sw}
	if p.options.Progress == nil {
		p.options.Progress = func(string) {}
	}
	defer p.close()
	p.tell("starting the controller")
	if p.noc, err = openNOC(ctx, o, p.policy.Begins(&p.policy.Phases[0])); err != nil {
		return nil, err
	}
	if o.Up != nil {
		if err := o.Up(ctx, NOC{Client: p.noc.client, API: p.noc.controller.Addr(), Web: p.noc.controller.WebAddr()}); err != nil {
			return nil, err
		}
	}
	if p.counters, err = newReadings(ctx, o.Rig.GNMI); err != nil {
		return nil, err
	}
	report := &Report{}
	for i := range p.policy.Phases {
		phase, err := p.phase(ctx, i)
		if err != nil {
			return report, fmt.Errorf("phase %q: %w", p.policy.Phases[i].Name, err)
		}
		report.Phases = append(report.Phases, *phase)
		if o.After != nil {
			if err := o.After(ctx, phase, p.noc.client); err != nil {
				return report, fmt.Errorf("after phase %q: %w", phase.Phase, err)
			}
		}
	}
	if o.Show != nil {
		return report, o.Show(ctx, report)
	}
	return report, nil
}

// A player contains the state of one play.
type player struct {
	options  Options
	files    []strict.File // the rewritten documents, which are applied
	policy   *policy.Policy
	sw       *policy.Switch
	noc      *noc
	counters *readings
	world    *world // nil before the first phase

	mu sync.Mutex // guards calls of options.Progress

	logins sync.Mutex // guards the fields below
	report bool       // whether logins are reported: in phases with rules for leases
	failed error      // the first report that failed
}

// loggedIn reports a login to a mailbox, if the phase has rules for leases.
func (p *player) loggedIn(client netip.Addr, tls bool) {
	p.logins.Lock()
	defer p.logins.Unlock()
	if p.report && p.failed == nil {
		p.failed = p.noc.loggedIn(context.Background(), client, tls)
	}
}

// reporting starts or ends reports of logins. It returns the error of the first report that failed.
func (p *player) reporting(on bool) error {
	p.logins.Lock()
	defer p.logins.Unlock()
	p.report = on
	return p.failed
}

// close closes the hosts, the gNMI connection and the controller. It ignores errors, because the report is complete.
func (p *player) close() {
	if p.world != nil {
		_ = p.world.Close()
	}
	if p.counters != nil {
		_ = p.counters.Close()
	}
	if p.noc != nil {
		_ = p.noc.close()
	}
}

// phase puts one phase in force and sends all mail under it. The controller's clock starts at the date of the first phase, so the first
// phase is in force once the documents are applied. Each later phase is activated before its date.
func (p *player) phase(ctx context.Context, i int) (*Phase, error) {
	ph := &p.policy.Phases[i]
	var err error
	if i == 0 {
		p.tell("phase " + ph.Name + ": applying the documents")
		err = p.noc.apply(ctx, p.files)
	} else {
		p.tell("phase " + ph.Name + ": activating it")
		err = p.noc.activate(ctx, ph.Name)
	}
	if err != nil {
		return nil, err
	}
	current, err := p.noc.current(ctx)
	if err != nil {
		return nil, err
	}
	compiled, err := current.Compile(p.sw.Name, p.noc.now()) // compiled only to obtain the names of the rules
	if err != nil {
		return nil, err
	}
	rules := compiled.Rules
	if p.world == nil { // the hosts start only now, because bmv2 accepts no packets before it has a program
		if p.world, err = newWorld(p.options.Rig, p.policy, p.sw, p.options.Lines, p.loggedIn); err != nil {
			return nil, err
		}
	}
	if err := p.reporting(forLease(ph)); err != nil {
		return nil, err
	}
	before, err := p.counters.read(ctx)
	if err != nil {
		return nil, err
	}
	attempts := make([][]Attempt, len(p.world.subscribers))
	sent := make([]sentCounts, len(p.world.subscribers)) // the frames caused by each subscriber's mails
	work, workCtx := errgroup.WithContext(ctx)
	for i, s := range p.world.subscribers {
		sent[i] = sentCounts{}
		work.Go(func() error {
			// A line sends its mails one after another, so a counter that changes belongs to the current mail.
			for _, t := range p.world.destinations {
				if t.after && !forLease(ph) {
					continue
				}
				began := time.Now()
				for _, v6 := range []bool{false, true} {
					a, asked, answered, err := p.attempt(workCtx, rules, ph, s, t, v6)
					for t.after && err == nil && a.Result == Blocked && time.Since(began) < settle {
						// The lease reaches the switch some milliseconds after the login. Until then, mail is stopped as before.
						sent[i].add(s.port, a.Rule, asked)
						a, asked, answered, err = p.attempt(workCtx, rules, ph, s, t, v6)
					}
					if err != nil {
						return fmt.Errorf("%s to %s port %d: %w", s.line.Name, t.site.name, t.port, err)
					}
					s.leased = s.leased || t.reads() && a.Result == Read && forLease(ph)
					attempts[i] = append(attempts[i], a)
					if a.Want.Rule == "" {
						continue // no counter may change
					}
					sent[i].add(s.port, a.Want.Rule, asked)
					// On the server's port, the mirrored form of the same rule counts the server's replies.
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
	if err := p.reporting(false); err != nil {
		return nil, err
	}
	result := &Phase{Phase: ph.Name, Effective: ph.Effective.String(), Attempts: slices.Concat(attempts...)}
	all := sentCounts{}
	for _, one := range sent {
		all.merge(one)
	}
	// If the map all has no entry for an interface, no frames were sent to the interface, and its counters must not have changed.
	for _, name := range slices.Sorted(maps.Keys(after)) {
		result.Counters = append(result.Counters, compare(rules, name, after[name].minus(before[name]), all[name])...)
	}
	return result, nil
}

// attempt sends one mail, or reads the mailbox, and determines the rule that decided about it. It also returns how many frames the
// subscriber sent, and how many the server sent back from port 25. The answers of other services are not counted.
func (p *player) attempt(ctx context.Context, rules rulesByID, ph *policy.Phase, s *subscriber, t destination, v6 bool) (_ Attempt, asked, answered count, err error) {
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

	a := Attempt{From: s.line.Name, To: t.site.name, Port: t.port, Family: "ipv4"}
	if t.after {
		a.After = "login"
	}
	if v6 {
		a.Family = "ipv6"
	}
	switch outcome.Outcome {
	case netsim.Delivered:
		a.Result = Delivered
		if t.reads() {
			a.Result = Read
		}
	case netsim.Blocked:
		a.Result = Blocked
	default:
		a.Result = Failed
		a.Error = outcome.Err.Error()
	}
	a.Want = expect(p.policy, ph, s.line, s.leased, addr, t.port)
	if t.reads() && a.Want.Result == Delivered {
		a.Want.Result = Read
	}
	counted := asked
	if a.Want.Rule == "" {
		counted = count{}
	}
	moved, err := p.counters.settled(ctx, s.port, before[s.port], counted)
	if err != nil {
		return Attempt{}, count{}, count{}, err
	}
	a.Rule, a.Action = names(rules, moved)
	p.tell(fmt.Sprintf("phase %s: %s -> %s:%d %s %s", ph.Name, a.From, a.To, a.Port, a.Family, a.Result))
	return a, asked, answered, nil
}

func (p *player) tell(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.options.Progress(text)
}

// rulesByID maps the rule id in the switch's counters to the rule that the controller has written.
type rulesByID = map[pipeline.RuleID]compile.Rule

// names returns the names and the actions of the rules whose counters changed. If the counters of no rule or of several rules changed, the
// returned names match no expected rule, so the report shows a fault.
func names(rules rulesByID, moved ruleCounts) (rule, action string) {
	var all, actions []string
	for _, id := range slices.Sorted(maps.Keys(moved)) {
		r, ok := rules[pipeline.RuleID(id)]
		if !ok {
			r = compile.Rule{Name: fmt.Sprintf("unknown rule %d", id)}
		}
		all, actions = append(all, r.Name), append(actions, string(r.Action))
	}
	return strings.Join(all, "+"), strings.Join(actions, "+")
}

// compare returns a row for each rule with the frames that an interface counted and the frames that the hosts sent to it.
func compare(rules rulesByID, name string, counted ruleCounts, sent map[string]count) []Counter {
	rows := map[string]Counter{}
	for id, n := range counted {
		rule, action := names(rules, ruleCounts{id: n})
		rows[rule] = Counter{Interface: name, Rule: rule, Action: action, Packets: n.packets, Octets: n.octets}
	}
	for rule, n := range sent {
		row := rows[rule]
		row.Interface, row.Rule = name, rule
		for _, r := range rules {
			if r.Name == rule {
				row.Action = string(r.Action)
			}
		}
		row.Sent, row.SentBytes = n.packets, n.octets
		rows[rule] = row
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b Counter) int { return strings.Compare(a.Rule, b.Rule) })
}
