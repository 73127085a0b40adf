package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"op25b/e2e/longform"
)

func TestMain(m *testing.M) {
	longform.Rapid()
	m.Run()
}

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

func line(i int) Holder { return Holder{Line: fmt.Sprint("line-", i)} }

func address(text string) Holder { return Holder{Address: netip.MustParseAddr(text)} }

// TestKey verifies that a holder has a key of its own, also a line whose name looks like an address.
func TestKey(t *testing.T) {
	keys := make(map[string]bool)
	for _, h := range []Holder{line(1), {Line: "203.0.113.9"}, address("203.0.113.9"), address("2001:db8::9")} {
		if keys[h.Key()] || HolderOf(h.Key()) != h {
			t.Errorf("%q is the key of %v", h.Key(), HolderOf(h.Key()))
		}
		keys[h.Key()] = true
	}
}

var terms = Terms{10 * time.Minute, 30 * time.Minute}

func grant(i int, at time.Time) Grant {
	return Grant{Holder: line(i), Name: "pop", Terms: terms, At: at}
}

// TestRenew verifies how a lease is renewed up to its cap, and begins anew after its end.
func TestRenew(t *testing.T) {
	minutes := func(n int) time.Time { return noon().Add(time.Duration(n) * time.Minute) }
	var l Lease
	for _, step := range []struct {
		at           time.Time
		outcome      Outcome
		granted, end time.Time
	}{
		{minutes(0), Granted, minutes(0), minutes(10)},
		{minutes(0), Unchanged, minutes(0), minutes(10)},                     // the same again
		{minutes(0).Add(Grain - 1), Unchanged, minutes(0), minutes(10)},      // another connection
		{minutes(0).Add(Grain), Renewed, minutes(0), minutes(10).Add(Grain)}, // the next poll
		{minutes(-1), Unchanged, minutes(0), minutes(10).Add(Grain)},         // arrives late
		{minutes(9), Renewed, minutes(0), minutes(19)},                       //
		{minutes(18), Renewed, minutes(0), minutes(28)},                      //
		{minutes(25), Renewed, minutes(0), minutes(30)},                      // the cap
		{minutes(30).Add(-time.Second), Unchanged, minutes(0), minutes(30)},  // nothing beyond the cap
		{minutes(30), Granted, minutes(30), minutes(40)},                     // it has ended
		{minutes(50), Granted, minutes(50), minutes(60)},                     // after a gap
		{minutes(55), Renewed, minutes(50), minutes(65)},                     //
		{minutes(64).Add(-Grain / 2), Renewed, minutes(50), minutes(74).Add(-Grain / 2)},
	} {
		var outcome Outcome
		var err error
		if l, outcome, err = grant(1, step.at).After(l); err != nil || outcome != step.outcome || !l.Granted.Equal(step.granted) || !l.End.Equal(step.end) {
			t.Errorf("at %v: %v %v to %v, %v; want %v %v to %v", step.at, outcome, l.Granted, l.End, err, step.outcome, step.granted, step.end)
		}
	}
	if l.Holds(l.End) || !l.Holds(l.End.Add(-1)) {
		t.Error("a lease holds before its end, and not at it")
	}
}

// TestSessionsHaveTheirOwnLease verifies that a lease is not renewed after the line's session has ended.
func TestSessionsHaveTheirOwnLease(t *testing.T) {
	g := grant(1, noon())
	g.Session = noon().Add(-time.Hour)
	l, _, _ := g.After(Lease{})
	again := grant(1, noon().Add(time.Minute))
	again.Session = noon().Add(30 * time.Second)
	if l, outcome, err := again.After(l); err != nil || outcome != Granted || !l.Granted.Equal(again.At) || !l.Session.Equal(again.Session) {
		t.Errorf("%v, %v, %v", l, outcome, err)
	}
}

// TestRefused verifies each reason for which a grant is refused, with the message that a caller gets.
func TestRefused(t *testing.T) {
	other := grant(1, noon())
	other.Name = "imap"
	ofAddress := Grant{Holder: address("203.0.113.9"), Name: "pop", Terms: terms, At: noon()}
	otherOf := ofAddress
	otherOf.Name = "imap"
	for _, test := range []struct {
		name string
		set  func(*Table)
		g    Grant
		want error
		text string
	}{
		{"another lease", func(*Table) {}, other, ErrOther, `the holder has another lease: line line-1 has the lease "pop" until 2026-07-01T12:10:00Z; revoke it first`},
		{"another lease of an address", func(*Table) {}, otherOf, ErrOther, `the holder has another lease: an address has the lease "pop" until 2026-07-01T12:10:00Z; revoke it first`},
		{"full", func(x *Table) { x.most = 2 }, grant(2, noon()), ErrFull, "too many leases: there are 2, which is the limit"},
		{"full of addresses", func(x *Table) { x.mostOf = 1 }, Grant{Holder: address("203.0.113.8"), Name: "pop", Terms: terms, At: noon()}, ErrFull, "too many leases: there are 1 of IPv4 addresses, which is the limit"},
		{"rate", func(x *Table) { x.rate.AllowN(noon(), GrantsInBurst-2) }, grant(2, noon()), ErrRate, "too many grants: more than 2000 a second"},
		{"late", func(*Table) {}, grant(2, noon().Add(-10*time.Minute)), ErrLate, `the grant has ended already: the login was 10m0s ago, and the lease "pop" lasts 10m0s`},
	} {
		x := NewTable(MaxLeases)
		for _, g := range []Grant{grant(1, noon()), ofAddress} {
			l, _, err := x.Grant(g, noon())
			if err != nil {
				t.Fatal(err)
			}
			x.Set(l)
		}
		test.set(x)
		if _, _, err := x.Grant(test.g, noon()); !errors.Is(err, test.want) || err.Error() != test.text {
			t.Errorf("%s: %v; want %s", test.name, err, test.text)
		}
		if _, outcome, err := x.Grant(grant(1, noon()), noon()); err != nil || outcome != Unchanged {
			t.Errorf("%s: %v, %v for a lease that is held already", test.name, outcome, err)
		}
	}
}

// TestFuture verifies that a grant from a clock that is ahead begins now.
func TestFuture(t *testing.T) {
	l, _, err := NewTable(MaxLeases).Grant(grant(1, noon().Add(time.Hour)), noon())
	if err != nil || !l.Granted.Equal(noon()) || !l.End.Equal(noon().Add(terms.For)) {
		t.Errorf("%v, %v", l, err)
	}
}

// TestTable draws grants, revocations and waits, and verifies against a list of all grants: a lease holds only if a grant of the last For is its
// reason, never longer than Cap after the first of the grants that renewed it, and a repeated grant changes nothing. There are never more
// leases, nor leases of addresses of a family, than the table allows.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most, mostOf = 4, 1
		x, now := NewTable(mostOf), noon()
		x.most = most
		holders := []Holder{line(0), line(1), line(2), line(3), address("203.0.113.1"), address("203.0.113.2"), address("2001:db8::1"), address("2001:db8::2")}
		type history struct{ first, last time.Time }
		all := make(map[Holder]history) // of the leases that hold
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			h := rapid.SampledFrom(holders).Draw(t, "holder")
			switch rapid.SampledFrom([]string{"grant", "grant", "wait", "revoke", "expire"}).Draw(t, "what") {
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "seconds")) * time.Second)
			case "revoke":
				x.Delete(h)
				delete(all, h)
			case "expire":
				for l := range x.All() {
					if !l.Holds(now) {
						x.Delete(l.Holder)
					}
				}
			case "grant":
				g := Grant{Holder: h, Name: "pop", Terms: terms, At: now}
				_, held := x.Lease(h, now)
				l, outcome, err := x.Grant(g, now)
				if errors.Is(err, ErrFull) {
					n, of := len(x.leases), 0
					for l := range x.All() {
						if h.Line == "" && l.Holder.Line == "" && l.Holder.Address.Is4() == h.Address.Is4() {
							of++
						}
					}
					if n < most && of < mostOf {
						t.Fatalf("full with %d leases, %d of the family of %v", n, of, h)
					}
					continue
				}
				if err != nil || held == (outcome == Granted) {
					t.Fatalf("%v, %v; held %v", outcome, err, held)
				}
				x.Set(l)
				if again, outcome, err := x.Grant(g, now); err != nil || outcome != Unchanged || again != l {
					t.Fatalf("repeated: %v instead of %v, %v, %v", again, l, outcome, err)
				}
				if was := all[h]; held {
					all[h] = history{was.first, now}
				} else {
					all[h] = history{now, now}
				}
			}
			addresses := make(map[family]int)
			for _, h := range holders {
				if of, is := h.family(); is && x.leases[h].Name != "" {
					addresses[of]++
				}
				was, known := all[h]
				l, holds := x.Lease(h, now)
				latest := was.last.Add(terms.For)
				if most := was.first.Add(terms.Cap); latest.After(most) {
					latest = most
				}
				may, must := known && now.Before(latest), known && now.Before(latest.Add(-Grain))
				if holds && !may || must && !holds || holds && l.End.After(latest) {
					t.Fatalf("%v at %v: %v (%v), granted %v to %v", h, now, l, holds, was.first, was.last)
				}
				if known && !may {
					delete(all, h)
				}
			}
			if len(x.leases) > most || addresses[true] > mostOf || addresses[false] > mostOf || x.Addresses() != (len(addresses) > 0) {
				t.Fatalf("%d leases, of addresses %v", len(x.leases), addresses)
			}
		}
	})
}

// TestRate verifies that a controller grants no more than its rate over time, whatever the holders are.
func TestRate(t *testing.T) {
	x, now, granted := NewTable(MaxLeases), noon(), 0
	for i := range 3 * GrantsInBurst {
		if l, _, err := x.Grant(grant(i, now), now); err == nil {
			x.Set(l)
			granted++
		} else if !errors.Is(err, ErrRate) {
			t.Fatal(err)
		}
		now = now.Add(100 * time.Microsecond)
	}
	if most := GrantsInBurst + int(now.Sub(noon()).Seconds()*GrantsASecond); granted > most || granted < most-1 {
		t.Errorf("%d grants, want %d", granted, most)
	}
}
