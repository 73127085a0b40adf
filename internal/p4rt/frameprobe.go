package p4rt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/internal/pipeline"
)

const (
	// probesAtOnce is how many probes a session sends before it has their answers. A switch drops packet-ins that its queue has no room for.
	probesAtOnce = 64
	// probeTimeout is how long a session waits for the next answer. A switch answers in a few milliseconds.
	probeTimeout = 2 * time.Second
	// probeAttempts is how often a session sends a probe that is not answered.
	probeAttempts = 3
)

// ErrNoProbeAnswer means that the switch does not answer probes.
var ErrNoProbeAnswer = errors.New("no answer to a probe")

// A FrameProbe asks what a switch would do with a frame.
type FrameProbe struct {
	Port  pipeline.Port // where the frame would enter
	Frame []byte
}

// frameProbes holds the probes that a switch has not yet answered.
type frameProbes struct {
	mu      sync.Mutex // guards the fields below
	last    uint32     // the tag of the last probe
	waiting map[uint32]probeWaiting
}

type probeWaiting struct {
	index   int
	answers chan<- probeAnswer // has room for every probe that is not answered
}

// A probeAnswer is a switch's decision about a frame, or the reason why it refuses the packet-out.
type probeAnswer struct {
	tag    uint32
	index  int
	probed pipeline.Probed
	frame  []byte
	err    error
}

// ProbeFrames asks the switch what it would do with frames, by packet-outs that the program returns as packet-ins. The switch sends nothing to
// anyone, and counts probes apart, except that the counters of verdict entries count them too. ProbeFrames returns the answers in the order of the
// probes. A switch may lose packets, so a probe without an answer is sent up to three times. ProbeFrames returns ErrNotPrimary if the session is not
// primary, and ErrNoProbeAnswer if the switch refuses a probe, does not answer it, or returns another frame than it was asked about.
func (s *Session) ProbeFrames(ctx context.Context, all []FrameProbe) ([]pipeline.Probed, error) {
	const op = "probe"
	if err := s.mayWrite(ctx); err != nil {
		return nil, s.fail(op, nil, err)
	}
	r := probeRun{session: s, all: all, answers: make(chan probeAnswer, probesAtOnce), sent: map[uint32]int{}, attempts: make([]int, len(all))}
	defer func() { s.frameProbes.forget(r.sent) }()
	for i := range all {
		r.next = append(r.next, i)
	}
	probed := make([]pipeline.Probed, len(all))
	for left := len(all); left > 0; {
		if err := r.send(ctx); err != nil {
			return nil, err
		}
		select {
		case a := <-r.answers:
			switch {
			case a.err != nil:
				return nil, s.fail(op, ErrNoProbeAnswer, a.err)
			case !bytes.Equal(a.frame, all[a.index].Frame):
				return nil, s.fail(op, ErrNoProbeAnswer, fmt.Errorf("the switch was asked about the frame %x, and answered about %x", all[a.index].Frame, a.frame))
			}
			delete(r.sent, a.tag)
			probed[a.index] = a.probed
			left--
		case <-time.After(probeTimeout):
			if err := r.lost(); err != nil {
				return nil, s.fail(op, ErrNoProbeAnswer, err)
			}
		case <-s.finished:
			return nil, s.fail(op, nil, s.Err())
		case <-ctx.Done():
			return nil, s.fail(op, nil, context.Cause(ctx))
		}
	}
	return probed, nil
}

// A probeRun is one call of ProbeFrames.
type probeRun struct {
	session  *Session
	all      []FrameProbe
	next     []int          // the probes to send, by index
	sent     map[uint32]int // the probes that are not answered, by tag
	attempts []int          // how often each probe was sent
	answers  chan probeAnswer
}

// send sends as many probes as may be unanswered at once.
func (r *probeRun) send(ctx context.Context) error {
	for len(r.next) > 0 && len(r.sent) < probesAtOnce {
		i := r.next[0]
		r.next = r.next[1:]
		tag := r.session.frameProbes.ask(i, r.answers)
		r.sent[tag] = i
		r.attempts[i]++
		packet := newPacketOut(pipeline.ProbePacketOut(r.all[i].Port, tag, r.all[i].Frame))
		if err := r.session.send(ctx, "probe", &p4v1.StreamMessageRequest{Update: &p4v1.StreamMessageRequest_Packet{Packet: packet}}); err != nil {
			return err
		}
	}
	return nil
}

// lost prepares the probes that the switch does not answer to be sent again.
func (r *probeRun) lost() error {
	r.session.frameProbes.forget(r.sent)
	for len(r.answers) > 0 { // an answer that came in the meantime is asked for again
		<-r.answers
	}
	for _, i := range slices.Sorted(maps.Values(r.sent)) {
		if r.attempts[i] == probeAttempts {
			return fmt.Errorf("the switch has not answered probe %d of %d within %v, %d times", i+1, len(r.all), probeTimeout, probeAttempts)
		}
		r.next = append(r.next, i)
	}
	clear(r.sent)
	return nil
}

// ask returns a tag for a probe, whose answer goes to a channel.
func (p *frameProbes) ask(index int, answers chan<- probeAnswer) (tag uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[uint32]probeWaiting{}
		p.last = rand.Uint32() // an answer to an earlier session's probe has another tag
	}
	p.last++
	p.waiting[p.last] = probeWaiting{index, answers}
	return p.last
}

func (p *frameProbes) forget(sent map[uint32]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for tag := range sent {
		delete(p.waiting, tag)
	}
}

// answered passes a packet-in to the call of ProbeFrames that asked for it. It returns false if there is none. The goroutine that receives calls it,
// and is never blocked.
func (p *frameProbes) answered(in *p4v1.PacketIn) bool {
	tag, probed, frame, ok := pipeline.ReadProbePacketIn(packetHeader(in), in.GetPayload())
	return ok && p.pass(tag, probeAnswer{tag: tag, probed: probed, frame: frame})
}

// refused passes an error about a packet-out to the call of ProbeFrames that sent it. It returns false if there is none.
func (p *frameProbes) refused(e *p4v1.StreamError) bool {
	out := e.GetPacketOut()
	if out == nil {
		return false
	}
	tag, ok := pipeline.ProbeTag(out.GetPacketOut().GetPayload())
	return ok && p.pass(tag, probeAnswer{tag: tag, err: fmt.Errorf("the switch refuses the packet-out: %s", e.GetMessage())})
}

func (p *frameProbes) pass(tag uint32, a probeAnswer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, ok := p.waiting[tag]
	if ok {
		delete(p.waiting, tag) // so that a duplicate is not passed
		a.index = w.index
		w.answers <- a
	}
	return ok
}
