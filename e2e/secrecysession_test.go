package e2e

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc4818"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/client"
	noc "op25b/internal/controller"
	"op25b/internal/strict"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestI8SecrecyOfSessions verifies that the addresses of sessions stay secret. Access servers report sessions to a controller over RADIUS, some of
// them wrongly, and an operator looks one of them up. While the session exists and after its end, no file of the data directory may contain an
// address in any form. The same applies to the log at level debug, the metrics, the answers of the API, and the audit records.
func TestI8SecrecyOfSessions(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const secret = "a shared secret of bng-1"
	dir, keys, log := t.TempDir(), t.TempDir(), &safeBuffer{}
	for name, content := range map[string]string{
		"secret": secret,
		"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients:\n  - {name: bng-1, address: 127.0.0.1, secretFile: secret}\n" +
			"  - {name: bng-2, address: 127.0.0.2, secretFile: secret, switches: [edge-9]}\n",
	} {
		if err := os.WriteFile(filepath.Join(keys, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clients, _, err := accounting.OpenClients(filepath.Join(keys, "clients.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := register.OpenKey(filepath.Join(keys, "session.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	device := startEmbedded(t)
	docs := examples.SpinNet2006()
	for i := range docs {
		docs[i] = strict.File{Name: docs[i].Name, Data: []byte(strings.NewReplacer(
			"127.0.0.1:9559", device.P4Runtime,
			"    ports:\n", "    identify: circuit-id\n    ports:\n",
			// The line of the session is exempt and its sources are checked, so its addresses are in two tables of the switch.
			"access: adsl, addressing: dynamic}", "access: adsl, addressing: dynamic, sourceCheck: drop}",
			"exemptions:\n", "exemptions:\n  - {line: adsl-home, owner: noc@isp.example, reason: test, expires: 2099-12-31}\n",
		).Replace(string(docs[i].Data)))}
	}
	cfg := noc.Config{
		Name: "noc-1", Listening: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles, First: docs,
		Sessions: noc.Sessions{Key: &key, Radius: "127.0.0.1:0", Clients: clients},
		Logger:   zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(log), zap.DebugLevel)),
	}
	cfg.Store.Dir = dir
	c, err := noc.Open(ctx, cfg)
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
	end := func() {
		asked.Close()
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}

	v4, v6 := netip.MustParseAddr("203.0.113.177"), netip.MustParsePrefix("2001:db8:1717:7100::/56")
	// report sends an accounting request from an address of this host, and reports whether it was answered.
	report := func(from, sharedSecret, circuit string, status rfc2866.AcctStatusType) bool {
		t.Helper()
		conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, c.RadiusAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p := radius.New(radius.CodeAccountingRequest, []byte(sharedSecret))
		p.Add(rfc2865.VendorSpecific_Type, append(radius.Attribute{0, 0, 13, 233, 1, byte(2 + len(circuit))}, circuit...))
		for _, err := range []error{
			rfc2866.AcctStatusType_Set(p, status), rfc2866.AcctSessionID_SetString(p, "A1"), rfc2865.FramedIPAddress_Set(p, v4.AsSlice()),
			rfc4818.DelegatedIPv6Prefix_Set(p, &net.IPNet{IP: v6.Addr().AsSlice(), Mask: net.CIDRMask(56, 128)}), rfc2869.EventTimestamp_Set(p, time.Now()),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		for range 20 { // repeated, because a controller that has just started does not know the documents yet
			if _, err := conn.Write(b); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			if n, err := conn.Read(answer); err == nil {
				return radius.IsAuthenticResponse(answer[:n], b, []byte(sharedSecret))
			}
			if sharedSecret != secret || from == "127.0.0.3" {
				return false
			}
		}
		return false
	}
	var leaks []leak
	note := func(name string, m proto.Message, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b, _ := protojson.Marshal(m)
		leaks = append(leaks, leak{place: name, content: b})
	}
	find := func() *op25bv1.FindAddressResponse {
		t.Helper()
		r, err := client.Ask(ctx, 0, asked.Subscriber.FindAddress, &op25bv1.FindAddressRequest{Address: v4.String(), Ticket: "ABUSE-812"})
		note("the answer of FindAddress", r, err)
		return r
	}

	if !report("127.0.0.1", secret, "adsl-home", rfc2866.AcctStatusType_Value_Start) {
		t.Fatal("the start was not answered")
	}
	for r := find(); r.Line != "adsl-home"; r = find() { // the controller sees its own change of the store a little later
		if ctx.Err() != nil {
			t.Fatal("the session was not found")
		}
	}
	if report("127.0.0.1", "another secret of 127.0.0.1", "adsl-bot", rfc2866.AcctStatusType_Value_Start) || report("127.0.0.3", secret, "adsl-bot", rfc2866.AcctStatusType_Value_Start) {
		t.Error("a forged request was answered")
	}
	if !report("127.0.0.2", secret, "adsl-bot", rfc2866.AcctStatusType_Value_Start) {
		t.Error("a request about a line of another switch was not answered")
	}
	if r := find(); r.Line != "adsl-home" {
		t.Errorf("the line is %q", r.Line)
	}
	_, err = client.Ask(ctx, 0, asked.Subscriber.FindAddress, &op25bv1.FindAddressRequest{Address: v4.String() + "/32", Ticket: "ABUSE-812"})
	if err == nil {
		t.Error("a prefix was accepted")
	}
	for entries := (*op25bv1.SessionEntries)(nil); entries.GetInForce() != 1; {
		sessions, err := client.Ask(ctx, 0, asked.Subscriber.ListSessions, &op25bv1.ListSessionsRequest{})
		if err != nil {
			t.Fatalf("the session is not in force: %v; log: %s", err, log.bytes())
		}
		note("the answer of ListSessions", sessions, nil)
		entries = sessions.Switches[0].Entries
	}
	statuses, err := client.Ask(ctx, 0, asked.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
	note("the answer of ListSwitches", statuses, err)
	drift, err := client.Ask(ctx, 0, asked.Fleet.Drift, &op25bv1.DriftRequest{})
	note("the answer of Drift", drift, err)
	metrics := scraped(t, c.Addr().String())
	for _, want := range []string{"\nop25b_sessions 1\n", `op25b_session_events_total{outcome="opened"} 1`, `op25b_session_events_total{outcome="no-line"} 1`, `op25b_radius_datagrams_total{result="not-authentic"} 1`, `op25b_radius_datagrams_total{result="unknown-client"} 1`} {
		if !bytes.Contains(metrics, []byte(want)) {
			t.Errorf("/metrics has no %q", want)
		}
	}
	leaks = append(leaks, leak{place: "/metrics", content: metrics})
	leaks = append(leaks, files(t, dir)...) // the session exists
	if !report("127.0.0.1", secret, "adsl-home", rfc2866.AcctStatusType_Value_Stop) {
		t.Error("the stop was not answered")
	}
	for r := find(); r.Found; r = find() {
		if ctx.Err() != nil {
			t.Fatal("the session did not end")
		}
	}
	records, err := client.Ask(ctx, 0, asked.Audit.ListRecords, &op25bv1.ListRecordsRequest{})
	note("the answer of ListRecords", records, err)
	if !slices.ContainsFunc(records.GetRecords(), func(r *op25bv1.AuditRecord) bool {
		return r.Verb == "find" && r.Object == "line adsl-home" && r.Reason == "ABUSE-812"
	}) {
		t.Errorf("the look-up is not in the audit chain: %v", records)
	}
	end()
	leaks = append(leaks, leak{place: "the log", content: log.bytes()})
	leaks = append(leaks, files(t, dir)...) // the session has ended
	stored := false
	for _, l := range leaks {
		stored = stored || bytes.Contains(l.content, []byte("rec/session/adsl-home"))
		for _, a := range []netip.Addr{v4, v6.Addr()} {
			for _, form := range forms(a, !l.store) {
				if i := bytes.Index(l.content, form); i >= 0 {
					t.Errorf("%s has %v at byte %d: %q", l.place, a, i, l.content[max(0, i-60):min(len(l.content), i+60)])
				}
			}
		}
	}
	if !stored || len(log.bytes()) == 0 {
		t.Error("the store has no session, or there is no log: the search does not see what is written")
	}
}
