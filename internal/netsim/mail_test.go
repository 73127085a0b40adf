package netsim

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

func mailServer(t *testing.T, h *Host, c MailConfig) *MailServer {
	t.Helper()
	s, err := NewMailServer(h, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing %s: %v", c.Hostname, err)
		}
	})
	return s
}

var carrier = MailConfig{
	Hostname: "mx.carrier.example",
	Domains:  []string{"carrier.example"},
	Accounts: map[string]string{"alice": "correct horse"},
}

func attempt(t *testing.T, s *MailServer, mode Mode, v6 bool) MailAttempt {
	t.Helper()
	a, err := s.Attempt(mode, v6)
	if err != nil {
		t.Fatal(err)
	}
	// The timeout is long, because replies may be slow on a busy machine even if the path is open.
	a.AnswerTimeout = patience
	a.From, a.To = "alice@home.example", "bob@carrier.example"
	if mode == Submission {
		a.To = "carol@elsewhere.example"
		a.Username, a.Password = "alice", "correct horse"
	}
	return a
}

func TestDelivered(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		for _, mode := range []Mode{MX, Submission} {
			t.Run(f.name+" "+mode.String(), func(t *testing.T) {
				links := newBridge(t, 2, nil)
				client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
				mx := mailServer(t, server, carrier)
				a := attempt(t, mx, mode, f.v6)
				r := Send(within(t), client, a)
				if r.Outcome != Delivered || r.Err != nil || r.Stage != "quit" {
					t.Fatalf("Send: %+v, want delivered", r)
				}
				messages := mx.Messages()
				if len(messages) != 1 {
					t.Fatalf("the server has %d messages, want 1: %+v", len(messages), messages)
				}
				m, port, user := messages[0], uint16(PortSMTP), ""
				if mode == Submission {
					port, user = PortSubmission, "alice"
				}
				self, _ := client.Addr(f.v6)
				if m.ID != r.MessageID || m.Client != self || m.Port != port || m.User != user || m.From != a.From || len(m.To) != 1 || m.To[0] != a.To {
					t.Errorf("the server's message is %+v", m)
				}
				if !bytes.Contains(m.Data, []byte("Message-ID: <"+r.MessageID+">\r\n")) {
					t.Errorf("the message lacks its id:\n%s", m.Data)
				}
				quiesce(t, client, server)
				service := func(f Flow) bool { return f.RemotePort == port }
				if got, want := client.Sent(service), server.Received(func(f Flow) bool { return f.LocalPort == port }); got != want || got.Packets < 5 || got != client.Sent(nil) {
					t.Errorf("client sent %+v to port %d, and %+v in all; server received %+v, want the same", got, port, client.Sent(nil), want)
				}
			})
		}
	}
}

// dropping returns a filter that drops TCP segments to the given destination port.
func dropping(port uint16) func(int, []byte) bool {
	return func(_ int, frame []byte) bool {
		var ports []byte
		switch {
		case len(frame) < 58:
		case frame[12] == 0x08 && frame[13] == 0 && frame[23] == 6:
			ports = frame[34:]
		case frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 6:
			ports = frame[54:]
		}
		return len(ports) < 4 || binary.BigEndian.Uint16(ports[2:]) != port
	}
}

func TestBlocked(t *testing.T) {
	t.Parallel()
	links := newBridge(t, 2, dropping(PortSMTP))
	client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
	mx := mailServer(t, server, carrier)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			began := time.Now()
			r := Send(within(t), client, attempt(t, mx, MX, f.v6))
			if r.Outcome != Blocked || r.Stage != "connect" || !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Fatalf("Send: %+v, want blocked", r)
			}
			took := time.Since(began)
			if took < DefaultConnectTimeout {
				t.Errorf("gave up after %v, want %v", took, DefaultConnectTimeout)
			}
			quiesce(t, client, server)
			// The attempt ends before the first retransmission of the SYN, unless a busy machine delays the timer.
			to, _ := server.Addr(f.v6)
			from, _ := client.Addr(f.v6)
			if got := client.SentFlows()[Flow{from, to, 0, PortSMTP}]; got.Packets < 1 || got.Packets > 1 && took < late(tcp.InitialRTO) {
				t.Errorf("sent %+v in %v, want 1 packet", got, took)
			}
			silent(t, client, server)
			if r := Send(within(t), client, attempt(t, mx, Submission, f.v6)); r.Outcome != Delivered {
				t.Errorf("submission beside it: %+v, want delivered", r)
			}
		})
	}
	for _, m := range mx.Messages() {
		if m.Port != PortSubmission {
			t.Errorf("the server has a message that was blocked: %+v", m)
		}
	}
}

// TestBlockedAnswer verifies that an attempt is reported as blocked if only the replies are dropped, as for triangular spam. The
// server receives the SYN, but its reply never arrives.
func TestBlockedAnswer(t *testing.T) {
	t.Parallel()
	answers := func(_ int, frame []byte) bool {
		return len(frame) < 58 || frame[12] != 0x08 || frame[13] != 0 || frame[23] != 6 || binary.BigEndian.Uint16(frame[34:]) != PortSMTP
	}
	links := newBridge(t, 2, answers)
	client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
	mx := mailServer(t, server, carrier)
	if r := Send(within(t), client, attempt(t, mx, MX, false)); r.Outcome != Blocked {
		t.Fatalf("Send: %+v, want blocked", r)
	}
	quiesce(t, client, server)
	got := server.Sent(nil)
	if got.Packets == 0 || server.Received(nil).Packets == 0 {
		t.Fatalf("server sent %+v and received %+v, want an unanswered handshake", got, server.Received(nil))
	}
	silent(t, client, server)
}

// silent fails the test if a connection of the hosts can still send without a call by the application.
func silent(t *testing.T, hosts ...*Host) {
	t.Helper()
	for _, h := range hosts {
		for _, e := range h.stack.RegisteredEndpoints() {
			if state := e.(*tcp.Endpoint).EndpointState(); state != tcp.StateListen && state != tcp.StateTimeWait {
				t.Errorf("%s still has a connection in state %v", h.Name(), state)
			}
		}
	}
}

// TestBlockedInTheMiddle verifies that a path that closes during a conversation is also reported as blocked, and that both ends stop
// sending.
func TestBlockedInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			mail := func(_ int, frame []byte) bool {
				return !bytes.Contains(frame, []byte("MAIL FROM")) && !bytes.Contains(frame, []byte("RSET"))
			}
			links := newBridge(t, 2, mail)
			client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
			a := attempt(t, mailServer(t, server, carrier), MX, f.v6)
			a.AnswerTimeout = 300 * time.Millisecond
			r := Send(within(t), client, a)
			if r.Outcome != Blocked || r.Stage != "mail" {
				t.Fatalf("Send: %+v, want blocked at mail", r)
			}
			quiesce(t, client, server)
			silent(t, client, server)
		})
	}
}

func TestFailedIsNotBlocked(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	mx := mailServer(t, server, carrier)
	other, _ := pair(t)
	stranger := mailServer(t, other, MailConfig{Hostname: "mx.carrier.example"})
	for name, tc := range map[string]struct {
		mode   Mode
		change func(*MailAttempt)
		stage  string
		code   int
		want   string
	}{
		"wrong password":     {Submission, func(a *MailAttempt) { a.Password = "battery staple" }, "auth", 535, ""},
		"unknown user":       {Submission, func(a *MailAttempt) { a.Username = "mallory" }, "auth", 535, ""},
		"no such domain":     {MX, func(a *MailAttempt) { a.To = "bob@elsewhere.example" }, "rcpt", 550, ""},
		"other certificate":  {Submission, func(a *MailAttempt) { a.Trust = stranger.Trust() }, "starttls", 0, "certificate"},
		"other name":         {Submission, func(a *MailAttempt) { a.ServerName = "mx.elsewhere.example" }, "starttls", 0, "mx.elsewhere.example"},
		"no STARTTLS":        {Submission, func(a *MailAttempt) { a.Server = netip.AddrPortFrom(a.Server.Addr(), PortSMTP) }, "starttls", 0, "STARTTLS"},
		"no AUTH":            {MX, func(a *MailAttempt) { a.Server = netip.AddrPortFrom(a.Server.Addr(), PortSubmission) }, "mail", 502, ""},
		"nothing listens":    {MX, func(a *MailAttempt) { a.Server = netip.AddrPortFrom(a.Server.Addr(), 465) }, "connect", 0, "refused"},
		"nobody is there":    {MX, func(a *MailAttempt) { a.Server = netip.MustParseAddrPort("192.0.2.99:25"); a.ConnectTimeout = patience }, "connect", 0, "no neighbour"},
		"not stored":         {MX, func(a *MailAttempt) { a.Holds = stranger.Holds }, "store", 0, "accepted but not stored"},
		"line break in From": {MX, func(a *MailAttempt) { a.From = "a\r\nb@home.example" }, "mail", 0, "line"},
	} {
		t.Run(name, func(t *testing.T) {
			a := attempt(t, mx, tc.mode, false)
			tc.change(&a)
			before := len(mx.Messages())
			r := Send(within(t), client, a)
			if r.Outcome != Failed || r.Stage != tc.stage || r.Err == nil || !strings.Contains(r.Err.Error(), tc.want) {
				t.Fatalf("Send: %+v, want failed at %s with %q", r, tc.stage, tc.want)
			}
			var refused *smtp.SMTPError
			if errors.As(r.Err, &refused) && refused.Code != tc.code || refused == nil && tc.code != 0 {
				t.Errorf("Send: %v, want SMTP code %d", r.Err, tc.code)
			}
			if stored := len(mx.Messages()) - before; stored != 0 && name != "not stored" {
				t.Errorf("the server stored %d messages", stored)
			}
			quiesce(t, client, server)
		})
	}
}

func TestCallerGaveUpIsNotBlocked(t *testing.T) {
	links := newBridge(t, 2, dropping(PortSMTP))
	client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
	a := attempt(t, mailServer(t, server, carrier), MX, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := Send(ctx, client, a); r.Outcome != Failed || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("Send: %+v, want failed by the caller", r)
	}
}

func TestRelayForItsOwnCustomersOnly(t *testing.T) {
	for _, tc := range []struct {
		name   string
		prefix string
		want   AttemptOutcome
	}{{"customer", "192.0.2.0/29", Delivered}, {"stranger", "198.51.100.0/24", Failed}} {
		t.Run(tc.name, func(t *testing.T) {
			client, server := pair(t)
			relay := mailServer(t, server, MailConfig{Hostname: "relay.isp.example", RelayFor: []netip.Prefix{netip.MustParsePrefix(tc.prefix)}})
			a := attempt(t, relay, MX, false)
			if r := Send(within(t), client, a); r.Outcome != tc.want {
				t.Errorf("Send: %+v, want %v", r, tc.want)
			}
		})
	}
}

func TestMailServerNeedsItsName(t *testing.T) {
	h, _ := pair(t)
	if _, err := NewMailServer(h, MailConfig{}); err == nil || !strings.Contains(err.Error(), `on host "client": Hostname is empty`) {
		t.Errorf("NewMailServer: %v", err)
	}
	mailServer(t, h, carrier)
	if _, err := NewMailServer(h, carrier); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second mail server on one host: %v", err)
	}
}
