package fleet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
)

// exemptOne changes one exemption, and returns the number of the revision.
func exemptOne(t testing.TB, b *intent.Book, verb string, e policy.Exemption) uint64 {
	t.Helper()
	x := intent.Exempting{Verb: verb, Exemption: e}
	p, err := b.ProposeExemption(within(t), x)
	if err != nil {
		t.Fatal(err)
	}
	return must(b.PutExemption(within(t), p, x, by))(t).Number
}

func exemption(prefix string, day int) policy.Exemption {
	return policy.Exemption{Prefix: netip.MustParsePrefix(prefix), Owner: "noc", Reason: "test", Expires: december(day)}
}

// TestExemptOne verifies that a change of one exemption writes only its entry, reads only that back, and only reports the revision of a switch that
// it does not concern. A controller that starts afterwards finds every switch as it should be (I5).
func TestExemptOne(t *testing.T) {
	one, two := startTestSwitch(t, 1, "127.0.0.1:0"), startTestSwitch(t, 2, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	files := replaced(documentsOf(t, one, two), "expires: 2007-03-31", "expires: 2006-12-31")
	apply(t, book, replaced(files, "review: 2006-12-31", "review: 2006-12-01"))
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now}
	r := start(t, cfg)
	at := func(revision uint64) {
		t.Helper()
		r.converged(one.name, revision)
		r.converged(two.name, revision)
	}
	at(1)
	wrote := func(what string, x *testSwitch, want int) {
		t.Helper()
		writes, pushes := x.forget()
		n := 0
		for _, w := range writes {
			n += len(w.Updates)
		}
		if n != want || pushes != 0 {
			t.Errorf("%s: %d updates and %d pushes of %s, want %d and none", what, n, pushes, x.name, want)
		}
		if reads := x.readsSo(); reads > want {
			t.Errorf("%s: %d reads of %s, want %d at most", what, reads, x.name, want)
		}
	}
	forget := func() {
		for _, x := range []*testSwitch{one, two} {
			x.forget()
			x.readsSo()
		}
	}
	// The clock of a new switch may be read only after its entries were written. Their ends are then written before the next change.
	r.await("the exemptions have their ends", func(map[string]Status) bool {
		without, _ := noEnds(t, one)
		others, _ := noEnds(t, two)
		return without+others == 0
	})
	at(exemptOne(t, book, intent.ExemptionAdd, exemption("198.18.1.0/24", 20)))
	forget()
	at(exemptOne(t, book, intent.ExemptionAdd, exemption("198.18.0.0/24", 20)))
	wrote("added a prefix", one, 1)
	wrote("added a prefix", two, 1)
	lines := policy.Exemption{Line: "business-fixed-2"}
	at(exemptOne(t, book, intent.ExemptionAdd, policy.Exemption{Line: lines.Line, Owner: "noc", Reason: "test", Expires: december(10)}))
	wrote("added a line of the other switch", one, 0)
	wrote("added a line", two, 2)
	at(exemptOne(t, book, intent.ExemptionRenew, policy.Exemption{Line: lines.Line, Expires: december(12)}))
	wrote("renewed a line", two, 2)
	// Another controller ends it. This one finds that the documents are those of revision 3 again.
	last := exemptOne(t, intent.NewBook(s, c.now), intent.ExemptionEnd, lines)
	at(last)
	wrote("ended a line", two, 2)
	wrote("the lines of the other switch", one, 0)
	if st, n := r.converged(two.name, last), countEntries(readEntries(t, two)); st.Entries != n {
		t.Errorf("the status has %d entries, the switch %d", st.Entries, n)
	}
	r.end()
	forget()
	cfg.Book = intent.NewBook(s, c.now)
	r = start(t, cfg)
	at(last)
	untouched(t, "restart", one)
	untouched(t, "restart", two)
}

// countEntries counts entries as the status does.
func countEntries(all []pipeline.Entry) (n int) {
	for _, e := range all {
		if _, _, group := e.Group(); !group && !e.IsDefault() {
			n++
		}
	}
	return n
}

// TestExemptMany makes random changes of exemptions that contain each other, faster than the switch gets them, and verifies that the switch has in
// the end what a controller that reads it would write.
func TestExemptMany(t *testing.T) {
	x := startTestSwitch(t, 1, "127.0.0.1:0")
	s := embeddedStore(t)
	c := clockAt(allDestinations)
	book := intent.NewBook(s, c.now)
	apply(t, book, documentsOf(t, x))
	cfg := Config{Name: "noc-1", Store: s, Book: book, Now: c.now}
	r := start(t, cfg)
	r.converged(x.name, 1)
	prefixes := []string{"192.0.2.0/24", "192.0.2.13/32", "192.0.2.12/30", "192.0.2.64/28", "192.0.2.72/32", "2001:db8:1::/48", "2001:db8:1::13/128", "198.18.0.0/16"}
	rnd := rand.New(rand.NewPCG(25, 14))
	has := map[string]bool{}
	var last uint64
	for i := range 60 {
		p := prefixes[rnd.IntN(len(prefixes))]
		switch {
		case !has[p]:
			last = exemptOne(t, book, intent.ExemptionAdd, exemption(p, 1+rnd.IntN(30)))
			has[p] = true
		case rnd.IntN(2) == 0:
			e := exemption(p, 1+i%30)
			list := must(book.Current(within(t)))(t).Bundle.Policy
			if at, there := list.Exemption(e); there && list.Exemptions[at].Expires == e.Expires {
				continue
			}
			last = exemptOne(t, book, intent.ExemptionRenew, e)
		default:
			last = exemptOne(t, book, intent.ExemptionEnd, exemption(p, 1))
			delete(has, p)
		}
		if i%7 == 0 {
			r.converged(x.name, last)
		}
	}
	r.converged(x.name, last)
	compiled := must(must(book.Current(within(t)))(t).Compile(x.name, c.now()))(t)
	var want, got []string
	for p, sub := range compiled.State.Subscribers {
		want = append(want, fmt.Sprint(p, sub.Class, sub.Line))
	}
	ends := exemptEnds(t, x)
	for _, e := range readEntries(t, x) {
		if class, is := e.IsSubscriber(); is {
			p, _ := e.Prefix()
			got = append(got, fmt.Sprint(p, class, e.Home()))
			if ends[p] == 0 {
				t.Errorf("%v has no end", p)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the switch has %q, want %q", got, want)
	}
	r.end()
	x.forget()
	cfg.Book = intent.NewBook(s, c.now)
	r = start(t, cfg)
	r.converged(x.name, last)
	untouched(t, "restart", x)
}
