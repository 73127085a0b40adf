package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"op25b/examples"
	"op25b/internal/api"
	"op25b/internal/client"
	noc "op25b/internal/controller"
	"op25b/internal/strict"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestI8SecrecyOfLeases verifies that logins stay secret. A mail server reports logins to a controller. One of them grants a lease to a line, and one
// to an address outside all lines, and both reach the switch. While the leases hold and after they were revoked, no file, log, metric, audit record
// or answer may contain the address of a client, the name of a user, or the hash of a password.
func TestI8SecrecyOfLeases(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir, log := t.TempDir(), &safeBuffer{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log: %s", log.bytes())
		}
	})
	key, err := register.OpenKey(filepath.Join(t.TempDir(), "session.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	device := startEmbedded(t)
	docs := examples.SpinNet2006()
	for i := range docs {
		docs[i] = strict.File{Name: docs[i].Name, Data: []byte(strings.NewReplacer(
			"127.0.0.1:9559", device.P4Runtime, "    ports:\n", "    identify: circuit-id\n    addressLeases: true\n    ports:\n",
			"phases:\n", "leases: [{name: pop, opens: [mail], for: 10m, cap: 30m, addresses: true, except: [203.0.113.208/31]}]\nphases:\n",
			`    prefixes: [203.0.113.0/26, "2001:db8:ca::/48"]`+"\n", `    prefixes: [203.0.113.0/26, "2001:db8:ca::/48"]`+"\n  - {name: mail, own: true, prefixes: [198.51.100.64/28]}\n",
		).Replace(string(docs[i].Data)))}
	}
	cfg := noc.Config{
		Name: "noc-1", Listening: api.Listening{Addr: "127.0.0.1:0"}, MaxDocuments: api.MaxFiles, First: docs,
		Sessions: noc.Sessions{Key: &key}, Leases: noc.Leases{Listening: api.Listening{Addr: "127.0.0.1:0"}},
		Logger: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(log), zap.DebugLevel)),
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
	secrets := []netip.Addr{netip.MustParseAddr("203.0.113.177"), netip.MustParseAddr("203.0.113.178"), netip.MustParseAddr("203.0.113.209")}
	const user, hash = "alice.of.the.lease", "0ab0beef"
	// login reports a login, and returns the controller's message.
	login := func(from, protocol string) string {
		t.Helper()
		body := fmt.Sprintf(`{"login":%q,"pwhash":%q,"remote":%q,"protocol":%s,"success":true,"policy_reject":false,"tls":true,"device_id":%[1]q}`, user, hash, from, protocol)
		resp, err := http.Post("http://"+c.LeasesAddr().String()+"/dovecot?command=report", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
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
	eventually(t, "the session is reported", func() bool {
		r, err := client.Ask(ctx, 0, asked.Subscriber.ReportBatch, &op25bv1.ReportRequest{Source: "kea-1", Events: []*op25bv1.SessionEvent{{
			Kind: op25bv1.SessionEventKind_SESSION_EVENT_KIND_START, Session: "A1", Line: "adsl-home", Addresses: []string{secrets[0].String()},
		}}})
		return err == nil && r.Outcomes[0] == op25bv1.SessionOutcome_SESSION_OUTCOME_OPENED
	})
	eventually(t, "the login grants a lease", func() bool { return strings.Contains(login(secrets[0].String(), `"pop3"`), `"granted"`) })
	for _, x := range []struct{ from, protocol, want string }{
		{secrets[1].String(), `"pop3"`, `"granted"`},
		{secrets[1].String(), `"smtp"`, "protocol"},
		{secrets[1].String(), `7`, "wrong type"},
		{secrets[1].String(), `"imap"`, `"unchanged"`},
		{secrets[2].String(), `"pop3"`, "the address is of no customer: it is in except of lease"},
	} {
		answer := login(x.from, x.protocol)
		if !strings.Contains(answer, x.want) {
			t.Errorf("%s: %s", x.protocol, answer)
		}
		leaks = append(leaks, leak{place: "the answer to a report", content: []byte(answer)})
	}
	eventually(t, "the leases are in force", func() bool {
		return bytes.Contains(scraped(t, c.Addr().String()), []byte(`op25b_fleet_leases{state="in-force"} 2`))
	})
	again, err := client.Ask(ctx, 0, asked.Lease.Grant, &op25bv1.GrantLeaseRequest{Address: secrets[1].String(), Lease: "pop"})
	note("the answer of Grant", again, err)
	for _, a := range secrets { // the first is of a line, and the last is excepted
		if _, err := client.Ask(ctx, 0, asked.Lease.Grant, &op25bv1.GrantLeaseRequest{Address: a.String(), Lease: "pop"}); (err == nil) != (a == secrets[1]) {
			t.Errorf("a grant to an address: %v", err)
		} else if err != nil {
			leaks = append(leaks, leak{place: "the error of Grant", content: []byte(err.Error())})
		}
	}
	leaks = append(leaks, leak{place: "/metrics", content: scraped(t, c.Addr().String())})
	leaks = append(leaks, files(t, dir)...)
	list, err := client.Ask(ctx, 0, asked.Lease.List, &op25bv1.ListLeasesRequest{})
	note("the answer of List", list, err)
	if len(list.GetLeases()) != 2 || list.Leases[0].Line != "adsl-home" || list.Leases[1].Line != "" {
		t.Errorf("%v", list)
	}
	drift, err := client.Ask(ctx, 0, asked.Fleet.Drift, &op25bv1.DriftRequest{})
	note("the answer of Drift", drift, err)
	statuses, err := client.Ask(ctx, 0, asked.Fleet.ListSwitches, &op25bv1.ListSwitchesRequest{})
	note("the answer of ListSwitches", statuses, err)
	revoked, err := client.Ask(ctx, 0, asked.Lease.Revoke, &op25bv1.RevokeLeaseRequest{Line: "adsl-home"})
	note("the answer of Revoke", revoked, err)
	revoked, err = client.Ask(ctx, 0, asked.Lease.Revoke, &op25bv1.RevokeLeaseRequest{Address: secrets[1].String()})
	note("the answer of Revoke of an address", revoked, err)
	if !revoked.GetRevoked() {
		t.Error("the address had no lease")
	}
	eventually(t, "the leases are not in force", func() bool {
		return bytes.Contains(scraped(t, c.Addr().String()), []byte(`op25b_fleet_leases{state="in-force"} 0`))
	})
	records, err := client.Ask(ctx, 0, asked.Audit.ListRecords, &op25bv1.ListRecordsRequest{})
	note("the answer of ListRecords", records, err)
	asked.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	leaks = append(leaks, leak{place: "the log", content: log.bytes()})
	leaks = append(leaks, files(t, dir)...)
	ofLine, ofAddress := false, false
	for _, l := range leaks {
		ofLine = ofLine || bytes.Contains(l.content, []byte("rec/lease/adsl-home"))
		ofAddress = ofAddress || bytes.Contains(l.content, []byte("rec/lease/@"))
		for _, a := range secrets {
			for _, form := range forms(a, !l.store) {
				if i := bytes.Index(l.content, form); i >= 0 {
					t.Errorf("%s has %v at byte %d: %q", l.place, a, i, l.content[max(0, i-60):min(len(l.content), i+60)])
				}
			}
		}
		for _, text := range []string{user, hash} {
			if bytes.Contains(l.content, []byte(text)) {
				t.Errorf("%s has %q", l.place, text)
			}
		}
	}
	if !ofLine || !ofAddress || len(log.bytes()) == 0 {
		t.Error("the store has no lease, or there is no log: the search does not see what is written")
	}
}
