// Package plan determines what a change of intent would do to each switch.
//
// The package reads switches without becoming their primary controller, and never writes to them. Package reconcile determines the
// updates and their order, package meaning describes the effect on mail, and package view renders plans.
package plan

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"op25b/internal/bring"
	"op25b/internal/intent"
	"op25b/internal/meaning"
	"op25b/internal/policy"
	"op25b/internal/prove"
)

// Defaults and limits.
const (
	// DefaultParallel is the default number of switches that are read in parallel. The entries of a full switch take 28 MiB on the wire
	// and about 100 MiB of memory while they are compared.
	DefaultParallel = 16
	// DefaultDialTimeout is the maximum time to connect to a switch. If 100 of 1,000 switches are unreachable, they delay a plan by 100 /
	// 16 of this time, or half a minute.
	DefaultDialTimeout = 5 * time.Second
	// DefaultEntries and MaxEntries are the default and the maximum of Request.Entries.
	DefaultEntries = 20
	MaxEntries     = 10_000
)

// ErrRequest means that a request is invalid.
var ErrRequest = errors.New("not a request that can be planned")

// A Config contains the dependencies of a Planner.
type Config struct {
	// At returns a revision of the intent. It may be nil if Request.Applied has no revisions other than those of Base and Proposed.
	At func(ctx context.Context, revision uint64) (*intent.Intent, error)
	// Now returns the current time. The default is time.Now.
	Now func() time.Time
	// Dial connects to a switch. The default is DialSwitch.
	Dial func(context.Context, *policy.Switch) (Reader, error)
	// Prover proves changes on the twin. The default is a prove.Prover.
	Prover Prover
	// Parallel is the number of switches that are read in parallel. The default is DefaultParallel.
	Parallel int
}

// A Planner makes plans. It is safe for concurrent use.
type Planner struct {
	cfg     Config
	program *bring.Program
}

// New returns a Planner for the embedded pipeline.
func New(cfg Config) (*Planner, error) {
	program, err := bring.Load()
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Dial == nil {
		cfg.Dial = DialSwitch
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = DefaultParallel
	}
	if cfg.Prover == nil {
		if cfg.Prover, err = prove.New(); err != nil {
			return nil, err
		}
	}
	return &Planner{cfg, program}, nil
}

// A Request contains the parameters of a plan.
type Request struct {
	// Base is the current intent, or nil if there is none.
	Base *intent.Intent
	// Proposed is the intent that would replace Base. If Proposed is Base, the plan shows the updates that a reconciliation would make.
	Proposed *intent.Intent
	// Switches are the names of the switches that the plan covers. An empty list means all switches.
	Switches []string
	// Applied records what was last written to each switch, by the switch's name. The revision of a switch that is not in the map is
	// unknown. If Applied is nil, Make assumes that every switch has the state of Base.
	Applied map[string]bring.Applied
	// NoClock says why the clock of a switch cannot be read, by the switch's name. Other switches are taken to report their clock.
	NoClock map[string]string
	// Entries is the maximum number of entries that each difference lists. The default is DefaultEntries. If more exemptions or lines than
	// this change on a switch, and more than meaning.DefaultSingle, the plan sums them up.
	Entries int
	// Mass is the percentage for Removals. If it is 0, the plan has no removals.
	Mass float64
	// Prove requests a proof on the twin, unless Proposed is Base. The call that stores the proposal refuses it without one.
	Prove bool
}

// Make returns the plan for a request. If a switch cannot be read, its part of the plan states the reason. Make returns ErrRequest if the
// request is invalid, together with compile.ErrUnknownSwitch if Request.Switches has an unknown name. It returns the cause of ctx if ctx
// ends.
func (p *Planner) Make(ctx context.Context, r Request) (*Plan, error) {
	if r.Proposed == nil {
		return nil, fmt.Errorf("%w: no intent is proposed", ErrRequest)
	}
	if r.Entries < 0 || r.Entries > MaxEntries {
		return nil, fmt.Errorf("%w: %d entries a difference: must be 1 to %d, or 0 for %d", ErrRequest, r.Entries, MaxEntries, DefaultEntries)
	}
	if r.Entries == 0 {
		r.Entries = DefaultEntries
	}
	now := p.cfg.Now()
	for _, name := range r.Switches {
		if _, ok := r.Proposed.Bundle.Inventory.Switch(name); !ok {
			_, err := r.Proposed.Compile(name, now)
			return nil, fmt.Errorf("%w: %w", ErrRequest, err)
		}
	}
	made := &Plan{
		Time: now, Policy: r.Proposed.Bundle.Policy.Name, UTCOffset: r.Proposed.Bundle.Policy.UTCOffset,
		Documents: documentDiffs(r.Base, r.Proposed), Notes: append(activationNotes(r.Base, r.Proposed), notes(r.Proposed, now)...),
	}
	if r.Base != nil {
		made.Base = r.Base.Number
	}
	var err error
	if made.Switches, err = p.switches(ctx, r, now); err != nil {
		return nil, err
	}
	made.Notes = append(made.Notes, clockNotes(r, now)...)
	if r.Mass > 0 {
		made.Removals = Removals(r.Base, r.Proposed, now, r.Mass)
	}
	if r.Prove && r.Base != r.Proposed {
		made.Proof, made.ProofErr = p.Prove(ctx, r.Base, r.Proposed, r.Switches)
	}
	total(made)
	return made, nil
}

// switches plans for each requested switch, for up to cfg.Parallel switches at a time.
func (p *Planner) switches(ctx context.Context, r Request, now time.Time) ([]*SwitchPlan, error) {
	targets := targetsOf(r)
	plans := make([]*SwitchPlan, len(targets))
	var working sync.WaitGroup
	slots := make(chan struct{}, p.cfg.Parallel)
	for i, t := range targets {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			working.Wait()
			return nil, context.Cause(ctx)
		}
		working.Go(func() {
			defer func() { <-slots }()
			plans[i] = p.plan(ctx, r, t, now)
		})
	}
	working.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // some plans are incomplete
	}
	return plans, nil
}

// A target is a switch that the plan covers.
type target struct {
	sw   *policy.Switch
	gone bool // the proposed inventory does not have the switch
}

// targetsOf returns the requested switches of the proposed inventory. If all switches are requested, the switches that the proposal
// removes follow.
func targetsOf(r Request) []target {
	wanted := make(map[string]bool, len(r.Switches))
	for _, name := range r.Switches {
		wanted[name] = true
	}
	var all []target
	switches := r.Proposed.Bundle.Inventory.Switches
	for i := range switches {
		if len(wanted) == 0 || wanted[switches[i].Name] {
			all = append(all, target{sw: &switches[i]})
		}
	}
	if r.Base == nil || len(wanted) > 0 {
		return all
	}
	old := r.Base.Bundle.Inventory.Switches
	for i := range old {
		if _, there := r.Proposed.Bundle.Inventory.Switch(old[i].Name); !there {
			all = append(all, target{&old[i], true})
		}
	}
	return all
}

// notes returns warnings that an operator should read before the change.
func notes(in *intent.Intent, now time.Time) []string {
	var all []string
	p := in.Bundle.Policy
	if in.Bundle.NAT64Unsaid() {
		all = append(all, "lines have IPv6 addresses and the policy does not say nat64: where IPv6-only lines reach IPv4 servers through NAT64, "+
			"mail to the relays would be blocked and classes of servers missed; write nat64: [well-known] or your own prefixes, or nat64: [] if there is none")
	}
	due := p.ReviewsDue(now)
	for i, e := range due {
		if i == maxNotes {
			all = append(all, fmt.Sprintf("%d more exemptions are due for review", len(due)-i))
			break
		}
		all = append(all, fmt.Sprintf("exemption of %s, owner %s, is due for review since %s", exempted(&e), e.Owner, e.Review))
	}
	ended := 0
	for i := range p.Exemptions {
		if !now.Before(p.Ends(&p.Exemptions[i])) {
			ended++
		}
	}
	if ended == 1 {
		all = append(all, "1 exemption has expired and exempts nobody; it can be removed")
	} else if ended > 1 {
		all = append(all, fmt.Sprintf("%d exemptions have expired and exempt nobody; they can be removed", ended))
	}
	return all
}

// clockNotes returns a note about each covered switch that would have exemptions and does not report its clock.
func clockNotes(r Request, now time.Time) []string {
	var all []string
	more := 0
	for _, t := range targetsOf(r) {
		why, blind := r.NoClock[t.sw.Name]
		if !blind || t.gone {
			continue
		}
		compiled, err := r.Proposed.Compile(t.sw.Name, now)
		if err != nil || !compiled.HasEnds() { // the plan of the switch has the error
			continue
		}
		if len(all) == maxNotes {
			more++
			continue
		}
		all = append(all, fmt.Sprintf("switch %s does not report its clock, so its exemptions (%d) end only while a controller runs: %s",
			t.sw.Name, len(compiled.Exempt), why))
	}
	if more > 0 {
		all = append(all, fmt.Sprintf("%d more switches with exemptions do not report their clock", more))
	}
	return all
}

// maxNotes is the maximum number of notes of one kind. If there are more, one further note counts the rest.
const maxNotes = 5

// exempted names the line or the prefix that an exemption exempts.
func exempted(e *policy.Exemption) string {
	if e.Line != "" {
		return "line " + e.Line
	}
	return "prefix " + e.Prefix.String()
}

// total sets p.Totals and p.Changes from the plans of the switches.
func total(p *Plan) {
	t := Totals{Switches: len(p.Switches)}
	for _, s := range p.Switches {
		count(&t.SwitchesChanged, s.Updates > 0)
		count(&t.SwitchesDrifted, s.Drifted())
		count(&t.SwitchesUnread, s.Standing == Unreachable)
		count(&t.SwitchesRefused, s.Err != nil && !s.Waits())
		count(&t.SwitchesWaiting, s.Waits())
		count(&t.SwitchesGone, s.Standing == Gone)
		if c := s.Change; c != nil {
			t.Added += c.Added
			t.Changed += c.Changed
			t.Removed += c.Removed
		}
		t.Updates += s.Updates
		t.Drifted += s.Drift.Size()
		for _, m := range s.Meaning {
			count(&t.Stops, m.Severity == meaning.Stops)
			count(&t.Opens, m.Severity == meaning.Opens)
		}
	}
	p.Totals = t
	// Updates that only stage rule sets for later phases do not count as changes, because they do not affect packets.
	p.Changes = len(p.Documents) > 0 || t.Added+t.Changed+t.Removed+t.Drifted > 0
}

func count(n *int, is bool) {
	if is {
		*n++
	}
}
