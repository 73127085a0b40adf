package mailserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"op25b/internal/clientfile/clientfiletest"
	"op25b/internal/lease/login"
	"op25b/internal/webhook"
)

// dovecot returns a report of Dovecot about a login.
func dovecot(remote string) string {
	return fmt.Sprintf(`{"login":"alice","pwhash":"0ab0","remote":%q,"device_id":"","protocol":"pop3","success":true,"policy_reject":false,"tls":true}`, remote)
}

// wforce returns a report of weakforced about a login.
func wforce(remote string, at time.Time) string {
	return fmt.Sprintf(`{"login":"alice","pwhash":"0ab0","remote":%q,"protocol":"imap","success":true,"policy_reject":false,"tls":false,"attrs":{},"t":%d.5}`, remote, at.Unix())
}

// TestReports verifies the answer to each kind of request, what becomes of it, and that neither answers nor logs contain what is private.
func TestReports(t *testing.T) {
	clients, _, err := OpenClients(clientsOf(t, good()))
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	l := &leases{}
	now := noon()
	recorded := make(map[string]int)
	registry := prometheus.NewPedanticRegistry()
	s := New(Config{
		Leases: l, Clients: clients, Now: func() time.Time { return now }, Registerer: registry, Logger: zap.New(core),
		Record: func(_ context.Context, client string) error { recorded[client]++; return nil },
	})
	now = now.Add(time.Hour) // the server is not new
	const report = DovecotPath + "?command=report"
	first := wforce("192.0.2.2", now)
	large := `{"x":"` + strings.Repeat("x", login.MaxBody) + `"}`
	refusal := func(why string) string { return fmt.Sprintf(`{"status":-1,"msg":%q}`, why) }
	stranger := refusal("the caller is unknown: it needs the token or the certificate of a client in the file of --lease-clients")
	for _, test := range []struct {
		name   string
		call   call
		code   int
		want   string
		result string
	}{
		{"granted by token", call{path: report, body: dovecot("192.0.2.1"), header: bearer("token of pop-1")}, 200, `{"status":0,"msg":"granted"}`, webhook.Answered},
		{"granted by password", call{path: report, body: dovecot("2001:db8::1"), header: basic("x", "token of pop-1")}, 200, `{"status":0,"msg":"granted"}`, webhook.Answered},
		{"granted by certificate", call{path: report, body: dovecot("192.0.2.1"), cert: "pop-2.isp.example"}, 200, `{"status":0,"msg":"granted"}`, webhook.Answered},
		{"a question", call{path: DovecotPath + "?command=allow", body: dovecot("192.0.2.1"), header: bearer("token of pop-1")}, 200, `{"status":0,"msg":""}`, webhook.Answered},
		{"a failed login", call{path: report, body: strings.Replace(dovecot("192.0.2.1"), `"success":true`, `"success":false`, 1), header: bearer("token of pop-1")}, 200, `{"status":0,"msg":"failed"}`, webhook.Answered},
		{"SMTP AUTH", call{path: report, body: strings.Replace(dovecot("192.0.2.1"), "pop3", "smtp", 1), header: bearer("token of pop-1")}, 200, `{"status":0,"msg":"protocol"}`, webhook.Answered},
		{"signed", call{path: WeakforcedPath, body: first, header: signed(first, secret)}, 200, `{"status":0,"msg":"granted"}`, webhook.Answered},
		{"signed again", call{path: WeakforcedPath, body: first, header: signed(first, secret)}, 409, refusal("replayed report: it was received before"), webhook.Replayed},
		{"old", call{path: WeakforcedPath, body: wforce("192.0.2.2", now.Add(-2*time.Minute)), header: signed(wforce("192.0.2.2", now.Add(-2*time.Minute)), secret)}, 409, refusal("replayed report: it is older than 1m0s"), webhook.Replayed},
		{
			"another key",
			call{path: WeakforcedPath, body: first, header: signed(first, secret+"x")},
			403,
			refusal("wrong signature: the header X-Wforce-Signature must have the HMAC-SHA256 of the body in Base64, by the secret of this client"), webhook.Forged,
		},
		{"no secret", call{path: WeakforcedPath, body: first, header: bearer("token of pop-1")}, 403, refusal("the client has no secretFile in the file of --lease-clients, so its signature cannot be verified"), webhook.Forged},
		{"no token", call{path: report, body: dovecot("192.0.2.1")}, 401, stranger, webhook.Stranger},
		{"no token on this host", call{path: report, body: dovecot("192.0.2.1"), from: "127.0.0.1:9"}, 401, stranger, webhook.Stranger},
		{"another token", call{path: report, body: dovecot("192.0.2.1"), header: bearer("token of pop-9")}, 401, stranger, webhook.Stranger},
		{"another certificate", call{path: report, body: dovecot("192.0.2.1"), cert: "pop-9.isp.example"}, 401, stranger, webhook.Stranger},
		{"no command", call{path: DovecotPath, body: dovecot("192.0.2.1"), header: bearer("token of pop-1")}, 400, refusal("the command must be report or allow, as in /dovecot?command=report"), webhook.Malformed},
		{"another page", call{path: "/", header: bearer("token of pop-1")}, 404, refusal("no such page: report to /dovecot or /weakforced"), webhook.Malformed},
		{"GET", call{method: http.MethodGet, path: report, header: bearer("token of pop-1")}, 405, refusal("reports use POST"), webhook.Malformed},
		{"malformed", call{path: report, body: "alice", header: bearer("token of pop-1")}, 400, refusal("malformed report of a login: it is not a JSON object"), webhook.Malformed},
		{"large", call{path: report, body: large, header: bearer("token of pop-1")}, 413, refusal("the report has more than 65536 bytes"), webhook.Malformed},
	} {
		before := clientfiletest.Requests(t, registry, test.result)
		code, body := test.call.do(s)
		if code != test.code || body != test.want {
			t.Errorf("%s: %d %s; want %d %s", test.name, code, body, test.code, test.want)
		}
		if n := clientfiletest.Requests(t, registry, test.result); n != before+1 {
			t.Errorf("%s is not counted as %s", test.name, test.result)
		}
	}
	want := fmt.Sprint([]string{
		"dovecot 192.0.2.1 true -62135596800", "dovecot 2001:db8::1 true -62135596800", "dovecot 192.0.2.1 true -62135596800", fmt.Sprint("weakforced 192.0.2.2 false ", now.Unix()),
	})
	if got := fmt.Sprint(l.logins); got != want {
		t.Errorf("logins %s; want %s", got, want)
	}
	if got := fmt.Sprint(l.refused); got != "[dovecot failed dovecot protocol]" {
		t.Errorf("refused %s", got)
	}
	if recorded["pop-1"] != 1 || recorded["pop-2"] != 1 || recorded["wforce-1"] != 1 || len(recorded) != 3 {
		t.Errorf("audit records %v", recorded)
	}
	if logs.Len() == 0 {
		t.Error("no refusal is logged")
	}
	for _, e := range logs.All() {
		if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, "alice") || strings.Contains(text, "192.0.2") || strings.Contains(text, "0ab0") || strings.Contains(text, "token of") {
			t.Errorf("logged: %s", text)
		}
	}
	now = now.Add(recordEvery)
	call{path: report, body: dovecot("192.0.2.1"), header: bearer("token of pop-1")}.do(s)
	if recorded["pop-1"] != 2 {
		t.Errorf("audit records %v after %v", recorded, recordEvery)
	}
}

// TestWithoutClients verifies that only programs of this host may report if there is no file of clients.
func TestWithoutClients(t *testing.T) {
	s := New(Config{Leases: &leases{}, Record: func(context.Context, string) error { return nil }})
	for _, test := range []struct {
		from   string
		header http.Header
		want   int
	}{
		{"127.0.0.1:9", nil, 200},
		{"[::1]:9", nil, 200},
		{"192.0.2.25:9", nil, 401},
		{"192.0.2.25:9", bearer("token of pop-1"), 401},
		{"127.0.0.1:9", http.Header{"X-Forwarded-For": {"192.0.2.25"}}, 401},
	} {
		c := call{path: DovecotPath + "?command=report", body: dovecot("192.0.2.1"), from: test.from, header: test.header}
		if code, body := c.do(s); code != test.want {
			t.Errorf("%v: %d %s, want %d", test, code, body, test.want)
		}
	}
	if code, _ := (call{path: WeakforcedPath, from: "127.0.0.1:9"}).do(s); code != http.StatusForbidden {
		t.Errorf("weakforced without a secret: %d", code)
	}
}

// TestNotAcknowledged verifies that a report is acknowledged if its grant is refused, and not if it cannot be stored or recorded.
func TestNotAcknowledged(t *testing.T) {
	l := &leases{err: fmt.Errorf("%w: not for this group", errRefused)}
	var unrecorded error
	s := New(Config{Leases: l, Record: func(context.Context, string) error { return unrecorded }})
	c := call{path: DovecotPath + "?command=report", body: dovecot("192.0.2.1"), from: "127.0.0.1:9"}
	if code, body := c.do(s); code != 200 || body != `{"status":0,"msg":"refused by the policy: not for this group"}` {
		t.Errorf("%d %s", code, body)
	}
	l.err = errors.New("no quorum")
	if code, body := c.do(s); code != 503 || body != `{"status":-1,"msg":"the report is not acknowledged, send it again: no quorum"}` {
		t.Errorf("%d %s", code, body)
	}
	s = New(Config{Leases: l, Record: func(context.Context, string) error { return unrecorded }})
	l.err, unrecorded = nil, errors.New("no audit chain")
	n := len(l.logins)
	if code, _ := c.do(s); code != 503 || len(l.logins) != n {
		t.Errorf("%d without an audit record, %d logins", code, len(l.logins)-n)
	}
	if unrecorded = nil; len(s.recorded) != 0 {
		t.Error("the audit record counts as written")
	}
	for range maxWaiting {
		s.door.Enter(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, DovecotPath, nil), "pop-1", true)
	}
	if code, body := c.do(s); code != 503 || !strings.Contains(body, "too many reports are in progress") {
		t.Errorf("%d %s", code, body)
	}
}

// TestSentAgain verifies that a signed report that was not acknowledged can be sent again, as its answer asks for, and that it is a replay once it
// was acknowledged.
func TestSentAgain(t *testing.T) {
	clients, _, err := OpenClients(clientsOf(t, good()))
	if err != nil {
		t.Fatal(err)
	}
	l := &leases{err: errors.New("no quorum")}
	now := noon()
	s := New(Config{Leases: l, Clients: clients, Now: func() time.Time { return now }, Record: func(context.Context, string) error { return nil }})
	now = now.Add(time.Hour) // the server is not new
	body := wforce("192.0.2.2", now)
	c := call{path: WeakforcedPath, body: body, header: signed(body, secret)}
	for i, want := range []int{503, 503, 200, 409} {
		if i == 2 {
			l.err = nil
		}
		if code, answer := c.do(s); code != want {
			t.Errorf("report %d: %d %s, want %d", i, code, answer, want)
		}
	}
}

// TestClientsRefuses verifies each fault in the file of clients with its message.
func TestClientsRefuses(t *testing.T) {
	hash := clientfiletest.Hash("x")
	for list, want := range map[string]string{
		"  []\n":                     `there are no clients; give at least one mail server`,
		"  - {name: a, sha256: x}\n": `sha256 of client "a" is not a hash; must be 64 hexadecimal digits, as printed by op25b token and sha256sum, not the token itself`,
		"  - {name: \"\", sha256: " + hash + "}\n":                     "the name of a client has 0 bytes; must be 1 to 64",
		"  - {name: a}\n":                                              `client "a" has neither a token nor a certificate, or both; must have either a sha256 or a commonName`,
		"  - {name: a, token: x}\n":                                    `unknown key "token"; known keys: name, sha256, commonName, secretFile`,
		"  - {name: a, commonName: x, sha256: " + hash + "}\n":         `client "a" has neither a token nor a certificate, or both`,
		"  - {name: a, commonName: x}\n  - {name: a, commonName: y}\n": `client "a" is listed twice; give each its own name`,
		"  - {name: a, commonName: x}\n  - {name: b, commonName: x}\n": `client "b" has the credentials of client "a"; give each its own`,
		"  - {name: a, commonName: x, secretFile: short}\n":            `the secret of client "a" has 5 bytes; must be 16 to 1024`,
		"  - {name: a, commonName: x, secretFile: absent}\n":           `the secret of client "a" cannot be read`,
	} {
		_, _, err := OpenClients(clientsOf(t, list))
		if !errors.Is(err, ErrClients) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", list, err, want)
		}
	}
	if _, _, err := OpenClients(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, ErrClients) || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	path := clientsOf(t, good())
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, warnings, err := OpenClients(path); err != nil || len(warnings) != 2 {
		t.Errorf("%v, %v; want a warning about each file", warnings, err)
	}
}
