package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/readfile"
	"op25b/internal/store"
	"op25b/internal/subscriber"
)

func parsed(p string) netip.Prefix { return netip.MustParsePrefix(p) }
func address(a string) netip.Addr  { return netip.MustParseAddr(a) }

// TestLifeOfASession follows sessions through a register, and through a second one on the same store, as another controller has it.
func TestLifeOfASession(t *testing.T) {
	s := open(t, t.TempDir(), 3)
	c := &clock{at: noon()}
	r := start(t, Config{Store: s, Key: testKey(), Now: c.now, Registerer: prometheus.NewRegistry()})
	other := start(t, Config{Store: s, Key: testKey(), Now: c.now})
	both := func(addr, line string) {
		t.Helper()
		holder(t, r, addr, line)
		holder(t, other, addr, line)
	}
	if got := report(t, r, event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32", "2001:db8:1::/56")); got != subscriber.Opened {
		t.Error(got)
	}
	both("192.0.2.1", "line-0")
	both("2001:db8:1:20::5", "line-0")
	f, _ := other.Holder(address("192.0.2.1"))
	if f.Switch != "edge-1" || f.Group != "dial" || f.Session.NAS != "bng-1" || !f.Session.Began.Equal(noon()) {
		t.Errorf("%+v", f)
	}
	if got := report(t, other, event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32", "2001:db8:1::/56")); got != subscriber.Refreshed {
		t.Error(got)
	}
	// Another line gets the address, because the end of the first session was lost.
	report(t, other, event(subscriber.Start, 1, "b", noon().Add(time.Second), "192.0.2.1/32"))
	both("192.0.2.1", "line-1")
	both("2001:db8:1:20::5", "")
	// The other line's session ends, and the address does not return to the first line.
	if got := report(t, r, event(subscriber.Stop, 1, "b", noon().Add(2*time.Second))); got != subscriber.Closed {
		t.Error(got)
	}
	both("192.0.2.1", "")
	if got := report(t, r, event(subscriber.Interim, 0, "a", noon().Add(3*time.Second))); got != subscriber.Unknown {
		t.Error(got)
	}
	// The access server restarts.
	c.advance(10 * time.Second)
	report(t, r, event(subscriber.Start, 2, "c", noon().Add(4*time.Second), "192.0.2.3/32"))
	both("192.0.2.3", "line-2")
	report(t, other, subscriber.Event{Kind: subscriber.Restart, NAS: "bng-1", Time: noon().Add(5 * time.Second)})
	both("192.0.2.3", "")
	report(t, other, subscriber.Event{Kind: subscriber.Restart, NAS: "bng-1", Time: noon()}) // an older restart changes nothing
	report(t, other, event(subscriber.Start, 2, "c", noon().Add(6*time.Second), "192.0.2.3/32"))
	both("192.0.2.3", "line-2")
	counts := must(r.Counts())(t)
	if counts["edge-1"] != (Count{Lines: 3, Sessions: 1}) || len(counts) != 1 {
		t.Errorf("%v", counts)
	}
}

// TestAnsweredIsKnown verifies that a register knows an event as soon as Report has returned. The next event may be of another line with the same
// address, and must end the session before it.
func TestAnsweredIsKnown(t *testing.T) {
	c := &clock{at: noon()}
	r := start(t, Config{Store: open(t, t.TempDir(), 2), Key: testKey(), Now: c.now})
	for i := range 50 {
		c.advance(time.Minute)
		addr, session := fmt.Sprint("203.0.113.", i), fmt.Sprint("s", i)
		report(t, r, event(subscriber.Start, 0, session, c.now(), addr+"/32"))
		if f, _ := r.Holder(address(addr)); f.Name != "line-0" {
			t.Fatalf("after the start of line-0, %s is %q's", addr, f.Name)
		}
		report(t, r, event(subscriber.Start, 1, session, c.now().Add(time.Second), addr+"/32"))
		c.advance(2 * time.Second)
		report(t, r, event(subscriber.Stop, 1, session, c.now()))
		if f, ok := r.Holder(address(addr)); ok {
			t.Fatalf("line-1 took %s, and after its end %q has it", addr, f.Name)
		}
	}
}

// TestEventsWithoutLine verifies what becomes of events that name no line, and of addresses that a session cannot have.
func TestEventsWithoutLine(t *testing.T) {
	r := start(t, Config{Store: open(t, t.TempDir(), 2), Key: testKey(), Now: (&clock{at: noon()}).now})
	unknown := event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32")
	unknown.Identities = map[policy.Identify]string{policy.IdentifyUserName: "nobody", policy.IdentifyCircuitID: "line-0"}
	if got := report(t, r, unknown); got != subscriber.NoLine {
		t.Error(got)
	}
	if got := must(r.Report(within(t), event(subscriber.Start, 0, "a", noon()), []string{"edge-2"}))(t); got != subscriber.NoLine {
		t.Errorf("a server of another switch: %s", got)
	}
	report(t, r, event(subscriber.Start, 0, "a", noon(), "192.0.2.13/32", "198.51.100.17/32", "192.0.2.14/32"))
	holder(t, r, "192.0.2.14", "line-0")
	for _, taken := range []string{"192.0.2.13", "198.51.100.17"} {
		holder(t, r, taken, "")
	}
}

// TestSilence verifies that silent sessions end and are deleted from the store, and that the time for which no controller ran is no silence.
func TestSilence(t *testing.T) {
	s := open(t, t.TempDir(), 2)
	c := &clock{at: noon()}
	r := start(t, Config{Store: s, Key: testKey(), Now: c.now})
	report(t, r, event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32"))
	report(t, r, event(subscriber.Start, 1, "b", noon(), "192.0.2.2/32"))
	holder(t, r, "192.0.2.2", "line-1")
	c.advance(20 * time.Minute)
	report(t, r, event(subscriber.Interim, 1, "b", noon().Add(20*time.Minute)))
	c.advance(11 * time.Minute)
	holder(t, r, "192.0.2.1", "")
	holder(t, r, "192.0.2.2", "line-1")
	late := start(t, Config{Store: s, Key: testKey(), Now: c.now}) // it has not listened before
	holder(t, late, "192.0.2.1", "line-0")
	r.sweep(within(t))
	holder(t, late, "192.0.2.1", "")
	c.advance(2 * time.Hour)
	r.sweep(within(t)) // ends the session of line-1
	for ctx := within(t); r.alive() > 0; {
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatal("a silent session remains")
		}
	}
	c.advance(2 * time.Hour)
	for ctx := within(t); ; {
		r.sweep(ctx)
		all := must(r.sessions.List(ctx))(t)
		if len(all) == 0 {
			return
		}
		if !store.Pause(ctx, time.Millisecond) {
			t.Fatalf("%d records remain", len(all))
		}
	}
}

// TestConcurrentEvents reports the events of one line to two registers at once, in any order. The line then has the session that began last.
func TestConcurrentEvents(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	c := &clock{at: noon().Add(time.Minute)}
	registers := []*Register{start(t, Config{Store: s, Key: testKey(), Now: c.now}), start(t, Config{Store: s, Key: testKey(), Now: c.now})}
	var work sync.WaitGroup
	for i := range 6 {
		for _, r := range registers {
			work.Go(func() {
				at := noon().Add(time.Duration(i) * time.Second)
				_, err := r.Report(within(t), event(subscriber.Start, 0, fmt.Sprint("s", i), at, fmt.Sprintf("192.0.2.%d/32", 20+i)), nil)
				if err == nil && i%2 == 0 {
					_, err = r.Report(within(t), event(subscriber.Stop, 0, fmt.Sprint("s", i), at.Add(500*time.Millisecond)), nil)
				}
				if err != nil && !errors.Is(err, errBusy) {
					t.Error(err)
				}
				for errors.Is(err, errBusy) { // as the access server would
					_, err = r.Report(within(t), event(subscriber.Start, 0, fmt.Sprint("s", i), at, fmt.Sprintf("192.0.2.%d/32", 20+i)), nil)
				}
			})
		}
	}
	work.Wait()
	for _, r := range registers {
		holder(t, r, "192.0.2.25", "line-0")
		for i := range 5 {
			holder(t, r, fmt.Sprintf("192.0.2.%d", 20+i), "")
		}
	}
}

// TestNotReady verifies that an event before the documents were read is refused, so that the access server repeats it.
func TestNotReady(t *testing.T) {
	s := must(store.Open(within(t), store.Config{Dir: t.TempDir()}))(t)
	defer s.Close()
	r := must(New(Config{Store: s, Book: intent.NewBook(s, time.Now), Key: testKey()}))(t)
	ctx, stop := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	if _, err := r.Report(ctx, event(subscriber.Start, 0, "a", noon()), nil); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
	if _, err := r.Counts(); !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
	if _, ok := r.Holder(address("192.0.2.1")); ok {
		t.Error("an address has a line")
	}
	stop()
	<-ended
}

// TestFull verifies that no session begins beyond the limit, and that events of existing sessions are taken.
func TestFull(t *testing.T) {
	r := start(t, Config{Store: open(t, t.TempDir(), 2), Key: testKey(), Now: (&clock{at: noon()}).now})
	report(t, r, event(subscriber.Start, 0, "a", noon(), "192.0.2.1/32"))
	holder(t, r, "192.0.2.1", "line-0")
	r.mu.Lock()
	for i := len(r.versions); i < MaxSessions; i++ {
		r.versions[fmt.Sprint("other-", i)] = 1
	}
	r.mu.Unlock()
	if _, err := r.Report(within(t), event(subscriber.Start, 1, "b", noon(), "192.0.2.2/32"), nil); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if got := report(t, r, event(subscriber.Stop, 0, "a", noon())); got != subscriber.Closed {
		t.Error(got)
	}
}

// TestSealed verifies that nothing in the files of the store tells an address or a session, and that a register with another key ignores the
// sessions and says so.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 1)
	c := &clock{at: noon()}
	r := start(t, Config{Store: s, Key: testKey(), Now: c.now})
	report(t, r, event(subscriber.Start, 0, "session-4711", noon(), "203.0.113.77/32", "2001:db8:77::/56"))
	holder(t, r, "203.0.113.77", "line-0")
	stranger := start(t, Config{Store: s, Key: Key{9}, Now: c.now})
	holder(t, stranger, "203.0.113.77", "")
	if len(stranger.unreadable) != 1 {
		t.Errorf("%d sessions are unreadable, want 1", len(stranger.unreadable))
	}
	// A session that began with the other key replaces the one that cannot be read.
	report(t, stranger, event(subscriber.Start, 0, "session-4712", noon(), "203.0.113.78/32"))
	holder(t, stranger, "203.0.113.78", "line-0")
	holder(t, r, "203.0.113.77", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seen := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		a6 := address("2001:db8:77::").As16()
		for _, secret := range [][]byte{[]byte("203.0.113.7"), []byte("2001:db8:77"), a6[:6], []byte("session-471"), []byte("bng-1")} {
			if bytes.Contains(content, secret) {
				t.Errorf("%s contains %q", path, secret)
			}
		}
		seen = seen || bytes.Contains(content, []byte("rec/session/line-0"))
		return err
	})
	if err != nil || !seen {
		t.Errorf("the session was not found in the store (%v)", err)
	}
}

// TestSealerRefuses verifies that a sealed session is of one line only, and that damage is noticed.
func TestSealerRefuses(t *testing.T) {
	s := must(newSealer(testKey()))(t)
	record := subscriber.Record{Last: noon()}
	box := must(s.seal("line-0", record))(t)
	if got, err := s.open("line-0", box); err != nil || !got.Last.Equal(noon()) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := s.open("line-1", box); err == nil {
		t.Error("opened for another line")
	}
	if _, err := s.open("line-0", sealed{box.Box[:5]}); err == nil {
		t.Error("opened without its content")
	}
	box.Box[len(box.Box)-1] ^= 1
	if _, err := s.open("line-0", box); err == nil {
		t.Error("opened with damage")
	}
}

// TestOpenKey verifies how a key's file is read and created.
func TestOpenKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "session.key")
	if _, err := OpenKey(path, false); !errors.Is(err, ErrKey) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	first := must(OpenKey(path, true))(t)
	if again := must(OpenKey(path, true))(t); again != first {
		t.Error("the key changed")
	}
	if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for n, ok := range map[int]bool{31: false, 32: true, 4096: true, 4097: false} {
		path := filepath.Join(dir, fmt.Sprint(n))
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenKey(path, false)
		want := fmt.Sprintf("session key: %s has %d bytes; must have 32 to 4096 random bytes, as head -c 32 /dev/urandom makes them", path, n)
		if n > 4096 {
			want = fmt.Sprintf("session key: file too large: %s has more than 4096 bytes", path)
		}
		if ok != (err == nil) || !ok && err.Error() != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := OpenKey("/dev/zero", false); !errors.Is(err, readfile.ErrLarge) { // it never ends
		t.Error(err)
	}
	if _, err := OpenKey(filepath.Join(dir, "absent", "key"), true); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

// TestLeaseEnds verifies that an address is deleted from the store with its lease, that the lines of other controllers follow, and that the end of
// the last lease ends the session although no controller was silent for long.
func TestLeaseEnds(t *testing.T) {
	s := open(t, t.TempDir(), 1)
	c := &clock{at: noon()}
	r := start(t, Config{Store: s, Key: testKey(), Now: c.now})
	for i, p := range []string{"192.0.2.1/32", "2001:db8:1::/56"} {
		e := event(subscriber.Start, 0, "a", noon().Add(time.Duration(i)*time.Second), p)
		e.Ends = noon().Add(time.Duration(i+1) * time.Hour)
		c.advance(time.Second)
		report(t, r, e)
	}
	holder(t, r, "192.0.2.1", "line-0")
	news := make(chan struct{}, 1)
	take, stop := r.Follow("edge-1", news)
	defer stop()
	<-news
	take()
	c.advance(time.Hour)
	holder(t, r, "192.0.2.1", "")
	r.sweep(within(t))
	select {
	case <-news:
	case <-within(t).Done():
		t.Fatal("the followers are not told that an address has gone")
	}
	if lines, all := take(); all || len(lines) != 1 || lines[0] != "line-0" {
		t.Errorf("%v, %v", lines, all)
	}
	holder(t, r, "2001:db8:1::5", "line-0")
	c.advance(time.Hour)
	holder(t, start(t, Config{Store: s, Key: testKey(), Now: c.now}), "2001:db8:1::5", "")
}
