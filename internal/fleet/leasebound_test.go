package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"op25b/e2e/longform"
	"op25b/internal/clock"
	"op25b/internal/intent"
	"op25b/internal/lease"
	"op25b/internal/lease/ledger"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

// leaseChildEnv is the environment variable with the leaseChild of a process that runs a controller until it is killed.
const leaseChildEnv = "OP25B_TEST_LEASE_CONTROLLER"

// leaseStart is the time from which the controllers of a leaseChild count the elapsed time.
var leaseStart = time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC)

// A leaseChild configures a controller in a process of its own.
type leaseChild struct {
	Endpoints []string
	Clock     string // the file with the nanoseconds by which its clock is ahead
}

// run runs the controller. It prints a line when it has begun.
func (c leaseChild) run() error {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Endpoints: c.Endpoints, TTL: time.Second})
	if err != nil {
		return err
	}
	now := func() time.Time {
		text, err := os.ReadFile(c.Clock)
		ahead, wrong := strconv.ParseInt(string(text), 10, 64)
		if err != nil || wrong != nil {
			panic(fmt.Sprint("the clock cannot be read: ", err, wrong))
		}
		return time.Now().Add(time.Duration(ahead))
	}
	// All controllers are of one machine that was not booted meanwhile. Otherwise one that was away for more than an hour would hold dates.
	source := clock.Source{Wall: now, Elapsed: func() time.Duration { return now().Sub(leaseStart) }, Boot: "one"}
	hosts, err := clock.New(clock.Config{Source: source})
	if err != nil {
		return err
	}
	book := intent.NewBook(s, now)
	reg, err := register.New(register.Config{Store: s, Book: book, Key: register.Key{1}, Now: now})
	if err != nil {
		return err
	}
	l := ledger.New(ledger.Config{Store: s, Book: book, Sessions: reg, Key: &register.Key{1}, Now: now})
	go reg.Run(ctx)
	go l.Run(ctx)
	go func() { _ = s.Run(ctx) }()
	fmt.Println("begun")
	return Run(ctx, Config{
		Name: "noc-child", Store: s, Book: book, Clock: hosts, Sessions: reg, Leases: l, clockEvery: 10 * time.Millisecond, AuditEvery: time.Second, Settle: 100 * time.Millisecond,
	})
}

// runLeaseChild runs the process if this one was started as such. It reports whether it was.
func runLeaseChild() bool {
	text := os.Getenv(leaseChildEnv)
	if text == "" {
		return false
	}
	var c leaseChild
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run()
	}
	fmt.Fprintln(os.Stderr, "the controller ended:", err)
	os.Exit(1)
	return true
}

// A boundWorld is a leaseWorld whose controller is a process.
type boundWorld struct {
	*leaseWorld
	t     *testing.T
	rand  *rand.Rand
	dir   string
	link  *sessionLink
	child *exec.Cmd            // nil while no controller runs
	ids   map[string]string    // the id of the session of each line that has one
	began map[string]time.Time // when the first lease of a line or of an address outside all lines was granted
	ends  map[string]time.Time // the latest end of any lease of a line or of such an address
}

// boundAddresses are the addresses of two lines, and of two customers of other providers.
var boundAddresses = map[string]netip.Addr{
	"home": netip.MustParseAddr("192.0.2.77"), "bot": netip.MustParseAddr("192.0.2.78"), "alice": netip.MustParseAddr("192.0.2.201"), "carol": netip.MustParseAddr("192.0.2.202"),
}

// linkOf returns the name of the link on which a line or a customer of another provider comes in.
func linkOf(who string) string {
	if who == "alice" || who == "carol" {
		return "internet"
	}
	return who
}

// tolerance is how much later than its end a lease may end: entries whose ends differ by two seconds are the same.
const tolerance = 3 * time.Second

// TestI15LeaseBound makes random changes of leases, sessions, controllers and the switch, and sends packets at random instants. What a lease permits
// passes only between the grant and the end of a lease, on its line, from the line's address, toward the servers that it opens. The same holds for
// an address outside all lines, which loses its lease when a line has it. Controllers are killed, and the switch is rebooted.
func TestI15LeaseBound(t *testing.T) {
	if testing.Short() {
		t.Skip("a process for each controller")
	}
	rounds := 3
	if longform.On() {
		rounds = 50
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { leaseBound(t, rand.New(rand.NewPCG(uint64(seed), 15))) })
	}
}

func leaseBound(t *testing.T, random *rand.Rand) {
	w := &boundWorld{leaseWorld: newLeaseWorld(t), t: t, rand: random, dir: t.TempDir(), ids: make(map[string]string), began: make(map[string]time.Time), ends: make(map[string]time.Time)}
	documents := replaced(leaseDocuments(t, w.x), ", sourceCheck: drop", "") // otherwise it would stop what this test is about
	apply(t, w.book, replaced(documents, "  - {line: adsl-home, owner: noc@isp.example, reason: a server at home, expires: 2007-03-31}\n", ""))
	w.tell()
	w.begin()
	defer func() { w.kill() }()
	w.link = w.attach()
	w.up()
	lines := []string{"home", "bot"}
	for range 30 {
		line, outsider := lines[random.IntN(2)], []string{"alice", "carol"}[random.IntN(2)]
		switch []string{
			"session", "session", "grant", "grant", "grant", "grant address", "grant address", "take address", "revoke", "revoke address", "later", "later", "kill", "begin", "reboot",
		}[random.IntN(15)] {
		case "session":
			if id := w.ids[line]; id != "" && random.IntN(3) == 0 {
				w.report(subscriber.Stop, "adsl-"+line, id)
				delete(w.ids, line)
			} else if id == "" {
				w.advance(time.Second)
				w.ids[line] = w.start("adsl-"+line, boundAddresses[line].String()+"/32")
			}
		case "grant":
			w.lease(line)
		case "revoke":
			if _, _, err := w.ledger.Revoke(within(t), "adsl-"+line); err != nil {
				t.Fatal(err)
			}
		case "grant address":
			w.leaseAddress(outsider)
		case "revoke address":
			if _, _, err := w.ledger.RevokeAddress(within(t), boundAddresses[outsider]); err != nil {
				t.Fatal(err)
			}
		case "take address": // the line gets the address for a moment, and the address loses its lease
			if w.ids[line] == "" {
				w.advance(time.Second)
				id := w.start("adsl-"+line, boundAddresses[outsider].String()+"/32")
				w.eventually("the lease of the address is deleted", func() bool { return !slices.Contains(w.ledger.Addresses(), boundAddresses[outsider]) })
				w.report(subscriber.Stop, "adsl-"+line, id)
				if _, has, known := w.ledger.AddressLease(boundAddresses[outsider]); has || !known {
					t.Errorf("%s has a lease after a line had the address", outsider)
				}
			}
		case "later":
			w.advance(time.Duration(random.Int64N(int64(7 * time.Minute))))
		case "kill":
			w.kill()
		case "begin":
			w.begin()
		case "reboot":
			w.begin() // the switch has no program otherwise
			ahead := w.x.clock.ahead.Load()
			w.reboot()
			w.x.clock.ahead.Store(ahead)
			w.link = w.attach()
			w.up()
		}
		w.probe(2 + random.IntN(4))
	}
	// The test must be able to see a lease.
	w.begin()
	w.advance(leaseCap + time.Minute)
	for _, line := range lines {
		w.ids[line] = w.start("adsl-"+line, boundAddresses[line].String()+"/32")
		w.lease(line)
		w.eventually("the lease is in force", func() bool { return w.link.passesTo(line, boundAddresses[line], ownServer, 25) })
	}
	for _, outsider := range []string{"alice", "carol"} {
		w.leaseAddress(outsider)
		w.eventually("the lease of the address is in force", func() bool { return w.link.passesTo("internet", boundAddresses[outsider], ownServer, 25) })
	}
	w.probe(40)
	w.kill()
	w.advance(leaseFor + tolerance)
	w.probe(40)
}

// leaseAddress grants a lease to a customer of another provider.
func (w *boundWorld) leaseAddress(who string) {
	w.t.Helper()
	began := w.clock.now()
	held, _, err := w.ledger.GrantAddress(within(w.t), boundAddresses[who], "pop")
	if err != nil {
		w.t.Fatal(err)
	}
	w.granted(who, began, held.Lease)
}

// lease grants a lease, unless the line has no address.
func (w *boundWorld) lease(line string) {
	w.t.Helper()
	began := w.clock.now()
	held, _, err := w.ledger.Grant(within(w.t), "adsl-"+line, "pop")
	if errors.Is(err, ledger.ErrNoAddress) { // the line has no session, or the session was silent for too long
		delete(w.ids, line)
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.granted(line, began, held.Lease)
}

// granted notes a lease that was granted after a time.
func (w *boundWorld) granted(who string, began time.Time, held lease.Lease) {
	w.t.Helper()
	if w.began[who].IsZero() {
		w.began[who] = began
	}
	if held.End.After(w.ends[who]) {
		w.ends[who] = held.End
	}
	if most := held.Granted.Add(leaseCap); held.End.After(most) {
		w.t.Errorf("the lease of %s ends at %v, and its cap is %v", who, held.End, most)
	}
}

// probe sends packets at random, and verifies that what passes may.
func (w *boundWorld) probe(n int) {
	w.t.Helper()
	for range n {
		all := []string{"home", "bot", "alice", "carol"}
		line, of := all[w.rand.IntN(4)], all[w.rand.IntN(4)]
		if linkOf(of) == "internet" {
			line = of // the lease of an address holds on every line
		}
		server := []netip.Addr{ownServer, ownServer, outside}[w.rand.IntN(3)]
		now := w.clock.now()
		if !w.link.passesTo(linkOf(line), boundAddresses[of], server, 25) {
			continue
		}
		switch end := w.ends[line].Add(tolerance); {
		case server == outside:
			w.t.Fatalf("%s reaches another provider's server", line)
		case line != of:
			w.t.Fatalf("%s reaches own servers from the address of %s", line, of)
		case w.began[line].IsZero():
			w.t.Fatalf("%s reaches own servers and never had a lease", line)
		case !now.Before(end):
			w.t.Fatalf("%s reaches own servers at %v, and its last lease ended at %v", line, now, w.ends[line])
		}
	}
}

// advance lets the time pass: first for the controllers, so that no end is computed with a clock of the switch that is ahead of theirs.
func (w *boundWorld) advance(d time.Duration) {
	w.t.Helper()
	w.clock.set(w.clock.now().Add(d))
	w.tell()
	w.x.clock.set(w.x.clock.now().Add(d))
}

func (w *boundWorld) clockFile() string { return filepath.Join(w.dir, "clock") }

// tell writes the clock of the controller's process.
func (w *boundWorld) tell() {
	w.t.Helper()
	err := os.WriteFile(w.clockFile()+".new", strconv.AppendInt(nil, w.clock.ahead.Load(), 10), 0o600)
	if err == nil {
		err = os.Rename(w.clockFile()+".new", w.clockFile())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// begin starts the controller's process, if none runs.
func (w *boundWorld) begin() {
	w.t.Helper()
	if w.child != nil {
		return
	}
	text := must(json.Marshal(leaseChild{w.store.Endpoints(), w.clockFile()}))(w.t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leaseChildEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out := must(cmd.StdoutPipe())(w.t)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		w.t.Fatalf("the controller's process does not begin: %q, %v", line, err)
	}
	w.child = cmd
}

// kill kills the controller's process, if one runs.
func (w *boundWorld) kill() {
	if w.child == nil {
		return
	}
	_ = w.child.Process.Kill()
	_ = w.child.Wait()
	w.child = nil
}

// up waits until the switch forwards packets.
func (w *boundWorld) up() {
	w.t.Helper()
	w.eventually("the switch forwards packets", func() bool { return w.link.forwards() })
}
