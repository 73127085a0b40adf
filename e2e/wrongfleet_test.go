package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"op25b/examples"
	"op25b/internal/abuse"
	"op25b/internal/demo"
	"op25b/internal/fleet"
	"op25b/internal/intent"
	"op25b/internal/netsim"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/plan"
	"op25b/internal/policy"
	"op25b/internal/rollout"
	"op25b/internal/rollout/drive"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// A wrongFleet is the fleet with its controller.
type wrongFleet struct {
	t       *testing.T
	book    *intent.Book
	driver  *drive.Driver
	planner *plan.Planner
	stages  []rollout.Stage
	files   []strict.File // the documents without a mistake
	store   *store.Store

	mu   sync.Mutex
	runs map[string]int  // by switch, line and server, the wrong outcomes in a row
	harm map[string]bool // the lines with two wrong outcomes in a row, by switch and line
}

// wrongFiles returns the documents of the fleet. addrs has the services of each switch.
func wrongFiles(addrs []softswitch.Addrs) []strict.File {
	files := examples.SpinNet2006()
	for i := range files {
		text := string(files[i].Data)
		text = strings.ReplaceAll(text, "expires: 2007-03-31", "expires: 2999-03-31")
		text = strings.ReplaceAll(text, "review: 2006-12-31", "review: 2999-01-01")
		// The later phases begin far in the future, so that the tests do not depend on the date.
		text = strings.ReplaceAll(text, "effective: 2006-10-01", "effective: 2999-10-01")
		switch {
		case strings.Contains(text, "kind: Inventory"):
			head, sw, _ := strings.Cut(text, "  - name: edge-1\n")
			text = head
			for n, a := range addrs {
				one := sw
				for _, line := range []string{"adsl-home", "adsl-bot", "business-fixed", "mobile-sim"} {
					one = strings.ReplaceAll(one, "name: "+line+"\n", fmt.Sprintf("name: %s-%d\n", line, n+1))
				}
				one = strings.NewReplacer("deviceID: 1 ", fmt.Sprintf("deviceID: %d ", n+1), "127.0.0.1:9559", a.P4Runtime, "127.0.0.1:9339", a.GNMI,
					"192.0.2.", fmt.Sprintf("10.9.%d.", n+1), "2001:db8:1::", fmt.Sprintf("2001:db8:1:%d::", n+1)).Replace(one)
				text += fmt.Sprintf("  - name: edge-%d\n", n+1) + one
			}
		case strings.Contains(text, "kind: Exemptions"):
			head, one, _ := strings.Cut(text, "  - line: business-fixed\n")
			text = head
			for n := range addrs {
				text += fmt.Sprintf("  - line: business-fixed-%d\n", n+1) + one
			}
		}
		files[i].Data = []byte(text)
	}
	return files
}

// newWrongFleet starts the fleet with its hosts, and waits until its switches have the documents and mail has been recorded. The switches with the
// numbers in real are bmv2, which is at the path bmv2.
func newWrongFleet(t *testing.T, bmv2 string, real ...int) *wrongFleet {
	t.Helper()
	f := &wrongFleet{t: t, runs: make(map[string]int), harm: make(map[string]bool)}
	addrs := make([]softswitch.Addrs, wrongSwitches)
	for i := range addrs { // replaced below
		addrs[i] = softswitch.Addrs{P4Runtime: fmt.Sprintf("127.0.0.1:%d", 20000+i), GNMI: fmt.Sprintf("127.0.0.1:%d", 21000+i)}
	}
	b, err := policy.Load(wrongFiles(addrs))
	if err != nil {
		t.Fatal(err)
	}
	rigs := make([]demo.Rig, wrongSwitches)
	for i := range b.Inventory.Switches {
		sw := &b.Inventory.Switches[i]
		if slices.Contains(real, i+1) {
			rigs[i] = bmv2Rig(t, bmv2, sw)
		} else {
			embedded, err := demo.NewEmbedded(sw, softswitch.Addrs{}, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := embedded.Close(); err != nil {
					t.Error(err)
				}
			})
			rigs[i] = embedded.Rig
		}
		addrs[i] = softswitch.Addrs{P4Runtime: rigs[i].P4Runtime, GNMI: rigs[i].GNMI}
	}
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { _ = s.Run(ctx) })
	f.book = intent.NewBook(s, time.Now)
	if f.planner, err = plan.New(plan.Config{At: f.book.At, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	f.files = wrongFiles(addrs)
	p, err := f.book.Propose(t.Context(), f.files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.book.Put(t.Context(), p, intent.By{Who: "noc", Reason: "begin"}); err != nil {
		t.Fatal(err)
	}
	counters, err := tally.New(tally.Config{Telemetry: telemetry.Config{Interval: time.Second, LineInterval: time.Second}, Book: f.book})
	if err != nil {
		t.Fatal(err)
	}
	uses, err := abuse.New(abuse.Config{Book: f.book})
	if err != nil {
		t.Fatal(err)
	}
	f.driver = &drive.Driver{Store: s, Book: f.book, Counters: counters, Forecasts: uses, Name: "noc-1", Now: time.Now, Logger: zap.NewNop()}
	running.Go(func() { counters.Run(ctx) })
	running.Go(func() { uses.Run(ctx) })
	running.Go(func() { f.driver.Run(ctx) })
	running.Go(func() {
		if err := fleet.Run(ctx, fleet.Config{
			Name: "noc-1", Store: s, Book: f.book, Now: time.Now, Session: p4rt.KeepConfig{}, OnFlows: uses.OnFlows,
			OnStatus: func(st fleet.Status) {
				owned := st.Ownership == fleet.Owned
				counters.Follow(st.Switch, owned, st.Running, st.InForce)
				uses.Follow(st.Switch, owned)
			},
		}); err != nil {
			t.Error(err)
		}
	})
	f.settled(s)
	for i := range b.Inventory.Switches { // bmv2 takes no packets before it has a program
		for _, send := range f.hosts(&b.Inventory.Switches[i], rigs[i]) {
			running.Go(func() { send(ctx) })
		}
	}
	gates := rollout.DefaultGates()
	for i, members := range wrongRings {
		stage := rollout.Stage{Name: fmt.Sprint("ring-", i+1), Soak: 6 * time.Second, Gates: gates}
		for _, n := range members {
			stage.Switches = append(stage.Switches, fmt.Sprint("edge-", n))
		}
		slices.Sort(stage.Switches)
		f.stages = append(f.stages, stage)
	}
	f.eventually("the ledger has the lines that send mail", func() bool {
		in, err := f.book.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := uses.Forecast(in, "all-destinations", policy.Scope{}, time.Now())
		used := 0
		if err == nil {
			for _, row := range all.Rows {
				used += row.Used
			}
		}
		return used == 2*wrongSwitches // adsl-home and adsl-bot mail to the other provider
	})
	f.store = s
	return f
}

// hosts connects the hosts of one switch, and returns functions that send their traffic.
func (f *wrongFleet) hosts(sw *policy.Switch, rig demo.Rig) (traffic []func(context.Context)) {
	plug := func(name string, port policy.Port, mac pipeline.MAC, addrs ...netip.Prefix) *netsim.Host {
		config := netsim.HostConfig{Name: name, MAC: net.HardwareAddr(mac[:])}
		for _, a := range addrs {
			if a.Addr().Is4() {
				config.IPv4 = append(config.IPv4, a)
			}
		}
		link, err := rig.Link(port.Number, name)
		if err != nil {
			f.t.Fatal(err)
		}
		h, err := netsim.NewHost(link, config)
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() {
			if err := h.Close(); err != nil {
				f.t.Error(err)
			}
		})
		return h
	}
	for name, addr := range map[string]string{"core-relay": "198.51.100.25", "core-carrier": "203.0.113.25", "core-provider": "203.0.113.129"} {
		port, _ := sw.Port(name)
		h := plug(name, *port, port.MACs[0], netip.PrefixFrom(netip.MustParseAddr(addr), 32))
		for _, number := range []int{25, 587} {
			l, err := h.Listen("tcp4", fmt.Sprintf("%s:%d", addr, number))
			if err != nil {
				f.t.Fatal(err)
			}
			traffic = append(traffic, func(ctx context.Context) {
				stop := context.AfterFunc(ctx, func() { _ = l.Close() })
				defer stop()
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					_ = c.Close()
				}
			})
		}
	}
	for i := range sw.Lines {
		line := &sw.Lines[i]
		port, _ := sw.Port(line.Port)
		h := plug(line.Name, *port, line.MACs[0], line.Prefixes...)
		traffic = append(traffic, func(ctx context.Context) { f.send(ctx, h, sw.Name, line.Name) })
	}
	return traffic
}

// send sends the traffic of one line until ctx ends, and notes wrong outcomes.
func (f *wrongFleet) send(ctx context.Context, h *netsim.Host, sw, line string) {
	for store.Pause(ctx, wrongEvery) {
		for _, x := range wrongTraffic {
			if !strings.HasPrefix(line, x.line+"-") {
				continue
			}
			patience := 3 * time.Second
			if !x.passes {
				patience = 150 * time.Millisecond
			}
			dialling, cancel := context.WithTimeout(ctx, patience)
			c, err := h.DialContext(dialling, "tcp4", x.server)
			cancel()
			if err == nil {
				_ = c.Close()
			}
			if ctx.Err() != nil {
				return
			}
			f.note(sw, line, x.server, (err == nil) == x.passes)
		}
	}
}

// note counts wrong outcomes in a row. One may be due to a busy machine, or to a connection that was open when the documents changed.
func (f *wrongFleet) note(sw, line, server string, right bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := sw + " " + line + " " + server
	if f.runs[key]++; right {
		f.runs[key] = 0
	}
	if f.runs[key] >= 2 {
		f.harm[sw+" "+line] = true
	}
}

// harmed returns the number of lines with wrong outcomes since the last call.
func (f *wrongFleet) harmed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.harm)
	clear(f.harm)
	return n
}

func (f *wrongFleet) eventually(what string, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); {
		if time.Now().After(deadline) || !store.Pause(f.t.Context(), 50*time.Millisecond) {
			f.t.Fatalf("not within 2 minutes: %s", what)
		}
	}
}

// settled waits until the intent has one content and all switches have it.
func (f *wrongFleet) settled(s *store.Store) {
	f.t.Helper()
	f.eventually("all switches have the documents", func() bool {
		in, err := f.book.Current(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		all, err := fleet.Known(f.t.Context(), s, "noc-1")
		if err != nil {
			f.t.Fatal(err)
		}
		n := 0
		for _, st := range all {
			if st.State == fleet.StateConverged && st.Revision == in.Number {
				n++
			}
		}
		return in.Split() == nil && n == wrongSwitches
	})
}
