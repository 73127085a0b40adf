package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"op25b/internal/intent"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
)

// sessionControllerEnv is an environment variable that makes this test binary a controller with a register. Its value is the endpoint of the store,
// the name of the controller and the nanoseconds by which its clock is ahead, separated by spaces.
const sessionControllerEnv = "OP25B_TEST_SESSION_CONTROLLER"

// sessionControllerProcess runs a controller that hands over no switch while it lives. For each line of its input, which is the name of a line and a
// prefix, it starts a session and then prints ANSWERED and the name of the line.
func sessionControllerProcess(config string) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	words := strings.Fields(config)
	ahead, err := strconv.ParseInt(words[2], 10, 64)
	fail(err)
	var clock worldClock
	clock.ahead.Store(ahead)
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{Endpoints: []string{words[0]}})
	fail(err)
	book := intent.NewBook(s, clock.now)
	reg, err := register.New(register.Config{Store: s, Book: book, Key: register.Key{1}, Now: clock.now})
	fail(err)
	go reg.Run(ctx)
	<-reg.Ready()
	go func() {
		panic(Run(ctx, Config{Name: words[1], Store: s, Book: book, Now: clock.now, Sessions: reg, Settle: time.Hour}))
	}()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		line, prefix, _ := strings.Cut(in.Text(), " ")
		_, err := reg.Report(ctx, subscriber.Event{
			Kind: subscriber.Start, NAS: "bng-1", Session: words[1] + prefix, Time: clock.now(), Interval: 10 * time.Minute,
			Identities: map[policy.Identify]string{policy.IdentifyCircuitID: line}, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)},
		}, nil)
		fail(err)
		fmt.Println("ANSWERED", line)
	}
}

// sessionController starts a process of sessionControllerProcess. The function report reports a start to it and waits for the answer. The function
// kill kills it, as in a power cut.
func (w *sessionWorld) sessionController(name string) (report func(line, prefix string), kill func()) {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", sessionControllerEnv, w.store.Endpoints()[0], name, w.clock.ahead.Load()))
	cmd.Stderr = os.Stderr
	in, out := must(cmd.StdinPipe())(w.t), bufio.NewReader(must(cmd.StdoutPipe())(w.t))
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	w.t.Cleanup(kill)
	return func(line, prefix string) {
		w.t.Helper()
		if _, err := fmt.Fprintln(in, line, prefix); err != nil {
			w.t.Fatal(err)
		}
		if got, err := out.ReadString('\n'); err != nil || got != "ANSWERED "+line+"\n" {
			w.t.Fatalf("%q, %v", got, err)
		}
	}, kill
}

// TestAnsweredSessionsOutliveKilledControllers kills each of two controllers at the moment at which it has answered for a session: first one that
// owns no switch, then the owner. The switch gets both sessions, the second from the controller that takes over.
func TestAnsweredSessionsOutliveKilledControllers(t *testing.T) {
	w := newSessionWorld(t)
	w.reg = nil // the processes have their own registers
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	watch := WatchStatuses(watching, w.store)
	toOwner, killOwner := w.sessionController("noc-1")
	awaitStored(t, watch, "the owner converged", func(all []Status) bool {
		return len(all) == 1 && all[0].State == StateConverged && all[0].Owner == "noc-1"
	})
	toOther, killOther := w.sessionController("noc-2")
	toOther("adsl-home", "192.0.2.77/32")
	killOther()
	home := []string{"source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b}
	w.holds(append(home, anyBot4a, anyBot4b, anyBot6a, anyBot6b)...)

	next := start(t, Config{Name: "noc-3", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: startRegister(t, w.store, w.book, w.clock.now)})
	toOwner("adsl-bot", "192.0.2.78/32")
	killOwner()
	w.inForce(next, 2, 0)
	w.holds(append(home, "source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b)...)
}
