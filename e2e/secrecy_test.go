package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/abuse"
	"op25b/internal/api"
	"op25b/internal/client"
	"op25b/internal/clock"
	noc "op25b/internal/controller"
	"op25b/internal/p4rt"
	"op25b/internal/pipeline"
	"op25b/internal/softswitch"
	"op25b/internal/strict"
	"op25b/internal/telemetry"
	"op25b/internal/view"
	"op25b/internal/wire"
	op25bv1 "op25b/proto/op25b/v1"
)

// A leak is a text that a controller wrote or sent, with the place where it was found.
type leak struct {
	place   string
	content []byte
	// store is true for the files of etcd. They contain the documents, and so the names of lines. They also contain random bytes, in which the
	// four raw bytes of an IPv4 address can occur by chance.
	store bool
}

// A safeBuffer collects a log.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// traffic contains the addresses in the packets that a test sends. None of them is in a document.
type traffic struct{ servers, subscribers []netip.Addr }

func (a traffic) all() []netip.Addr {
	return append(append([]netip.Addr(nil), a.servers...), a.subscribers...)
}

// forms returns the forms in which an address could be stored: as text, in hexadecimal, as a decimal number and as raw bytes.
func forms(a netip.Addr, raw bool) [][]byte {
	b := a.AsSlice()
	all := [][]byte{[]byte(a.String()), []byte(a.StringExpanded()), []byte(hex.EncodeToString(b)), []byte(strings.ToUpper(hex.EncodeToString(b)))}
	if a.Is4() {
		v4 := a.As4()
		all = append(all, fmt.Append(nil, uint32(v4[0])<<24|uint32(v4[1])<<16|uint32(v4[2])<<8|uint32(v4[3])))
	}
	if raw || a.Is6() {
		all = append(all, b)
	}
	return all
}

// syn6 returns a SYN to port 25 over IPv6.
func syn6(t *testing.T, from, to pipeline.MAC, src, dst netip.Addr) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: from[:], DstMAC: to[:], EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	tcp := &layers.TCP{SrcPort: 40000, DstPort: 25, SYN: true, Window: 1024}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestI8Secrecy verifies that the traffic of subscribers stays secret. A controller with every recording function runs a rollout on a switch
// with real packets. A line looks infected, a webhook reports it, a phase stops it, and an operator resolves its name. After that, no file of
// the data directory (the store, the key and the activity) may contain the address of a packet. The same applies to the recording of the
// session with the switch, the log at level debug, the metrics, the answers of the API, the texts for people, and the messages of the webhook.
//
// The names of lines, and the addresses of lines and servers in the documents, are configuration, which the store and the recording contain.
// The packets therefore use other addresses. The name of a line may occur only in the store, in the recording and in the answer of
// ResolveLines. The index of a line is a small number, for which files cannot be searched. The format of the activity does not contain it.
func TestI8Secrecy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sw, err := softswitch.New(softswitch.Options{DeviceID: 1, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer sw.Close()
	services, err := sw.Listen(softswitch.Addrs{P4Runtime: "127.0.0.1:0", GNMI: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	port := func(n uint32) wire.Link {
		inner, outer := wire.Pipe("switch", "host")
		if err := sw.Attach(n, inner); err != nil {
			t.Fatal(err)
		}
		serving, done := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = outer.Serve(serving, func([]byte) {}) }()
		t.Cleanup(func() { done(); <-ended })
		return outer
	}
	line, provider := port(2), port(13)

	var messages safeBuffer
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(&messages, r.Body) }))
	defer receiver.Close()
	dir, log := t.TempDir(), &safeBuffer{}
	n := startWatched(t, dir, log, receiver.URL, services.Addrs)

	bot, gateway := pipeline.MAC{2, 0, 0, 0, 1, 2}, pipeline.MAC{2, 0, 0, 0, 2, 3}
	var went traffic
	subscriber, subscriber6 := netip.MustParseAddr("198.19.77.61"), netip.MustParseAddr("2001:2:0:77::61")
	went.subscribers = []netip.Addr{subscriber, subscriber6}
	send := func(l wire.Link, frame []byte) {
		if err := l.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[netip.Addr]bool)
	note := func(a netip.Addr) {
		if !seen[a] {
			seen[a] = true
			went.servers = append(went.servers, a)
		}
	}
	// attack sends SYNs to 60 servers, 5 of which have IPv6 addresses, and unsolicited answers.
	attack := func(first string) {
		a := netip.MustParseAddr(first)
		for i := range 55 {
			send(line, tcp4(t, bot, gateway, subscriber.String(), a.String(), uint16(40000+i), 25, flagSYN))
			send(provider, tcp4(t, gateway, bot, a.String(), subscriber.String(), 25, uint16(50000+i), flagSYN|flagACK))
			note(a)
			a = a.Next()
		}
		b := netip.MustParseAddr("2001:2:0:88::1")
		for range 5 {
			send(line, syn6(t, bot, gateway, subscriber6, b))
			note(b)
			b = b.Next()
		}
	}
	await := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			if ctx.Err() != nil {
				t.Fatalf("%s: did not come about", what)
			}
		}
	}
	var leaks []leak
	ask := func(name string, m proto.Message, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, _ := protojson.Marshal(m)
		leaks = append(leaks, leak{place: "the answer of " + name, content: b})
	}
	await("the switch converges", func() bool {
		r, err := client.Ask(ctx, 0, n.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
		return err == nil && len(r.Switches) == 1 && r.Switches[0].Converged
	})
	await("the switch reports mail flows", func() bool { // the switch's subscription begins after convergence
		attack("198.18.20.1")
		return strings.Contains(string(scraped(t, n.addr)), "op25b_fleet_mail_flows_total 0\n") == false
	})
	var list *op25bv1.ListOffendersResponse
	await("the line is bot-like and counted", func() bool { // the first reading of the counters is only a base for the next reading
		attack("198.18.31.1")
		list, err = client.Ask(ctx, 0, n.Abuse.ListOffenders, &op25bv1.ListOffendersRequest{Classes: []string{"bot-like"}})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Offenders) == 1 && list.Offenders[0].MonitoredPackets > 0 && list.Offenders[0].Unsolicited > 0 && len(messages.bytes()) > 0
	})
	ask("ListOffenders", list, nil)
	forecast, err := client.Ask(ctx, 0, n.Abuse.Forecast, &op25bv1.ForecastRequest{Phase: "all-destinations"})
	ask("Forecast", forecast, err)
	if len(forecast.Lines) != 1 || forecast.Lines[0].Id != list.Offenders[0].Id {
		t.Errorf("the forecast has %v, want the line", forecast.Lines)
	}
	resolved, err := client.Ask(ctx, 0, n.Abuse.ResolveLines, &op25bv1.ResolveLinesRequest{Ids: []string{list.Offenders[0].Id}, Reason: "ABUSE-812"})
	if err != nil || len(resolved.Lines) != 1 || resolved.Lines[0].Line != "adsl-bot" {
		t.Fatalf("%v, %v, want adsl-bot", resolved, err)
	}
	// The support desk's questions are recorded without the addresses.
	const bound = "192.0.2.12" // the address of adsl-bot in the inventory
	desk := &op25bv1.CheckFrom{From: subscriber.String(), Ticket: "DESK-4711"}
	if _, err := client.Ask(ctx, 0, n.Check.Check, &op25bv1.CheckRequest{From: desk, To: went.servers[0].String(), Port: 25, Trace: true}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{went.servers[1].String() + "/32", "mx.secret.example"} { // neither is an address
		if _, err := client.Ask(ctx, 0, n.Check.Check, &op25bv1.CheckRequest{From: desk, To: to, Port: 25}); err == nil {
			t.Fatalf("%s: the question was answered", to)
		}
	}
	if _, err := client.Ask(ctx, 0, n.Check.CheckMail, &op25bv1.CheckMailRequest{From: desk, Address: "taro@secret.example"}); err != nil {
		t.Fatal(err)
	}
	visitor := func(addr string, q *op25bv1.AskOwnLineRequest) (*op25bv1.AskOwnLineResponse, error) {
		q.Address = addr
		return client.Ask(ctx, 0, n.Portal.AskOwnLine, q)
	}
	for _, addr := range []string{subscriber.String(), bound} {
		own, err := visitor(addr, &op25bv1.AskOwnLineRequest{Question: &op25bv1.AskOwnLineRequest_Server{Server: went.servers[0].String()}})
		if own.GetKnown() != (addr == bound) {
			t.Errorf("the portal's visitor from %s: %v", addr, own)
		}
		ask("AskOwnLine", own, err)
		_, _ = visitor(addr, &op25bv1.AskOwnLineRequest{Question: &op25bv1.AskOwnLineRequest_Server{Server: "mx.secret.example"}}) // which the DNS may not have
		_, err = visitor(addr, &op25bv1.AskOwnLineRequest{Question: &op25bv1.AskOwnLineRequest_Mailbox{Mailbox: "taro@secret.example"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	published := errors.New("one publication is enough")
	if err := client.Watch(ctx, 0, n.Portal.WatchPublication, &op25bv1.WatchPublicationRequest{}, func(m *op25bv1.WatchPublicationResponse) error {
		ask("WatchPublication", m, nil)
		return published
	}); !errors.Is(err, published) {
		t.Fatal(err)
	}
	revision, err := client.Ask(ctx, 0, n.Intent.Current, &op25bv1.CurrentRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Follow(ctx, 0, n.Phase.Activate, &op25bv1.ActivateRequest{
		Phase: "all-destinations", Base: revision.Revision.Number, Reason: "OP25B-24", RequestId: client.NewRequest(),
	}, func(p *op25bv1.Progress) error { ask("Activate", p, nil); return nil }); err != nil {
		t.Fatal(err)
	}
	await("the line is stopped", func() bool {
		attack("198.18.47.1")
		list, err = client.Ask(ctx, 0, n.Abuse.ListOffenders, &op25bv1.ListOffendersRequest{})
		return err == nil && len(list.Offenders) == 1 && list.Offenders[0].StoppedPackets > 0
	})
	ask("ListOffenders", list, nil)
	switches, err := client.Ask(ctx, 0, n.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
	ask("ListSwitches", switches, err)
	records, err := client.Ask(ctx, 0, n.Audit.ListRecords, &op25bv1.ListRecordsRequest{})
	if n := strings.Count(protojson.Format(records), `"an unnamed line on edge-1"`); n != 4 {
		t.Errorf("%d look-ups of the subscriber's line are recorded, want 4", n)
	}
	ask("ListRecords", records, err)
	counters, err := client.Ask(ctx, 0, n.Telemetry.ListCounters, &op25bv1.ListCountersRequest{})
	ask("ListCounters", counters, err)
	var text, table bytes.Buffer
	for _, err := range []error{
		view.Table(&table, view.Options{Now: time.Now, Location: time.UTC}).Offenders(list), view.OffendersCSV(&text, list), view.ForecastCSV(&text, forecast, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	leaks = append(
		leaks,
		leak{place: "the table", content: table.Bytes()}, leak{place: "the CSV", content: text.Bytes()},
		leak{place: "/metrics", content: scraped(t, n.addr)},
	)
	n.end()
	leaks = append(leaks, leak{place: "the log", content: log.bytes()}, leak{place: "the webhook", content: messages.bytes()})
	leaks = append(leaks, files(t, dir)...)
	search(t, leaks, went)
}

// search reports every place that contains an address of a packet or, outside the documents, a name of a line.
func search(t *testing.T, leaks []leak, went traffic) {
	t.Helper()
	places := make(map[string]bool)
	for _, l := range leaks {
		if len(l.content) > 0 {
			places[strings.SplitN(l.place, ".recording", 2)[0]] = true
		}
		for _, a := range went.all() {
			for _, form := range forms(a, !l.store) {
				if i := bytes.Index(l.content, form); i >= 0 {
					t.Errorf("%s has the address %v at byte %d: %q", l.place, a, i, l.content[max(0, i-60):min(len(l.content), i+60)])
				}
			}
		}
		for _, secret := range []string{"secret.example", "taro@"} {
			if bytes.Contains(l.content, []byte(secret)) {
				t.Errorf("%s has %s of a question of the support desk", l.place, secret)
			}
		}
		if l.store || strings.HasSuffix(l.place, ".recording") {
			continue
		}
		for _, name := range []string{"adsl-home", "adsl-bot", "business-fixed", "mobile-sim"} {
			if i := bytes.Index(l.content, []byte(name)); i >= 0 {
				t.Errorf("%s has the line %s at byte %d: %q", l.place, name, i, l.content[max(0, i-60):min(len(l.content), i+60)])
			}
		}
	}
	// Verify that the search works. It must find an address of the documents as text in the store, and as raw bytes in the recording.
	for place, form := range map[string][]byte{"etcd/": []byte("203.0.113.0/26"), "records/": {203, 0, 113, 0}} {
		if !slices.ContainsFunc(leaks, func(l leak) bool { return strings.HasPrefix(l.place, place) && bytes.Contains(l.content, form) }) {
			t.Errorf("%s has no address of the documents: the search does not see what is stored", place)
		}
	}
	for _, want := range []string{"the log", "the webhook", "/metrics", "port25/key", "port25/activity", "records/edge-1", "the answer of ListRecords", "the answer of Activate", "the answer of AskOwnLine", "the answer of WatchPublication", "the table"} {
		if !places[want] {
			t.Errorf("%s is empty or was not searched", want)
		}
	}
	if len(went.servers) != 3*55+5 {
		t.Errorf("packets went to %d servers, want 170", len(went.servers))
	}
}

// files returns the files below a directory.
func files(t *testing.T, dir string) []leak {
	t.Helper()
	var all []leak
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, leak{place: name, content: content, store: !strings.HasPrefix(name, "port25/") && !strings.HasPrefix(name, "records/")})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func scraped(t *testing.T, addr string) []byte {
	t.Helper()
	r, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s, %v", r.Status, err)
	}
	return b
}

// A watchedController is a controller that watches the lines of the worked example, with its client.
type watchedController struct {
	*client.Client
	addr string
	end  func() // stops the controller, and waits until it has ended
}

// startWatched starts a controller in the phase "before". It keeps its files and the recordings of its sessions below dir.
func startWatched(t *testing.T, dir string, log io.Writer, hook string, addrs softswitch.Addrs) *watchedController {
	t.Helper()
	docs := examples.SpinNet2006()
	for i := range docs {
		text := strings.NewReplacer("127.0.0.1:9559", addrs.P4Runtime, "127.0.0.1:9339", addrs.GNMI, "{name: adsl, ", "{name: adsl, watchInfected: true, ").Replace(string(docs[i].Data))
		docs[i] = strict.File{Name: docs[i].Name, Data: []byte(text)}
	}
	key := filepath.Join(t.TempDir(), "hook.key")
	if err := os.WriteFile(key, []byte("a key of the abuse desk"), 0o600); err != nil {
		t.Fatal(err)
	}
	webhook, err := abuse.NewWebhook(abuse.WebhookConfig{URL: hook, KeyFile: key, Controller: "noc-1"})
	if err != nil {
		t.Fatal(err)
	}
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(log), zap.DebugLevel))
	records, err := p4rt.OpenRecordings(filepath.Join(dir, "records"), logger)
	if err != nil {
		t.Fatal(err)
	}
	shift := time.Until(time.Date(2006, 5, 20, 0, 0, 0, 0, time.UTC))
	now := func() time.Time { return time.Now().Add(shift) }
	cfg := noc.Config{
		Name: "noc-1", Clock: clock.Source{Wall: now}, Listening: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles, First: docs, Logger: logger,
		Recorder: records.Of, Telemetry: telemetry.Config{Interval: time.Second, LineInterval: time.Second},
		Port25: abuse.Config{Every: 100 * time.Millisecond, Webhook: webhook},
	}
	cfg.Store.Dir, cfg.Store.Now = dir, now
	c, err := noc.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(running) }()
	asked, err := client.New(client.Config{Server: c.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	n := &watchedController{Client: asked, addr: c.Addr().String()}
	var once sync.Once
	n.end = func() {
		once.Do(func() {
			asked.Close()
			http.DefaultClient.CloseIdleConnections()
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			records.Close()
		})
	}
	t.Cleanup(n.end)
	return n
}
