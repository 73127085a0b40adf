package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"op25b/e2e/longform"
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
	"op25b/internal/rollout/rings"
	"op25b/internal/softswitch"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/tally"
	"op25b/internal/telemetry"
)

// The fleet of the wrong policies has twelve embedded switches in four rings. Each switch has the four subscribers and three servers of
// examples/spinnet-2006 as virtual hosts, which send mail all the time. In force is the phase of 2006 in which mail to the carriers is stopped.
const wrongSwitches = 12

var wrongRings = [][]int{{1}, {2, 3}, {4, 5, 6}, {7, 8, 9, 10, 11, 12}}

// The expected outcomes of the phase, by line and server. Each host tries them in turn.
var wrongTraffic = []struct {
	line, server string
	passes       bool
}{
	{"adsl-home", "198.51.100.25:25", true},  // our relay
	{"adsl-home", "203.0.113.129:587", true}, // submission to another provider
	{"adsl-home", "203.0.113.129:25", true},  // another provider's MX: only monitored in this phase
	{"adsl-bot", "203.0.113.25:25", false},   // a carrier's MX
	{"adsl-bot", "203.0.113.129:25", true},
	{"business-fixed", "203.0.113.25:25", true}, // the line is exempt
	{"business-fixed", "203.0.113.129:25", true},
	{"mobile-sim", "198.51.100.25:25", true},
	{"mobile-sim", "203.0.113.129:587", true},
}

// wrongEvery is the pause of a host between two connections.
const wrongEvery = 250 * time.Millisecond

// A wrongPolicy is a change of the documents with a mistake.
type wrongPolicy struct {
	name string
	// replace lists texts of the documents and what stands in their place, one after the other.
	replace []string
	mass    bool // whether the operator confirms a mass change
	// stopped is what must stop it: validation, mass change, the twin, or the name of a gate. rings is the number of rings that have it by then.
	stopped string
	rings   int
}

const (
	relays   = `[198.51.100.16/28, "2001:db8:25::/64"]`
	carriers = `[203.0.113.0/26, "2001:db8:ca::/48"]`
	last     = "  - line: business-fixed-12\n    owner: noc@isp.example\n    reason: fixed address with a mail server of its own\n    ticket: OP25B-17\n    review: 2999-01-01\n    expires: 2999-03-31"
	block    = "{name: smtp-carrier, service: smtp, remote: mobile-carrier, action: drop}"
)

var wrongPolicies = []wrongPolicy{
	{"587 is caught by the service smtp", []string{"{name: smtp, ports: [25]}", "{name: smtp, ports: [25, 587]}"}, false, "validation", 0},
	{"an exemption is lost", []string{last, ""}, false, "mass change", 0},
	{"an exemption is lost, and the mass change is confirmed", []string{last, ""}, true, "foreseen", 0},
	{"the block of the next phase is copied", []string{"remote: any, action: monitor", "remote: any, action: drop"}, false, "foreseen", 0},
	{"a line group is missing in a rule", []string{block, strings.Replace(block, "service:", "groups: [isdn, bflets, hikari-premium, mobile], service:", 1)}, false, "foreseen", 0},
	{"a relay is forgotten", []string{"198.51.100.16/28, ", ""}, true, "relays", 1},
	{"a relay's address is mistyped", []string{"198.51.100.16/28", "198.51.10.16/28"}, true, "relays", 1},
	{"a carrier's prefix is too wide", []string{"203.0.113.0/26", "203.0.113.0/24"}, true, "affected", 1},
	{"two classes are swapped", []string{relays, "RELAYS", carriers, relays, "RELAYS", carriers}, false, "affected", 1},
	{"a carrier's server is among our relays", []string{"[198.51.100.16/28, ", "[198.51.100.16/28, 203.0.113.25/32, ", "    relay: true\n", "    relay: true\n    within: [mobile-carrier]\n"}, false, "stopping", 1},
	{"an exempt line has a mistyped VLAN", []string{"port: access-3\n        vlan: 0", "port: access-3\n        vlan: 10"}, true, "affected", 1},
}

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

// newWrongFleet starts the fleet with its hosts, and waits until its switches have the documents and mail has been recorded.
func newWrongFleet(t *testing.T) *wrongFleet {
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
	var traffic []func(context.Context)
	for i := range b.Inventory.Switches {
		sw := &b.Inventory.Switches[i]
		rig, err := demo.NewEmbedded(sw, softswitch.Addrs{}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := rig.Close(); err != nil {
				t.Error(err)
			}
		})
		addrs[i] = softswitch.Addrs{P4Runtime: rig.P4Runtime, GNMI: rig.GNMI}
		traffic = append(traffic, f.hosts(sw, rig)...)
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
	for _, send := range traffic {
		running.Go(func() { send(ctx) })
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
func (f *wrongFleet) hosts(sw *policy.Switch, rig *demo.Embedded) (traffic []func(context.Context)) {
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

// An outcome is where a rollout was stopped: by what, and after how many rings and lines.
type wrongOutcome struct {
	by           string
	rings, lines int
	harmed       int
	why          string
}

// run starts a rollout of the current documents with texts replaced, as the API does, and follows it until something stops it. It returns by with the
// text "done" if nothing does.
func (f *wrongFleet) run(x wrongPolicy) (o wrongOutcome) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	in, err := f.book.Current(ctx)
	if err != nil {
		t.Fatal(err)
	}
	files := f.edited(x.replace)
	f.harmed()
	p, err := f.book.Propose(ctx, files)
	if err != nil {
		return wrongOutcome{by: "validation", why: err.Error()}
	}
	if err := plan.CheckMass(plan.Removals(in, p.Intent, time.Now(), 5), 5, x.mass); err != nil {
		return wrongOutcome{by: "mass change", why: err.Error()}
	}
	if err := errors.Join(rings.CheckDocuments(f.stages, in.Bundle, p.Bundle), f.planner.Fits(ctx, p.Intent)); err != nil {
		return wrongOutcome{by: "validation", why: err.Error()}
	}
	if err := errors.Join(f.planner.Proved(ctx, in, p.Intent), f.planner.Proved(ctx, p.Intent, in)); err != nil {
		return wrongOutcome{by: "twin", why: err.Error()}
	}
	if _, err := f.book.Stage(ctx, p, intent.By{Who: "noc", Reason: x.name}); err != nil {
		t.Fatal(err)
	}
	r := rollout.Record{Change: rollout.Change{Documents: p.Base, Policy: p.Bundle.Policy.Name}, Stages: f.stages, Baseline: 10 * time.Second}
	if _, err := f.driver.Start(ctx, r, drive.By{Who: "noc", Role: "operator", Reason: x.name}); err != nil {
		t.Fatal(err)
	}
	watching, cancel := context.WithTimeout(ctx, 4*time.Minute)
	records := f.driver.Watch(watching)
	defer func() {
		cancel()
		for range records {
		}
	}()
	var last *drive.Stored
	for s := range records {
		last = s
		if n := s.Rings(); n > o.rings && s.State != rollout.Done {
			o.rings = n
		}
		holds := slices.IndexFunc(s.Findings, func(f rollout.Finding) bool { return f.Verdict >= rollout.Hold })
		switch {
		case s.State == rollout.Done:
			o.by, o.harmed = "done", f.harmed()
		case s.State == rollout.GoingBack, s.State == rollout.Held && holds >= 0:
			o.by, o.why, o.harmed = string(s.Findings[holds].Gate), s.Findings[holds].String(), f.harmed()
		default:
			continue
		}
		break
	}
	if o.by == "" {
		t.Fatalf("%s: the rollout stays %s in ring %d: %v", x.name, last.State, last.Ring, last.Findings)
	}
	for _, stage := range f.stages[:o.rings] {
		o.lines += 4 * len(stage.Switches)
	}
	if o.by != "done" {
		if _, err := f.driver.Change(ctx, drive.By{Who: "noc", Reason: "wrong"}, func(r rollout.Record) (rollout.Record, error) {
			return r.Abort("noc", "wrong", time.Now())
		}); err != nil && !errors.Is(err, rollout.ErrState) {
			t.Fatal(err)
		}
	}
	f.eventually("the rollout has ended", func() bool {
		s, err := f.driver.Current(ctx)
		return err == nil && s.State.Ended()
	})
	f.settled(f.store)
	return o
}

// edited returns the documents of the fleet with texts replaced.
func (f *wrongFleet) edited(pairs []string) []strict.File {
	f.t.Helper()
	files := slices.Clone(f.files)
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for j := range files {
			found = found || bytes.Contains(files[j].Data, []byte(pairs[i]))
			files[j].Data = bytes.ReplaceAll(files[j].Data, []byte(pairs[i]), []byte(pairs[i+1]))
		}
		if !found {
			f.t.Fatalf("the documents have no %q", pairs[i])
		}
	}
	return files
}

// TestWrongPolicies verifies that a wrong policy for each way to be stopped is stopped before the last ring, by what the page says. With OP25B_LONG=1, it
// tries all wrong policies, and one without a mistake, which reaches all rings.
func TestWrongPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes")
	}
	f := newWrongFleet(t)
	if longform.On() {
		title := []string{"Our own mail relays", "The mail relays"}
		if o := f.run(wrongPolicy{name: "a title changes", replace: title}); o.by != "done" || o.rings != len(wrongRings) {
			t.Errorf("a policy without a mistake was stopped by %s in ring %d: %s", o.by, o.rings, o.why)
		} else {
			t.Logf("a policy without a mistake reached %d rings, and %d lines had wrong outcomes", o.rings, o.harmed)
		}
		f.files = f.edited(title)
	}
	page, err := os.ReadFile("../docs/rollout.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, x := range wrongPolicies {
		if tried[x.stopped] && !longform.On() {
			continue
		}
		tried[x.stopped] = true
		o := f.run(x)
		row := fmt.Sprintf("| %s | %s | %d | %d |", x.name, o.by, o.rings, o.lines)
		t.Logf("%s %d | %s", row, o.harmed, o.why)
		if o.by == "done" {
			t.Fatalf("%s reached all rings; %d lines had wrong outcomes", x.name, o.harmed)
		}
		if o.by != x.stopped || o.rings != x.rings {
			t.Errorf("%s: stopped by %s after %d rings, want %s after %d: %s", x.name, o.by, o.rings, x.stopped, x.rings, o.why)
		}
		if !bytes.Contains(page, []byte(row)) {
			t.Errorf("docs/rollout.md does not have the row %s", row)
		}
	}
	if !longform.On() {
		fmt.Printf("wrong policies: one for each of %d ways to be stopped; OP25B_LONG=1 tries all %d, and one without a mistake\n", len(tried), len(wrongPolicies))
	}
}
