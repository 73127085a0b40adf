package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2869"
	"pgregory.net/rapid"

	"op25b/internal/store"
	"op25b/internal/subscriber/accounting"
	"op25b/internal/subscriber/register"
	op25bv1 "op25b/proto/op25b/v1"
)

// TestReportAsRadius sends the same events as RADIUS datagrams and over a stream to two controllers with their own stores. After each event, every
// address has the same line in both. Events are repeated and arrive late.
func TestReportAsRadius(t *testing.T) {
	clock := &wallClock{at: noon()}
	w, reported := newReporting(t, 8, clock.now, nil)
	_, heard := newReporting(t, 8, clock.now, nil)
	conn := dialRadius(t, heard, clock.now)
	stream, err := op25bv1.NewSubscriberServiceClient(w.dial()).Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	rapid.Check(t, func(rt *rapid.T) {
		clock.set(clock.now().Add(3 * time.Hour)) // the sessions of earlier draws have ended by silence
		base := clock.now()
		var past []*op25bv1.SessionEvent
		for i := range rapid.IntRange(1, 10).Draw(rt, "events") {
			m := sessionEvent(rapid.SampledFrom([]op25bv1.SessionEventKind{starts, starts, interims, stops, restarts}).Draw(rt, "kind"), fmt.Sprint("line-", rapid.IntRange(0, 3).Draw(rt, "line")),
				fmt.Sprint(base.Unix(), "-", rapid.IntRange(0, 4).Draw(rt, "session")), base.Add(time.Duration(10*i)*time.Second))
			if rapid.Bool().Draw(rt, "addressed") {
				m.Addresses = []string{rapid.SampledFrom(addresses).Draw(rt, "address")}
			}
			switch {
			case len(past) > 0 && rapid.IntRange(0, 3).Draw(rt, "repeats") == 0:
				m = rapid.SampledFrom(past).Draw(rt, "past")
			case m.Kind == restarts:
				m = &op25bv1.SessionEvent{Kind: restarts, Time: m.Time}
			case m.Kind == stops:
				m.Addresses = nil
			}
			past = append(past, m)
			clock.set(base.Add(time.Duration(10*i) * time.Second))
			if err := stream.Send(&op25bv1.ReportRequest{Source: "bng-1", Events: []*op25bv1.SessionEvent{m}}); err != nil {
				rt.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				rt.Fatal(err)
			}
			sendRadius(rt, conn, m)
			for _, a := range addresses { // the registers read the store later than the answers
				addr := netip.MustParseAddr(a)
				for ctx := within(t); ; {
					one, ok := reported.Holder(addr)
					two, also := heard.Holder(addr)
					if ok == also && one.Name == two.Name && one.Session.ID == two.Session.ID && one.Session.Began.Equal(two.Session.Began) {
						break
					}
					if !store.Pause(ctx, time.Millisecond) {
						rt.Fatalf("%s after %v: %v by the report, %v by RADIUS", a, past, one, two)
					}
				}
			}
		}
	})
}

// radiusSecret is the secret that the access server bng-1 shares with the controller.
const radiusSecret = "a shared secret of bng-1"

// dialRadius serves RADIUS accounting for a register, and returns a connection to it from the access server bng-1.
func dialRadius(t *testing.T, r *register.Register, now func() time.Time) net.Conn {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"secret":       radiusSecret,
		"clients.yaml": "apiVersion: op25b/v1\nkind: RadiusClients\nclients: [{name: bng-1, address: 127.0.0.1, secretFile: secret}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	clients, _, err := accounting.OpenClients(filepath.Join(dir, "clients.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := accounting.Listen("127.0.0.1:0", accounting.Config{Clients: clients, Report: r.Report, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-served })
	conn, err := net.Dial("udp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// sendRadius sends an event as an accounting request, and waits for the answer.
func sendRadius(t *rapid.T, conn net.Conn, m *op25bv1.SessionEvent) {
	p := radius.New(radius.CodeAccountingRequest, []byte(radiusSecret))
	kind := map[op25bv1.SessionEventKind]rfc2866.AcctStatusType{
		starts: rfc2866.AcctStatusType_Value_Start, interims: rfc2866.AcctStatusType_Value_InterimUpdate, stops: rfc2866.AcctStatusType_Value_Stop, restarts: rfc2866.AcctStatusType_Value_AccountingOn,
	}[m.Kind]
	errs := []error{rfc2866.AcctStatusType_Set(p, kind), rfc2869.EventTimestamp_Set(p, m.Time.AsTime())}
	if m.Kind != restarts {
		errs = append(errs, rfc2866.AcctSessionID_SetString(p, m.Session), rfc2865.UserName_SetString(p, m.Identity.UserName))
	}
	for _, a := range m.Addresses {
		errs = append(errs, rfc2865.FramedIPAddress_Set(p, net.ParseIP(a)))
	}
	b, err := p.Encode()
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || !radius.IsAuthenticResponse(answer[:n], b, []byte(radiusSecret)) {
		t.Fatalf("not answered: %v", err)
	}
}
