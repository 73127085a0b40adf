package abuse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"op25b/internal/pipeline"
)

// TestWatchedLine verifies the recorded activity of a watched line: its attempts, its servers, the hours in the policy's time zone,
// and its class with the reasons.
func TestWatchedLine(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("adsl-bot", many(60)...)
	b.tries("adsl-home", "203.0.113.129", "203.0.113.129")
	b.now = b.now.Add(3 * time.Hour)
	b.tries("adsl-home", "203.0.113.129")
	bot, _ := b.offender("adsl-bot")
	if bot.Class != BotLike || bot.Attempts != 60 || bot.Servers < 58 || bot.Servers > 62 || bot.Days != 1 || !slices.Equal(HoursOf(bot.Hours), []int{9}) {
		t.Errorf("bot: %+v", bot)
	}
	home, _ := b.offender("adsl-home")
	if home.Class != MisconfiguredClient || home.Attempts != 3 || home.Servers != 1 || !slices.Equal(HoursOf(home.Hours), []int{9, 12}) {
		t.Errorf("home: %+v", home)
	}
	if !home.Since.Equal(b.now) || len(home.Reasons) != 2 {
		t.Errorf("home: since %v, %q", home.Since, home.Reasons)
	}
	if all := b.Offenders(BotLike); len(all) != 1 || all[0].ID != bot.ID {
		t.Errorf("bots: %+v", all)
	}
	if all := b.Offenders(); len(all) != 2 || all[0].ID != bot.ID {
		t.Errorf("the bot is not first: %+v", all)
	}
}

// TestGroupsThatDidNotOptIn verifies that only the uses for the forecast are kept for a line whose group is not watched. When a group
// is no longer watched, its activity is removed at once.
func TestGroupsThatDidNotOptIn(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("mobile-sim", many(60)...)
	b.tries("adsl-bot", many(60)...)
	if all := b.Offenders(); len(all) != 1 || all[0].ID != b.id("adsl-bot") {
		t.Fatalf("%+v, want only adsl-bot", all)
	}
	if r := b.lines[b.id("mobile-sim")]; len(r.uses) != 1 || r.days != nil {
		t.Errorf("mobile-sim: %+v", r)
	}
	b.apply(watching("mobile"))
	if all := b.Offenders(); len(all) != 0 {
		t.Errorf("%+v after the group left, want none", all)
	}
	if got := b.Watched(); !slices.Equal(got, []string{"mobile"}) {
		t.Errorf("watched: %v", got)
	}
}

// TestFlowsThatAreNoAttempts verifies that unnamed lines and frames without a service leave no record, and that an answer is not an
// attempt.
func TestFlowsThatAreNoAttempts(t *testing.T) {
	registry := prometheus.NewRegistry()
	b := newBench(t, Config{Metrics: NewMetrics(registry)})
	smtp := pipeline.Service(b.in.Numbers.Services["smtp"].Number)
	mx := netip.MustParseAddr("203.0.113.129")
	b.OnFlows(edge, []pipeline.MailFlow{
		{Line: 0, Leg: pipeline.UpDst, Service: smtp, Remote: mx},
		{Line: b.numbers["mobile-sim"], Remote: mx},                                                    // a spoofed packet from a line that is not watched
		{Line: b.numbers["adsl-home"], Leg: pipeline.DownSrc, Service: smtp, SYNACK: true, Remote: mx}, // an answer
	})
	if all := b.Offenders(); len(all) != 0 {
		t.Errorf("%+v, want none", all)
	}
	if len(b.lines) != 1 {
		t.Errorf("%d records, want that of the answer", len(b.lines))
	}
	if n := testutil.ToFloat64(b.cfg.Metrics.drops.WithLabelValues(dropUnnamed)); n != 1 {
		t.Errorf("%v unnamed, want 1", n)
	}
}

// TestLineCounters verifies that the counters of watched lines are added up from the second reading on.
func TestLineCounters(t *testing.T) {
	var counts []LineCount
	b := newBench(t, Config{Counters: func(string) []LineCount { return counts }})
	home, sim := b.numbers["adsl-home"], b.numbers["mobile-sim"]
	counts = []LineCount{{home, 100, 50, 0}}
	b.tick()
	if _, there := b.offender("adsl-home"); there {
		t.Error("the first reading counts")
	}
	counts = []LineCount{{home, 107, 50, 25}, {sim, 9, 9, 99}}
	b.tick()
	o, _ := b.offender("adsl-home")
	if o.Monitored != 7 || o.Stopped != 0 || o.Unsolicited != 25 || o.Class != BotLike {
		t.Errorf("%+v, want 7 monitored, 25 unsolicited, bot-like", o)
	}
	counts = []LineCount{{home, 3, 0, 0}} // the collector's counts have restarted from 0
	b.tick()
	counts = []LineCount{{home, 3, 4, 0}}
	b.tick()
	if o, _ := b.offender("adsl-home"); o.Monitored != 7 || o.Stopped != 4 {
		t.Errorf("%+v, want 7 monitored and 4 stopped", o)
	}
	if len(b.lines) != 1 {
		t.Errorf("%d records: counters of a line that is not watched leave one", len(b.lines))
	}
}

// TestExpiry verifies that expired records are removed from memory and from the file.
func TestExpiry(t *testing.T) {
	b := newBench(t, Config{Dir: t.TempDir(), Days: 10})
	b.tries("adsl-home", "203.0.113.129", "203.0.113.130")
	b.tries("mobile-sim", "203.0.113.129")
	for _, want := range []struct {
		after          int
		records, shown int
	}{{0, 2, 1}, {6, 2, 1}, {7, 1, 0}, {9, 1, 0}, {10, 0, 0}} {
		b.now = begins.AddDate(0, 0, want.after)
		b.tick()
		if len(b.lines) != want.records || len(b.Offenders()) != want.shown {
			t.Errorf("after %d days: %d records, %d shown; want %d and %d", want.after, len(b.lines), len(b.Offenders()), want.records, want.shown)
		}
	}
	content, err := os.ReadFile(filepath.Join(b.cfg.Dir, "activity"))
	if err != nil || strings.Count(string(content), "\n") != 1 {
		t.Errorf("the file still has entries (%v):\n%s", err, content)
	}
}

// TestRestart verifies that the activity survives a restart, and that only the owner can read the files.
func TestRestart(t *testing.T) {
	b := newBench(t, Config{Dir: filepath.Join(t.TempDir(), "port25")})
	b.tries("adsl-bot", many(60)...)
	b.tries("mobile-sim", many(2)...)
	b.tick()
	before, forecast := b.Offenders(), b.forecast("all-destinations")
	b.now = b.now.Add(time.Hour)
	b.open()
	if after := b.Offenders(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("%+v\nbefore the restart %+v", after, before)
	}
	if after := b.forecast("all-destinations"); fmt.Sprint(after) != fmt.Sprint(forecast) {
		t.Errorf("%+v\nbefore the restart %+v", after, forecast)
	}
	for _, name := range []string{"key", "activity"} {
		info, err := os.Stat(filepath.Join(b.cfg.Dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	b.Follow(edge, false)
	b.now = b.now.Add(time.Hour)
	b.Follow(edge, true)
	if got := b.began[edge]; !got.Equal(b.now) {
		t.Errorf("watched since %v, want since it was owned again", got)
	}
}

// TestFilesThatCannotBeUsed verifies that an unusable key is replaced, and that an unusable snapshot is discarded. In both cases the
// ledger opens.
func TestFilesThatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name, file string
		harm       func(path string) error
		newKey     bool
	}{
		{"key that others can read", "key", func(p string) error { return os.Chmod(p, 0o640) }, true},
		{"damaged key", "key", func(p string) error { return os.WriteFile(p, []byte("{}"), 0o600) }, true},
		{"long key", "key", func(p string) error { return os.WriteFile(p, make([]byte, 2000), 0o600) }, true},
		{"no key", "key", os.Remove, true},
		{"no snapshot", "activity", os.Remove, false},
		{"cut snapshot", "activity", func(p string) error { return os.Truncate(p, 200) }, false},
		{"empty snapshot", "activity", func(p string) error { return os.Truncate(p, 0) }, false},
		{"snapshot of text", "activity", func(p string) error { return os.WriteFile(p, []byte("hello\n"), 0o600) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{Dir: t.TempDir()})
			b.tries("adsl-bot", many(60)...)
			b.tick()
			was := b.key
			if err := c.harm(filepath.Join(b.cfg.Dir, c.file)); err != nil {
				t.Fatal(err)
			}
			b.open()
			if len(b.lines) != 0 || (b.key.secret != was.secret) != c.newKey {
				t.Errorf("%d records, new key %v; want none, %v", len(b.lines), b.key.secret != was.secret, c.newKey)
			}
			b.tries("adsl-bot", many(60)...)
			b.tick()
			b.open()
			if len(b.Offenders()) != 1 {
				t.Error("the ledger does not work again")
			}
		})
	}
}

func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := readKey(path); !errors.Is(err, errNoKey) {
		t.Errorf("no file: %v", err)
	}
	k := newKey(begins)
	if err := writeKey(path, k); err != nil {
		t.Fatal(err)
	}
	if got, err := readKey(path); err != nil || got != k {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	_, err := readKey(path)
	wantError(t, err, ErrKey, path, "mode 0604", "must be 0600")
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(`{"created":"2006-05-20T00:00:00Z","secret":"YQ=="}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err = readKey(path)
	wantError(t, err, ErrKey, path, "damaged", "a secret of 32 bytes")
}

// TestRotation verifies that an old key is replaced. The lines keep their records under new IDs, and no file contains the old key.
func TestRotation(t *testing.T) {
	b := newBench(t, Config{Dir: t.TempDir(), KeyDays: 3})
	b.tries("adsl-bot", many(60)...)
	b.tries("adsl-home", "203.0.113.129", "203.0.113.129")
	b.tick()
	was, old := b.id("adsl-bot"), b.key
	b.now = b.now.AddDate(0, 0, 3)
	b.tick()
	if b.id("adsl-bot") == was {
		t.Fatal("the key was not replaced")
	}
	bot, there := b.offender("adsl-bot")
	if !there || bot.Class != BotLike || bot.Attempts != 60 {
		t.Errorf("%+v", bot)
	}
	b.tries("adsl-home", "203.0.113.129") // the same server has a different hash under the new key
	if f := b.forecast("all-destinations"); f.Rows[0].OneServer != 1 || f.Rows[0].Several != 1 {
		t.Errorf("%+v, want one line with one server", f.Rows)
	}
	for _, name := range []string{"key", "activity"} {
		content, err := os.ReadFile(filepath.Join(b.cfg.Dir, name))
		if err != nil || strings.Contains(string(content), was.String()) || strings.Contains(string(content), old.fingerprint()) {
			t.Errorf("%s still has the old pseudonym or key (%v)", name, err)
		}
	}
	if _, err := b.Resolve([]ID{was}); !errors.Is(err, ErrUnknownID) {
		t.Errorf("the old pseudonym still has a name: %v", err)
	}
}

func TestForget(t *testing.T) {
	b := newBench(t, Config{Dir: t.TempDir()})
	b.tries("adsl-bot", many(60)...)
	b.tick()
	was, id := b.key, b.id("adsl-bot")
	b.now = b.now.Add(time.Hour)
	n, err := b.Forget()
	if err != nil || n != 1 || len(b.lines) != 0 || b.key.secret == was.secret {
		t.Errorf("%d forgotten, %v; %d left", n, err, len(b.lines))
	}
	if _, err := os.Stat(filepath.Join(b.cfg.Dir, "activity")); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if got, err := readKey(filepath.Join(b.cfg.Dir, "key")); err != nil || got.secret == was.secret {
		t.Errorf("the key is still there: %v", err)
	}
	if _, err := b.Resolve([]ID{id}); !errors.Is(err, ErrUnknownID) {
		t.Errorf("the pseudonym still has a name: %v", err)
	}
	if f := b.forecast("all-destinations"); !f.Rows[0].Since.Equal(b.now) || !f.Since.Equal(b.now) {
		t.Errorf("watched since %v, want since the activity was forgotten", f.Rows[0].Since)
	}
}

func TestResolve(t *testing.T) {
	b := newBench(t, Config{})
	b.tries("adsl-bot", many(60)...)
	o := b.Offenders()[0]
	got, err := b.Resolve([]ID{o.ID})
	if err != nil || !slices.Equal(got, []Resolved{{o.ID, edge, "adsl-bot", "adsl"}}) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = b.Resolve([]ID{o.ID, 7})
	wantError(t, err, ErrUnknownID, "0000000000000007")
	_, err = b.Resolve(make([]ID, MaxResolve+1))
	wantError(t, err, ErrConfig, "101 pseudonyms", "at most 100")
	_, err = ParseID("adsl-bot")
	wantError(t, err, ErrUnknownID, `"adsl-bot"`, "16 hexadecimal digits")
}

func TestConfigErrors(t *testing.T) {
	b := newBench(t, Config{})
	for _, c := range []struct {
		change func(*Config)
		want   []string
	}{
		{func(c *Config) { c.Days = 3 }, []string{"3 days", "at least 7"}},
		{func(c *Config) { c.Days = 61 }, []string{"61 days", "from 1 to 60", "0 for 14"}},
		{func(c *Config) { c.KeyDays = -1 }, []string{"-1 days of a key", "from 1 to 366", "0 for 30"}},
		{func(c *Config) { c.Every = -1 }, []string{"every -1ns", "0 for 1m0s"}},
		{func(c *Config) { c.Book = nil }, []string{"no book"}},
	} {
		cfg := b.cfg
		c.change(&cfg)
		_, err := New(cfg)
		wantError(t, err, ErrConfig, c.want...)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := b.cfg
	cfg.Dir = filepath.Join(file, "dir")
	_, err := New(cfg)
	wantError(t, err, ErrKey, file)
}

// TestQueueIsBounded verifies that a flood of flows takes a limited amount of memory, and that dropped flows are counted.
func TestQueueIsBounded(t *testing.T) {
	const room = 10_000
	b := newBench(t, Config{QueueBytes: room, Metrics: NewMetrics(prometheus.NewRegistry())})
	flows := make([]pipeline.MailFlow, 10)
	for range 1000 {
		b.OnFlows(edge, flows)
	}
	if b.queue.held > room {
		t.Errorf("%d bytes held, want at most %d", b.queue.held, room)
	}
	kept := 0
	for _, x := range b.queue.take() {
		kept += len(x.flows)
	}
	if dropped := int(testutil.ToFloat64(b.cfg.Metrics.drops.WithLabelValues(dropQueue))); kept == 0 || kept+dropped != 10_000 {
		t.Errorf("%d kept and %d dropped of 10,000", kept, dropped)
	}
	if b.queue.held != 0 || !b.queue.offer(begins, edge, flows) {
		t.Error("there is no room after the queue was emptied")
	}
}

// TestRun verifies that Run takes the names from the book and the flows from the queue, and that it writes the snapshot when it ends.
func TestRun(t *testing.T) {
	b := newBench(t, Config{Dir: t.TempDir()})
	l, err := New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Follow(edge, true)
	b.Ledger = l
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan struct{})
	go func() { defer close(ended); l.Run(ctx) }()
	b.tries("adsl-bot", many(60)...)
	for len(l.Offenders()) == 0 { // the first revision comes from the book
		if ctx.Err() != nil {
			t.Fatal("the flows were not recorded")
		}
	}
	cancel()
	<-ended
	b.open()
	if got := b.Offenders(); len(got) != 1 || got[0].Class != BotLike {
		t.Errorf("%+v after a restart", got)
	}
}

// TestUse verifies that a use distinguishes one server from several within a week, regardless of the order of the attempts.
func TestUse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u use
		today := int32(20_000)
		seen := map[uint64]int32{}
		for range rapid.IntRange(1, 30).Draw(t, "attempts") {
			today += int32(rapid.IntRange(0, 9).Draw(t, "pause"))
			server := rapid.Uint64Range(1, 3).Draw(t, "server")
			u.add(today, server)
			seen[server] = today
		}
		within := 0
		for _, last := range seen {
			if today-last < UseDays {
				within++
			}
		}
		several := u.several != 0 && today-u.several < UseDays
		if within > 1 && !several {
			t.Fatalf("%+v on day %d: one server, want several: %v", u, today, seen)
		}
		if u.last != today {
			t.Fatalf("last %d, want %d", u.last, today)
		}
		if len(seen) == 1 && several {
			t.Fatalf("%+v: several servers, want one", u)
		}
	})
}

func TestDayOf(t *testing.T) {
	tokyo := time.FixedZone("+09:00", 9*3600)
	for _, c := range []struct {
		at     string
		zone   *time.Location
		number int32
		hour   int
	}{
		{"1970-01-01T00:00:00Z", time.UTC, 0, 0},
		{"1969-12-31T23:59:59Z", time.UTC, -1, 23},
		{"2006-05-19T14:59:59Z", tokyo, 13287, 23},
		{"2006-05-19T15:00:00Z", tokyo, 13288, 0},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if number, hour := dayOf(at, c.zone); number != c.number || hour != c.hour {
			t.Errorf("%s: day %d, hour %d; want %d and %d", c.at, number, hour, c.number, c.hour)
		}
	}
}
