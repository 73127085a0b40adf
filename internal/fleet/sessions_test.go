package fleet

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	p4v1 "github.com/p4lang/p4runtime/go/p4/v1"

	"op25b/e2e/longform"
	"op25b/internal/compile"
	"op25b/internal/intent"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/policy"
	"op25b/internal/store"
	"op25b/internal/strict"
	"op25b/internal/subscriber"
	"op25b/internal/subscriber/register"
	"op25b/internal/wire"
)

// sessionDocuments are the documents of the worked example, whose lines have sessions: adsl-home is exempt, adsl-home and adsl-bot have a source
// check that drops, and mobile-sim has neither.
func sessionDocuments(t testing.TB, x *testSwitch) []strict.File {
	files := documentsOf(t, x)
	for _, change := range [][2]string{
		{"    ports:\n", "    identify: circuit-id\n    ports:\n"},
		{`        prefixes: [192.0.2.11/32, "2001:db8:1::11/128"]` + "\n", ""},
		{`        prefixes: [192.0.2.12/32, "2001:db8:1::12/128"]` + "\n", ""},
		{`access: adsl, addressing: dynamic}`, `access: adsl, addressing: dynamic, sourceCheck: drop}`},
		{"exemptions:\n", "exemptions:\n  - {line: adsl-home, owner: noc@isp.example, reason: a server at home, expires: 2007-03-31}\n"},
	} {
		files = replaced(files, change[0], change[1])
	}
	return files
}

// A sessionWorld is a switch with lines that have sessions, a store and a register.
type sessionWorld struct {
	t     testing.TB
	x     *testSwitch
	store *store.Store
	clock *worldClock
	book  *intent.Book
	reg   *register.Register
	ids   int
}

func newSessionWorld(t testing.TB) *sessionWorld {
	t.Helper()
	w := &sessionWorld{t: t, x: startTestSwitch(t, 1, "127.0.0.1:0"), store: embeddedStore(t), clock: clockAt(allDestinations)}
	w.book = intent.NewBook(w.store, w.clock.now)
	apply(t, w.book, sessionDocuments(t, w.x))
	w.reg = startRegister(t, w.store, w.book, w.clock.now)
	return w
}

func startRegister(t testing.TB, s *store.Store, book *intent.Book, now func() time.Time) *register.Register {
	t.Helper()
	r := must(register.New(register.Config{Store: s, Book: book, Key: register.Key{1}, Now: now}))(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
	select {
	case <-r.Ready():
	case <-time.After(deadline):
		t.Fatal("the register is not ready")
	}
	return r
}

// run starts a controller. Its status is not checked before the first await.
func (w *sessionWorld) run(sessions Sessions) *running {
	w.t.Helper()
	r := start(w.t, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: sessions})
	r.await("the switch converged", func(all map[string]Status) bool { return all[w.x.name].State == StateConverged })
	return r
}

// report reports an event of a line's session, whose id is id.
func (w *sessionWorld) report(kind subscriber.Kind, line, id string, prefixes ...string) {
	w.t.Helper()
	e := subscriber.Event{
		Kind: kind, NAS: "bng-1", Session: id, Time: w.clock.now(), Interval: 10 * time.Minute,
		Identities: map[policy.Identify]string{policy.IdentifyCircuitID: line},
	}
	for _, p := range prefixes {
		e.Prefixes = append(e.Prefixes, netip.MustParsePrefix(p))
	}
	if _, err := w.reg.Report(within(w.t), e, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *sessionWorld) start(line string, prefixes ...string) (id string) {
	w.t.Helper()
	w.ids++
	id = fmt.Sprint("s", w.ids)
	w.report(subscriber.Start, line, id, prefixes...)
	return id
}

// layer returns the entries that the switch has by sessions, in short form.
func (w *sessionWorld) layer() []string {
	w.t.Helper()
	lines := must(must(w.book.Current(within(w.t)))(w.t).SessionLines(w.x.name, w.clock.now()))(w.t)
	var all []string
	for _, e := range readEntries(w.t, w.x) {
		if line, is := lines.Line(e); is {
			p, _ := e.Prefix()
			if e.IsSource() {
				p = e.SourcePrefix()
			}
			all = append(all, fmt.Sprintf("%s %s %v", strings.TrimRight(e.Table(), "46"), line, p))
		}
	}
	slices.Sort(all)
	return all
}

func readEntries(t testing.TB, x *testSwitch) []pipeline.Entry {
	t.Helper()
	s := must(p4rt.DialReader(within(t), p4rt.Config{Addr: x.addr, DeviceID: x.id}))(t)
	defer s.Close()
	var all []pipeline.Entry
	if err := s.ReadEntries(within(t), pipeline.TablesByRank(), func(e pipeline.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// holds waits until the switch has exactly these entries by sessions.
func (w *sessionWorld) holds(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	for over := time.Now().Add(deadline); ; {
		got := w.layer()
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(over) {
			w.t.Fatalf("the switch has %q,\nwant %q", got, want)
		}
	}
}

func (w *sessionWorld) inForce(r *running, inForce, waiting int) Status {
	w.t.Helper()
	var st Status
	r.await(fmt.Sprintf("%d sessions in force, %d waiting", inForce, waiting), func(all map[string]Status) bool {
		st = all[w.x.name]
		return st.Sessions != nil && st.Sessions.InForce == inForce && st.Sessions.Waiting == waiting
	})
	return st
}

const (
	anyHome4a, anyHome4b = "source_v adsl-home 0.0.0.0/1", "source_v adsl-home 128.0.0.0/1"
	anyHome6a, anyHome6b = "source_v adsl-home ::/1", "source_v adsl-home 8000::/1"
	anyBot4a, anyBot4b   = "source_v adsl-bot 0.0.0.0/1", "source_v adsl-bot 128.0.0.0/1"
	anyBot6a, anyBot6b   = "source_v adsl-bot ::/1", "source_v adsl-bot 8000::/1"
)

// TestSessionsReachTheSwitch follows sessions from the register to the verdicts of the switch: the exemption and the source check of a line follow its
// session, and end with it.
func TestSessionsReachTheSwitch(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	wire := w.attach()
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	wire.wants(map[string]bool{"home 192.0.2.77 25": false, "home 192.0.2.77 587": true, "bot 192.0.2.78 587": true})

	id := w.start("adsl-home", "192.0.2.77/32", "2001:db8:7::/56")
	w.holds("source_v adsl-home 192.0.2.77/32", "source_v adsl-home 2001:db8:7::/56", "subscriber_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 2001:db8:7::/56",
		anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	w.inForce(r, 1, 0)
	wire.wants(map[string]bool{"home 192.0.2.77 25": true, "home 192.0.2.78 587": false, "bot 192.0.2.77 25": false, "bot 192.0.2.78 587": true})

	// The address moves to the other line, which is not exempt. The end of the first session was lost.
	w.clock.set(w.clock.now().Add(2 * time.Second))
	other := w.start("adsl-bot", "192.0.2.77/32")
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, "source_v adsl-bot 192.0.2.77/32", anyBot6a, anyBot6b)
	wire.wants(map[string]bool{"home 192.0.2.77 25": false, "home 192.0.2.78 587": true, "bot 192.0.2.77 587": true, "bot 192.0.2.78 587": false})
	w.report(subscriber.Stop, "adsl-home", id)

	w.clock.set(w.clock.now().Add(2 * time.Second))
	w.report(subscriber.Stop, "adsl-bot", other)
	w.holds(anyHome4a, anyHome4b, anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b)
	w.inForce(r, 0, 0)
	wire.wants(map[string]bool{"bot 192.0.2.77 587": true})
	// A line without an exemption and a check needs no entries.
	w.start("mobile-sim", "192.0.2.90/32")
	w.start("adsl-home", "192.0.2.79/32")
	w.inForce(r, 1, 0)
}

// TestSessionsOutlivePhasesAndControllers verifies that a change of phase, of the documents and of the controller leaves the entries of sessions, and that a
// controller that reads no sessions keeps them and says so.
func TestSessionsOutlivePhasesAndControllers(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	w.start("adsl-home", "192.0.2.77/32")
	held := []string{"source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b}
	bot := []string{anyBot4a, anyBot4b, anyBot6a, anyBot6b}
	w.holds(slices.Concat(held, bot)...)
	in := must(w.book.Current(within(t)))(t)
	in = must(w.book.Activate(within(t), in.Number, "before", policy.Scope{}, by))(t)
	w.start("adsl-bot", "192.0.2.78/32")
	r.converged(w.x.name, in.Number)
	bot = []string{"source_v adsl-bot 192.0.2.78/32", anyBot6a, anyBot6b}
	w.holds(slices.Concat(held, bot)...)
	r.end()

	// I5: a controller that finds the switch as it should be writes nothing.
	w.x.forget()
	r = w.run(w.reg)
	w.inForce(r, 2, 0)
	if writes, pushes := w.x.forget(); len(writes)+pushes > 0 {
		t.Errorf("%d writes, %d pushes after the restart: %v", len(writes), pushes, writes)
	}
	r.end()

	// This controller has no key.
	r = w.run(nil)
	r.await("the sessions are unknown", func(all map[string]Status) bool {
		st := all[w.x.name].Sessions
		return st != nil && strings.HasPrefix(st.Detail, "this controller reads no sessions")
	})
	in = apply(t, w.book, replaced(sessionDocuments(t, w.x), "reason: a server at home", "reason: still a server at home"))
	r.converged(w.x.name, in.Number)
	w.holds(slices.Concat(held, bot)...)
	r.end()

	// The exemption and the source check are taken back. The entries go, and are not called foreign.
	r = w.run(w.reg)
	documents := replaced(sessionDocuments(t, w.x), ", sourceCheck: drop", "")
	in = apply(t, w.book, replaced(documents, "  - {line: adsl-home, owner: noc@isp.example, reason: a server at home, expires: 2007-03-31}\n", ""))
	st := r.converged(w.x.name, in.Number)
	w.holds()
	if len(st.Drift) > 0 || st.Foreign > 0 {
		t.Errorf("drift %q, %d foreign", st.Drift, st.Foreign)
	}
}

// TestSessionDriftIsHealed verifies that an audit repairs the entries of sessions that another client changed, and reports them without an address.
func TestSessionDriftIsHealed(t *testing.T) {
	w := newSessionWorld(t)
	r := start(t, Config{Name: "noc-1", Store: w.store, Book: w.book, Now: w.clock.now, Sessions: w.reg, AuditEvery: 50 * time.Millisecond})
	r.converged(w.x.name, 1)
	w.start("adsl-home", "192.0.2.77/32")
	want := []string{"source_v adsl-home 192.0.2.77/32", "subscriber_v adsl-home 192.0.2.77/32", anyHome6a, anyHome6b, anyBot4a, anyBot4b, anyBot6a, anyBot6b}
	w.holds(want...)
	w.inForce(r, 1, 0)
	lines := must(must(w.book.Current(within(t)))(t).SessionLines(w.x.name, w.clock.now()))(t)
	var updates []*p4v1.Update
	for _, e := range readEntries(t, w.x) {
		if line, is := lines.Line(e); is && line == "adsl-home" && !compile.Wide(e) {
			updates = append(updates, update(p4v1.Update_DELETE, p4rt.Entity(e)))
		}
	}
	for _, e := range lines.Entries("adsl-home", []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")}) {
		if !compile.Wide(e) {
			updates = append(updates, update(p4v1.Update_INSERT, p4rt.Entity(e)))
		}
	}
	w.x.handAtAudit(t, updates...)
	w.holds(want...)
	r.await("the drift is reported", func(all map[string]Status) bool { return len(all[w.x.name].Drift) >= 4 })
	r.mu.Lock()
	drift := strings.Join(r.last[w.x.name].Drift, "\n")
	r.mu.Unlock()
	if strings.Contains(drift, "192.0.2") || !strings.Contains(drift, "missing subscriber_v4 of line adsl-home") || !strings.Contains(drift, "foreign source_v4 of line adsl-home") {
		t.Errorf("drift:\n%s", drift)
	}
}

// TestSessionTableIsFull verifies that a full table makes only the sessions wait that do not fit, and that they get their entries when there is room.
func TestSessionTableIsFull(t *testing.T) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	full := make([]*p4v1.Update, 0, 81920)
	for i := range 81920 - 2 { // one entry is the static exemption of business-fixed, and one is left
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		e := must(pipeline.SubscriberEntry(netip.PrefixFrom(a, 32), pipeline.Subscriber{Class: 9}))(t)
		full = append(full, update(p4v1.Update_INSERT, p4rt.Entity(e)))
	}
	for some := range slices.Chunk(full, 10000) {
		w.x.hand(t, some...)
	}
	w.start("adsl-home", "192.0.2.77/32", "192.0.2.78/32")
	st := w.inForce(r, 0, 1)
	if want := `table "subscriber_v4": no room: the switch refused an entry of a session; remove exemptions or move lines to another switch`; st.Sessions.Detail != want {
		t.Errorf("%q, want %q", st.Sessions.Detail, want)
	}
	w.start("adsl-bot", "192.0.2.79/32")
	w.inForce(r, 1, 1)
	w.x.hand(t, update(p4v1.Update_DELETE, full[0].Entity))
	w.clock.set(w.clock.now().Add(2 * time.Second))
	w.start("adsl-bot", "192.0.2.80/32") // removes an entry, so that the waiting line is tried again
	w.inForce(r, 2, 0)
}

// sessionLink sends packets of the lines through the switch.
type sessionLink struct {
	t    testing.TB
	link map[string]wire.Link
	in   chan uint16
	stop context.CancelFunc
	work sync.WaitGroup
}

func (w *sessionWorld) attach() *sessionLink {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &sessionLink{t: w.t, link: make(map[string]wire.Link), in: make(chan uint16, 64), stop: stop}
	attach := func(port uint32, recv func([]byte)) wire.Link {
		inner, outer := wire.Pipe("switch", "host")
		if err := w.x.Attach(port, inner); err != nil {
			w.t.Fatal(err)
		}
		l.work.Go(func() { _ = outer.Serve(ctx, recv) })
		return outer
	}
	l.link["home"] = attach(1, func([]byte) {})
	l.link["bot"] = attach(2, func([]byte) {})
	attach(13, func(frame []byte) {
		packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		if tcp, ok := packet.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
			l.in <- uint16(tcp.DstPort)
		}
	})
	w.t.Cleanup(func() { stop(); l.work.Wait() })
	return l
}

// lastPort is the destination port of the packet that ends a probe. Its source is a link-local address, which no source check stops.
const lastPort = 9

// wants checks which connection attempts pass. A key has the line, the source address and the destination port.
func (l *sessionLink) wants(want map[string]bool) {
	l.t.Helper()
	got := make(map[string]bool)
	for key := range want {
		var line, from string
		var port uint16
		if _, err := fmt.Sscan(key, &line, &from, &port); err != nil {
			l.t.Fatal(err)
		}
		got[key] = l.passes(line, netip.MustParseAddr(from), port)
	}
	if !maps.Equal(got, want) {
		l.t.Errorf("passes: %v,\nwant %v", got, want)
	}
}

func (l *sessionLink) passes(line string, from netip.Addr, port uint16) (passed bool) {
	l.t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 1, map[string]byte{"home": 1, "bot": 2}[line]}
	for _, frame := range [][]byte{
		synFrom(l.t, mac, from, netip.MustParseAddr("203.0.113.129"), port),
		synFrom(l.t, mac, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8:99::25"), lastPort),
	} {
		if err := l.link[line].Send(frame); err != nil {
			l.t.Fatal(err)
		}
	}
	for {
		select {
		case arrived := <-l.in:
			if arrived == lastPort {
				return passed
			}
			passed = true
		case <-time.After(deadline):
			l.t.Fatal("no packet arrives")
		}
	}
}

func synFrom(t testing.TB, mac net.HardwareAddr, from, to netip.Addr, port uint16) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{2, 0, 0, 0, 2, 3}, EthernetType: layers.EthernetTypeIPv4}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: layers.TCPPort(port), SYN: true, Window: 1024}
	var ip gopacket.SerializableLayer
	if from.Is4() {
		ip4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
		_ = tcp.SetNetworkLayerForChecksum(ip4)
		ip = ip4
	} else {
		ip6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
		_ = tcp.SetNetworkLayerForChecksum(ip6)
		ip, eth.EthernetType = ip6, layers.EthernetTypeIPv6
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestI2SessionsConverge makes random changes of sessions, phases, controllers and the switch. When they are over, the switch has exactly the entries of
// the sessions that hold, and the verdict for each address is that of its line. At no time do two lines have the same address.
func TestI2SessionsConverge(t *testing.T) {
	rounds := 6
	if longform.On() {
		rounds = 200
	}
	for seed := range rounds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { sessionsConverge(t, rand.New(rand.NewPCG(uint64(seed), 0))) })
	}
}

func sessionsConverge(t *testing.T, random *rand.Rand) {
	w := newSessionWorld(t)
	r := w.run(w.reg)
	held := make(map[string]string) // the ids of the sessions that were started last
	lines := []string{"adsl-home", "adsl-bot", "mobile-sim"}
	addresses := []string{"192.0.2.77/32", "192.0.2.78/32", "192.0.2.79/32", "2001:db8:7::/56", "2001:db8:8::/64"}
	phases := []string{"before", "all-destinations"}
	for range 5 + random.IntN(20) {
		w.clock.set(w.clock.now().Add(time.Second))
		line := lines[random.IntN(len(lines))]
		switch []string{"start", "start", "start", "stop", "on", "phase", "killed", "rebooted"}[random.IntN(8)] {
		case "start":
			random.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
			held[line] = w.start(line, addresses[:random.IntN(3)]...)
		case "stop":
			w.report(subscriber.Stop, line, held[line])
		case "on":
			w.report(subscriber.Restart, line, "")
		case "phase":
			in := must(w.book.Current(within(t)))(t)
			_, _ = w.book.Activate(within(t), in.Number, phases[random.IntN(len(phases))], policy.Scope{}, by)
		case "killed":
			r.end()
			r = w.run(w.reg)
		case "rebooted":
			w.reboot()
		}
	}
	w.clock.set(w.clock.now().Add(time.Second))
	w.start("mobile-sim", lastPrefix)
	w.heard("mobile-sim", lastPrefix)
	in := must(w.book.Current(within(t)))(t)
	if phase, _ := in.InForce(w.x.name, w.clock.now()); phase.Default != "all-destinations" {
		in = must(w.book.Activate(within(t), in.Number, "all-destinations", policy.Scope{}, by))(t)
	}
	r.converged(w.x.name, in.Number)
	layer := must(in.SessionLines(w.x.name, w.clock.now()))(t)
	var want []string
	passes := make(map[string]bool)
	for _, line := range lines {
		prefixes, _, _ := w.reg.Addresses(line)
		for _, e := range layer.Entries(line, prefixes) {
			p, _ := e.Prefix()
			if e.IsSource() {
				p = e.SourcePrefix()
			}
			want = append(want, fmt.Sprintf("%s %s %v", strings.TrimRight(e.Table(), "46"), line, p))
		}
		for _, p := range prefixes {
			if p.Addr().Is4() && line != "mobile-sim" {
				passes[fmt.Sprintf("%s %v 25", strings.TrimPrefix(line, "adsl-"), p.Addr())] = line == "adsl-home"
				passes[fmt.Sprintf("%s %v 587", strings.TrimPrefix(line, "adsl-"), p.Addr())] = true
			}
		}
	}
	w.holds(want...)
	w.attach().wants(passes)
	r.end()
	w.oneHolder()
}

// lastPrefix is the prefix of the last session of a round.
const lastPrefix = "2001:db8:9::/56"

// heard waits until the register has the session of a line. The register receives what it stores from the store, in the order of the changes, so
// it then has all earlier sessions too.
func (w *sessionWorld) heard(line, prefix string) {
	w.t.Helper()
	for over := time.Now().Add(deadline); ; runtime.Gosched() {
		if prefixes, _, _ := w.reg.Addresses(line); slices.Contains(prefixes, netip.MustParsePrefix(prefix)) {
			return
		}
		if time.Now().After(over) {
			w.t.Fatalf("the register does not have %s of %s", prefix, line)
		}
	}
}

// oneHolder replays the writes and fails if two lines were bound to the same address at any time.
func (w *sessionWorld) oneHolder() {
	w.t.Helper()
	writes, _ := w.x.forget()
	bound := make(map[netip.Prefix]pipeline.LineIndex)
	for _, request := range writes {
		for _, u := range request.Updates {
			e, err := p4rt.EntryOf(u.Entity)
			if err != nil || !e.IsSource() || compile.Wide(e) {
				continue
			}
			p := e.SourcePrefix()
			if u.Type == p4v1.Update_DELETE {
				delete(bound, p)
			} else if other, is := bound[p]; is && other != e.SourceLine() {
				w.t.Errorf("%v of line %d is given to line %d", p, other, e.SourceLine())
			} else {
				bound[p] = e.SourceLine()
			}
		}
	}
}

// reboot replaces the switch by an empty one at the same address.
func (w *sessionWorld) reboot() {
	w.t.Helper()
	addr := w.x.addr
	w.x.stop()
	w.x.forget()
	w.x = startTestSwitch(w.t, w.x.id, addr)
}
