package register

import (
	"slices"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
)

// follows returns a function that waits until lines change, and returns them.
func follows(t *testing.T, r *Register, switchName string) (next func() []string, news chan struct{}) {
	t.Helper()
	news = make(chan struct{}, 1)
	take, stop := r.Follow(switchName, news)
	t.Cleanup(stop)
	if lines, all := take(); !all || len(lines) > 0 {
		t.Errorf("first %v, all %v", lines, all)
	}
	<-news
	return func() []string {
		t.Helper()
		select {
		case <-news:
		case <-within(t).Done():
			t.Fatal("no news")
		}
		lines, all := take()
		if all {
			return []string{"all"}
		}
		slices.Sort(lines)
		return lines
	}, news
}

// TestOwnRecordOnce verifies that followers learn once of a record that the register wrote, and not again when the watch of the store reports it.
// A later record is a change.
func TestOwnRecordOnce(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	lines := start(t, Config{Store: s, Key: testKey()}).lines
	r := must(New(Config{Store: s, Key: testKey()}))(t) // its watches do not run: the test reports the events
	r.setLines(lines)
	take, stop := r.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	take() // all
	record := subscriber.Record{Session: &subscriber.Session{ID: "a", NAS: "bng-1", Began: noon()}}
	value := must(r.seal.seal("line-0", record))(t)
	event := func(version int64) store.Event[sealed] {
		return store.Event[sealed]{Record: store.Record[sealed]{Name: "line-0", Value: value, Version: version}}
	}
	r.wrote("line-0", 5, record)
	for _, x := range []struct {
		name string
		some []store.Event[sealed]
		want []string
	}{
		{"written", nil, []string{"line-0"}},
		{"reported", []store.Event[sealed]{event(4), event(5)}, nil},
		{"of another controller", []store.Event[sealed]{event(6)}, []string{"line-0"}},
	} {
		r.takeSessions(x.some)
		if got, all := take(); all || !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, all %v; want %v", x.name, got, all, x.want)
		}
	}
	if len(r.ahead) > 0 {
		t.Errorf("%v remain", r.ahead)
	}
}

// TestDeletedUnseen verifies that a session that this register stored and another controller deleted, both while the watch of the store was
// interrupted, is not known for longer than two sweeps.
func TestDeletedUnseen(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	lines := start(t, Config{Store: s, Key: testKey()}).lines
	r := must(New(Config{Store: s, Key: testKey()}))(t) // its watches do not run: they report nothing
	r.setLines(lines)
	take, stop := r.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	r.wrote("line-0", 5, subscriber.Record{Session: &subscriber.Session{ID: "a", NAS: "bng-1", Began: noon()}}) // it is not in the store any more
	take()
	for i, want := range [][]string{nil, {"line-0"}, nil} {
		r.takeMissed(within(t))
		if got, all := take(); all || !slices.Equal(got, want) {
			t.Errorf("sweep %d: %v, all %v, want %v", i+1, got, all, want)
		}
	}
	if len(r.ahead)+len(r.versions) > 0 {
		t.Errorf("%v and %v remain", r.ahead, r.versions)
	}
}

// TestFollow verifies that a follower of a switch gets each line whose address may have changed, and no others.
func TestFollow(t *testing.T) {
	s := open(t, t.TempDir(), 4)
	c := &clock{at: noon()}
	r := start(t, Config{Store: s, Key: testKey(), Now: c.now})
	next, _ := follows(t, r, "edge-1")
	_, others := follows(t, r, "edge-2")
	expect := func(line string, want ...string) {
		t.Helper()
		got, has, known := r.Addresses(line)
		if !known || has != (want != nil) || len(got) != len(want) || len(got) > 0 && got[0].String() != want[0] {
			t.Errorf("%s: %v, %v, %v; want %v", line, got, has, known, want)
		}
	}
	report(t, r, event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32"))
	if got := next(); !slices.Equal(got, []string{"line-0"}) {
		t.Errorf("%v", got)
	}
	expect("line-0", "192.0.2.1/32")
	expect("line-1")
	// Another line gets the address. Until the end of the first session is stored, only the later session has it.
	c.advance(time.Second)
	report(t, r, event(subscriber.Start, 1, "b", noon().Add(time.Second), "192.0.2.1/32"))
	got := next()
	for !slices.Contains(got, "line-0") || !slices.Contains(got, "line-1") {
		got = append(got, next()...)
	}
	expect("line-1", "192.0.2.1/32")
	for ctx := within(t); ; {
		if _, has, _ := r.Addresses("line-0"); !has {
			break
		}
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatal("line-0 keeps its session")
		}
	}
	// The access server restarts.
	c.advance(time.Second)
	report(t, r, subscriber.Event{Kind: subscriber.Restart, NAS: "bng-1", Time: noon().Add(2 * time.Second)})
	holder(t, r, "192.0.2.1", "")
	for got = nil; !slices.Contains(got, "line-1"); got = append(got, next()...) {
	}
	expect("line-1")
	if len(others) > 0 {
		t.Error("news for a switch without lines")
	}
	// A line that the documents do not have, and one whose session another key encrypts, are not known.
	if _, _, known := r.Addresses("shop"); known {
		t.Error("the static line is known")
	}
	report(t, r, event(subscriber.Start, 3, "c", noon().Add(2*time.Second), "192.0.2.3/32"))
	blind := start(t, Config{Store: s, Key: Key{9}, Now: c.now})
	if _, has, known := blind.Addresses("line-3"); has || known {
		t.Errorf("%v, %v with another key", has, known)
	}
}

// TestDocumentsOnce verifies that followers learn of other documents, and not of a change of phase, which changes no line.
func TestDocumentsOnce(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	book := intent.NewBook(s, time.Now)
	r := must(New(Config{Store: s, Key: testKey()}))(t) // its watches do not run: the test passes the intents
	take, stop := r.Follow("edge-1", make(chan struct{}, 1))
	defer stop()
	take() // all
	by := intent.By{Who: "alice", Role: "operator", Reason: "test"}
	first := must(book.Current(within(t)))(t)
	phase := must(book.Activate(within(t), first.Number, "stop", policy.Scope{}, by))(t)
	more := must(book.Put(within(t), must(book.Propose(within(t), documents(2)))(t), by))(t)
	for _, x := range []struct {
		name string
		in   *intent.Intent
		all  bool
	}{{"the first documents", first, true}, {"a phase", phase, false}, {"the same again", phase, false}, {"another line", more, true}, {"back", phase, true}} {
		r.setDocuments(x.in)
		if lines, all := take(); all != x.all || len(lines) > 0 {
			t.Errorf("%s: %v, all %v; want all %v", x.name, lines, all, x.all)
		}
		if _, is := r.lines.Line("line-1"); is != (x.in == more) {
			t.Errorf("%s: line-1 is known: %v", x.name, is)
		}
	}
}
