package drive

import (
	"fmt"
	"slices"
	"time"

	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/rollout"
)

// observe returns what is seen of the switches and the gates.
func (s *Stored) observe(in *intent.Intent, statuses []fleet.Status, counts map[string]Counts, h heard, now time.Time, probed bool) rollout.Observation {
	o := rollout.Observation{Time: now, Places: make(map[string]rollout.Place), Held: make(map[string]string)}
	of := make(map[string]fleet.Status, len(statuses))
	for _, st := range statuses {
		of[st.Switch] = st
	}
	for i, stage := range s.Stages {
		for _, name := range stage.Switches {
			if _, there := in.Switch(name); !there { // it left the inventory, or is not in it yet, so nobody brings it anything
				o.Places[name] = rollout.Without
				continue
			}
			if st := of[name]; !confirms(in, st) {
				if st.State == fleet.StateHeld {
					o.Held[name] = "held for maintenance by " + st.Hold.Who + ": " + st.Hold.Reason
				}
				continue
			}
			o.Places[name] = rollout.Without
			if i < s.Rings() {
				o.Places[name] = rollout.With
			}
		}
	}
	for _, name := range s.Switches() {
		if added(in, name) {
			continue // it has nothing to measure yet
		}
		if c, there := counts[name]; !there || now.Sub(c.At) > s.Stages[0].Gates.Stale || s.State == rollout.Measuring && s.Begun[name].At.IsZero() {
			o.Unmeasured = append(o.Unmeasured, name)
		}
	}
	o.Foreseen = s.foreseen()
	for i, stage := range s.Stages[:s.Rings()] {
		reading := rollout.Reading{Time: now, Documents: s.Change.Documents != 0, Tickets: h.of(s, stage)}
		for _, name := range stage.Switches {
			m := s.of(in, name, of[name], counts[name])
			if probed {
				m.Unprobed, m.Unanswered = probes(of[name].Probes)
			}
			reading.Ring = append(reading.Ring, m)
		}
		if s.stopsNobody() { // otherwise the ring is expected to be worse than a ring without the phase
			for _, other := range s.Stages[i+1:] {
				for _, name := range other.Switches {
					if s.Rings() <= i+1 {
						reading.Control = append(reading.Control, s.of(in, name, of[name], counts[name]))
					}
				}
			}
		}
		o.Findings = append(o.Findings, stage.Gates.Evaluate(stage, reading)...)
	}
	return o
}

// foreseen returns a finding for documents that newly stop lines, and for those that open what is stopped. The author of a phase knows that it stops
// lines. Documents are often not meant to, and a forecast of wrong documents agrees with them, so an operator is asked before any switch has them.
func (s *Stored) foreseen() (found []rollout.Finding) {
	if s.Change.Documents == 0 {
		return nil
	}
	for _, x := range []struct {
		of   func(Counts) uint64
		text string
	}{
		{func(c Counts) uint64 { return c.Forecast }, "lines that send mail which the documents newly stop, or may do so unseen: %d"},
		{func(c Counts) uint64 { return c.Opened }, "lines that try to send mail which is stopped now and passes with the documents: %d"},
	} {
		var lines uint64
		f := rollout.Finding{Gate: rollout.Foreseen, Verdict: rollout.Hold}
		for _, name := range s.Switches() {
			if n := x.of(s.Begun[name]); n > 0 {
				lines += n
				f.Switches = append(f.Switches, name)
			}
		}
		if lines > 0 {
			f.Text = fmt.Sprintf(x.text, lines)
			found = append(found, f)
		}
	}
	return found
}

// stopsNobody reports whether the forecast expects no newly stopped line on any switch.
func (s *Stored) stopsNobody() bool {
	for _, name := range s.Switches() {
		if c := s.Begun[name]; !c.ForecastKnown || c.Forecast > 0 {
			return false
		}
	}
	return true
}

// added reports whether only the next documents of an intent have a switch.
func added(in *intent.Intent, name string) bool {
	_, old := in.Bundle.Inventory.Switch(name)
	return in.Next() != nil && !old
}

// of returns the measure of a switch.
func (s *Stored) of(in *intent.Intent, name string, st fleet.Status, c Counts) rollout.Measure {
	told, begun := s.Told[name], s.Begun[name]
	m := rollout.Measure{Switch: name, Lines: c.Lines, Forecast: begun.Forecast, ForecastKnown: begun.ForecastKnown}
	m.Unwell, m.Unseen = unwell(st)
	for _, t := range st.Tables {
		if share := float64(t.Entries) / float64(max(t.Size, 1)); share >= m.Full {
			m.FullestTable, m.Full = t.Table, share
		}
	}
	if told.At.IsZero() { // a control
		told = begun
	}
	if c.Owner != told.Owner || c.Counted < told.Counted { // counted from another start
		return m
	}
	m.At, m.From, m.LinesCounted = c.At, told.At, c.LinesCounted && c.With == slices.Contains(s.Wanted(), name)
	m.SubmissionStopped = c.Submission - min(c.Submission, told.Submission)
	if steady, is := s.Steady[name]; is && steady.Owner == c.Owner && c.At.After(steady.At) {
		m.Steady, m.RelayPermits, m.Stopped = steady.At, c.Relays-min(c.Relays, steady.Relays), c.Stopped-min(c.Stopped, steady.Stopped)
	}
	moved, link := c.Moved, c.MovedLink
	if moved.Before(told.At) {
		moved, link = told.At, told.Link
	}
	m.Still, m.StillLink = c.At.Sub(moved), c.Link-min(c.Link, link)
	if m.LinesCounted || c.With {
		m.Affected = c.Affected
	}
	if begun.Owner == told.Owner && told.At.After(begun.At) {
		m.StoppedBefore, m.CountedBefore = told.Stopped-min(told.Stopped, begun.Stopped), told.Counted-min(told.Counted, begun.Counted)
		m.Before, m.RelayPermitsBefore = told.At.Sub(begun.At), told.Relays-min(told.Relays, begun.Relays)
	}
	if told.Renewed || c.Since.After(told.At.Add(s.recountedAfter())) {
		m.Recounted = c.Since
	}
	if added(in, name) { // nothing was stopped or forecast before
		m.Affected, m.Forecast, m.ForecastKnown, m.Recounted = 0, 0, true, time.Time{}
	}
	return m
}

// probes returns why the probes of a switch show nothing yet, and why it answers none.
func probes(p *fleet.ProbeStatus) (unprobed, unanswered string) {
	switch {
	case p == nil:
		return "it was not probed since the change", ""
	case p.Failure != "":
		return "", "it was not probed: " + p.Failure
	case p.Deviating > 0:
		return fmt.Sprintf("%d of %d packets are not treated as the documents demand; the switch is read again", p.Deviating, p.Packets), ""
	}
	return "", ""
}

// recountedAfter returns the time within which the owner of a switch notices that the switch is given the change. It notices it at a sample.
func (s *Stored) recountedAfter() time.Duration {
	return max(30*time.Second, s.Stages[0].Gates.Stale)
}

// confirms reports whether a status confirms the phases of an intent.
func confirms(in *intent.Intent, st fleet.Status) bool {
	if st.Wanted != in.Number {
		return false
	}
	return st.State == fleet.StateConverged && st.Revision == in.Number || st.Reason == fleet.ReasonPhaseOnly
}

// unwell returns why a switch is not in its desired state, and why that is not known. A switch that is being written is well. If the controller of a
// switch has died, nothing is known of the switch until another controller has taken it over, which takes seconds.
func unwell(st fleet.Status) (unwell, unseen string) {
	switch {
	case st.Switch == "":
		return "", "no controller has reported the switch"
	case st.State == fleet.StateUnknown:
		return "", "no living controller confirms the switch: " + st.Reason.String()
	case st.State.Failed():
		text := st.State.String() + ": " + st.Reason.String()
		if st.Detail != "" {
			text += ": " + st.Detail
		}
		return text, ""
	case st.State == fleet.StateConverging && st.Reason == fleet.ReasonDrift:
		return "drift: another program has changed the switch", ""
	}
	return "", ""
}
