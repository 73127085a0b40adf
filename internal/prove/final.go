package prove

import (
	"context"
	"slices"

	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
)

// final judges all packets in the state after the change.
func (r *run) final(ctx context.Context, j *judges, running pipeline.Epoch) error {
	var failure error
	n := 0
	r.ahead(j, func(x *judged) bool {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			failure = context.Cause(ctx)
			return false
		}
		differ := j.judge(x)
		if differ == nil {
			return true
		}
		failure = r.fail(j, differ, "")
		return failure == nil && r.failed < maxDisagreements
	})
	r.result.Packets += j.packets
	if failure == nil {
		limit := 0
		if r.result.Limited {
			limit = MaxPackets
		}
		r.result.Tables, r.result.Unhit, r.result.UnhitCount = j.cover.tables(r.twin, r.New, running, r.touched, limit)
	}
	return failure
}

// fail records a packet that is not judged alike. step says when in the change it was tried, or empty for the state after the change.
func (r *run) fail(j *judges, x *disagreement, step string) error {
	r.failed++
	r.result.Disagreements++
	if len(r.result.Counterexamples) >= MaxCounterexamples {
		return nil
	}
	alike := func(c *Counterexample) bool {
		return c.kind == x.shot.kind && c.Got == x.got && c.Packet.Want.Rule == x.want.Rule && c.Step == step
	}
	if slices.ContainsFunc(r.result.Counterexamples, alike) {
		return nil // it shows nothing new
	}
	c := &Counterexample{
		Switch: r.Switch, Step: step, Got: x.got, Words: x.words, kind: x.shot.kind,
		Packet: Packet{Port: x.shot.port, Frame: x.shot.frame, About: x.shot.about(), Want: x.want},
	}
	if x.got != "" {
		var err error
		if c.Entries, c.Missed, err = r.smallest(x.shot); err != nil {
			return err
		}
	}
	r.result.Counterexamples = append(r.result.Counterexamples, c)
	return nil
}

// The packets that are made while the pipeline judges others: aheadBatches batches of aheadBatch packets, about 1 MB.
const (
	aheadBatch   = 256
	aheadBatches = 4
)

// ahead calls f for each packet of the proof, in order, until f returns false. While f runs, another goroutine makes the next packets and asks the model and
// the words about them, so that a proof uses two processors. A panic of that goroutine is raised in the caller's.
func (r *run) ahead(j *judges, f func(*judged) bool) {
	empty, full := make(chan []judged, aheadBatches), make(chan []judged, aheadBatches)
	for range aheadBatches {
		empty <- make([]judged, 0, aheadBatch)
	}
	stop := make(chan struct{})
	at := j.twin.Now()
	var panicked any
	go func() {
		defer close(full)
		defer func() { panicked = recover() }()
		batch := <-empty
		r.each(func(s *shot) bool {
			at += softswitch.TwinPause
			batch = batch[:len(batch)+1]
			x := &batch[len(batch)-1]
			frame := append(x.frame[:0], s.frame...)
			x.shot = *s
			x.frame = frame
			j.foresee(x, at)
			if len(batch) < aheadBatch {
				return true
			}
			full <- batch // never waits: full has room for all batches
			batch = nil
			select {
			case batch = <-empty:
				return true
			case <-stop:
				return false
			}
		})
		if len(batch) > 0 {
			full <- batch
		}
	}()
	more, stopped := true, false
	for batch := range full {
		for i := range batch {
			if more = more && f(&batch[i]); !more {
				break
			}
		}
		switch {
		case more:
			empty <- batch[:0]
		case !stopped:
			stopped = true
			close(stop)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
}
