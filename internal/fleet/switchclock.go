package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"op25b/internal/p4rt"
)

// clockEvery is the time between two readings of a switch's clock. In it, a clock that is wrong by 1,000 ppm drifts by 60 ms.
const clockEvery = time.Minute

// A clockReader reads the clock of a switch: when the switch has received or kept its program in a session, and every minute from then on.
type clockReader struct {
	w        *worker
	every    time.Duration
	readings chan clockTaken // to the goroutine of work
	now      chan struct{}   // asks for a reading at once
	pushes   atomic.Uint64   // counts the pushes of the program, after each of which the clock may begin again
	begun    bool            // whether readings are taken; only the goroutine of work accesses it
	reading  sync.WaitGroup
}

// A clockTaken is a reading that began after the given number of pushes, or the reason why the switch does not report its clock.
type clockTaken struct {
	p4rt.ClockReading
	pushes uint64
	err    error
}

// startClock starts a reader for a session, which takes a reading in each period. The clock is not known until the first reading. The caller must
// call wait after ctx has ended.
func (w *worker) startClock(ctx context.Context, s *p4rt.Session, every time.Duration) *clockReader {
	w.clock = p4rt.SwitchClock{}
	r := &clockReader{w: w, every: every, readings: make(chan clockTaken), now: make(chan struct{}, 1)}
	r.reading.Go(func() { r.read(ctx, s) })
	return r
}

func (r *clockReader) wait() { r.reading.Wait() }

// programmed must be called when the switch has the program. If the program was pushed, the clock is unknown until the next reading, because a
// reading from before the push may be of an earlier clock.
func (r *clockReader) programmed(pushed bool) {
	if pushed {
		r.pushes.Add(1)
		r.w.clock = p4rt.SwitchClock{}
	}
	if pushed || !r.begun {
		r.begun = true
		select {
		case r.now <- struct{}{}:
		default:
		}
	}
}

// read takes readings until the session or ctx ends. It runs beside the writes of the session.
func (r *clockReader) read(ctx context.Context, s *p4rt.Session) {
	var due <-chan time.Time // nil until the switch has the program
	silent := false          // whether the switch did not report its clock the last time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.now:
		case <-due:
		}
		pushes := r.pushes.Load()
		reading, err := s.Clock(ctx)
		due = time.After(r.every)
		if err != nil && (ctx.Err() != nil || isOfSession(err)) {
			return
		}
		if errors.Is(err, p4rt.ErrNoClock) && !silent {
			r.w.log.Info("the switch does not report its clock, so no entry of it can have an end", zap.Error(err))
		}
		silent = err != nil
		select {
		case r.readings <- clockTaken{reading, pushes, err}:
		case <-ctx.Done():
			return
		}
	}
}

// observe takes a reading into the worker's clock, unless the program has been pushed since the reading began. It reports whether entries with an end
// have to be computed again.
func (r *clockReader) observe(taken clockTaken) (changed bool) {
	if taken.pushes != r.pushes.Load() {
		return false
	}
	first := !r.w.clock.Known()
	changed = r.w.clock.Observe(taken.ClockReading)
	if changed && !first {
		r.w.log.Warn("the switch's clock has restarted or drifted; the ends of entries are computed again", zap.Duration("clock", taken.Switch))
	}
	return changed
}
