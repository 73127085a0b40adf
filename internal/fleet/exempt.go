package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"op25b/internal/bring"
	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// maxExempting is the number of entries up to which a change of exemptions is written without reading the switch.
const maxExempting = 1000

// errReadBack means that a switch confirmed the entries of an exemption and does not have them.
var errReadBack = errors.New("an entry of an exemption is not as it was written")

// exempt brings the switch to a state that differs from its current one only in single exemptions, by their entries alone. It reads them back. If
// done is false, the whole switch has to be compared, because the states differ in more, or because the switch refused an entry.
func (w *worker) exempt(ctx context.Context, s *p4rt.Session, want desired) (done bool, err error) {
	is := w.current
	if is == nil || w.memory == nil || w.endsDue() || is.Phases.String() != want.Phases.String() || !is.SameExemptions(is.At, want.At) {
		return false, nil
	}
	subjects, ok := want.ExemptionsSince(is.Intent)
	if !ok {
		return false, nil
	}
	delta, err := want.ExemptionDelta(is.Intent, w.name, subjects, want.At)
	ending, by := w.ending()
	if err != nil || len(delta) > maxExempting || len(delta) > 0 && (!by.known || by.trust != bring.Trusted) {
		return false, nil
	}
	began := time.Now()
	put, drop, err := exemptUpdates(delta, ending)
	if err != nil {
		return false, nil
	}
	cause := w.origins.cause(w.name, want)
	if len(delta) > 0 {
		w.attempts(w.origins.tried(want))
		if err := writeExempt(ctx, s, put, drop); isOfSession(err) || ctx.Err() != nil {
			return false, err
		} else if err != nil {
			w.log.Warn("an exemption was not written; the switch is read", zap.Error(err))
			return false, nil
		}
		w.alive()
		if !w.ends.any { // the switch had no exemption before
			w.ends = ends{any: true, by: by, at: ending.Now}
		}
	}
	if w.layer != nil {
		lines, err := want.Layer()
		if err != nil {
			return false, nil
		}
		w.layer.lines = lines
		for _, e := range subjects {
			if e.Line != "" {
				w.layer.dirty[e.Line] = struct{}{}
			} else {
				w.layer.mark(nil, true)
			}
		}
	}
	if len(delta) == 0 {
		w.reached(want, ReasonAsWanted, func(*Status) {})
		return true, nil
	}
	w.reached(want, cause, func(st *Status) {
		st.count(put)
		st.count(drop)
	}, zap.Int("exempting", len(put)+len(drop)), zap.Duration("duration", time.Since(began)))
	return true, nil
}

// exemptUpdates returns the updates that put exemptions into a switch, with their ends in its clock, and those that remove others.
func exemptUpdates(delta []compile.Touched, ending bring.Ending) (put, drop []pipeline.Update, err error) {
	for _, x := range delta {
		if x.Is.Class == 0 {
			e, err := pipeline.SubscriberEntry(x.Prefix, x.Was)
			if err != nil {
				return nil, nil, err
			}
			drop = append(drop, pipeline.Update{Kind: pipeline.Delete, Entry: &e})
			continue
		}
		e, err := pipeline.SubscriberEntry(x.Prefix, x.Is)
		if err != nil {
			return nil, nil, err
		}
		until, _ := ending.Until(x.Ends, 0)
		e, kind := e.WithUntil(until), pipeline.Insert
		if x.Was.Class != 0 {
			kind = pipeline.Modify
		}
		put = append(put, pipeline.Update{Kind: kind, Entry: &e})
	}
	return put, drop, nil
}

// count adds the entries that updates add to the numbers of entries, and subtracts those that they remove.
func (st *Status) count(updates []pipeline.Update) {
	st.Tables = slices.Clone(st.Tables) // an earlier status may be in use
	for _, u := range updates {
		n := int64(0)
		switch u.Kind {
		case pipeline.Insert:
			n = 1
		case pipeline.Delete:
			n = -1
		}
		st.Entries += int(n)
		for i := range st.Tables {
			if st.Tables[i].Table == u.Entry.Table() {
				st.Tables[i].Entries += n
			}
		}
	}
}

// writeExempt writes entries of exemptions and reads them back. What lets a packet pass is written before what no longer does is removed.
func writeExempt(ctx context.Context, s *p4rt.Session, put, drop []pipeline.Update) error {
	for _, updates := range [][]pipeline.Update{put, drop} {
		if len(updates) == 0 {
			continue
		}
		if err := s.WriteEntries(ctx, updates); err != nil {
			return err
		}
	}
	var wanted, asked []pipeline.Entry
	for _, u := range put {
		wanted = append(wanted, *u.Entry)
	}
	asked = slices.Clone(wanted)
	for _, u := range drop {
		asked = append(asked, *u.Entry)
	}
	got, err := s.ReadBack(ctx, asked)
	if err != nil {
		return err
	}
	if len(got) != len(wanted) {
		return errReadBack
	}
	for _, e := range wanted {
		if !slices.Contains(got, e) {
			return errReadBack
		}
	}
	return nil
}
