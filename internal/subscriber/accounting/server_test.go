package accounting

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"
	"layeh.com/radius/rfc2867"

	"op25b/internal/subscriber"
)

// deadline limits every wait. A test that passes never reaches it.
const deadline = 30 * time.Second

// A desk records the events of a server, and decides what becomes of them.
type desk struct {
	mu     sync.Mutex // guards the fields below
	events []subscriber.Event
	refuse error
	hold   chan struct{} // if not nil, Report waits until it is closed
	held   chan struct{} // receives a value when Report begins to wait
}

func (d *desk) report(ctx context.Context, e subscriber.Event, _ []string) (subscriber.Outcome, error) {
	d.mu.Lock()
	hold := d.hold
	d.mu.Unlock()
	if hold != nil {
		d.held <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return "", d.refuse
	}
	d.events = append(d.events, e)
	return subscriber.Opened, nil
}

func (d *desk) kinds() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		all = append(all, e.Kind.String()+" "+e.Session)
	}
	return all
}

// serve starts a server on a free port that admits the given addresses.
func serve(t testing.TB, d *desk, addrs ...string) *Server {
	t.Helper()
	c := &Clients{by: make(map[netip.Addr]*Client)}
	for _, a := range addrs {
		c.by[netip.MustParseAddr(a)] = &Client{Name: "bng-1", Interim: Interim(time.Minute), secret: []byte(secret)}
	}
	s, err := Listen("127.0.0.1:0", Config{Clients: c, Report: d.report, Registerer: prometheus.NewRegistry()})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial returns a socket that sends to the server from an address on this host.
func dial(t testing.TB, s *Server, from string) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, s.Addr().(*net.UDPAddr))
	ok(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// send sends a datagram.
func send(t testing.TB, conn *net.UDPConn, b []byte) {
	t.Helper()
	_, err := conn.Write(b)
	ok(t, err)
}

// receive returns the next datagram.
func receive(t testing.TB, conn *net.UDPConn) []byte {
	t.Helper()
	ok(t, conn.SetReadDeadline(time.Now().Add(deadline)))
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	ok(t, err)
	return b[:n]
}

// await waits until the server has counted n datagrams with a result.
func await(t testing.TB, s *Server, result string, n int) {
	t.Helper()
	for end := time.Now().Add(deadline); int(testutil.ToFloat64(s.results.WithLabelValues(result))) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v datagrams %s, want %d", testutil.ToFloat64(s.results.WithLabelValues(result)), result, n)
		}
	}
}

// TestAnswer verifies that a request is answered with a signed answer that has the Proxy-States of the request and nothing else.
func TestAnswer(t *testing.T) {
	var d desk
	s := serve(t, &d, "127.0.0.1")
	conn := dial(t, s, "127.0.0.1")
	p := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
	p.Add(rfc2865.ProxyState_Type, radius.Attribute("one"))
	p.Add(rfc2865.ProxyState_Type, radius.Attribute{0, 255})
	b := encode(t, p)
	send(t, conn, b)
	got := receive(t, conn)
	if !answers(got, b) {
		t.Fatalf("not a signed answer: % x", got)
	}
	if want := "\x21\x05one\x21\x04\x00\xff"; string(got[headerBytes:]) != want {
		t.Errorf("attributes %q, want %q", got[headerBytes:], want)
	}
	if got := fmt.Sprint(d.kinds()); got != "[start 0000A1]" {
		t.Error(got)
	}
	// A status of no interest is answered too, because the access server would repeat the request for ever.
	b = encode(t, accountingRequest(t, rfc2867.AcctStatusType_Value_TunnelStart))
	send(t, conn, b)
	if got := receive(t, conn); !answers(got, b) || len(d.kinds()) != 1 {
		t.Errorf("% x, %v", got, d.kinds())
	}
}

// TestForged sends datagrams that must have no effect, and then a request whose answer proves that they were read. None of them is answered.
func TestForged(t *testing.T) {
	var d desk
	s := serve(t, &d, "127.0.0.1")
	conn, stranger := dial(t, s, "127.0.0.1"), dial(t, s, "127.0.0.2")
	good := encode(t, accountingRequest(t, rfc2866.AcctStatusType_Value_Start))
	forged := accountingRequest(t, rfc2866.AcctStatusType_Value_AccountingOn)
	forged.Secret = []byte("a guess of an attacker")
	access := radius.New(radius.CodeAccessRequest, []byte(secret))
	bare := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
	rfc2866.AcctSessionID_Del(bare)
	send(t, stranger, good) // with the right secret, from an address that is no client
	for _, b := range [][]byte{encode(t, forged), encode(t, access), encode(t, bare), good[:30], {1}, make([]byte, 5000), resign(good, func(b []byte) { b[headerBytes+1] = 0 })} {
		send(t, conn, b)
	}
	last := encode(t, accountingRequest(t, rfc2866.AcctStatusType_Value_Stop))
	send(t, conn, last)
	if got := receive(t, conn); !answers(got, last) {
		t.Errorf("a forged datagram was answered: % x", got)
	}
	if got := fmt.Sprint(d.kinds()); got != "[stop 0000A1]" {
		t.Errorf("events %s, want only the stop", got)
	}
	await(t, s, resultStranger, 1)
	await(t, s, resultForged, 1)
	await(t, s, resultMalformed, 6)
	ok(t, stranger.SetReadDeadline(time.Now().Add(-time.Second)))
	if n, err := stranger.Read(make([]byte, 1)); err == nil {
		t.Errorf("the stranger got %d bytes", n)
	}
}

// TestNotStored verifies that a request whose event was not taken is not answered, and that its repetition is.
func TestNotStored(t *testing.T) {
	d := desk{refuse: errors.New("no quorum")}
	s := serve(t, &d, "127.0.0.1")
	conn := dial(t, s, "127.0.0.1")
	b := encode(t, accountingRequest(t, rfc2866.AcctStatusType_Value_Start))
	send(t, conn, b)
	await(t, s, resultFailed, 1)
	await(t, s, resultAnswered, 0)
	d.mu.Lock()
	d.refuse = nil
	d.mu.Unlock()
	send(t, conn, b)
	if got := receive(t, conn); !answers(got, b) {
		t.Errorf("% x", got)
	}
}

// TestRepeatedInProgress verifies that a request in progress is not begun again by its repetition, and is answered once.
func TestRepeatedInProgress(t *testing.T) {
	d := desk{hold: make(chan struct{}), held: make(chan struct{}, 10)}
	s := serve(t, &d, "127.0.0.1")
	conn := dial(t, s, "127.0.0.1")
	b := encode(t, accountingRequest(t, rfc2866.AcctStatusType_Value_Start))
	send(t, conn, b)
	<-d.held
	for range 3 {
		send(t, conn, b)
	}
	await(t, s, resultRepeated, 3)
	close(d.hold)
	if got := receive(t, conn); !answers(got, b) || len(d.kinds()) != 1 {
		t.Errorf("% x, %v", got, d.kinds())
	}
}

// TestBusy verifies that requests beyond the limit are dropped.
func TestBusy(t *testing.T) {
	d := desk{hold: make(chan struct{}), held: make(chan struct{}, maxRequests)}
	s := serve(t, &d, "127.0.0.1")
	conn := dial(t, s, "127.0.0.1")
	sendNumber := func(i int) {
		p := accountingRequest(t, rfc2866.AcctStatusType_Value_Start)
		ok(t, rfc2866.AcctSessionID_SetString(p, fmt.Sprint(i))) // otherwise it could repeat an earlier request
		send(t, conn, encode(t, p))
	}
	for i := range maxRequests {
		sendNumber(i)
		<-d.held
	}
	sendNumber(maxRequests)
	await(t, s, resultBusy, 1)
	close(d.hold)
	await(t, s, resultAnswered, maxRequests)
}

// TestRadclient sends accounting requests with FreeRADIUS's client, which signs them and checks the answers itself.
func TestRadclient(t *testing.T) {
	radclient, err := exec.LookPath("radclient")
	if err != nil {
		t.Skip("SKIPPED: there is no radclient here (Debian package freeradius-utils)")
	}
	var d desk
	s := serve(t, &d, "127.0.0.1")
	ask := func(key, attributes string) error {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		cmd := exec.CommandContext(ctx, radclient, "-r", "1", "-t", "3", s.Addr().String(), "acct", key)
		cmd.Stdin = strings.NewReader(attributes)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	start := `Acct-Status-Type = Start, Acct-Session-Id = "B2", User-Name = "taro@isp.example", NAS-Port-Id = "ge-1:100", ADSL-Agent-Circuit-Id = "olt-1 eth 3", ` +
		`Framed-IP-Address = 192.0.2.77, Delegated-IPv6-Prefix = 2001:db8:2::/56, Framed-IPv6-Prefix = 2001:db8:1:1::/64, Event-Timestamp = 1782907200`
	if err := ask(secret, start); err != nil {
		t.Fatal(err)
	}
	if err := ask("another secret, 16 b", start); err == nil {
		t.Error("a request with another secret was answered")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.events) != 1 {
		t.Fatalf("%v", d.events)
	}
	e := d.events[0]
	want := `start B2 2026-07-01T12:00:00Z map[circuit-id:olt-1 eth 3 nas-port-id:ge-1:100 user-name:taro@isp.example] [192.0.2.77/32 2001:db8:2::/56 2001:db8:1:1::/64]`
	if got := fmt.Sprint(e.Kind, " ", e.Session, " ", e.Time.Format(time.RFC3339), " ", e.Identities, " ", e.Prefixes); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestListenRefuses verifies the messages for addresses that cannot be listened on.
func TestListenRefuses(t *testing.T) {
	for addr, want := range map[string]string{
		"nowhere":         `listen on "nowhere" for RADIUS: address nowhere: missing port in address; give HOST:PORT, such as 192.0.2.10:1813`,
		"198.51.100.1:18": `listen on "198.51.100.1:18" for RADIUS: listen udp 198.51.100.1:18: bind: cannot assign requested address`,
	} {
		if s, err := Listen(addr, Config{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v", addr, s, err)
		}
	}
}
