package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
	"op25b/internal/prove"
)

const (
	// DefaultProbeEvery is how often a converged switch is probed. With 1,000 switches, that is 3.3 rounds a second in total.
	DefaultProbeEvery = 5 * time.Minute
	// probesOfRound is how many packets a round of probes tries. The embedded switch answers as many in some 10 ms.
	probesOfRound = 400
	// secondLook is the default of Config.secondLook, the time between a deviation and the audit that repairs it and looks again. An end of an exemption
	// or a lease is not known to the second, so a packet at that moment is no deviation.
	secondLook = 3 * time.Second
)

// errDeviates means that a switch has the entries, as far as it says, and would not treat packets as the documents demand.
var errDeviates = errors.New("the switch does not treat packets as the documents demand")

// A ProbeStatus is the result of the last round of probes of a switch.
type ProbeStatus struct {
	// At is the time of the round. Packets is the number of packets that were tried, and Deviating how many of them the switch would not treat as
	// the documents demand.
	At        time.Time `json:"at"`
	Packets   int       `json:"packets"`
	Deviating int       `json:"deviating,omitempty"`
	// Failure says why there was no answer; empty if there was one.
	Failure string `json:"failure,omitempty"`
}

// An asker asks a switch about packets while the worker does other work. It never writes.
type asker struct {
	ask     chan *probeRound // has room for one
	answers chan *probeRound
	asking  bool // whether a round is under way; only the goroutine of work accesses it and the fields below
	rounds  int  // the number of the next round: see firstRound
	// of is the state that was last probed, and writes the number of writes before it.
	of     *desired
	writes uint64
	// deviating is the round whose packets the switch does not treat as demanded; nil if there is none.
	deviating *probeRound
	running   sync.WaitGroup
}

// A probeRound is one round, and its result.
type probeRound struct {
	of      desired
	writes  uint64
	subject *prove.Subject
	number  int

	probing    *prove.Probing
	packets    int
	deviations []*prove.Deviation
	err        error
}

// firstRound returns the number of the first round of a session that begins at a time. A round takes up what the one before left, so the numbers go
// on with the time, also when the controller is restarted or another one takes the switch over.
func firstRound(now time.Time, every time.Duration) int {
	if every <= 0 {
		return 0
	}
	return int(now.UnixNano() / int64(every))
}

// startAsker starts the asker of a session. The caller must call wait after ctx has ended.
func (w *worker) startAsker(ctx context.Context, s *p4rt.Session) *asker {
	p := &asker{ask: make(chan *probeRound, 1), answers: make(chan *probeRound), rounds: firstRound(w.c.Now(), w.c.ProbeEvery)}
	p.running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case r := <-p.ask:
				if r.probing, r.err = prove.Probes(r.subject, probesOfRound, r.number); r.err == nil {
					r.deviations, r.err = tried(ctx, s, r.probing)
					r.packets = len(r.probing.Packets)
				}
				select {
				case p.answers <- r:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	return p
}

func (p *asker) wait() { p.running.Wait() }

// tried asks the switch about all packets.
func tried(ctx context.Context, s *p4rt.Session, p *prove.Probing) (all []*prove.Deviation, err error) {
	probes := make([]p4rt.FrameProbe, len(p.Packets))
	for i := range p.Packets {
		probes[i] = p4rt.FrameProbe{Port: p.Packets[i].Port, Frame: p.Packets[i].Frame}
	}
	answers, err := s.ProbeFrames(ctx, probes)
	if err != nil {
		return nil, err
	}
	for i := range answers {
		if d := p.Check(i, answers[i]); d != nil {
			all = append(all, d)
		}
	}
	return all, nil
}

// subject returns what a switch has that was brought to a state. The layer is that which it has confirmed.
func (w *worker) subject(has desired) (*prove.Subject, error) {
	c, err := w.compile(has)
	if err != nil {
		return nil, err
	}
	of := &prove.Subject{Switch: w.name, State: c, Bundle: has.view.For(w.name).Bundle, Now: w.c.Clock.Dates()}
	if w.layer != nil {
		for _, key := range slices.Sorted(maps.Keys(w.layer.held)) {
			of.Layer = append(of.Layer, w.layer.held[key]...)
		}
	}
	return of, nil
}

// has reports whether a state was probed, or is being probed, after the given number of writes.
func (p *asker) has(state desired, writes uint64) bool {
	return p.of != nil && p.writes == writes && p.of.same(state)
}

// probeDue reports whether the switch has been changed since it was last probed.
func (w *worker) probeDue() bool {
	p := w.asker
	return w.c.ProbeEvery > 0 && w.current != nil && !p.asking && p.deviating == nil && !p.has(*w.current, w.writes)
}

// probe begins a round, unless one is under way.
func (w *worker) probe() {
	p := w.asker
	if w.current == nil || p.asking || p.deviating != nil {
		return
	}
	of, err := w.subject(*w.current)
	if err != nil { // the same state was compiled before
		w.log.Warn("the switch was not probed", zap.Error(err))
		return
	}
	p.asking, p.of, p.writes = true, w.current, w.writes
	p.ask <- &probeRound{of: *w.current, writes: w.writes, subject: of, number: p.rounds}
	p.rounds++
}

// probed takes the result of a round. A deviation may be due to what was written during the round, so that it is looked at again: see secondLook.
func (w *worker) probed(r *probeRound) (deviates bool) {
	p := w.asker
	p.asking = false
	if w.current == nil || r.writes != w.writes || !r.of.same(*w.current) { // another round follows
		p.of = nil
		return false
	}
	st := ProbeStatus{At: w.c.Now().UTC(), Packets: r.packets, Deviating: len(r.deviations)}
	if r.err != nil {
		st.Failure = r.err.Error()
		w.log.Info("the switch was not probed", zap.Error(r.err))
	}
	w.c.Metrics.probed(r.packets, len(r.deviations), r.err)
	w.report(func(s *Status) error { s.Probes = &st; return nil })
	if len(r.deviations) == 0 {
		return false
	}
	w.log.Warn("packets deviate; the switch is read again", zap.Int("packets", len(r.deviations)), zap.Stringer("first", r.deviations[0]))
	p.deviating = r
	return true
}

// lookAgain asks the switch again about the packets that deviated, after it was read and brought to a state. It returns errDeviates with the first
// packet that still deviates.
func (w *worker) lookAgain(ctx context.Context, s *p4rt.Session, has desired) error {
	r := w.asker.deviating
	if r == nil {
		return nil
	}
	if !r.of.same(has) {
		w.asker.deviating, w.asker.of = nil, nil // a new round follows
		return nil
	}
	of, err := w.subject(has)
	if err != nil {
		return err
	}
	again, err := r.probing.Again(of, r.deviations)
	if err != nil {
		return err
	}
	deviations, err := tried(ctx, s, again)
	if err != nil {
		return err
	}
	w.report(func(st *Status) error {
		if st.Probes != nil {
			probes := *st.Probes
			probes.At, probes.Deviating = w.c.Now().UTC(), len(deviations)
			st.Probes = &probes
		}
		return nil
	})
	if len(deviations) == 0 {
		w.asker.deviating = nil
		return nil
	}
	if err := again.Explain(deviations[:1]); err != nil {
		return err
	}
	return fmt.Errorf("%w: of %d packets tried, %d deviate: %v", errDeviates, r.packets, len(deviations), deviations[0])
}

// nextProbe returns the time until the next round, which differs at random so that not all switches are probed at once.
func (w *worker) nextProbe() time.Duration {
	every := w.c.ProbeEvery
	if every <= 0 {
		return time.Duration(1<<63 - 1)
	}
	return every - every/4 + rand.N(every/2+1)
}
