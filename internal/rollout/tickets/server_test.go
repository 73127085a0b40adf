package tickets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"op25b/internal/clientfile/clientfiletest"
	"op25b/internal/webhook"
)

const deskSecret = "a secret of the desk"

func good() string {
	return "  - {name: tokyo, sha256: " + clientfiletest.Hash("token of tokyo") + ", secretFile: secret}\n"
}

// ears remembers what it heard.
type ears struct {
	heard []string
	err   error
}

func (e *ears) Hear(_ context.Context, desk string, sent time.Time, all []Ticket) ([]Outcome, error) {
	if e.err != nil {
		return nil, e.err
	}
	e.heard = append(e.heard, fmt.Sprint(desk, " ", sent.Unix(), " ", len(all)))
	outcomes := make([]Outcome, len(all))
	for i, x := range all {
		if outcomes[i] = Counted; x.Line == "unknown" {
			outcomes[i] = NoLine
		}
	}
	return outcomes, nil
}

// TestReports verifies over real HTTP the answer to each kind of request, what becomes of it, and that neither answers nor logs have what is private.
func TestReports(t *testing.T) {
	clients, warnings, err := OpenClients(clientfiletest.Write(t, Kind, good(), deskSecret))
	if err != nil || len(warnings) > 0 || !slices.Equal(clients.Names(), []string{"tokyo"}) {
		t.Fatal(clients, warnings, err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	e, registry := &ears{}, prometheus.NewPedanticRegistry()
	web := httptest.NewServer(New(Config{Listener: e, Clients: clients, Now: noon, Registerer: registry, Logger: zap.New(core)}))
	defer web.Close()
	body := `{"tickets":[{"id":"private-1","time":"2026-07-01T12:00:00Z","kind":"mail","line":"private-line"},{"id":"private-2","time":"2026-07-01T12:00:00Z","kind":"mail","line":"unknown"}]}`
	const stranger = `{"error":"the caller is unknown: it needs the token or the certificate of a client in the file of --ticket-clients"}`
	at := strconv.FormatInt(noon().Unix(), 10)
	for _, c := range []struct {
		name, method, path, token, timestamp, key, body string
		code                                            int
		want, result                                    string
	}{
		{name: "tickets", body: body, code: 200, want: `{"outcomes":["counted","no-line"]}`, result: webhook.Answered},
		{name: "tickets again", body: body, code: 200, want: `{"outcomes":["counted","no-line"]}`, result: webhook.Answered},
		{name: "nothing new", body: `{"tickets":[]}`, code: 200, want: `{}`, result: webhook.Answered},
		{name: "another token", token: "token of osaka", body: body, code: 401, want: stranger, result: webhook.Stranger},
		{name: "another key", key: deskSecret + "x", body: body, code: 403, want: `{"error":"wrong signature: the header Op25b-Signature must have sha256= and the HMAC-SHA256 of the timestamp, a full stop and the body in hexadecimal, by the secret of this client"}`, result: webhook.Forged},
		{name: "not JSON, and another key", key: deskSecret + "x", body: "private", code: 403, want: `{"error":"wrong signature: the header Op25b-Signature must have sha256= and the HMAC-SHA256 of the timestamp, a full stop and the body in hexadecimal, by the secret of this client"}`, result: webhook.Forged},
		{name: "old", timestamp: strconv.FormatInt(noon().Add(-301*time.Second).Unix(), 10), body: body, code: 409, want: `{"error":"timestamp out of range: the message is older than 5m0s; sign each attempt anew"}`, result: webhook.Replayed},
		{name: "ahead", timestamp: strconv.FormatInt(noon().Add(61*time.Second).Unix(), 10), body: body, code: 409, want: `{"error":"timestamp out of range: the message is 1m1s ahead, and at most 1m0s are allowed; compare the clocks"}`, result: webhook.Replayed},
		{name: "no timestamp", timestamp: "none", body: body, code: 409, want: `{"error":"timestamp out of range: the header Op25b-Timestamp must have the time in seconds since 1970"}`, result: webhook.Replayed},
		{name: "large", body: strings.Repeat("x", MaxBody+1), code: 413, want: `{"error":"the report has more than 131072 bytes"}`, result: webhook.Malformed},
		{name: "malformed", body: `{"private":1}`, code: 400, want: `{"error":"malformed report of support tickets: it has an unknown key: the object has \"tickets\", and a ticket has \"id\", \"time\", \"kind\", and one of \"line\", \"address\" and \"switch\""}`, result: webhook.Malformed},
		{name: "another page", path: "/", body: body, code: 404, want: `{"error":"no such page: report to /tickets"}`, result: webhook.Malformed},
		{name: "GET", method: http.MethodGet, code: 405, want: `{"error":"reports use POST"}`, result: webhook.Malformed},
	} {
		set := func(into *string, otherwise string) {
			if *into == "" {
				*into = otherwise
			}
		}
		set(&c.method, http.MethodPost)
		set(&c.path, Path)
		set(&c.token, "token of tokyo")
		set(&c.timestamp, at)
		set(&c.key, deskSecret)
		r, err := http.NewRequestWithContext(t.Context(), c.method, web.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set(webhook.TimestampHeader, c.timestamp)
		r.Header.Set(webhook.SignatureHeader, webhook.Sign([]byte(c.key), c.timestamp, []byte(c.body)))
		before := clientfiletest.Requests(t, registry, c.result)
		answer, err := web.Client().Do(r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != c.code || strings.TrimSpace(string(got)) != c.want {
			t.Errorf("%s: %d %s; want %d %s", c.name, answer.StatusCode, got, c.code, c.want)
		}
		if clientfiletest.Requests(t, registry, c.result) != before+1 {
			t.Errorf("%s is not counted as %s", c.name, c.result)
		}
	}
	if want := []string{"tokyo " + at + " 2", "tokyo " + at + " 2", "tokyo " + at + " 0"}; !slices.Equal(e.heard, want) {
		t.Errorf("heard %q, want %q", e.heard, want)
	}
	e.err = errors.New("no quorum")
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer token of tokyo")
	r.Header.Set(webhook.TimestampHeader, at)
	r.Header.Set(webhook.SignatureHeader, webhook.Sign([]byte(deskSecret), at, []byte(body)))
	w := httptest.NewRecorder()
	New(Config{Listener: e, Clients: clients, Now: noon}).ServeHTTP(w, r)
	if want := `{"error":"the report is not acknowledged, send it again: no quorum"}`; w.Code != http.StatusServiceUnavailable || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("not stored: %d %s, want %s", w.Code, w.Body, want)
	}
	if logs.Len() == 0 {
		t.Error("no refusal is logged")
	}
	for _, l := range logs.All() {
		if text := fmt.Sprint(l.Message, l.ContextMap()); strings.Contains(text, "private") || strings.Contains(text, "token of") {
			t.Errorf("logged: %s", text)
		}
	}
}

// TestMetricsAreNamed verifies that the metric follows the conventions.
func TestMetricsAreNamed(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	New(Config{Listener: &ears{}, Clients: &Clients{}, Registerer: registry})
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestClientsRefuses verifies the faults that only a file of support desks has. The others are tested with the files of mail servers.
func TestClientsRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"  []\n": "there are no clients; give at least one support desk",
		"  - {name: tokyo, sha256: " + clientfiletest.Hash("x") + "}\n":                                        `client "tokyo" has no secretFile; give the file with the secret with which the support desk signs its messages`,
		"  - {name: tokyo, sha256: " + clientfiletest.Hash("x") + ", secretFile: short}\n":                     `the secret of client "tokyo" has 5 bytes; must be 16 to 1024`,
		"  - {name: tokyo, sha256: " + clientfiletest.Hash("x") + ", secretFile: nowhere}\n":                   `the secret of client "tokyo" cannot be read`,
		"  - {name: tokyo, secretFile: secret}\n":                                                              `client "tokyo" has neither a token nor a certificate, or both`,
		"  - {name: tokyo, sha256: abc, secretFile: secret}\n":                                                 `sha256 of client "tokyo" is not a hash`,
		good() + strings.Replace(good(), "sha256: "+clientfiletest.Hash("token of tokyo"), "commonName: a", 1): `client "tokyo" is listed twice`,
	} {
		if _, _, err := OpenClients(clientfiletest.Write(t, Kind, list, deskSecret)); !errors.Is(err, ErrClients) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", list, err, want)
		}
	}
}
