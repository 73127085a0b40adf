package abuse

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"op25b/examples"
	"op25b/internal/intent"
	"op25b/internal/pipeline"
	"op25b/internal/store"
	"op25b/internal/strict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A bench is a ledger for the worked example, with a clock that the test sets. The line group adsl is watched.
type bench struct {
	t    *testing.T
	book *intent.Book
	in   *intent.Intent
	now  time.Time
	cfg  Config
	*Ledger
	numbers map[string]pipeline.LineIndex
}

const edge = "edge-1"

// begins is a time in the phase "before", which monitors. It is 09:00 in the policy's time zone.
var begins = time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC)

// watching returns the worked example in which the given line groups are watched.
func watching(groups ...string) []strict.File {
	files := examples.SpinNet2006()
	for i := range files {
		for _, g := range groups {
			files[i].Data = bytes.Replace(files[i].Data, []byte("{name: "+g+", "), []byte("{name: "+g+", watchInfected: true, "), 1)
		}
	}
	return files
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	s, err := store.Open(within(t), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, now: begins, cfg: cfg}
	b.book = intent.NewBook(s, func() time.Time { return b.now })
	b.cfg.Book, b.cfg.Now = b.book, func() time.Time { return b.now }
	b.apply(watching("adsl"))
	b.open()
	return b
}

// apply stores documents.
func (b *bench) apply(files []strict.File) {
	b.t.Helper()
	p, err := b.book.Propose(within(b.t), files)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.in, err = b.book.Put(within(b.t), p, intent.By{Who: "noc", Reason: "test"}); err != nil {
		b.t.Fatal(err)
	}
	b.numbers = make(map[string]pipeline.LineIndex)
	for name, n := range b.in.Numbers.Lines[edge] {
		b.numbers[name] = pipeline.LineIndex(n.Number)
	}
	if b.Ledger != nil {
		b.name()
	}
}

// name gives the ledger the names of the newest revision, in the same way as Run.
func (b *bench) name() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.index = newIndex(b.in)
	b.unwatchLocked()
}

// open opens the ledger, as after a restart of the controller.
func (b *bench) open() {
	b.t.Helper()
	l, err := New(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Ledger = l
	b.Follow(edge, true)
	b.name()
}

// tries sends the mail flows of SYNs to port 25, as a switch in the phase "before" reports them.
func (b *bench) tries(name string, servers ...string) {
	b.t.Helper()
	b.uses("smtp", name, servers...)
}

// uses is like tries, for another service.
func (b *bench) uses(service, name string, servers ...string) {
	b.t.Helper()
	line, there := b.numbers[name]
	if !there {
		b.t.Fatalf("no line %q", name)
	}
	for _, server := range servers {
		b.OnFlows(edge, []pipeline.MailFlow{{
			Line: line, Leg: pipeline.UpDst, Service: pipeline.Service(b.in.Numbers.Services[service].Number), Action: pipeline.Monitor,
			Subscriber: netip.MustParseAddr("192.0.2.200"), Remote: netip.MustParseAddr(server),
		}})
	}
}

// id returns the pseudonym of a line.
func (b *bench) id(name string) ID { return b.key.line(edge, name) }

// offender returns the line's entry in Offenders.
func (b *bench) offender(name string) (Offender, bool) {
	for _, o := range b.Offenders() {
		if o.ID == b.id(name) {
			return o, true
		}
	}
	return Offender{}, false
}

// many returns n addresses of servers.
func many(n int) []string {
	var all []string
	for a := netip.MustParseAddr("203.0.113.129"); len(all) < n; a = a.Next() {
		all = append(all, a.String())
	}
	return all
}

func wantError(t *testing.T, err error, kind error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range append(parts, kind.Error()) {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in %q", p, err)
		}
	}
}
