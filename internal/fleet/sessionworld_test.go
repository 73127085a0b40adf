package fleet

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

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
	return w.layerOf(must(must(w.book.Current(within(w.t)))(w.t).SessionLines(w.x.name, w.clock.now()))(w.t))
}

func (w *sessionWorld) layerOf(lines *compile.SessionLines) []string {
	w.t.Helper()
	var all []string
	for _, e := range readEntries(w.t, w.x) {
		if line, is := lines.Line(e); is {
			all = append(all, short(line, e))
		}
	}
	slices.Sort(all)
	return all
}

// short returns the short form of an entry by a session: its table without the family, its line and its prefix.
func short(line string, e pipeline.Entry) string {
	p, _ := e.Prefix()
	if e.IsSource() {
		p = e.SourcePrefix()
	}
	return fmt.Sprintf("%s %s %v", strings.TrimRight(e.Table(), "46"), line, p)
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
	l.link["internet"] = attach(5, func([]byte) {}) // no line is behind it; only leaseDocuments have the port
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
	return l.passesTo(line, from, netip.MustParseAddr("203.0.113.129"), port)
}

// passesTo reports whether a connection attempt of a line to a server passes.
func (l *sessionLink) passesTo(line string, from, to netip.Addr, port uint16) (passed bool) {
	l.t.Helper()
	mac := net.HardwareAddr{2, 0, 0, 0, 1, map[string]byte{"home": 1, "bot": 2}[line]}
	for _, frame := range [][]byte{
		synFrom(l.t, mac, from, to, port),
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
			passed = passed || arrived == port
		case <-time.After(deadline):
			l.t.Fatal("no packet arrives")
		}
	}
}

// forwards reports whether a packet that nothing stops passes, within a moment.
func (l *sessionLink) forwards() bool {
	l.t.Helper()
	frame := synFrom(l.t, net.HardwareAddr{2, 0, 0, 0, 1, 1}, netip.MustParseAddr("fe80::1"), netip.MustParseAddr("2001:db8:99::25"), lastPort+1)
	if err := l.link["home"].Send(frame); err != nil {
		l.t.Fatal(err)
	}
	select {
	case <-l.in:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
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
