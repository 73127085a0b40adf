package fleet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/longform"
	"op25b/internal/compile"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
)

// exemptUntil returns the documents of the worked example in which, beside business-fixed, the prefixes are exempt until the given last days of 2006.
func exemptUntil(t testing.TB, x *testSwitch, until map[string]policy.Date) []strict.File {
	var all strings.Builder
	all.WriteString("exemptions:\n")
	for prefix, day := range until {
		fmt.Fprintf(&all, "  - {prefix: %s, owner: noc@isp.example, reason: servers, expires: %v}\n", prefix, day)
	}
	return replaced(documentsOf(t, x), "exemptions:\n", all.String())
}

func december(day int) policy.Date { return policy.Date{Year: 2006, Month: 12, Day: day} }

// exemptEnds returns the ends of the exemptions in a switch.
func exemptEnds(t testing.TB, x *testSwitch) map[netip.Prefix]pipeline.ClockSecond {
	all := make(map[netip.Prefix]pipeline.ClockSecond)
	for _, e := range readEntries(t, x) {
		if class, is := e.IsSubscriber(); is && class == compile.SubscriberExempt {
			p, _ := e.Prefix()
			all[p] = e.Until()
		}
	}
	return all
}

// noEnds returns the number of exemptions without an end, and of all.
func noEnds(t testing.TB, x *testSwitch) (without, all int) {
	for _, until := range exemptEnds(t, x) {
		if all++; until == 0 {
			without++
		}
	}
	return without, all
}

var (
	homeAddress = netip.MustParseAddr("192.0.2.11")
	hostPrefix  = "192.0.2.11/32"
	linePrefix  = "192.0.2.0/27"
)

// exemptWorld returns a world in which the address of adsl-home is exempt until 10 December, and a prefix around it until 20 December.
func exemptWorld(t testing.TB) *leaseWorld {
	w := newLeaseWorld(t)
	apply(t, w.book, exemptUntil(t, w.x, map[string]policy.Date{hostPrefix: december(10), linePrefix: december(20)}))
	return w
}

// until lets the time pass until a moment.
func (w *leaseWorld) until(at time.Time) { w.later(at.Sub(w.clock.now())) }

// TestExemptionEndsWithoutAController verifies that an exemption ends on its day although no controller is there, that a wider exemption around it
// goes on, and that a controller that finds the entries of another writes nothing (I5).
func TestExemptionEndsWithoutAController(t *testing.T) {
	w := exemptWorld(t)
	r := w.run()
	link := w.attach()
	passes := func() bool { return link.passesTo("home", homeAddress, outside, 25) }
	if without, all := noEnds(t, w.x); without != 0 || all != 4 { // business-fixed has two
		t.Errorf("%d of %d exemptions have no end", without, all)
	}
	r.end()
	w.x.forget()
	r = w.run()
	w.eventually("the clock was read again", func() bool { return len(w.x.packetOuts) > 1 })
	r.end()
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after a restart: %v", len(writes), pushes, writes)
	}
	offset := policy.Offset(9 * 60)
	for _, x := range []struct {
		at   time.Time
		want bool
	}{
		{december(11).Start(offset).Add(time.Hour), true}, // the wider one
		{december(21).Start(offset).Add(-3 * time.Second), true},
		{december(21).Start(offset).Add(3 * time.Second), false},
		{december(31).Start(offset), false},
	} {
		w.until(x.at)
		if got := passes(); got != x.want {
			t.Errorf("at %v the address is exempt: %t", x.at, got)
		}
	}
}

// TestExemptionsAfterAReboot verifies that a switch that restarts, and whose clock begins again, has the exemptions with ends in its new clock.
func TestExemptionsAfterAReboot(t *testing.T) {
	w := exemptWorld(t)
	r := w.run()
	before := exemptEnds(t, w.x)
	w.reboot()
	w.x.clock.ahead.Store(w.clock.ahead.Load())
	w.eventually("the switch has its exemptions again", func() bool {
		if !programmed(t, w.x) {
			return false
		}
		after := exemptEnds(t, w.x)
		without, _ := noEnds(t, w.x)
		return len(after) == len(before) && without == 0
	})
	link := w.attach()
	r.end()
	w.until(december(21).Start(9 * 60).Add(3 * time.Second))
	if link.passesTo("home", homeAddress, outside, 25) {
		t.Error("the exemption has not ended")
	}
}

// programmed reports whether a switch has a program.
func programmed(t testing.TB, x *testSwitch) bool {
	answer, err := x.P4Runtime().GetForwardingPipelineConfig(within(t), &p4v1.GetForwardingPipelineConfigRequest{DeviceId: x.id, ResponseType: p4v1.GetForwardingPipelineConfigRequest_COOKIE_ONLY})
	return err == nil && answer.GetConfig().GetCookie().GetCookie() != 0
}

// TestExemptionsWithoutClock verifies that a switch whose clock cannot be read has its exemptions without an end, that its status says so, and that
// the ends are written when the clock can be read.
func TestExemptionsWithoutClock(t *testing.T) {
	w := exemptWorld(t)
	w.x.mute.Store(true)
	r := w.run()
	r.await("the status says that there is no clock", func(all map[string]Status) bool {
		st := all[w.x.name]
		return st.State == StateConverged && st.Reason == ReasonNoClock && st.Detail != "" && st.NoClock != ""
	})
	if without, all := noEnds(t, w.x); without != 4 || all != 4 {
		t.Errorf("%d of %d exemptions have no end, want all", without, all)
	}
	w.x.mute.Store(false)
	r.await("the status no longer says so", func(all map[string]Status) bool {
		st := all[w.x.name]
		return st.State == StateConverged && st.Reason != ReasonNoClock && st.Detail == "" && st.NoClock == ""
	})
	w.eventually("the exemptions have ends", func() bool { without, all := noEnds(t, w.x); return without == 0 && all == 4 })
	for _, st := range r.seen {
		if len(st.Drift) > 0 {
			t.Errorf("drift: %q", st.Drift)
		}
	}
}

// TestExemptionBound is the property that I15 is for leases: what an exemption permits passes until its end and not after it, whatever prefixes
// contain each other, with packets at random instants. Controllers are killed, and the switch is rebooted.
func TestExemptionBound(t *testing.T) { // I15
	if testing.Short() {
		t.Skip("a process for each controller")
	}
	rounds := 2
	if longform.On() {
		rounds = 50
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { exemptionBound(t, rand.New(rand.NewPCG(uint64(seed), 13))) })
	}
}

func exemptionBound(t *testing.T, random *rand.Rand) {
	w := &boundWorld{leaseWorld: newLeaseWorld(t), t: t, rand: random, dir: t.TempDir()}
	addresses := map[string]netip.Addr{"home": homeAddress, "bot": netip.MustParseAddr("192.0.2.12")}
	until := make(map[string]policy.Date)
	for _, prefix := range []string{linePrefix, "192.0.2.8/29", hostPrefix, "192.0.2.12/32"} {
		until[prefix] = december(2 + random.IntN(8))
	}
	exempt := func(line string, at time.Time) bool {
		for prefix, day := range until {
			day.Day++
			if netip.MustParsePrefix(prefix).Contains(addresses[line]) && at.Before(day.Start(9*60)) {
				return true
			}
		}
		return false
	}
	apply(t, w.book, exemptUntil(t, w.x, until))
	w.advance(december(1).Start(0).Sub(w.clock.now()))
	w.begin()
	defer func() { w.kill() }()
	w.link = w.attach()
	w.up()
	w.eventually("the exemptions have ends", func() bool { without, all := noEnds(t, w.x); return without == 0 && all > 2 })
	probe := func() {
		t.Helper()
		line := []string{"home", "bot"}[random.IntN(2)]
		now := w.clock.now()
		switch passed := w.link.passesTo(line, addresses[line], outside, 25); {
		case passed && !exempt(line, now.Add(-tolerance)):
			t.Fatalf("at %v %s is still exempt; the exemptions end after %v", now, line, until)
		case !passed && exempt(line, now.Add(tolerance)):
			t.Fatalf("at %v %s is no longer exempt; the exemptions end after %v", now, line, until)
		}
	}
	for range 14 {
		switch []string{"later", "later", "later", "end", "begin", "reboot"}[random.IntN(6)] {
		case "later":
			w.kill()
			w.advance(time.Duration(random.Int64N(int64(24 * time.Hour))))
		case "end": // close to one
			w.kill()
			for _, day := range until {
				day.Day++
				if at := day.Start(9 * 60).Add(time.Duration(random.IntN(10)-5) * time.Second); at.After(w.clock.now()) {
					w.advance(at.Sub(w.clock.now()))
					break
				}
			}
		case "begin":
			w.begin()
		case "reboot":
			w.begin() // the switch has no program otherwise
			ahead := w.x.clock.ahead.Load()
			w.reboot()
			w.x.clock.ahead.Store(ahead)
			w.link = w.attach()
			w.up()
			w.eventually("the switch has its exemptions again", func() bool {
				without, all := noEnds(t, w.x)
				return without == 0 && all >= 2
			})
			for _, line := range []string{"home", "bot"} {
				if exempt(line, w.clock.now().Add(tolerance)) {
					w.eventually(line+" is exempt again", func() bool { return w.link.passesTo(line, addresses[line], outside, 25) })
				}
			}
		}
		for range 3 {
			probe()
		}
	}
	w.kill()
	w.advance(max(0, december(12).Start(9*60).Sub(w.clock.now())))
	for _, line := range []string{"home", "bot"} {
		if w.link.passesTo(line, addresses[line], outside, 25) {
			t.Errorf("%s is exempt after all exemptions have ended: %v", line, until)
		}
	}
}

// TestAnotherHandChangesAnEnd verifies that the end of an exemption that another hand changed is repaired, and that the status lists the repair (I7).
func TestAnotherHandChangesAnEnd(t *testing.T) {
	w := exemptWorld(t)
	r := start(t, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: w.reg, Leases: w.ledger, clockEvery: 10 * time.Millisecond, AuditEvery: 50 * time.Millisecond})
	r.await("the switch converged", func(all map[string]Status) bool { return all[w.x.name].State == StateConverged })
	w.eventually("the exemptions have ends", func() bool { without, all := noEnds(t, w.x); return without == 0 && all == 4 })
	entries := readEntries(t, w.x)
	i := slices.IndexFunc(entries, func(e pipeline.Entry) bool { return e.Until() != 0 })
	w.x.handAtAudit(t, update(p4v1.Update_MODIFY, p4rt.Entity(entries[i].WithUntil(0))))
	r.await("the repair is listed", func(all map[string]Status) bool {
		d := all[w.x.name].Drift
		return len(d) == 1 && strings.Contains(d[0], "changed subscriber_v") && strings.HasSuffix(d[0], "until=0")
	})
	if without, all := noEnds(t, w.x); without != 0 || all != 4 {
		t.Errorf("%d of %d exemptions have no end", without, all)
	}
}

// TestSessionOutlastsAPrefix verifies that a line whose exemption follows its sessions keeps it when that of a prefix around its address ends without
// a controller, that the rest of the prefix is no longer exempt then, and that the line's exemption ends on its own day. A controller that finds the
// entries of another writes nothing (I5), and the end of the session removes its entry.
func TestSessionOutlastsAPrefix(t *testing.T) {
	w := newLeaseWorld(t)
	apply(t, w.book, replaced(leaseDocuments(t, w.x), "exemptions:\n", "exemptions:\n  - {prefix: 192.0.2.64/26, owner: noc@isp.example, reason: servers, expires: 2006-12-10}\n"))
	address, neighbour := netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("192.0.2.78")
	has := func() bool { _, is := exemptEnds(t, w.x)[netip.PrefixFrom(address, 32)]; return is }
	r := w.run()
	link := w.attach()
	w.start("adsl-home", "192.0.2.77/32")
	w.eventually("the address has an entry of its own", has)
	w.report(subscriber.Stop, "adsl-home", "s1")
	w.eventually("the entry is gone with the session", func() bool { return !has() })
	w.start("adsl-home", "192.0.2.77/32")
	w.eventually("the address has an entry again", has)
	w.inForce(r, 1, 0)
	r.end()
	w.x.forget()
	r = w.run()
	w.inForce(r, 1, 0)
	r.end()
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after a restart: %v", len(writes), pushes, writes)
	}
	offset := policy.Offset(9 * 60)
	end := policy.Date{Year: 2007, Month: 4, Day: 1}.Start(offset)
	for _, x := range []struct {
		at              time.Time
		own, rest, from bool // whether the line, another address of the prefix, and the address on another line are exempt
	}{
		{december(11).Start(offset).Add(-3 * time.Second), true, true, true},
		{december(11).Start(offset).Add(3 * time.Second), true, false, true}, // the entry applies to every line: see docs/limitations.md
		{end.Add(-time.Minute), true, false, true},
		{end.Add(time.Minute), false, false, false},
	} {
		w.until(x.at)
		own := link.passesTo("home", address, outside, 25)
		rest, from := link.passesTo("internet", neighbour, outside, 25), link.passesTo("internet", address, outside, 25)
		if own != x.own || rest != x.rest || from != x.from {
			t.Errorf("at %v, exempt are the line: %t, the rest of the prefix: %t, the address on another line: %t; want %t, %t, %t",
				x.at, own, rest, from, x.own, x.rest, x.from)
		}
	}
}
