package subscriber

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// leased returns an event of the session a whose lease has the given length.
func leased(kind Kind, seconds, length int, prefixes ...string) Event {
	e := event(kind, "a", seconds, prefixes...)
	e.Ends = e.Time.Add(time.Duration(length) * time.Second)
	return e
}

// TestLeases draws what two DHCP servers report about a line, one for each address family: leases, renewals and releases. Earlier events are
// repeated at any time. At every time, the line has the addresses whose last lease has neither ended nor been released.
func TestLeases(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable()
		last := make(map[bool]Event) // by whether the family is IPv4
		var past []Event
		feed := func(e Event, heard time.Time) {
			r, _ := table.Record("home").After(e, heard, time.Time{})
			table.Set("home", r)
		}
		second := 0
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			second += rapid.IntRange(1, 400).Draw(t, "later")
			e := leased(rapid.SampledFrom([]Kind{Start, Start, Stop}).Draw(t, "kind"), second, rapid.IntRange(1, 900).Draw(t, "lease"))
			v4 := rapid.Bool().Draw(t, "v4")
			e.Prefixes = []netip.Prefix{prefix(rapid.SampledFrom(map[bool][]string{true: {"192.0.2.1/32", "192.0.2.2/32"}, false: {"2001:db8:1::/56", "2001:db8:2::/56"}}[v4]).Draw(t, "prefix"))}
			if e.Kind == Stop {
				e.Ends = time.Time{}
			}
			feed(e, e.Time)
			past = append(past, e)
			last[v4] = e
			for _, old := range rapid.SliceOfN(rapid.SampledFrom(past), 0, 3).Draw(t, "repeated") {
				feed(old, e.Time)
			}
			now := e.Time.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "asked")) * time.Second)
			var want []netip.Prefix
			for _, v4 := range slices.SortedFunc(maps.Keys(last), func(a, _ bool) int { return map[bool]int{true: -1, false: 1}[a] }) {
				if e := last[v4]; e.Kind == Start && e.Ends.After(now) {
					want = append(want, e.Prefixes...)
				}
			}
			s, ok := table.Session("home", now)
			slices.SortFunc(s.Prefixes, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
			if ok != (len(want) > 0) || !slices.Equal(s.Prefixes, want) {
				t.Fatalf("after %v, at %v the line has %v (%v), want %v", past, now, s.Prefixes, ok, want)
			}
		}
	})
}

// TestLeaseRules has one case for each rule about leases. The last event is received at its own time, or at the time heard.
func TestLeaseRules(t *testing.T) {
	stop := func(seconds int, prefixes ...string) Event { return event(Stop, "a", seconds, prefixes...) }
	for name, c := range map[string]struct {
		events []Event
		heard  int // the time at which the last event is received
		last   Outcome
		asked  int // the time for which want is true
		want   []string
	}{
		"no silence":              {[]Event{leased(Start, 0, 7200, "192.0.2.1/32")}, 0, Opened, 7199, []string{"192.0.2.1/32"}},
		"end":                     {[]Event{leased(Start, 0, 7200, "192.0.2.1/32")}, 0, Opened, 7200, nil},
		"received after the end":  {[]Event{leased(Start, 0, 60, "192.0.2.1/32")}, 60, Late, 60, nil},
		"interim after the end":   {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Interim, 5, 60)}, 70, Late, 599, []string{"192.0.2.1/32"}},
		"renewed by an interim":   {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Interim, 300, 600)}, 300, Refreshed, 899, []string{"192.0.2.1/32"}},
		"renewed by a start":      {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Start, 300, 600, "192.0.2.1/32")}, 300, Refreshed, 899, []string{"192.0.2.1/32"}},
		"shorter lease":           {[]Event{leased(Start, 0, 6000, "192.0.2.1/32"), leased(Start, 300, 600, "192.0.2.1/32")}, 300, Refreshed, 900, nil},
		"lease again":             {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Start, 601, 600, "192.0.2.2/32")}, 601, Opened, 602, []string{"192.0.2.2/32"}},
		"release of one family":   {[]Event{leased(Start, 0, 600, "192.0.2.1/32", "2001:db8:1::/56"), stop(9, "192.0.2.1/32")}, 9, Refreshed, 9, []string{"2001:db8:1::/56"}},
		"release of the last":     {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), stop(9, "192.0.2.1/32")}, 9, Closed, 9, nil},
		"stop without addresses":  {[]Event{leased(Start, 0, 600, "192.0.2.1/32", "2001:db8:1::/56"), stop(9)}, 9, Closed, 9, nil},
		"release, then a lease":   {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), stop(9), leased(Start, 10, 600, "192.0.2.1/32")}, 10, Opened, 10, []string{"192.0.2.1/32"}},
		"release arrives later":   {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Start, 10, 600, "192.0.2.1/32"), stop(9)}, 11, Late, 11, []string{"192.0.2.1/32"}},
		"no addresses":            {[]Event{leased(Start, 0, 7200), leased(Interim, 9, 7200, "192.0.2.1/32")}, 9, Refreshed, 7208, []string{"192.0.2.1/32"}},
		"the other family remain": {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), leased(Start, 1, 7200, "2001:db8:1::/56")}, 1, Refreshed, 700, []string{"2001:db8:1::/56"}},
		"the lease is withdrawn":  {[]Event{leased(Start, 0, 600, "192.0.2.1/32"), event(Interim, "a", 9, "192.0.2.1/32")}, 9, Refreshed, 1809, []string{"192.0.2.1/32"}},
	} {
		t.Run(name, func(t *testing.T) {
			table := NewTable()
			var got Outcome
			for i, e := range c.events {
				heard := e.Time
				if i == len(c.events)-1 {
					heard = at(c.heard)
				}
				var r Record
				r, got = table.Record("home").After(e, heard, time.Time{})
				table.Set("home", r)
			}
			if got != c.last {
				t.Errorf("outcome %s, want %s", got, c.last)
			}
			s, ok := table.Session("home", at(c.asked))
			var have []string
			for _, p := range s.Prefixes {
				have = append(have, p.String())
			}
			if ok != (len(c.want) > 0) || !slices.Equal(have, c.want) {
				t.Errorf("%v (%v), want %v", have, ok, c.want)
			}
			for _, p := range c.want {
				if holder, ok := table.Holder(prefix(p).Addr(), at(c.asked)); !ok || holder != "home" {
					t.Errorf("%s is %q's", p, holder)
				}
			}
		})
	}
}

// TestEndedLeaseDisplacesNothing verifies that an address whose lease has ended does not end the session of its earlier line, which still has
// another address.
func TestEndedLeaseDisplacesNothing(t *testing.T) {
	table := NewTable()
	for _, e := range []Event{leased(Start, 0, 60, "192.0.2.1/32"), leased(Interim, 1, 7200, "2001:db8:1::/56")} {
		r, _ := table.Record("home").After(e, e.Time, time.Time{})
		table.Set("home", r)
	}
	next := leased(Start, 100, 60, "192.0.2.1/32")
	r, _ := Record{}.After(next, next.Time, time.Time{})
	table.Set("next", r)
	if all := table.Displaced("next", *r.Session, next.Time); len(all) != 0 {
		t.Errorf("%v are displaced", all)
	}
	if line, ok := table.Holder(netip.MustParseAddr("192.0.2.1"), next.Time); !ok || line != "next" {
		t.Errorf("%q, %v", line, ok)
	}
}

// TestSweptLeases verifies that an address goes with its lease while the session has another one, and that the session goes with the last.
func TestSweptLeases(t *testing.T) {
	var r Record
	for _, e := range []Event{leased(Start, 0, 60, "192.0.2.1/32"), leased(Interim, 1, 7200, "2001:db8:1::/56")} {
		r, _ = r.After(e, e.Time, time.Time{})
	}
	if swept, _ := r.Swept(at(59), time.Time{}); len(swept.Session.Prefixes) != 2 {
		t.Errorf("before the end: %v", swept.Session.Prefixes)
	}
	swept, _ := r.Swept(at(60), time.Time{})
	if !slices.Equal(swept.Session.Prefixes, []netip.Prefix{prefix("2001:db8:1::/56")}) || len(r.Session.Prefixes) != 2 {
		t.Errorf("after the end: %v of %v", swept.Session.Prefixes, r.Session.Prefixes)
	}
	if swept, _ = swept.Swept(at(7201), time.Time{}); swept.Session != nil {
		t.Errorf("after both ends: %v", swept.Session)
	}
}
