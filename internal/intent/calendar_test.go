package intent

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"op25b/internal/policy"
	"op25b/internal/store"
)

var (
	october = time.Date(2006, 9, 30, 15, 0, 0, 0, time.UTC) // 1 October in Japan, when phase all-destinations begins
	april   = time.Date(2007, 3, 31, 15, 0, 0, 0, time.UTC) // 1 April in Japan, when the exemption has expired
)

func TestDated(t *testing.T) {
	b := book(open(t))
	in := apply(t, b, edited(t, "x", "x"))
	want := []Dated{
		{
			Kind: PhaseBegan, At: october, Revision: 1, Phase: "all-destinations", Turned: []Turned{{
				From: "mobile-carriers", To: "all-destinations", Groups: groupsOf(in), ByDefault: true, EveryLine: true, Switches: []string{"edge-1"},
			}},
		},
		{
			Kind: ExemptionsEnded, At: april, Revision: 1, Count: 1,
			Ended: []Ended{{Line: "business-fixed", Owner: "noc@isp.example", Ticket: "OP25B-17"}},
		},
	}
	if diff := cmp.Diff(want, in.Dated(august, april)); diff != "" {
		t.Error(diff)
	}
	if got := in.Dated(april, april.AddDate(1, 0, 0)); len(got) != 0 {
		t.Errorf("after the last date: %+v", got)
	}
	if got := in.Dated(october, april.Add(-1)); len(got) != 0 {
		t.Errorf("between two dates: %+v", got)
	}

	// Lines for which the phase was already activated by an operator do not change.
	in = must(b.Activate(within(t), 1, "all-destinations", policy.Scope{Groups: []string{"mobile"}}, by))(t)
	got := in.Dated(august, october)
	if len(got) != 1 || len(got[0].Turned) != 1 || got[0].Turned[0].EveryLine || len(got[0].Turned[0].Groups) != len(groupsOf(in))-1 {
		t.Errorf("%+v", got)
	}
	in = must(b.Activate(within(t), 2, "all-destinations", policy.Scope{}, by))(t)
	if got := in.Dated(august, october); len(got) != 1 || len(got[0].Turned) != 0 {
		t.Errorf("%+v", got)
	}
}

func groupsOf(in *Intent) (names []string) {
	for _, g := range in.Bundle.Policy.LineGroups {
		names = append(names, g.Name)
	}
	return names
}

// TestWriteDates verifies (I11) that each date is recorded once, whichever controllers run, and even if none was running at the date.
// Dates before the documents were stored are not recorded.
func TestWriteDates(t *testing.T) {
	s := open(t)
	b := book(s)
	in := apply(t, b, edited(t, "x", "x"))
	write := func(in *Intent, until time.Time) {
		t.Helper()
		var all sync.WaitGroup
		for _, name := range []string{"noc-1", "noc-2", "noc-3"} {
			all.Go(func() {
				if err := NewBook(s, func() time.Time { return until }).WriteDates(within(t), in, until, name); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	dated := func() (names []string) {
		t.Helper()
		for _, d := range must(b.AllDated(within(t)))(t) {
			names = append(names, d.name())
		}
		return names
	}
	write(in, august)
	if got := dated(); len(got) != 0 {
		t.Errorf("dates that had come before the documents: %q", got)
	}
	// No controller runs at the next two dates. Between the dates, a phase is activated.
	later := NewBook(s, func() time.Time { return october.Add(time.Hour) })
	in = must(later.Activate(within(t), 1, "before", policy.Scope{Groups: []string{"mobile"}}, by))(t)
	write(in, april.Add(time.Hour))
	write(in, april.Add(2*time.Hour))
	want := []string{"2006-09-30T15:00:00Z phase all-destinations", "2007-03-31T15:00:00Z exemptions "}
	if diff := cmp.Diff(want, dated()); diff != "" {
		t.Error(diff)
	}
	all := must(b.AllDated(within(t)))(t)
	if all[0].Revision != 1 || all[1].Revision != 2 || !all[0].Recorded.Equal(april.Add(time.Hour)) || !strings.HasPrefix(all[0].By, "noc-") {
		t.Errorf("%+v", all)
	}
	var chain []store.AuditRecord
	for _, r := range must(s.Audit().Records(within(t), 1, 100))(t) {
		if r.Who == Calendar {
			chain = append(chain, r)
		}
	}
	if len(chain) != 2 || chain[0].Verb+" "+chain[0].Object != "begin phase all-destinations" || chain[1].Verb+" "+chain[1].Object != "end exemption of line business-fixed" {
		t.Fatalf("the chain has %+v", chain)
	}
	var d Dated
	if err := json.Unmarshal([]byte(chain[0].Detail), &d); err != nil || !d.At.Equal(october) || len(d.Turned) != 1 || d.Turned[0].From != "mobile-carriers" {
		t.Errorf("%+v, %v", d, err)
	}
	if chain[0].Reason != "its date came at 2006-09-30T15:00:00Z" {
		t.Errorf("%+v", chain[0])
	}
	if _, err := s.Audit().Verify(within(t)); err != nil {
		t.Error(err)
	}
}

// TestWriteDatesOfAClockAhead verifies that a revision stored by a controller whose clock was fast neither brings dates forward nor
// hides any.
func TestWriteDatesOfAClockAhead(t *testing.T) {
	s := open(t)
	b := book(s)
	in := apply(t, b, edited(t, "x", "x"))
	if err := b.WriteDates(within(t), in, august, "noc-1"); err != nil {
		t.Fatal(err)
	}
	ahead := NewBook(s, func() time.Time { return april.AddDate(1, 0, 0) })
	in = must(ahead.Activate(within(t), 1, "before", policy.Scope{Groups: []string{"mobile"}}, by))(t)
	for _, c := range []struct {
		until time.Time
		want  int
	}{{august.Add(time.Hour), 0}, {october, 1}, {april, 2}} {
		if err := b.WriteDates(within(t), in, c.until, "noc-1"); err != nil {
			t.Fatal(err)
		}
		if got := must(b.AllDated(within(t)))(t); len(got) != c.want {
			t.Errorf("until %v: %+v, want %d", c.until, got, c.want)
		}
	}
}
