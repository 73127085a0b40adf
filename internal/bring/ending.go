package bring

import (
	"time"

	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
)

// A Trust states how far the controller trusts its own clock.
type Trust uint8

const (
	// Trusted means that dates come by the clock.
	Trusted Trust = iota
	// Held means that dates are held, because the clock is in doubt.
	Held
	// Starting means that dates are held for a moment, because the clock has not been compared with others yet.
	Starting
)

// An Ending computes the ends of exemptions in the clock of one switch. It is pure: all its times are of one moment.
//
// An end that cannot be computed is never guessed: the exemption then has no end in the switch, and only a controller ends it. An end that is too
// early would stop mail that the policy permits.
type Ending struct {
	// Clock is the switch's clock. If it is not known, exemptions have no end.
	Clock p4rt.SwitchClock
	// Now is the time of the controller's clock, by which dates come. Host is the time of this host, with a monotonic reading.
	Now, Host time.Time
	Trust     Trust
	// Unchanged means that the switch was last brought to the same documents and exemptions.
	Unchanged bool
}

// Until returns the clock second at which an exemption ends that ends at the time end, given that of the entry that the switch has, or 0. sure is
// false if the result depends on Trust or on whether the clock is known, so that it must be computed again when they change.
//
//   - An end that the switch has stays, if it is the right one as far as clocks can be compared. A controller that restarts therefore writes nothing
//     (I5), and neither does a clock that drifts a little.
//   - An end that is farther away than p4rt.MaxEnd is not written yet.
//   - While dates are held, and while the clock of the switch is not known, no end is written, because it might be too early. An end that the switch
//     has stays if the time that the controller still trusts confirms it, or if no document has changed since it was written.
//   - While the controller starts, which takes a moment, an end that the switch has stays.
func (e Ending) Until(end time.Time, has pipeline.ClockSecond) (until pipeline.ClockSecond, sure bool) {
	away := end.Sub(e.Now)
	until, known := e.Clock.NotBefore(e.Host.Add(away), e.Host)
	switch {
	case known && has != 0 && p4rt.SameFarEnd(has, until, away):
		return has, true
	case known && away > p4rt.MaxEnd:
		return 0, true
	case known && e.Trust == Trusted:
		return until, true
	case e.Trust == Starting || e.Unchanged:
		return has, false
	}
	return 0, false
}

// Ends returns the option reconcile.Options.End for a compiled state. unsure, if not nil, is called for each end that is not sure.
func (e Ending) Ends(c *compile.Compiled, unsure func()) func(want, have pipeline.Entry) pipeline.Entry {
	return func(want, have pipeline.Entry) pipeline.Entry {
		if class, is := want.IsSubscriber(); !is || class != compile.SubscriberExempt {
			return want
		}
		p, _ := want.Prefix()
		end, ok := c.End(p)
		if !ok { // an entry of the layer, which has its end already
			return want
		}
		until, sure := e.Until(end, endOf(have))
		if !sure && unsure != nil {
			unsure()
		}
		return want.WithUntil(until)
	}
}

// endOf returns the end of an entry of an exemption, or 0.
func endOf(e pipeline.Entry) pipeline.ClockSecond {
	if class, is := e.IsSubscriber(); !is || class != compile.SubscriberExempt {
		return 0
	}
	return e.Until()
}

// KeepEnds is the option reconcile.Options.End for a plan that does not know the clock of the switch: all ends that the switch has stay.
func KeepEnds(want, have pipeline.Entry) pipeline.Entry {
	if class, is := want.IsSubscriber(); !is || class != compile.SubscriberExempt || want.Until() != 0 {
		return want
	}
	return want.WithUntil(endOf(have))
}

// Tampered compares two values of an exemption's entry: that of the switch, and that which it should have. onlyEnds is false if more than the ends
// differ. tampered is true if the difference of the ends is much larger than that of clocks, so that another hand has changed the entry. last is the
// time for which the ends were computed before.
func (e Ending) Tampered(c *compile.Compiled, has, should pipeline.Entry, last time.Time) (tampered, onlyEnds bool) {
	p, _ := should.Prefix()
	end, ok := c.End(p)
	if class, is := has.IsSubscriber(); !ok || !is || class != compile.SubscriberExempt || has.WithUntil(should.Until()) != should {
		return false, false
	}
	if end.Sub(last) > p4rt.MaxEnd { // it was too far away
		return false, true
	}
	const much, atLeast = 10, 200_000 * time.Second // the latter allows 20 s
	return !p4rt.SameFarEnd(has.Until(), should.Until(), max(much*end.Sub(e.Now), atLeast)), true
}
