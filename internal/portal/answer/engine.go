package answer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"op25b/internal/check"
	"op25b/internal/check/desk"
	"op25b/internal/check/mailbox"
	"op25b/internal/policy"
	"op25b/internal/portal/published"
)

var (
	// ErrNone is returned if there is no publication yet.
	ErrNone = errors.New("nothing is published")
	// ErrQuestion is returned for a question that the publication does not answer.
	ErrQuestion = errors.New("no answer to this question")
	// ErrLookup is returned if a name could not be looked up for now, so that nothing is known of it.
	ErrLookup = errors.New("names cannot be looked up at present")
)

// maxCases is the limit on the number of cases that are kept. A case takes about 2 kB.
const maxCases = 8192

// An Engine answers questions from the current publication. It keeps the answers until the next date of the policy. Its methods may be
// called by several goroutines.
type Engine struct {
	resolver *Resolver

	mu  sync.Mutex // guards set
	set *set
}

// A set contains what was computed from the documents of a publication.
type set struct {
	pub   *published.Publication
	desk  *desk.Desk
	codes *Codes

	flight singleflight.Group
	mu     sync.Mutex // guards the fields below
	now    time.Time  // the time of the latest question
	cases  map[caseKey]kept
}

type caseKey struct {
	area, line string
	use        Use
	provider   string
}

// A kept is a case with the period in which it is valid.
type kept struct {
	Case
	from, until time.Time
}

// NewEngine returns an engine. The resolver finds the addresses of servers; it may be nil.
func NewEngine(r *Resolver) *Engine { return &Engine{resolver: r} }

// of returns the set of a publication. It keeps what was computed if the documents have not changed.
func (e *Engine) of(p *published.Publication) *set {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set != nil && e.set.pub.Source == p.Source && e.set.pub.Directory == p.Directory {
		return e.set
	}
	s := &set{pub: p, codes: NewCodes(Questions(p)), cases: map[caseKey]kept{}}
	o := desk.Options{Directory: p.Directory, Now: s.clock}
	if e.resolver != nil {
		o.Resolver = e.resolver
	}
	s.desk = desk.New(o)
	e.set = s
	return s
}

// clock returns the time of the latest question, by the clock of the controller.
func (s *set) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// source returns the documents for the desk. They never change within a set, so every set has the same number.
func (s *set) source() desk.Source { return desk.Source{Source: *s.pub.Source, Revision: 1} }

// Codes returns the codes of the questions of a publication.
func (e *Engine) Codes(p *published.Publication) *Codes { return e.of(p).codes }

// Ask answers a question for the lines of a group at the present time, by the controller's clock. It returns ErrQuestion if the publication
// does not answer the question.
func (e *Engine) Ask(ctx context.Context, p *published.Publication, q Question, now time.Time) (*Answer, error) {
	return e.ask(ctx, p, q, now, func(s published.State) bool { return s.Group == q.Group })
}

// AskLine is like Ask, but answers for one line of the publication.
func (e *Engine) AskLine(ctx context.Context, p *published.Publication, q Question, area, line string, now time.Time) (*Answer, error) {
	return e.ask(ctx, p, q, now, func(s published.State) bool { return s.Group == q.Group && s.Area == area && s.Line == line })
}

func (e *Engine) ask(ctx context.Context, p *published.Publication, q Question, now time.Time, of func(published.State) bool) (*Answer, error) {
	if p == nil {
		return nil, ErrNone
	}
	if !q.valid(p) {
		return nil, fmt.Errorf("%w: %+v", ErrQuestion, q)
	}
	s := e.of(p)
	a := &Answer{Question: q}
	for i := range p.Directory.Providers {
		if x := &p.Directory.Providers[i]; x.Name == q.Provider {
			a.Provider = x
		}
	}
	for _, state := range p.States { // of p, because the states may be newer than those of s
		if !of(state) {
			continue
		}
		c, err := s.one(ctx, state, q, now)
		if err != nil {
			return nil, err
		}
		c.Lines = []published.State{state}
		i := slices.IndexFunc(a.Cases, func(x Case) bool { return x.same(&c) })
		if i < 0 {
			a.Cases = append(a.Cases, c)
		} else {
			a.Cases[i].Lines = append(a.Cases[i].Lines, state)
		}
	}
	if len(a.Cases) == 0 {
		return nil, fmt.Errorf("%w: the publication does not have the line", ErrQuestion)
	}
	return a, nil
}

// one returns the case of a line. It computes the case if it is not kept.
func (s *set) one(ctx context.Context, line published.State, q Question, now time.Time) (Case, error) {
	key := caseKey{line.Area, line.Line, q.Use, q.Provider}
	s.mu.Lock()
	k, known := s.cases[key]
	if now.After(s.now) {
		s.now = now
	}
	s.mu.Unlock()
	if known && !now.Before(k.from) && (k.until.IsZero() || now.Before(k.until)) {
		return k.Case, nil
	}
	v, err, _ := s.flight.Do(fmt.Sprintf("%+v", key), func() (any, error) {
		ctx, looked := desk.WithLookups(ctx)
		c, err := s.compute(ctx, line, q, now)
		if err != nil {
			return nil, err
		}
		k := kept{Case: c, from: now}
		k.until, _ = s.pub.Policy().NextEvent(now)
		if recheck := now.Add(lookedFor); looked() && (k.until.IsZero() || recheck.Before(k.until)) {
			k.until = recheck // the addresses of a server may change
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.cases) >= maxCases {
			clear(s.cases)
		}
		s.cases[key] = k
		return c, nil
	})
	if err != nil {
		return Case{}, err
	}
	return v.(Case), nil
}

// Find returns the question about a mail address: the provider in the directory, which may be found by the mail exchanger. It returns
// mailbox.ErrAddress if the address is invalid. A domain without a local part is accepted too.
func (e *Engine) Find(ctx context.Context, p *published.Publication, group, address string, now time.Time) (Question, error) {
	q := Question{Group: group, Use: Provider}
	if p == nil {
		return q, ErrNone
	}
	if !q.valid(p) {
		return q, fmt.Errorf("%w: %+v", ErrQuestion, q)
	}
	found, err := mailbox.Find(ctx, p.Directory, e.mx(), address)
	if err != nil {
		return q, err
	}
	if found != nil {
		q.Provider = found.Name
		if found.Kind == mailbox.KindOwn {
			q.Use = Own
		}
	}
	return q, nil
}

func (e *Engine) mx() mailbox.MXResolver {
	if e.resolver == nil {
		return nil
	}
	return e.resolver
}

// Server returns the results of a connection from the lines of a group to a port of a server; several if the lines are treated differently. If
// the result is the same for all servers, the server's name is not looked up. Server returns check.ErrQuestion if the name is malformed,
// check.ErrResolve if no server has it, and ErrLookup if it could not be looked up for now.
func (e *Engine) Server(ctx context.Context, p *published.Publication, group, server string, port uint16, now time.Time) ([]*check.Result, error) {
	if p == nil {
		return nil, ErrNone
	}
	s := e.of(p)
	s.mu.Lock()
	s.now = now
	s.mu.Unlock()
	var all []*check.Result
	for _, state := range p.States {
		if state.Group != group {
			continue
		}
		answers, err := s.desk.Ports(ctx, s.source(), check.Question{Line: state.Line, Switch: state.Area, To: server, At: now}, port)
		if err == nil {
			err = answers[0].Err
		}
		switch {
		case isFamily(err):
			continue
		case errors.Is(err, check.ErrResolve) && (e.resolver == nil || desk.Failed(err)):
			return nil, fmt.Errorf("%w: %w", ErrLookup, err)
		case err != nil:
			return nil, err
		}
		if x := answers[0].Result; !slices.ContainsFunc(all, func(y *check.Result) bool { return sameResult(x, y) }) {
			all = append(all, x)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no line of group %q reaches this server", ErrQuestion, group)
	}
	return all, nil
}

func isFamily(err error) bool { return errors.Is(err, check.ErrFamily) }

// InForce reports the phase that should be in force for a line at the present time.
func InForce(p *published.Publication, line published.State, now time.Time) (*policy.Phase, bool) {
	in, ok := p.Policy().InForceAt(p.Source.Activations, line.Area, now)
	if !ok {
		return nil, false
	}
	return p.Policy().Phase(in.Phase(line.Group))
}
