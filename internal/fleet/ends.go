package fleet

import (
	"context"
	"time"

	"op25b/internal/bring"
	"op25b/internal/clock"
	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/reconcile"
)

const (
	// awaitClock is how long a switch waits for its entries until its clock has been read. It is longer than p4rt waits for an answer. A switch
	// whose entries have ends would otherwise lose them, and get them again a moment later.
	awaitClock = 3 * time.Second
	// awaitNewClock is the same for a switch that has just received the program, and has no entries yet, and for one whose clock could not be read
	// the last time. It is much longer than a switch needs that reports its clock.
	awaitNewClock = 250 * time.Millisecond
)

// ends are the facts by which the ends of exemptions were last computed for a switch. Only the goroutine of work accesses them.
type ends struct {
	any     bool // whether the switch has any exemption
	unsure  bool // whether some end was not sure: see bring.Ending
	stale   bool // whether the switch's clock has changed since
	by      endsBy
	at      time.Time // the time by the controller's clock; zero if the ends have not been computed in the current session
	noClock string    // why the clock could not be read, if exemptions lack their ends because of it
}

// endsBy is what may change without a new revision.
type endsBy struct {
	known bool // whether the switch's clock is known
	trust bring.Trust
}

// due reports whether the ends have to be computed again, given the present facts.
func (e *ends) due(now endsBy) bool { return e.any && (e.stale || e.unsure && e.by != now) }

// ending returns the present facts.
func (w *worker) ending() (bring.Ending, endsBy) {
	e := bring.Ending{Clock: w.clock, Host: time.Now()}
	switch w.c.Clock.Hold().Reason {
	case clock.None:
	case clock.Starting:
		e.Trust = bring.Starting
	default:
		e.Trust = bring.Held
	}
	e.Now = w.c.Now() // after Hold, which detects that the clock was set
	return e, endsBy{w.clock.Known(), e.Trust}
}

// endsDue reports whether the ends of exemptions have to be computed again.
func (w *worker) endsDue() bool {
	_, by := w.ending()
	return w.ends.due(by)
}

// bring gives the switch the program, and brings it to a compiled state, with the ends of exemptions in the clock of the switch. Between the two, it
// waits for a reading of the clock, if the state needs it. unchanged means that the switch was last brought to the same documents and exemptions.
func (w *worker) bring(ctx context.Context, s *p4rt.Session, c *compile.Compiled, unchanged bool, opts reconcile.Options) (bring.Result, *reconcile.Memory, error) {
	pushed, err := w.c.program.Ensure(ctx, s)
	w.pushed = w.pushed || pushed
	if err != nil {
		return bring.Result{Pushed: pushed}, nil, err
	}
	w.reader.programmed(pushed)
	next := ends{any: c.HasEnds()}
	if next.any && !w.clock.Known() {
		w.awaitClock(ctx, pushed)
	}
	var e bring.Ending
	e, next.by = w.ending()
	next.at, e.Unchanged = e.Now, unchanged
	opts.End = e.Ends(c, func() { next.unsure = true })
	if next.any && !next.by.known {
		next.unsure = true
		if next.noClock = "its clock has not been read yet"; w.clockErr != nil {
			next.noClock = w.clockErr.Error()
		}
	}
	result, memory, err := w.c.program.Apply(ctx, s, c.Sharing(), opts)
	result.Pushed = pushed
	if err == nil {
		w.ends = next
	}
	return result, memory, err
}

// awaitClock waits for a reading of the switch's clock, or for the reason why there is none.
func (w *worker) awaitClock(ctx context.Context, pushed bool) {
	most := awaitClock
	if pushed || w.clockErr != nil {
		most = awaitNewClock
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	for !w.clock.Known() {
		select {
		case taken := <-w.reader.readings:
			if w.observe(w.reader, taken); taken.err != nil && taken.pushes == w.reader.pushes.Load() {
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// endsOnly reports whether a difference of an entry is one of ends alone that the clocks explain.
func (w *worker) endsOnly(c *compile.Compiled) func(reconcile.Change) bool {
	was := w.ends
	e, by := w.ending()
	settled := !was.at.IsZero() && !was.due(by)
	return func(x reconcile.Change) bool {
		tampered, only := e.Tampered(c, x.Old, x.New, was.at)
		return only && !(settled && tampered)
	}
}

// exemptUntil returns the end of the entry of a line that is exempt, and whose address is of its session.
func (w wanted) exemptUntil(end time.Time, has pipeline.ClockSecond) pipeline.ClockSecond {
	until, _ := w.ending.Until(end, has)
	return until
}
