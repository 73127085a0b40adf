package subscriber

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// day is an arbitrary time at which the events of tests begin.
func day() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }

// at returns the time that is the given number of seconds after the beginning of the test.
func at(seconds int) time.Time { return day().Add(time.Duration(seconds) * time.Second) }

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func event(kind Kind, session string, seconds int, prefixes ...string) Event {
	e := Event{Kind: kind, NAS: "bng", Session: session, Time: at(seconds), Interval: 10 * time.Minute}
	for _, p := range prefixes {
		e.Prefixes = append(e.Prefixes, prefix(p))
	}
	return e
}

// A model determines the session of a line from all its events at once: the session that began last, unless a stop of it is known or its
// access server restarted after it began. It keeps no state, so the order of the events cannot matter to it.
type model struct{ events []Event }

func (m model) session() (nas, id string, ok bool) {
	var last Event
	for _, e := range m.events {
		if e.Kind == Start && (last.Kind == 0 || e.Time.After(last.Time)) {
			last = e
		}
	}
	if last.Kind == 0 {
		return "", "", false
	}
	for _, e := range m.events {
		same := e.NAS == last.NAS && e.Session == last.Session
		if e.Kind == Stop && same || e.Kind == Restart && e.NAS == last.NAS && e.Time.After(last.Time) {
			return "", "", false
		}
	}
	return last.NAS, last.Session, true
}

// feed applies events to a record in the given order, and returns the record and the restarts that are known then.
func feed(r Record, restarts map[string]time.Time, heard time.Time, events ...Event) Record {
	for _, e := range events {
		if e.Kind == Restart {
			if e.Time.After(restarts[e.NAS]) {
				restarts[e.NAS] = e.Time
			}
			continue
		}
		r, _ = r.After(e, heard, restarts[e.NAS])
	}
	return r
}

// TestOrderDoesNotMatter draws the sessions of a line on two access servers, which overlap and some of whose ends are lost, and restarts of the
// servers. The events arrive in any order, repeated any number of times. The line then has the session that the model says.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		second := 0 // no two events happen at the same time
		next := func() int { second += rapid.IntRange(1, 60).Draw(t, "later"); return second }
		var m model
		stops := []Event{}
		for i := range rapid.IntRange(0, 5).Draw(t, "sessions") {
			nas := rapid.SampledFrom([]string{"bng-1", "bng-2"}).Draw(t, "nas")
			start := Event{Kind: Start, NAS: nas, Session: fmt.Sprint("s", i), Time: at(next()), Interval: 10 * time.Minute}
			m.events = append(m.events, start)
			for _, e := range stops { // the ends of earlier sessions can follow
				if rapid.Bool().Draw(t, "overlaps") {
					e.Time = at(next())
					m.events = append(m.events, e)
				}
			}
			stops = nil
			stop := start
			stop.Kind = Stop
			switch rapid.SampledFrom([]string{"stop", "later", "lost", "restart"}).Draw(t, "end") {
			case "stop":
				stop.Time = at(next())
				m.events = append(m.events, stop)
			case "later":
				stops = append(stops, stop)
			case "restart":
				m.events = append(m.events, Event{Kind: Restart, NAS: nas, Time: at(next())})
			}
		}
		arrive := rapid.Permutation(append(append([]Event{}, m.events...), rapid.SliceOfN(rapid.SampledFrom(append(m.events, Event{Kind: Interim, NAS: "bng-1", Session: "s0"})), 0, 20).Draw(t, "repeated")...)).Draw(t, "order")
		restarts := make(map[string]time.Time)
		heard := at(second + 1)
		r := feed(Record{}, restarts, heard, arrive...)
		nas, id, want := m.session()
		got := r.Session.alive(heard, restarts)
		if got != want || got && (r.Session.NAS != nas || r.Session.ID != id) {
			t.Fatalf("after %v the line has %+v, want %s/%s (%v)", arrive, r.Session, nas, id, want)
		}
		if len(r.Ended) > maxEnded {
			t.Fatalf("%d ended sessions are remembered", len(r.Ended))
		}
	})
}

func (s *Session) alive(now time.Time, restarts map[string]time.Time) bool {
	return s != nil && s.Alive(now, restarts[s.NAS])
}

// TestRepetitionsChangeNothing verifies that an event that arrives again leaves the record as it is, whatever happened in between.
func TestRepetitionsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addresses := rapid.SliceOfN(rapid.SampledFrom([]netip.Prefix{prefix("192.0.2.1/32"), prefix("192.0.2.2/32"), prefix("2001:db8:1::/56"), prefix("2001:db8:2::/64")}), 0, 3)
		var r Record
		var past []Event
		restarts := make(map[string]time.Time)
		for i := range rapid.IntRange(1, 15).Draw(t, "events") {
			e := event(rapid.SampledFrom([]Kind{Start, Interim, Stop}).Draw(t, "kind"), "", 10*i)
			e.Session = fmt.Sprint("s", rapid.IntRange(i/4, i/4+1).Draw(t, "session"))
			e.Prefixes = addresses.Draw(t, "prefixes")
			r = feed(r, restarts, e.Time, e)
			past = append(past, e)
			again := feed(r, restarts, at(10*i+5), e)
			if diff := cmp.Diff(r, again, compare()...); diff != "" {
				t.Fatalf("%v repeated: %s", e, diff)
			}
			old := rapid.SampledFrom(past).Draw(t, "old")
			after := feed(r, restarts, at(10*i+5), old)
			if diff := cmp.Diff(r.Session, after.Session, compare()...); diff != "" {
				t.Fatalf("%v repeated after %v: %s", old, past, diff)
			}
		}
	})
}

func compare() []cmp.Option {
	return []cmp.Option{cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmpopts.EquateEmpty()}
}

func estimated(e Event) Event {
	e.Estimated = true
	return e
}

// TestRecord has one case for each rule of After.
func TestRecord(t *testing.T) {
	start := func(id string, s int) Event { return event(Start, id, s, "192.0.2.1/32") }
	for name, c := range map[string]struct {
		events  []Event
		heard   int // the time at which the last event is received
		last    Outcome
		session string // empty means none
	}{
		"start":                                 {[]Event{start("a", 0)}, 0, Opened, "a"},
		"start of the future counts as now":     {[]Event{start("a", 100), start("b", 50)}, 50, Opened, "b"},
		"start repeated":                        {[]Event{start("a", 0), start("a", 0)}, 30, Refreshed, "a"},
		"start that is too old":                 {[]Event{start("a", 0)}, 3601, Late, ""},
		"newer session":                         {[]Event{start("a", 0), start("b", 5)}, 5, Opened, "b"},
		"older session arrives later":           {[]Event{start("b", 5), start("a", 0)}, 6, Late, "b"},
		"two at the same time":                  {[]Event{start("a", 5), start("b", 5)}, 5, Opened, "b"},
		"stop":                                  {[]Event{start("a", 0), event(Stop, "a", 9)}, 9, Closed, ""},
		"stop that names another family":        {[]Event{start("a", 0), event(Stop, "a", 9, "2001:db8:1::/56")}, 9, Closed, ""},
		"stop that names one family of two":     {[]Event{event(Start, "a", 0, "192.0.2.1/32", "2001:db8:1::/56"), event(Stop, "a", 9, "192.0.2.1/32")}, 9, Closed, ""},
		"stop before its start":                 {[]Event{event(Stop, "a", 9), start("a", 0)}, 10, Late, ""},
		"start after the stop":                  {[]Event{start("a", 0), event(Stop, "a", 9), start("a", 0)}, 20, Late, ""},
		"stop of another session":               {[]Event{start("a", 0), event(Stop, "b", 9)}, 9, Late, "a"},
		"stop of the replaced session":          {[]Event{start("a", 0), start("b", 5), event(Stop, "a", 4)}, 6, Late, "b"},
		"stop of a newer session without start": {[]Event{start("a", 0), event(Stop, "b", 9), start("b", 5)}, 10, Late, ""},
		"id used again":                         {[]Event{start("a", 0), event(Stop, "a", 9), start("a", 10)}, 10, Opened, "a"},
		"id used again, times estimated":        {[]Event{start("a", 0), event(Stop, "a", 9), estimated(start("a", 10)), estimated(start("a", 12))}, 12, Late, ""},
		"id used again after an hour":           {[]Event{start("a", 0), event(Stop, "a", 9), start("a", 3700)}, 3700, Opened, "a"},
		"interim opens nothing":                 {[]Event{event(Interim, "a", 0, "192.0.2.1/32")}, 0, Unknown, ""},
		"interim of another session":            {[]Event{start("a", 0), event(Interim, "b", 9)}, 9, Unknown, "a"},
		"interim":                               {[]Event{start("a", 0), event(Interim, "a", 9)}, 9, Refreshed, "a"},
		"interim after silence":                 {[]Event{start("a", 0), event(Interim, "a", 1801)}, 1801, Unknown, ""},
		"start repeated after silence":          {[]Event{start("a", 0), start("a", 0)}, 1801, Late, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var r Record
			var got Outcome
			for i, e := range c.events {
				heard := e.Time
				if i == len(c.events)-1 || heard.After(at(c.heard)) {
					heard = at(c.heard)
				}
				r, got = r.After(e, heard, time.Time{})
			}
			if got != c.last {
				t.Errorf("outcome %s, want %s", got, c.last)
			}
			id := ""
			if r.Session.Alive(at(c.heard), time.Time{}) {
				id = r.Session.ID
			}
			if id != c.session {
				t.Errorf("session %q, want %q", id, c.session)
			}
		})
	}
}

// TestSilence verifies that a session ends three intervals after it was last heard of, and that interim updates prolong it, but not repetitions
// of recorded packets.
func TestSilence(t *testing.T) {
	var r Record
	r, _ = r.After(event(Start, "a", 0), at(0), time.Time{})
	for _, s := range []int{600, 1200} {
		r, _ = r.After(event(Interim, "a", s), at(s), time.Time{})
	}
	r, _ = r.After(event(Interim, "a", 600), at(1700), time.Time{}) // a replay
	if !r.Session.Alive(at(1200+1800), time.Time{}) || r.Session.Alive(at(1200+1801), time.Time{}) {
		t.Errorf("heard at %v: must end after 30 minutes", r.Session.Heard)
	}
	if swept, empty := r.Swept(at(1200+1800), time.Time{}); empty || swept.Session == nil {
		t.Error("a living session was swept")
	}
	swept, empty := r.Swept(at(1200+1801), time.Time{})
	if empty || swept.Session != nil {
		t.Errorf("a silent session remains: %+v", swept)
	}
	if _, outcome := swept.After(event(Start, "a", 0), at(3100), time.Time{}); outcome != Late {
		t.Errorf("the start of the silent session is %s again", outcome)
	}
	if _, empty = swept.Swept(at(3001+3600+1), time.Time{}); !empty {
		t.Error("the record is never empty")
	}
}

// TestRestart verifies that the restart of an access server ends its sessions, and that an id can be used again after it.
func TestRestart(t *testing.T) {
	var r Record
	r, _ = r.After(event(Start, "1", 0, "192.0.2.1/32"), at(0), time.Time{})
	if r.Session.Alive(at(10), at(5)) {
		t.Error("the session outlived the restart")
	}
	swept, _ := r.Swept(at(10), at(5))
	for _, before := range []Record{r, swept} {
		if _, outcome := before.After(event(Start, "1", 0), at(11), at(5)); outcome != Late {
			t.Errorf("the start before the restart is %s", outcome)
		}
		after, outcome := before.After(event(Start, "1", 6, "192.0.2.9/32"), at(11), at(5))
		if outcome != Opened || after.Session.Prefixes[0] != prefix("192.0.2.9/32") {
			t.Errorf("the start after the restart is %s, %+v", outcome, after.Session)
		}
	}
}

// TestAddressesOfASession verifies which addresses a session has after interim updates with some of them.
func TestAddressesOfASession(t *testing.T) {
	var r Record
	for _, e := range []struct {
		Event
		want []string
	}{
		{event(Start, "a", 0, "192.0.2.1/32"), []string{"192.0.2.1/32"}},
		{event(Interim, "a", 10, "2001:db8:1::/56"), []string{"2001:db8:1::/56", "192.0.2.1/32"}},
		{event(Interim, "a", 5, "2001:db8:9::/56"), []string{"2001:db8:1::/56", "192.0.2.1/32"}}, // overtaken
		{event(Interim, "a", 20), []string{"2001:db8:1::/56", "192.0.2.1/32"}},
		{event(Interim, "a", 30, "192.0.2.2/32", "2001:db8:2::/56"), []string{"192.0.2.2/32", "2001:db8:2::/56"}},
	} {
		r, _ = r.After(e.Event, at(40), time.Time{})
		var got []string
		for _, p := range r.Session.Prefixes {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(e.want, got); diff != "" {
			t.Errorf("after %v: %s", e.Event, diff)
		}
	}
}

// TestManyEndsWithoutStarts verifies that a line's record does not grow, and that what is forgotten cannot open a session.
func TestManyEndsWithoutStarts(t *testing.T) {
	var r Record
	for i := range 100 {
		r, _ = r.After(event(Stop, fmt.Sprint("s", i), 10*i+5), at(1000), time.Time{})
	}
	if len(r.Ended) != maxEnded {
		t.Errorf("%d ended sessions, want %d", len(r.Ended), maxEnded)
	}
	for i := range 100 {
		if after, outcome := r.After(event(Start, fmt.Sprint("s", i), 10*i), at(1000), time.Time{}); outcome != Late || after.Session != nil {
			t.Errorf("s%d: %s", i, outcome)
		}
	}
}
