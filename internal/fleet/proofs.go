package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"op25b/internal/p4rt"
	"op25b/internal/prove"
)

var (
	// ErrNotOwned is returned by Proofs.Prove if this controller has no session with the switch in which it may write.
	ErrNotOwned = errors.New("this controller does not own the switch")
	// ErrNotWanted is returned by Proofs.Prove if the switch is not in the wanted state, so that there is nothing to prove.
	ErrNotWanted = errors.New("the switch is not in the wanted state")
	// ErrUnanswered is returned by Proofs.Prove if the switch does not answer, or if the session with it ends.
	ErrUnanswered = errors.New("the switch has not answered")
)

// Proofs proves on request that switches treat packets as the documents demand. The zero value has no switches. It is safe for concurrent use.
type Proofs struct {
	mu       sync.Mutex // guards sessions
	sessions map[string]proofSession
}

// A proofSession is a session with a switch. The worker answers what is sent to ask.
type proofSession struct {
	session *p4rt.Session
	ask     chan<- chan<- proofSubject
}

type proofSubject struct {
	subject  *prove.Subject
	revision uint64
	err      error
}

// A Proof is the result of a proof on a switch.
type Proof struct {
	Revision uint64 // the revision of the documents
	InForce  string
	Packets  int
	// All is true if no packet of those that the proof on the twin makes was left out.
	All bool
	// Deviating is the number of packets that the switch does not treat as the documents demand, and Deviations up to prove.MaxCounterexamples of them.
	Deviating  int
	Deviations []*prove.Deviation
	// Tables is the part of each table that the packets meet. Unhit are entries that they do not meet, up to prove.MaxUnhit of UnhitCount.
	Tables     []prove.Table
	Unhit      []prove.Unhit
	UnhitCount int
	Took       time.Duration
}

// MaxProofPackets is the largest number of packets of a proof on a switch. They are kept in memory.
const MaxProofPackets = 100_000

// Prove asks a switch about at most most packets, of those that the proof on the twin makes. Packets that deviate are asked about again, because a
// session or a lease may have changed the switch in the meantime.
func (p *Proofs) Prove(ctx context.Context, switchName string, most int) (*Proof, error) {
	began := time.Now()
	p.mu.Lock()
	of, ok := p.sessions[switchName]
	p.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w %q", ErrNotOwned, switchName)
	}
	is, err := of.subject(ctx)
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", switchName, err)
	}
	probing, all, err := prove.AllProbes(is.subject, most)
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", switchName, err)
	}
	deviations, err := of.tried(ctx, probing)
	if err != nil {
		return nil, err
	}
	if len(deviations) > 0 {
		now, err := of.subject(ctx)
		if err != nil {
			return nil, fmt.Errorf("switch %q: %w", switchName, err)
		}
		again, err := probing.Again(now.subject, deviations)
		if err != nil {
			return nil, fmt.Errorf("switch %q: %w", switchName, err)
		}
		if deviations, err = of.tried(ctx, again); err != nil {
			return nil, err
		}
		if err := again.Explain(deviations[:min(len(deviations), prove.MaxCounterexamples)]); err != nil {
			return nil, fmt.Errorf("switch %q: %w", switchName, err)
		}
	}
	r := &Proof{
		Revision: is.revision, InForce: is.subject.State.InForce.String(), Packets: len(probing.Packets), All: all,
		Deviating: len(deviations), Deviations: deviations[:min(len(deviations), prove.MaxCounterexamples)],
	}
	limit := 0
	if !all {
		limit = most
	}
	if r.Tables, r.Unhit, r.UnhitCount, err = probing.Coverage(limit); err != nil {
		return nil, fmt.Errorf("switch %q: %w", switchName, err)
	}
	r.Took = time.Since(began)
	return r, nil
}

// subject asks the worker what the switch has. A worker that is writing answers afterwards.
func (s proofSession) subject(ctx context.Context) (proofSubject, error) {
	answer := make(chan proofSubject, 1)
	select {
	case s.ask <- answer:
	case <-s.session.Done():
		return proofSubject{}, s.session.Err()
	case <-ctx.Done():
		return proofSubject{}, context.Cause(ctx)
	}
	is := <-answer // the worker answers at once
	return is, is.err
}

// tried is like the function tried. Its errors that are of the switch or of the session wrap ErrUnanswered.
func (s proofSession) tried(ctx context.Context, p *prove.Probing) ([]*prove.Deviation, error) {
	all, err := tried(ctx, s.session, p)
	if err != nil && (errors.Is(err, p4rt.ErrNoProbeAnswer) || isOfSession(err)) {
		err = fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	return all, err
}

// open registers a session, whose worker answers what it receives from ask until stop is called.
func (p *Proofs) open(switchName string, s *p4rt.Session) (ask <-chan chan<- proofSubject, stop func()) {
	if p == nil {
		return nil, func() {}
	}
	asked := make(chan chan<- proofSubject)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions == nil {
		p.sessions = make(map[string]proofSession)
	}
	mine := proofSession{s, asked}
	p.sessions[switchName] = mine
	return asked, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.sessions[switchName] == mine {
			delete(p.sessions, switchName)
		}
	}
}

// proofSubject returns what the switch has now.
func (w *worker) proofSubject() (is proofSubject) {
	if w.current == nil {
		return proofSubject{err: ErrNotWanted}
	}
	is.revision = w.current.Number
	is.subject, is.err = w.subject(*w.current)
	return is
}
