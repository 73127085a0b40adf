package netsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// provider is the configuration of a server with mailboxes.
var provider = MailConfig{
	Hostname: "mail.provider.example", Domains: []string{"provider.example"}, Mailboxes: true,
	Accounts: map[string]string{"alice": "correct horse"},
}

func readAttempt(t *testing.T, s *MailServer, tls, v6 bool) ReadAttempt {
	t.Helper()
	a, err := s.ReadAttempt(tls, v6)
	if err != nil {
		t.Fatal(err)
	}
	a.Username, a.Password, a.AnswerTimeout = "alice", "correct horse", patience
	return a
}

// TestMailbox submits messages on port 465, and reads them on ports 110 and 995.
func TestMailbox(t *testing.T) {
	t.Parallel()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			config := provider
			logins := map[bool]int{} // the logins inside TLS, and outside
			self, _ := client.Addr(f.v6)
			var mu sync.Mutex // guards logins
			config.LoggedIn = func(from netip.Addr, tls bool) {
				mu.Lock()
				defer mu.Unlock()
				if from == self {
					logins[tls]++
				}
			}
			s := mailServer(t, server, config)
			for _, tls := range []bool{false, true} {
				if r := Read(within(t), client, readAttempt(t, s, tls, f.v6)); r.Outcome != Delivered || r.Stage != "quit" || r.MessageID != "" {
					t.Fatalf("Read of the empty mailbox, TLS %t: %+v, want delivered", tls, r)
				}
			}
			var id string
			for _, to := range []string{"alice@provider.example", "bob@provider.example", "alice@elsewhere.example"} {
				a := attempt(t, s, Submissions, f.v6)
				a.Username, a.Password, a.To = "alice", "correct horse", to
				r := Send(within(t), client, a)
				if r.Outcome != Delivered || r.Stage != "quit" {
					t.Fatalf("Send to %s: %+v, want delivered", to, r)
				}
				if to == "alice@provider.example" {
					id = r.MessageID
				}
			}
			for _, m := range s.Messages() {
				if m.Port != PortSubmissions || m.User != "alice" {
					t.Errorf("the server's message is %+v", m)
				}
			}
			for _, tls := range []bool{false, true} {
				if r := Read(within(t), client, readAttempt(t, s, tls, f.v6)); r.Outcome != Delivered || r.MessageID != id {
					t.Errorf("Read, TLS %t: %+v, want the message %s, the only one to alice at the server's domain", tls, r, id)
				}
			}
			quiesce(t, client, server)
			silent(t, client, server)
			mu.Lock()
			defer mu.Unlock()
			if logins[false] != 2 || logins[true] != 2 {
				t.Errorf("the server reported the logins %v from %v, want 2 inside TLS and 2 outside", logins, self)
			}
		})
	}
}

func TestMailboxIsBlocked(t *testing.T) {
	t.Parallel()
	links := newBridge(t, 2, dropping(PortPOP3))
	client, server := start(t, links[0], config("client", 1)), start(t, links[1], config("server", 2))
	s := mailServer(t, server, provider)
	if r := Read(within(t), client, readAttempt(t, s, false, false)); r.Outcome != Blocked || r.Stage != "connect" || !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("Read: %+v, want blocked", r)
	}
	if r := Read(within(t), client, readAttempt(t, s, true, false)); r.Outcome != Delivered {
		t.Errorf("Read inside TLS: %+v, want delivered", r)
	}
	quiesce(t, client, server)
	silent(t, client, server)
}

func TestMailboxIsRefused(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	s := mailServer(t, server, provider)
	other, _ := pair(t)
	stranger := mailServer(t, other, provider)
	for name, tc := range map[string]struct {
		tls    bool
		change func(*ReadAttempt)
		stage  string
		want   string
	}{
		"wrong password":    {false, func(a *ReadAttempt) { a.Password = "battery staple" }, "auth", `POP3: the server answered "-ERR wrong name or password", want +OK`},
		"unknown user":      {true, func(a *ReadAttempt) { a.Username = "mallory" }, "auth", "-ERR wrong name or password"},
		"other certificate": {true, func(a *ReadAttempt) { a.Trust = stranger.Trust() }, "tls", "certificate"},
		"line break":        {false, func(a *ReadAttempt) { a.Username = "alice\r\nQUIT" }, "auth", "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			a := readAttempt(t, s, tc.tls, false)
			tc.change(&a)
			r := Read(within(t), client, a)
			if r.Outcome != Failed || r.Stage != tc.stage || r.Err == nil || !strings.Contains(r.Err.Error(), tc.want) {
				t.Errorf("Read: %+v, want failed at %s with %q", r, tc.stage, tc.want)
			}
			quiesce(t, client, server)
		})
	}
	if r := Send(within(t), client, func() MailAttempt {
		a := attempt(t, s, Submissions, false)
		a.Username, a.Password = "alice", "battery staple"
		return a
	}()); r.Outcome != Failed || r.Stage != "auth" {
		t.Errorf("Send on 465 with a wrong password: %+v, want failed at auth", r)
	}
}

// TestPOP3Dialogue compares whole conversations with RFC 1939.
func TestPOP3Dialogue(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	s := mailServer(t, server, provider)
	// 12 bytes of the subject's line, 2 of the empty line and 32 of the text
	s.keep(Message{ID: "1", To: []string{"alice@provider.example"}, Data: []byte("Subject: a\r\n\r\n.a line that begins with a dot\r\n")})
	const ready, in = "+OK POP3 server ready", "+OK and the password?|+OK logged in"
	for _, test := range []struct{ commands, answers string }{
		{"stat|QUIT", ready + "|-ERR log in first|+OK bye"},
		{"USER alice|PASS correct horse|STAT|LIST|NOOP|QUIT", ready + "|" + in + "|+OK 1 46|+OK 1 messages|1 46|.|+OK |+OK bye"},
		{"USER alice|PASS correct horse|RETR 1|QUIT", ready + "|" + in + "|+OK the message follows|Subject: a||..a line that begins with a dot|.|+OK bye"},
		{"USER alice|PASS correct horse|RETR 2|RETR 0|RETR x|DELE 1|QUIT", ready + "|" + in + "|-ERR no such message|-ERR no such message|-ERR no such message|-ERR not supported|+OK bye"},
		{"PASS a|PASS b|PASS c|STAT", ready + "|-ERR wrong name or password|-ERR wrong name or password|-ERR wrong password, too often"},
		{"USER " + strings.Repeat("a", longestCommand), ready},
	} {
		conn, err := client.DialContext(within(t), "tcp", at(t, server, false, PortPOP3))
		if err != nil {
			t.Fatal(err)
		}
		if got := dialogue(t, conn, test.commands); got != test.answers {
			t.Errorf("%s is answered\n%s, want\n%s", test.commands, got, test.answers)
		}
		_ = conn.Close()
	}
	quiesce(t, client, server)
}

// dialogue sends all commands at once, and returns all answers until the server ends the connection.
func dialogue(t *testing.T, conn net.Conn, commands string) string {
	t.Helper()
	deadline, _ := within(t).Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn, strings.ReplaceAll(commands, "|", "\r\n")+"\r\n"); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	// The server resets a connection if it has not read everything, so only what came before counts.
	if _, err := io.Copy(&all, conn); err != nil && all.Len() == 0 {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.TrimSuffix(all.String(), "\r\n"), "\r\n", "|")
}
